//! Health checks.

use brig_e2e::{Client, Host, with_both};
use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

/// Follows the events of `container` from its creation until one is called `last`; the names of all.
fn events_until(host: &Host, container: &str, last: &str) -> Vec<String> {
    let filter = format!("container={container}");
    let args = ["events", "--since", "1h", "--filter", &filter, "--format", "{{.Action}}"];
    let mut events = Client::Brig.command(host, &args).stdout(Stdio::piped()).spawn().expect("events starts");
    let mut seen = Vec::new();
    for line in BufReader::new(events.stdout.take().expect("piped")).lines().map_while(Result::ok) {
        let done = line == last;
        seen.push(line);
        if done {
            break;
        }
    }
    events.kill().expect("kill");
    events.wait().expect("wait");
    assert_eq!(seen.last().map(String::as_str), Some(last), "{seen:?}");
    seen
}

fn health(host: &Host, client: Client, format: &str, container: &str) -> String {
    let format = format!("{{{{with .State.Health}}}}{format}{{{{end}}}}");
    client.run(host, &["inspect", "-f", &format, container]).ok()
}

#[test]
fn a_container_becomes_unhealthy_and_well_again() {
    with_both(|host, client| {
        let check = "cat /ok || { echo bad; exit 3; }";
        client
            .run(
                host,
                &[
                    "run",
                    "-d",
                    "--name",
                    "c1",
                    "--health-cmd",
                    check,
                    "--health-interval",
                    "300ms",
                    "--health-retries",
                    "2",
                    "busybox",
                    "sleep",
                    "1000",
                ],
            )
            .ok();
        let seen = events_until(host, "c1", "health_status: unhealthy");
        assert!(seen.iter().any(|e| e == &format!("exec_create: /bin/sh -c {check}")), "{seen:?}");
        assert!(seen.iter().any(|e| e == "exec_die"), "{seen:?}");
        let status = || client.run(host, &["ps", "-a", "--format", "{{.Status}}"]).ok();
        assert!(status().ends_with(" (unhealthy)"), "{}", status());
        let last =
            health(host, client, "{{.Status}} {{(index .Log 0).ExitCode}} {{(index .Log 0).Output}}", "c1");
        assert_eq!(last, "unhealthy 3 cat: can't open '/ok': No such file or directory\nbad");
        assert_ne!(client.run(host, &["ps", "-q", "--filter", "health=unhealthy"]).ok(), "");
        assert_eq!(client.run(host, &["ps", "-q", "--filter", "health=none"]).ok(), "");

        client.run(host, &["exec", "c1", "touch", "/ok"]).ok();
        events_until(host, "c1", "health_status: healthy");
        assert!(status().ends_with(" (healthy)"), "{}", status());
        assert_eq!(health(host, client, "{{.FailingStreak}}", "c1"), "0");
        client.run(host, &["pause", "c1"]).ok();
        assert!(status().ends_with(" (Paused)"), "{}", status());
        client.run(host, &["unpause", "c1"]).ok();
        client.run(host, &["stop", "-t", "0", "c1"]).ok();
        assert!(status().starts_with("Exited (137)"), "{}", status());
        assert_eq!(health(host, client, "{{.Status}} {{.FailingStreak}}", "c1"), "unhealthy 0");
        client.run(host, &["start", "c1"]).ok();
        assert_ne!(health(host, client, "{{len .Log}}", "c1"), "0");

        client.run(host, &["run", "-d", "--name", "c2", "--no-healthcheck", "busybox", "sleep", "100"]).ok();
        assert_eq!(health(host, client, "there is one", "c2"), "");
    });
}

#[test]
fn checks_that_take_long_fail_or_say_much() {
    let host = Host::start();
    host.import_busybox();
    let run = |name: &str, check: &[&str]| {
        let fixed = ["run", "-d", "--name", name, "--health-interval", "200ms", "--health-retries", "1"];
        host.brig(&[&fixed[..], check, &["busybox", "sleep", "1000"]].concat()).ok();
        events_until(&host, name, "health_status: unhealthy");
        health(&host, Client::Brig, "{{(index .Log 0).ExitCode}} {{(index .Log 0).Output}}", name)
    };
    let slow = run("slow", &["--health-cmd", "exec sleep 77", "--health-timeout", "300ms"]);
    assert_eq!(slow, "-1 Health check exceeded timeout (300ms)");
    // What took too long does not live on; the next check may be at it already.
    host.brig(&["pause", "slow"]).ok();
    let top = host.brig(&["top", "slow"]).ok();
    assert!(top.matches("sleep 77").count() <= 1, "{top}");
    host.brig(&["unpause", "slow"]).ok();

    let loud = run("loud", &["--health-cmd", "yes", "--health-timeout", "300ms"]);
    assert!(loud.starts_with("-1 Health check exceeded timeout (300ms): y\ny\n"), "{loud:.100}");
    assert!(loud.ends_with("y\n...") && (4100..4200).contains(&loud.len()), "{}", loud.len());
    let missing = run("missing", &["--health-cmd", "/no/such/program"]);
    assert!(missing.starts_with("127 "), "{missing}");

    // Told in the image's configuration, as words.
    let body = r#"{"Image":"busybox","Cmd":["sleep","1000"],
        "Healthcheck":{"Test":["CMD","nope"],"Interval":200000000,"Retries":1}}"#;
    assert_eq!(host.api("POST", "/v1.45/containers/create?name=words", Some(body)).status, 201);
    host.brig(&["start", "words"]).ok();
    events_until(&host, "words", "health_status: unhealthy");
    let output =
        health(&host, Client::Brig, "{{(index .Log 0).ExitCode}} {{(index .Log 0).Output}}", "words");
    assert!(output.starts_with("-1 ") && output.contains("executable file not found in $PATH"), "{output}");
}

#[test]
fn a_killed_daemon_takes_up_the_checks_again() {
    let host = Host::start();
    host.import_busybox();
    // The first check of each daemon stays, the later ones end.
    let check = "test -e /go || exec sleep 88";
    host.brig(&[
        "run",
        "-d",
        "--name",
        "c1",
        "--health-cmd",
        check,
        "--health-interval",
        "200ms",
        "busybox",
        "sleep",
        "1000",
    ])
    .ok();
    events_until(&host, "c1", &format!("exec_start: /bin/sh -c {check}"));
    host.kill_daemon();
    host.start_daemon(&[]);
    assert_eq!(health(&host, Client::Brig, "{{.Status}}", "c1"), "starting");
    host.brig(&["exec", "c1", "touch", "/go"]).ok();
    host.kill_daemon();
    host.start_daemon(&[]);
    events_until(&host, "c1", "health_status: healthy");
    let top = host.brig(&["top", "c1"]).ok();
    assert!(!top.contains("sleep 88"), "{top}");
    host.kill_daemon();
    host.start_daemon(&[]);
    assert_eq!(health(&host, Client::Brig, "{{.Status}}", "c1"), "healthy");
}

#[test]
fn one_that_is_not_well_is_restarted_where_its_label_says_so() {
    let host = Host::start();
    host.import_busybox();
    host.brig(&[
        "run",
        "-d",
        "--name",
        "c1",
        "--label",
        "brig.health.restart",
        "--stop-timeout",
        "0",
        "--health-cmd",
        "test ! -e /sick",
        "--health-interval",
        "200ms",
        "--health-retries",
        "1",
        "busybox",
        "sh",
        "-c",
        "rm -f /sick; exec sleep 1000",
    ])
    .ok();
    events_until(&host, "c1", "health_status: healthy");
    host.brig(&["exec", "c1", "touch", "/sick"]).ok();
    let seen = events_until(&host, "c1", "restart");
    assert!(
        seen.iter().any(|e| e == "health_status: unhealthy") && seen.iter().any(|e| e == "die"),
        "{seen:?}"
    );
    assert!(["starting", "healthy"].contains(&&*health(&host, Client::Brig, "{{.Status}}", "c1")));
}

#[test]
fn checks_without_a_process() {
    let host = Host::start();
    host.import_busybox();
    let server = "mkdir /w; echo hi > /w/ok; httpd -p 127.0.0.1:8080 -h /w; exec sleep 1000";
    let run = |name: &str, check: &[&str]| {
        let fixed = ["run", "-d", "--name", name, "--health-interval", "200ms", "--health-retries", "2"];
        host.brig(&[&fixed[..], check, &["busybox", "sh", "-c", server]].concat())
    };
    run("well", &["--health-http", ":8080/ok"]).ok();
    events_until(&host, "well", "health_status: healthy");
    let of =
        |name| health(&host, Client::Brig, "{{(index .Log 0).ExitCode}} {{(index .Log 0).Output}}", name);
    assert_eq!(host.brig(&["inspect", "-f", "{{.Config.Healthcheck.Test}}", "well"]).ok(), "[HTTP :8080/ok]");
    run("open", &["--health-tcp", "localhost:8080"]).ok();
    let seen = events_until(&host, "open", "health_status: healthy");
    assert!(!seen.iter().any(|e| e.starts_with("exec")), "{seen:?}");
    run("missing", &["--health-http", "http://127.0.0.1:8080/nope"]).ok();
    events_until(&host, "missing", "health_status: unhealthy");
    assert_eq!(of("missing"), "1 HTTP/1.1 404 Not Found");
    run("closed", &["--health-tcp", ":8081"]).ok();
    events_until(&host, "closed", "health_status: unhealthy");
    assert_eq!(of("closed"), "1 connect to 127.0.0.1:8081: Connection refused (os error 111)");
    for (bad, words) in [
        (["--health-http", "https://localhost/"], "invalid Healthcheck: HTTP"),
        (["--health-tcp", "example.com:80"], "such as :5432"),
    ] {
        run("bad", &bad).fails(125, words);
    }
    run("both", &["--health-tcp", ":1", "--health-cmd", "true"]).fails(125, "exclude one another");
}
