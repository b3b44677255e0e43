//! Commands in a running container.

use brig_e2e::with_both;

#[test]
fn exec_runs_beside_the_container_with_its_own_exit_code() {
    with_both(|host, client| {
        client.run(host, &["run", "-d", "--name", "c1", "busybox", "sleep", "1000"]).ok();
        assert_eq!(client.run(host, &["exec", "c1", "echo", "hi"]).ok(), "hi");
        assert_eq!(client.run(host, &["exec", "c1", "sh", "-c", "exit 5"]).code, 5);
        assert_eq!(
            client
                .run(
                    host,
                    &[
                        "exec",
                        "-e",
                        "A=b",
                        "-w",
                        "/tmp",
                        "-u",
                        "alice",
                        "c1",
                        "sh",
                        "-c",
                        "echo $A $PWD $(id -u)"
                    ]
                )
                .ok(),
            "b /tmp 1000"
        );
        assert!(client.run(host, &["exec", "c1", "ps"]).ok().contains("sleep 1000"));
        assert_eq!(client.run_with(host, &["exec", "-i", "c1", "cat"], b"through\n").ok(), "through");
    });
}

#[test]
fn exec_of_what_can_not_be_executed_is_127_and_126() {
    with_both(|host, client| {
        client.run(host, &["run", "-d", "--name", "c1", "busybox", "sleep", "1000"]).ok();
        let missing = client.run(host, &["exec", "c1", "nope"]);
        assert_eq!(missing.code, 127, "{missing:?}");
        assert!(format!("{}{}", missing.stdout, missing.stderr).contains(
            "OCI runtime exec failed: exec failed: unable to start container process: exec: \"nope\": executable file not found in $PATH: unknown"
        ), "{missing:?}");
        let refused = client.run(host, &["exec", "c1", "/bin/not-executable"]);
        assert_eq!(refused.code, 126, "{refused:?}");
    });
}

#[test]
fn exec_needs_a_running_container() {
    with_both(|host, client| {
        client.run(host, &["exec", "nope", "true"]).fails(1, "No such container: nope");
        let id = client.run(host, &["create", "--name", "c1", "busybox", "true"]).ok();
        client.run(host, &["exec", "c1", "true"]).fails(1, &format!("container {id} is not running"));
    });
}

#[test]
fn many_execs_at_once_do_not_mix() {
    with_both(|host, client| {
        client.run(host, &["run", "-d", "--name", "c1", "busybox", "sleep", "1000"]).ok();
        std::thread::scope(|scope| {
            for i in 0..8 {
                scope.spawn(move || {
                    let text = format!("number {i}");
                    assert_eq!(client.run(host, &["exec", "c1", "echo", &text]).ok(), text);
                });
            }
        });
    });
}

#[test]
fn a_detached_exec_goes_on_by_itself() {
    with_both(|host, client| {
        client
            .run(host, &["run", "-d", "--name", "c1", "busybox", "sh", "-c", "mkfifo /f; echo up; cat /f"])
            .ok();
        brig_e2e::host::follow_until(host, client, "c1", "up");
        client.run(host, &["exec", "-d", "c1", "sh", "-c", "echo told > /f"]).ok();
        assert_eq!(client.run(host, &["wait", "c1"]).ok(), "0");
        assert_eq!(client.run(host, &["logs", "c1"]).ok(), "up\ntold");
    });
}
