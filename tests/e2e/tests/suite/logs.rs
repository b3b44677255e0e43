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
