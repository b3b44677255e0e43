//! What a container printed, read later and while it prints.

use brig_e2e::with_both;

#[test]
fn logs_keep_streams_apart_and_tail() {
    with_both(|host, client| {
        client
            .run(
                host,
                &[
                    "run",
                    "--name",
                    "c1",
                    "busybox",
                    "sh",
                    "-c",
                    "for i in 1 2 3 4; do echo o$i; echo e$i >&2; done",
                ],
            )
            .ok();
        let all = client.run(host, &["logs", "c1"]);
        assert_eq!((all.stdout.as_str(), all.stderr.as_str()), ("o1\no2\no3\no4\n", "e1\ne2\ne3\ne4\n"));
        let two = client.run(host, &["logs", "--tail", "2", "c1"]);
        assert_eq!(two.stdout.lines().count() + two.stderr.lines().count(), 2);
        let stamped = client.run(host, &["logs", "-t", "--tail", "1", "c1"]);
        let line = format!("{}{}", stamped.stdout, stamped.stderr);
        assert!(line.starts_with("20") && line.contains("Z "), "{line}");
        assert_eq!(client.run(host, &["logs", "--since", "2999-01-01T00:00:00Z", "c1"]).ok(), "");
    });
}

#[test]
fn following_ends_with_the_container_and_misses_nothing() {
    with_both(|host, client| {
        client
            .run(
                host,
                &[
                    "run",
                    "-d",
                    "-i",
                    "--name",
                    "c1",
                    "busybox",
                    "sh",
                    "-c",
                    "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done",
                ],
            )
            .ok();
        let followed = client.run(host, &["logs", "-f", "c1"]).ok();
        assert_eq!(followed.lines().count(), 2000);
        assert_eq!(followed.lines().last(), Some("line 1999"));
    });
}

#[test]
fn a_line_without_end_and_bytes_that_are_no_text_come_back_as_they_were() {
    with_both(|host, client| {
        client
            .run(
                host,
                &[
                    "run",
                    "--name",
                    "c1",
                    "busybox",
                    "sh",
                    "-c",
                    "head -c 40000 /dev/zero | tr '\\0' x; printf end",
                ],
            )
            .ok();
        let out = client.run(host, &["logs", "c1"]).ok();
        assert_eq!(out.len(), 40003);
        assert!(out.ends_with("xend"));
    });
}

#[test]
fn the_file_is_docker_json() {
    with_both(|host, client| {
        let id = client.run(host, &["run", "-d", "busybox", "sh", "-c", "echo '<a> & \"b\"'"]).ok();
        client.run(host, &["wait", &id]).ok();
        let path = client.run(host, &["inspect", "-f", "{{.LogPath}}", &id]).ok();
        let line = std::fs::read_to_string(path).unwrap();
        assert!(
            line.starts_with(r#"{"log":"\u003ca\u003e \u0026 \"b\"\n","stream":"stdout","time":"20"#),
            "{line}"
        );
    });
}

#[test]
fn the_local_driver_and_what_records_say_of_their_container() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, &[&["run", "--name", "c1"], args].concat());
        let remove = || client.run(host, &["rm", "-f", "c1"]);
        let small = ["--log-driver", "local", "--log-opt", "max-size=1k", "--log-opt", "max-file=3"];
        let program = "i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i+1)); done";
        run(&[&small[..], &["busybox", "sh", "-c", program]].concat()).ok();
        // Read over what was rotated, of which only the newest files are left.
        let all = client.run(host, &["logs", "c1"]).ok();
        assert!(all.ends_with("line 38\nline 39") && !all.contains("line 0\n"), "{all}");
        assert!(all.lines().count() > 13, "{all}");
        assert_eq!(client.run(host, &["logs", "--tail", "20", "c1"]).ok().lines().count(), 20);
        let shown =
            client.run(host, &["inspect", "-f", "{{.HostConfig.LogConfig.Type}}[{{.LogPath}}]", "c1"]);
        assert_eq!(shown.ok(), "local[]");
        remove().ok();

        let picks = ["--log-opt", "labels=a,nope", "--log-opt", "labels-regex=^b", "--log-opt", "env=X,Z"];
        let tag = ["--log-opt", "tag={{.ImageName}}/{{.Name}}"];
        let given = ["--label", "a=1", "--label", "bee=2", "--label", "c=3", "-e", "X=y", "-e", "Z="];
        run(&[&picks[..], &tag, &given, &["busybox", "echo", "hi"]].concat()).ok();
        let details = client.run(host, &["logs", "--details", "c1"]).ok();
        assert_eq!(details, "X=y,Z=,a=1,bee=2,tag=busybox%2Fc1 hi");
        remove().ok();
        for (option, words) in [
            ("tag={{.Foo}}", "can't evaluate field Foo in type *logger.Info"),
            ("tag={{", "template: log-tag:1: unclosed action"),
            ("labels-regex=(", "error parsing regexp"),
        ] {
            run(&["--log-opt", option, "busybox", "true"]).fails(125, words);
        }
        run(&["--log-driver", "local", "--log-opt", "tag=x", "busybox", "true"])
            .fails(125, "unknown log opt 'tag'");
        run(&["--log-driver", "none", "busybox", "echo", "hi"]).ok();
        client.run(host, &["logs", "c1"]).fails(1, "configured logging driver does not support reading");
    });
}
