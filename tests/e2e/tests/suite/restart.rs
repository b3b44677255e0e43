//! Restart policies.

use brig_e2e::{Client, Host, with_both};
use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::Duration,
};

/// Follows the events of `container` from its creation until `count` of them are called `action`; all of them, each
/// with its time in nanoseconds.
fn events_until(host: &Host, container: &str, action: &str, count: usize) -> Vec<(i128, String)> {
    let filter = format!("container={container}");
    let format = "{{.TimeNano}} {{.Action}}";
    let args = ["events", "--since", "1h", "--filter", &filter, "--format", format];
    let mut events = Client::Brig.command(host, &args).stdout(Stdio::piped()).spawn().expect("events starts");
    let mut seen: Vec<(i128, String)> = Vec::new();
    for line in BufReader::new(events.stdout.take().expect("piped")).lines().map_while(Result::ok) {
        let (time, name) = line.split_once(' ').expect("two words");
        seen.push((time.parse().expect("a number"), name.to_owned()));
        if seen.iter().filter(|(_, name)| name == action).count() == count {
            break;
        }
    }
    events.kill().expect("kill");
    events.wait().expect("wait");
    seen
}

fn shown(host: &Host, client: Client, format: &str, name: &str) -> String {
    client.run(host, &["inspect", "-f", format, name]).ok()
}

const COUNT: &str = "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}";

#[test]
fn on_failure_is_tried_again_with_longer_and_longer_waits() {
    with_both(|host, client| {
        let run = |name: &str, policy: &str, program: &str| {
            client
                .run(
                    host,
                    &["run", "-d", "--name", name, "--restart", policy, "busybox", "sh", "-c", program],
                )
                .ok()
        };
        run("c1", "on-failure:3", "exit 3");
        let seen = events_until(host, "c1", "die", 4);
        assert_eq!(shown(host, client, COUNT, "c1"), "3 exited 3");
        let times = |action: &str| {
            let all = seen.iter().filter(|(_, name)| name == action);
            all.map(|(time, _)| *time).collect::<Vec<_>>()
        };
        let waits: Vec<i128> = times("start")[1..]
            .iter()
            .zip(times("die"))
            .map(|(start, die)| (start - die) / 1_000_000)
            .collect();
        // A busy machine makes them longer, nothing makes them shorter.
        for (wait, least) in waits.iter().zip([100, 200, 400]) {
            assert!((least - 1..least + 3000).contains(wait), "{waits:?}");
        }
        run("c2", "on-failure", "exit 0");
        events_until(host, "c2", "die", 1);
        assert_eq!(shown(host, client, COUNT, "c2"), "0 exited 0");
        // A start by a client begins anew.
        client.run(host, &["start", "c1"]).ok();
        let seen = events_until(host, "c1", "die", 8);
        assert_eq!(seen.iter().filter(|(_, name)| name == "start").count(), 8);
        assert_eq!(shown(host, client, COUNT, "c1"), "3 exited 3");
    });
}

#[test]
fn what_waits_to_be_restarted_can_be_stopped_killed_changed_and_removed() {
    with_both(|host, client| {
        let id =
            client.run(host, &["run", "-d", "--name", "c1", "--restart", "always", "busybox", "false"]).ok();
        // From now on it waits for more than a second.
        events_until(host, "c1", "die", 5);
        let list = client.run(host, &["ps", "--format", "{{.State}} {{.Status}}"]).ok();
        assert!(list.starts_with("restarting Restarting (1) "), "{list}");
        let state = "{{.State.Running}} {{.State.Restarting}} {{.State.Pid}}";
        assert_eq!(shown(host, client, state, "c1"), "true true 0");
        let wait = format!("ontainer {id} is restarting, wait until the container is running");
        for args in [&["pause", "c1"][..], &["exec", "c1", "true"], &["top", "c1"]] {
            client.run(host, args).fails(1, &wait);
        }
        client.run(host, &["attach", "c1"]).fails(1, "restarting container, wait until it is running");
        client
            .run(host, &["rm", "c1"])
            .fails(1, "container is restarting: stop the container before removing");
        client.run(host, &["logs", "c1"]).ok();
        client.run(host, &["rename", "c1", "c2"]).ok();
        client.run(host, &["stop", "c2"]).ok();
        assert_eq!(shown(host, client, "{{.State.Status}}", "c2"), "exited");

        client.run(host, &["start", "c2"]).ok();
        events_until(host, "c2", "die", 4);
        // It is started once more, and then stays.
        client.run(host, &["update", "--restart", "no", "c2"]).ok();
        assert_eq!(client.run(host, &["wait", "c2"]).ok(), "1");
        client.run(host, &["update", "--restart", "always", "c2"]).ok();
        client.run(host, &["restart", "c2"]).ok();
        client.run(host, &["rm", "-f", "c2"]).ok();
        assert_eq!(client.run(host, &["ps", "-aq"]).ok(), "");
    });
}

#[test]
fn after_the_daemon_those_come_back_that_nobody_stopped() {
    let host = Host::start();
    host.import_busybox();
    let run = |name: &str, policy: &str| {
        host.brig(&["run", "-d", "--name", name, "--restart", policy, "busybox", "sleep", "1000"]).ok()
    };
    let policies = ["always", "unless-stopped", "no", "on-failure"];
    let mut pids = Vec::new();
    for policy in policies {
        run(&format!("ended-{policy}"), policy);
        pids.push(shown(&host, Client::Brig, "{{.State.Pid}}", &format!("ended-{policy}")));
        run(&format!("stopped-{policy}"), policy);
        host.brig(&["stop", "-t", "0", &format!("stopped-{policy}")]).ok();
    }
    run("lives", "no");
    host.kill_daemon();
    for pid in pids {
        let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        assert!(brig_e2e::host::ends_within(
            pid.as_raw_nonzero().get().cast_unsigned(),
            Duration::from_secs(30)
        ));
    }
    host.start_daemon(&[]);
    for name in ["ended-always", "ended-unless-stopped", "stopped-always", "ended-on-failure"] {
        events_until(&host, name, "start", 1);
        assert_eq!(shown(&host, Client::Brig, "{{.State.Status}}", name), "running", "{name}");
    }
    assert_eq!(shown(&host, Client::Brig, "{{.State.Status}}", "lives"), "running");
    for name in ["stopped-unless-stopped", "stopped-no", "stopped-on-failure", "ended-no"] {
        assert_eq!(shown(&host, Client::Brig, "{{.State.Status}}", name), "exited", "{name}");
    }
    assert_eq!(shown(&host, Client::Brig, "{{.State.ExitCode}}", "ended-no"), "137");
}
