//! A container's life: run, create, start, stop, restart, kill, wait, rename, remove, inspect, list.

use brig_e2e::with_both;

#[test]
fn run_prints_the_output_and_passes_the_exit_code_on() {
    with_both(|host, client| {
        assert_eq!(client.run(host, &["run", "--rm", "busybox", "echo", "hello world"]).ok(), "hello world");
        assert_eq!(client.run(host, &["run", "--rm", "busybox", "sh", "-c", "exit 3"]).code, 3);
        assert_eq!(
            client.run(host, &["run", "--rm", "busybox", "sh", "-c", "sh -c 'kill -9 $$'; exit $?"]).code,
            137
        );
        let both = client.run(host, &["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2"]);
        assert_eq!((both.stdout.as_str(), both.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(client.run(host, &["ps", "-aq"]).ok(), "");
    });
}

#[test]
fn a_detached_container_is_listed_inspected_stopped_restarted_and_removed() {
    with_both(|host, client| {
        let id =
            client.run(host, &["run", "-d", "--name", "web", "-l", "a=b", "busybox", "sleep", "1000"]).ok();
        assert_eq!(id.len(), 64);
        let row = client
            .run(host, &["ps", "--format", "{{.Names}} {{.Image}} {{.Command}} {{.State}} {{.Label \"a\"}}"]);
        assert_eq!(row.ok(), "web busybox \"sleep 1000\" running b");
        let state = |f: &str| client.run(host, &["inspect", "-f", f, "web"]).ok();
        assert_eq!(
            state("{{.Id}} {{.Name}} {{.State.Status}} {{.State.Running}}"),
            format!("{id} /web running true")
        );
        assert_ne!(state("{{.State.Pid}}"), "0");

        assert_eq!(client.run(host, &["stop", "-t", "1", "web"]).ok(), "web");
        assert_eq!(state("{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}"), "exited 137 0");
        assert_eq!(client.run(host, &["ps", "-q"]).ok(), "");
        assert_eq!(client.run(host, &["ps", "-aq", "--no-trunc", "--filter", "status=exited"]).ok(), id);

        assert_eq!(client.run(host, &["start", "web"]).ok(), "web");
        let first = state("{{.State.StartedAt}}");
        assert_eq!(client.run(host, &["restart", "-t", "0", "web"]).ok(), "web");
        assert_ne!(state("{{.State.StartedAt}}"), first);
        assert_eq!(state("{{.State.Status}}"), "running");

        client.run(host, &["rename", "web", "shop"]).ok();
        assert_eq!(client.run(host, &["kill", "shop"]).ok(), "shop");
        assert_eq!(client.run(host, &["wait", "shop"]).ok(), "137");
        assert_eq!(client.run(host, &["rm", "shop"]).ok(), "shop");
        client.run(host, &["inspect", "shop"]).fails(1, "No such object: shop");
    });
}

#[test]
fn a_container_that_goes_by_itself_keeps_its_files_over_a_restart() {
    with_both(|host, client| {
        let program = "echo run >> /runs; sync; exec sleep 1000";
        client.run(host, &["run", "-d", "--rm", "--name", "c1", "busybox", "sh", "-c", program]).ok();
        for _ in 0..2 {
            assert_eq!(client.run(host, &["restart", "-t", "0", "c1"]).ok(), "c1");
        }
        let runs = "until [ $(wc -l < /runs) = 3 ]; do sleep 0.05; done; cat /runs";
        assert_eq!(client.run(host, &["exec", "c1", "sh", "-c", runs]).ok(), "run\nrun\nrun");
        assert_eq!(client.run(host, &["stop", "-t", "0", "c1"]).ok(), "c1");
        let gone = host.api("POST", "/v1.51/containers/c1/wait?condition=removed", None);
        assert!([200, 404].contains(&gone.status), "{gone:?}");
    });
}

#[test]
fn stop_sends_the_stop_signal_first() {
    with_both(|host, client| {
        let trap = "trap 'echo bye; exit 7' USR1; echo up; while :; do sleep 0.05; done";
        client
            .run(host, &["run", "-d", "--name", "c1", "--stop-signal", "USR1", "busybox", "sh", "-c", trap])
            .ok();
        brig_e2e::host::follow_until(host, client, "c1", "up");
        client.run(host, &["stop", "c1"]).ok();
        assert_eq!(client.run(host, &["inspect", "-f", "{{.State.ExitCode}}", "c1"]).ok(), "7");
        assert_eq!(client.run(host, &["logs", "c1"]).ok(), "up\nbye");
    });
}

#[test]
fn wait_tells_the_exit_code_of_a_container_that_ends_later() {
    with_both(|host, client| {
        client.run(host, &["run", "-d", "-i", "--name", "c1", "busybox", "sh", "-c", "read x; exit 9"]).ok();
        let waiting =
            client.command(host, &["wait", "c1"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
        // Whether the wait is registered before the kill or after it, it must tell the same.
        client.run(host, &["kill", "-s", "TERM", "c1"]).ok();
        client.run(host, &["kill", "c1"]);
        let out = waiting.wait_with_output().unwrap();
        assert!(["137", "143"].contains(&String::from_utf8_lossy(&out.stdout).trim()), "{out:?}");
    });
}

#[test]
fn init_reaps_and_forwards() {
    with_both(|host, client| {
        client.run(host, &["run", "-d", "--init", "--name", "c1", "busybox", "sleep", "1000"]).ok();
        let begun = std::time::Instant::now();
        client.run(host, &["stop", "-t", "30", "c1"]).ok();
        assert!(begun.elapsed().as_secs() < 20, "init did not forward SIGTERM");
        assert_eq!(client.run(host, &["inspect", "-f", "{{.State.ExitCode}}", "c1"]).ok(), "143");
    });
}

#[test]
fn environment_user_and_working_directory_are_what_was_asked() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, &[&["run", "--rm"], args].concat()).ok();
        assert_eq!(run(&["-e", "A=b c", "busybox", "sh", "-c", "echo $A"]), "b c");
        assert_eq!(
            run(&["-u", "alice", "busybox", "id"]),
            "uid=1000(alice) gid=1001(alice) groups=50(staff),1001(alice)"
        );
        assert_eq!(run(&["-u", "12:34", "busybox", "sh", "-c", "id -u; id -g"]), "12\n34");
        assert_eq!(run(&["-w", "/new/dir", "busybox", "pwd"]), "/new/dir");
        assert_eq!(run(&["-h", "box", "busybox", "hostname"]), "box");
        assert_eq!(run(&["--entrypoint", "echo", "busybox", "x"]), "x");
        assert_eq!(
            run(&["busybox", "sh", "-c", "echo $PATH $HOME"]),
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /root"
        );
        assert_eq!(
            run(&["--ulimit", "nofile=100:200", "busybox", "sh", "-c", "ulimit -Sn; ulimit -Hn"]),
            "100\n200"
        );
    });
}

#[test]
fn binds_and_tmpfs_are_mounted() {
    with_both(|host, client| {
        let dir = host.path("shared");
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("f"), "from the host").unwrap();
        let bind = format!("{}:/mnt/x", dir.display());
        assert_eq!(
            client
                .run(
                    host,
                    &[
                        "run",
                        "--rm",
                        "-v",
                        &bind,
                        "busybox",
                        "sh",
                        "-c",
                        "cat /mnt/x/f; echo back > /mnt/x/g"
                    ]
                )
                .ok(),
            "from the host"
        );
        assert_eq!(std::fs::read_to_string(dir.join("g")).unwrap(), "back\n");
        client
            .run(host, &["run", "--rm", "-v", &format!("{bind}:ro"), "busybox", "touch", "/mnt/x/h"])
            .fails(1, "Read-only file system");
        let tmpfs = client
            .run(
                host,
                &[
                    "run",
                    "--rm",
                    "--tmpfs",
                    "/scratch:size=1m",
                    "busybox",
                    "sh",
                    "-c",
                    "grep ' /scratch ' /proc/mounts",
                ],
            )
            .ok();
        assert!(tmpfs.starts_with("tmpfs /scratch tmpfs") && tmpfs.contains("size=1024k"), "{tmpfs}");
        client
            .run(host, &["run", "--rm", "--read-only", "busybox", "touch", "/x"])
            .fails(1, "Read-only file system");
    });
}

#[test]
fn auto_remove_leaves_no_container_whatever_the_end() {
    with_both(|host, client| {
        client.run(host, &["run", "-d", "--rm", "--name", "c1", "busybox", "sleep", "1000"]).ok();
        let removed = client.command(host, &["wait", "c1"]).spawn().unwrap();
        client.run(host, &["kill", "c1"]).ok();
        removed.wait_with_output().unwrap();
        let gone = host.api("POST", "/v1.51/containers/c1/wait?condition=removed", None);
        assert!(gone.status == 404 || gone.status == 200, "{gone:?}");
        assert_eq!(client.run(host, &["ps", "-aq"]).ok(), "");
    });
}

#[test]
fn events_tell_what_happened_in_order() {
    with_both(|host, client| {
        let since =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().to_string();
        client.run(host, &["run", "--rm", "--name", "c1", "busybox", "true"]).ok();
        let removed = host.api("POST", "/v1.51/containers/c1/wait?condition=removed", None);
        assert!([200, 404].contains(&removed.status), "{removed:?}");
        let until = (since.parse::<u64>().unwrap() + 3600).to_string();
        drop(until);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let until = format!("{}.{:09}", now.as_secs(), now.subsec_nanos());
        let all = client
            .run(
                host,
                &[
                    "events",
                    "--since",
                    &since,
                    "--until",
                    &until,
                    "--filter",
                    "container=c1",
                    "--format",
                    "{{.Action}}",
                ],
            )
            .ok();
        let actions: Vec<&str> = all.lines().collect();
        for (earlier, later) in [("create", "start"), ("start", "die"), ("die", "destroy")] {
            let at = |a: &str| {
                actions.iter().position(|x| *x == a).unwrap_or_else(|| panic!("no {a} in {actions:?}"))
            };
            assert!(at(earlier) < at(later), "{actions:?}");
        }
    });
}

#[test]
fn a_container_that_writes_nothing_has_written_nothing() {
    with_both(|host, client| {
        let script = "test -f /.dockerenv && test ! -s /.dockerenv && readlink /etc/mtab";
        let ran = client.run(host, &["run", "--name", "c1", "busybox", "sh", "-c", script]);
        assert_eq!(ran.ok(), "/proc/mounts");
        client.run(host, &["run", "--name", "c2", "--network", "none", "busybox", "true"]).ok();
        let snapshots = std::fs::read_dir(host.path("data/snapshots")).unwrap();
        let written = snapshots.map(|entry| entry.unwrap().path()).filter(|dir| dir.join("work").exists());
        let written: Vec<_> = written.map(|dir| dir.join("fs")).collect();
        assert_eq!(written.len(), 2);
        for upper in written {
            assert_eq!(std::fs::read_dir(&upper).unwrap().count(), 0, "{}", upper.display());
        }
        let container = client.run(host, &["ps", "-as", "--filter", "name=c1", "--format", "{{.Size}}"]);
        assert!(container.ok().starts_with("0B "));
    });
}
