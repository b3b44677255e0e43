//! From creation to removal.

use crate::{Test, host::Host};
use brig_core::{HasKind, Kind};
use brig_engine::{
    Error,
    filters::Filters,
    options::{EventsOptions, ListOptions, LogOptions, RemoveOptions, StopOptions, WaitCondition},
};
use jiff::Timestamp;
use std::time::{Duration, Instant};

pub const TESTS: &[Test] = &[
    ("runs_to_its_end", runs_to_its_end),
    ("exit_codes_and_signals", exit_codes_and_signals),
    ("commands_that_are_not_there", commands_that_are_not_there),
    ("stop_and_start_again", stop_and_start_again),
    ("stop_kills_after_the_timeout", stop_kills_after_the_timeout),
    ("kill_waits_for_the_end", kill_waits_for_the_end),
    ("pause_and_unpause", pause_and_unpause),
    ("auto_remove_tells_who_waits", auto_remove_tells_who_waits),
    ("names", names),
    ("removal", removal),
    ("restart_policies", restart_policies),
    ("restart_by_hand", restart_by_hand),
    ("events_come_in_order", events_come_in_order),
    ("lists_and_filters", lists_and_filters),
    ("logs_follow_to_the_end", logs_follow_to_the_end),
    ("users_and_files", users_and_files),
    ("volumes_live_on_or_go", volumes_live_on_or_go),
    ("processes_are_shown", processes_are_shown),
    ("many_at_once", many_at_once),
    ("how_long_a_run_takes", how_long_a_run_takes),
];

fn runs_to_its_end(host: &Host) {
    let id = host.create(&["echo", "hello world"], |_, _| {});
    let made = host.inspect(&id);
    assert_eq!((made.state.status.as_str(), made.state.pid), ("created", 0));
    assert_eq!((made.path.as_str(), made.args.as_slice()), ("echo", &["hello world".to_owned()][..]));
    host.start(&id);
    assert_eq!(host.wait(&id, WaitCondition::NotRunning), 0);
    let ended = host.inspect(&id);
    assert_eq!((ended.state.status.as_str(), ended.state.exit_code), ("exited", 0));
    assert!(!ended.state.running && !ended.state.finished_at.is_zero());
    assert_eq!(host.logs(&id), "hello world\n");
    host.remove(&id);
    assert!(!host.exists(&id));
}

fn exit_codes_and_signals(host: &Host) {
    assert_eq!(host.run(&["sh", "-c", "exit 3"], |_, _| {}).0, 3);
    assert_eq!(
        host.run(&["sh", "-c", "kill -9 $$"], |_, _| {}).0,
        0,
        "process 1 is safe from its own signals"
    );
    assert_eq!(host.run(&["sh", "-c", "sh -c 'kill -9 $$'; exit $?"], |_, _| {}).0, 137);
}

fn commands_that_are_not_there(host: &Host) {
    for (command, code, text) in [
        ("nosuch", 127, "exec: \"nosuch\": executable file not found in $PATH"),
        ("/nosuch", 127, "exec: \"/nosuch\": stat /nosuch: no such file or directory"),
        ("/bin/text", 126, "exec: \"/bin/text\": permission denied"),
        ("/bin", 126, "permission denied"),
    ] {
        let id = host.create(&[command], |_, _| {});
        let error = host.block(host.engine.container_start(&id)).unwrap_err();
        assert!(error.to_string().contains(text), "{command}: {error}");
        assert!(error.to_string().starts_with("failed to create task for container: "), "{error}");
        assert!(matches!(error, Error::Start { code: c, .. } if c == code), "{command}: {error:?}");
        let state = host.inspect(&id).state;
        assert_eq!((state.status.as_str(), state.exit_code), ("created", i64::from(code)));
        assert!(state.error.contains(text), "{}", state.error);
        host.remove(&id);
    }
}

fn stop_and_start_again(host: &Host) {
    let id =
        host.create(&["sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done"], |_, _| {});
    host.start(&id);
    assert_eq!(host.block(host.engine.container_start(&id)).unwrap_err().kind(), Kind::NotModified);
    host.follow_until(&id, "up\n");
    host.block(host.engine.container_stop(&id, StopOptions::default())).unwrap();
    let state = host.inspect(&id).state;
    assert_eq!((state.status.as_str(), state.exit_code), ("exited", 7));
    let again = host.block(host.engine.container_stop(&id, StopOptions::default())).unwrap_err();
    assert_eq!(again.kind(), Kind::NotModified);
    host.start(&id);
    assert!(host.inspect(&id).state.running);
    host.remove(&id);
}

fn stop_kills_after_the_timeout(host: &Host) {
    let id = host.create(&["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.05; done"], |_, _| {});
    host.start(&id);
    host.follow_until(&id, "up\n");
    let start = Instant::now();
    host.block(host.engine.container_stop(&id, StopOptions { signal: None, timeout: Some(1) })).unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(host.inspect(&id).state.exit_code, 137);
    host.remove(&id);
}

fn kill_waits_for_the_end(host: &Host) {
    let id = host.create(&["sleep", "1000"], |_, _| {});
    let idle = host.block(host.engine.container_kill(&id, "")).unwrap_err();
    assert_eq!(idle.kind(), Kind::Conflict);
    assert_eq!(idle.to_string(), format!("cannot kill container: {id}: container {id} is not running"));
    host.start(&id);
    let bad = host.block(host.engine.container_kill(&id, "NOSUCH")).unwrap_err();
    assert_eq!(
        (bad.kind(), bad.to_string().contains("invalid signal: NOSUCH")),
        (Kind::InvalidParameter, true)
    );
    host.block(host.engine.container_kill(&id, "KILL")).unwrap();
    let state = host.inspect(&id).state;
    assert_eq!((state.status.as_str(), state.exit_code), ("exited", 137));
    host.remove(&id);
}

fn pause_and_unpause(host: &Host) {
    let id = host.create(&["sleep", "1000"], |_, _| {});
    host.start(&id);
    host.block(host.engine.container_pause(&id)).unwrap();
    assert_eq!(host.inspect(&id).state.status, "paused");
    let twice = host.block(host.engine.container_pause(&id)).unwrap_err();
    assert_eq!(twice.to_string(), format!("Container {id} is already paused"));
    let start = host.block(host.engine.container_start(&id)).unwrap_err();
    assert_eq!(start.to_string(), "cannot start a paused container, try unpause instead");
    host.block(host.engine.container_unpause(&id)).unwrap();
    assert_eq!(host.inspect(&id).state.status, "running");
    host.block(host.engine.container_pause(&id)).unwrap();
    // A frozen container hears a stop: it is thawed.
    host.block(host.engine.container_stop(&id, StopOptions { signal: None, timeout: Some(1) })).unwrap();
    assert_eq!(host.inspect(&id).state.status, "exited");
    host.remove(&id);
}

fn auto_remove_tells_who_waits(host: &Host) {
    let id = host.create(&["sh", "-c", "exit 5"], |_, h| h.auto_remove = true);
    let waiter = host.block(host.engine.container_wait(&id, WaitCondition::Removed)).unwrap();
    let ended = host.block(host.engine.container_wait(&id, WaitCondition::NextExit)).unwrap();
    host.start(&id);
    assert_eq!(host.block(ended.wait()).status_code, 5);
    assert_eq!(host.block(waiter.wait()).status_code, 5);
    assert!(!host.exists(&id));
    // Also when it can't be started.
    let id = host.create(&["nosuch"], |_, h| h.auto_remove = true);
    let waiter = host.block(host.engine.container_wait(&id, WaitCondition::Removed)).unwrap();
    host.block(host.engine.container_start(&id)).unwrap_err();
    host.block(waiter.wait());
    assert!(!host.exists(&id));
}

fn names(host: &Host) {
    let id = host.try_create(Some("ship"), &["true"], |_, _| {}).unwrap();
    assert_eq!(host.inspect("ship").id, id);
    assert_eq!(host.inspect("/ship").id, id);
    assert_eq!(host.inspect(&id[..12]).id, id);
    let taken = host.try_create(Some("/ship"), &["true"], |_, _| {}).unwrap_err();
    assert_eq!(
        taken.to_string(),
        format!(
            "Conflict. The container name \"/ship\" is already in use by container \"{id}\". You have to remove (or \
             rename) that container to be able to reuse that name."
        )
    );
    let bad = host.try_create(Some("a b"), &["true"], |_, _| {}).unwrap_err();
    assert_eq!(bad.kind(), Kind::InvalidParameter);
    host.block(host.engine.container_rename("ship", "boat")).unwrap();
    assert_eq!(host.inspect("boat").name, "/boat");
    assert_eq!(
        host.block(host.engine.container_inspect("ship", false)).unwrap_err().to_string(),
        "No such container: ship"
    );
    let reused = host.try_create(Some("ship"), &["true"], |_, _| {}).unwrap();
    host.block(host.engine.container_rename("boat", "ship")).unwrap_err();
    host.remove(&reused);
    host.remove("boat");
    let random = host.create(&["true"], |_, _| {});
    assert!(host.inspect(&random).name.contains('_'));
    host.remove(&random);
    let missing = host.try_create(None, &["true"], |c, _| c.image = "nosuch".to_owned()).unwrap_err();
    assert_eq!(
        (missing.kind(), missing.to_string().as_str()),
        (Kind::NotFound, "No such image: nosuch:latest")
    );
}

fn removal(host: &Host) {
    let id = host.try_create(Some("wreck"), &["sleep", "1000"], |_, _| {}).unwrap();
    host.start(&id);
    let options = RemoveOptions::default();
    let error = host.block(host.engine.container_remove(&id, options)).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert_eq!(
        error.to_string(),
        "cannot remove container \"/wreck\": container is running: stop the container before removing or force remove"
    );
    host.remove(&id);
    let gone = host.block(host.engine.container_remove(&id, options)).unwrap_err();
    assert_eq!(gone.to_string(), format!("No such container: {id}"));
}

fn restart_policies(host: &Host) {
    let id = host.create(&["sh", "-c", "exit 1"], |_, h| {
        h.restart_policy.name = "on-failure".to_owned();
        h.restart_policy.maximum_retry_count = 2;
    });
    let mut events = host.block(host.engine.events(EventsOptions::default())).unwrap();
    host.start(&id);
    let mut deaths = 0;
    host.block(async {
        while deaths < 3 {
            let event = events.next().await.unwrap();
            deaths += usize::from(event.action == "die" && event.actor.id == id);
        }
    });
    let state = host.inspect(&id);
    assert_eq!((state.state.status.as_str(), state.restart_count), ("exited", 2));
    host.remove(&id);
    let id = host.create(&["sleep", "1000"], |_, h| h.restart_policy.name = "always".to_owned());
    host.start(&id);
    host.block(
        host.engine.container_stop(&id, StopOptions { signal: Some("KILL".to_owned()), timeout: None }),
    )
    .unwrap();
    assert_eq!(host.inspect(&id).state.status, "exited");
    host.remove(&id);
}

fn restart_by_hand(host: &Host) {
    let id = host.create(&["sleep", "1000"], |_, h| h.auto_remove = true);
    host.start(&id);
    let before = host.inspect(&id).state;
    host.block(
        host.engine.container_restart(&id, StopOptions { signal: Some("9".to_owned()), timeout: None }),
    )
    .unwrap();
    let after = host.inspect(&id).state;
    assert!(after.running && after.pid != before.pid && after.started_at > before.started_at);
    host.remove(&id);
}

fn events_come_in_order(host: &Host) {
    let since = Timestamp::now();
    let id = host.try_create(Some("eventful"), &["true"], |c, h| {
        c.labels = Some([("colour".to_owned(), "red".to_owned())].into());
        h.auto_remove = true;
    });
    let id = id.unwrap();
    let waiter = host.block(host.engine.container_wait(&id, WaitCondition::Removed)).unwrap();
    host.start(&id);
    host.block(waiter.wait());
    let mut filters = Filters::default();
    filters.add("container", "eventful");
    let options = EventsOptions { since: Some(since), until: Some(Timestamp::now()), filters };
    let events = host.block(async {
        let mut stream = host.engine.events(options).await.unwrap();
        let mut events = Vec::new();
        while let Some(event) = stream.next().await {
            events.push(event);
        }
        events
    });
    let actions: Vec<&str> = events.iter().map(|e| e.action.as_str()).collect();
    assert_eq!(actions, ["create", "start", "die", "destroy"]);
    let die = &events[2];
    assert_eq!(
        (die.kind.as_str(), die.actor.id.as_str(), die.from.as_str()),
        ("container", id.as_str(), "busybox:latest")
    );
    for (name, value) in
        [("exitCode", "0"), ("name", "eventful"), ("colour", "red"), ("image", "busybox:latest")]
    {
        assert_eq!(die.actor.attributes.get(name).map(String::as_str), Some(value));
    }
}

fn lists_and_filters(host: &Host) {
    let idle = host.try_create(Some("list-idle"), &["true"], |c, _| {
        c.labels = Some([("tier".to_owned(), "back".to_owned())].into());
    });
    let idle = idle.unwrap();
    let busy = host.try_create(Some("list-busy"), &["sleep", "1000"], |_, _| {}).unwrap();
    host.start(&busy);
    let failed = host.try_create(Some("list-failed"), &["sh", "-c", "exit 4"], |_, _| {}).unwrap();
    host.start(&failed);
    host.wait(&failed, WaitCondition::NotRunning);
    let list = |all: bool, filters: &[(&str, &str)]| -> Vec<String> {
        let mut options = ListOptions { all, ..ListOptions::default() };
        options.filters.add("name", "list-");
        for (key, value) in filters {
            options.filters.add(*key, *value);
        }
        host.block(host.engine.container_list(options)).unwrap().into_iter().map(|c| c.id).collect()
    };
    assert_eq!(list(false, &[]), std::slice::from_ref(&busy));
    assert_eq!(list(true, &[]), [failed.clone(), busy.clone(), idle.clone()]);
    assert_eq!(list(true, &[("status", "created")]), std::slice::from_ref(&idle));
    assert_eq!(list(false, &[("exited", "4"), ("status", "exited")]), std::slice::from_ref(&failed));
    assert_eq!(list(true, &[("label", "tier=back")]), std::slice::from_ref(&idle));
    assert_eq!(list(true, &[("before", "list-busy")]), std::slice::from_ref(&idle));
    assert_eq!(list(true, &[("since", "list-busy")]), std::slice::from_ref(&failed));
    assert_eq!(list(true, &[("ancestor", "busybox")]).len(), 3);
    assert_eq!(list(true, &[("ancestor", "nosuch")]).len(), 0);
    assert_eq!(list(true, &[("network", "none")]).len(), 3);
    assert_eq!(list(true, &[("id", &idle[..12])]), std::slice::from_ref(&idle));
    let limited = ListOptions { limit: Some(1), ..ListOptions::default() };
    let newest = host.block(host.engine.container_list(limited)).unwrap();
    assert_eq!((newest.len(), newest[0].id.as_str()), (1, failed.as_str()));
    assert!(newest[0].status.starts_with("Exited (4) "), "{}", newest[0].status);
    let sized = ListOptions { all: true, size: true, ..ListOptions::default() };
    assert!(host.block(host.engine.container_list(sized)).unwrap().iter().all(|c| c.size_root_fs > 100_000));
    let mut bad = ListOptions::default();
    bad.filters.add("status", "sinking");
    assert_eq!(host.block(host.engine.container_list(bad)).unwrap_err().kind(), Kind::InvalidParameter);
    for id in [idle, busy, failed] {
        host.remove(&id);
    }
}

fn logs_follow_to_the_end(host: &Host) {
    let id =
        host.create(&["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.05; done; echo e >&2"], |_, _| {});
    host.start(&id);
    let follow = LogOptions { stdout: true, stderr: true, follow: true, ..LogOptions::default() };
    assert_eq!(host.logs_with(&id, follow), "1\n2\n3\ne\n");
    let tail = LogOptions { stdout: true, tail: Some(2), ..LogOptions::default() };
    assert_eq!(host.logs_with(&id, tail), "3\n");
    let stamped = LogOptions { stderr: true, timestamps: true, ..LogOptions::default() };
    let line = host.logs_with(&id, stamped);
    assert!(line.ends_with("Z e\n") && line.starts_with("20"), "{line}");
    let none = host.block(host.engine.container_logs(&id, LogOptions::default())).unwrap_err();
    assert_eq!(none.to_string(), "Bad parameters: you must choose at least one stream");
    host.remove(&id);
}

fn users_and_files(host: &Host) {
    let (code, output) = host.run(&["pwd"], |c, h| {
        c.working_dir = "/new/folder".to_owned();
        h.readonly_rootfs = true;
    });
    assert_eq!((code, output.as_str()), (0, "/new/folder\n"));
    let missing = host.dir().join("missing");
    let bind = format!("{}:/in", missing.display());
    assert_eq!(host.run(&["ls", "/in"], |_, h| h.binds = Some(vec![bind])).0, 0);
    std::fs::remove_dir(&missing).unwrap();
    let mount = brig_api::Mount {
        kind: "bind".to_owned(),
        source: missing.to_string_lossy().into_owned(),
        target: "/in".to_owned(),
        ..brig_api::Mount::default()
    };
    let refused = host.try_create(None, &["true"], |_, h| h.mounts = Some(vec![mount])).unwrap_err();
    assert!(refused.to_string().contains("bind source path does not exist"), "{refused}");
    let (code, output) =
        host.run(&["sh", "-c", "id -u; id -g; id -G; echo $HOME; hostname; cat /etc/hostname"], |c, _| {
            c.user = "alice".to_owned();
            c.hostname = "port".to_owned();
        });
    assert_eq!((code, output.as_str()), (0, "1000\n1001\n1001 50\n/home/alice\nport\nport\n"));
    let (_, output) =
        host.run(&["cat", "/etc/hosts"], |_, h| h.extra_hosts = Some(vec!["db:10.1.2.3".to_owned()]));
    assert!(output.starts_with("127.0.0.1\tlocalhost\n") && output.contains("10.1.2.3\tdb\n"), "{output}");
    let (_, output) = host.run(&["cat", "/etc/resolv.conf"], |_, h| h.dns = Some(vec!["9.9.9.9".to_owned()]));
    assert!(output.contains("nameserver 9.9.9.9\n"), "{output}");
    let id = host.create(&["true"], |c, _| c.user = "nobody".to_owned());
    let error = host.block(host.engine.container_start(&id)).unwrap_err();
    assert!(
        error.to_string().contains("unable to find user nobody: no matching entries in passwd file"),
        "{error}"
    );
    host.remove(&id);
}

fn volumes_live_on_or_go(host: &Host) {
    let volumes = || host.block(host.engine.volume_list(&Filters::default())).unwrap().volumes;
    let named = |_: &mut brig_api::ContainerConfig, h: &mut brig_api::HostConfig| {
        h.binds = Some(vec!["cargo:/hold".to_owned()]);
    };
    assert_eq!(host.run(&["sh", "-c", "echo grain > /hold/x"], named).0, 0);
    assert_eq!(host.run(&["cat", "/hold/x"], named).1, "grain\n");
    assert_eq!(volumes().len(), 1);
    host.block(host.engine.volume_remove("cargo", false)).unwrap();
    let anonymous = |c: &mut brig_api::ContainerConfig, _: &mut brig_api::HostConfig| {
        c.volumes = Some([("/scratch".to_owned(), brig_api::Empty {})].into());
    };
    let id = host.create(&["sh", "-c", "echo x > /scratch/y"], anonymous);
    assert_eq!(volumes().len(), 1);
    host.start(&id);
    assert_eq!(host.wait(&id, WaitCondition::NotRunning), 0);
    host.remove(&id);
    assert_eq!(volumes().len(), 0);
    // A new volume has what the image has there, a used one what it has.
    let filled = |_: &mut brig_api::ContainerConfig, h: &mut brig_api::HostConfig| {
        h.binds = Some(vec!["stores:/data".to_owned()]);
    };
    let script = "cat /data/file; stat -c %a /data/file; echo used > /data/file";
    assert_eq!(host.run(&["sh", "-c", script], filled).1, "from the image\n640\n");
    assert_eq!(host.run(&["cat", "/data/file"], filled).1, "used\n");
    host.block(host.engine.volume_remove("stores", false)).unwrap();
    let dir = host.dir().join("shared");
    std::fs::create_dir(&dir).unwrap();
    let bind = format!("{}:/in:ro", dir.display());
    let (code, _) = host.run(&["sh", "-c", "echo x > /in/y"], |_, h| h.binds = Some(vec![bind]));
    assert_ne!(code, 0);
    std::fs::remove_dir(dir).unwrap();
}

fn processes_are_shown(host: &Host) {
    let id = host.create(&["sleep", "1000"], |_, _| {});
    let idle = host.block(host.engine.container_top(&id, "")).unwrap_err();
    assert_eq!(idle.to_string(), format!("container {id} is not running"));
    host.start(&id);
    let top = host.block(host.engine.container_top(&id, "")).unwrap();
    assert_eq!(top.titles.unwrap(), ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
    let lines = top.processes.unwrap();
    assert_eq!((lines.len(), lines[0][0].as_str(), lines[0][7].as_str()), (1, "root", "sleep 1000"));
    assert_eq!(lines[0][1], host.inspect(&id).state.pid.to_string());
    host.remove(&id);
}

fn many_at_once(host: &Host) {
    let ids: Vec<String> =
        (0..20).map(|n| host.create(&["sh", "-c", &format!("exit {n}")], |_, _| {})).collect();
    host.block(async {
        let runs = ids.iter().map(|id| async {
            host.engine.container_start(id).await.unwrap();
            host.engine.container_wait(id, WaitCondition::NotRunning).await.unwrap().wait().await.status_code
        });
        let codes = futures_util::future::join_all(runs).await;
        assert_eq!(codes, (0..20).collect::<Vec<i64>>());
        let removals = ids.iter().map(|id| host.engine.container_remove(id, RemoveOptions::default()));
        for removed in futures_util::future::join_all(removals).await {
            removed.unwrap();
        }
    });
}

/// Not a benchmark (the build is not optimised), but a look at the figures.
fn how_long_a_run_takes(host: &Host) {
    let mut times: Vec<(Duration, Duration, Duration)> = Vec::new();
    for _ in 0..20 {
        let begin = Instant::now();
        let id = host.create(&["true"], |_, h| h.auto_remove = true);
        let waiter = host.block(host.engine.container_wait(&id, WaitCondition::Removed)).unwrap();
        let created = begin.elapsed();
        host.start(&id);
        let started = begin.elapsed();
        host.block(waiter.wait());
        times.push((created, started - created, begin.elapsed() - started));
    }
    times.sort();
    let (create, start, end) = times[times.len() / 2];
    println!(
        "  create {create:?}, start {start:?}, exit and removal {end:?} (median of {}, debug build)",
        times.len()
    );
}
