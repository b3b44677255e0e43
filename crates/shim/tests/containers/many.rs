//! Many shims of one zygote, and a zygote that dies.

use crate::fixture::{Container, Host, alive, await_gone};
use std::fs;

/// What `ps` shows, and that nothing of the daemon's is open in a shim.
#[test]
fn names_and_descriptors() {
    let host = Host::new();
    let container = host.start(host.config(&["sleep", "1000"]));
    let shim = container.state.shim_pid;
    let line = |pid: i32| {
        let raw = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        String::from_utf8(raw).unwrap().trim_end_matches('\0').to_owned()
    };
    assert_eq!(line(shim), format!("brig: shim {}", container.state.id.short()));
    assert_eq!(line(host.zygote.pid()), "brig: zygote");
    let comm = fs::read_to_string(format!("/proc/{shim}/comm")).unwrap();
    assert!(comm.starts_with("brig: shim"), "{comm}");
    for n in 0..3 {
        let target = fs::read_link(format!("/proc/{shim}/fd/{n}")).unwrap();
        assert_eq!(target.to_str(), Some("/dev/null"));
    }
    // A session of its own.
    let stat = fs::read_to_string(format!("/proc/{shim}/stat")).unwrap();
    let session: i32 = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert_eq!(session, shim);
}

/// The file that `/proc/self/exe` leads to inside lies on a read-only mount.
#[test]
fn its_binary_is_read_only() {
    let host = Host::new();
    let container = host.create(host.config(&["true"]));
    for pid in [container.state.shim_pid, container.state.pid, host.zygote.pid()] {
        let exe = fs::File::open(format!("/proc/{pid}/exe")).unwrap();
        let flags = rustix::fs::fstatvfs(&exe).unwrap().f_flag;
        assert!(flags.contains(rustix::fs::StatVfsMountFlags::RDONLY), "{pid}: {flags:?}");
    }
}

/// Nothing but SIGKILL parts a container from its shim, and the container itself ignores no signal.
#[test]
fn signals_to_the_shim() {
    use rustix::process::{Pid, Signal, kill_process};
    let host = Host::new();
    let status = ["sh", "-c", "grep SigIgn /proc/self/status; exec sleep 1000"];
    let mut container = host.start(host.config(&status));
    let shim = Pid::from_raw(container.state.shim_pid).unwrap();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::PIPE, Signal::USR1] {
        kill_process(shim, signal).unwrap();
    }
    let none = "SigIgn:\t0000000000000000\n";
    assert_eq!(container.run_exec(&["grep", "SigIgn", "/proc/self/status"]).1, none);
    // What `grep` says has been said when the shell has become `sleep`.
    while container.run_exec(&["cat", "/proc/1/comm"]).1 != "sleep\n" {}
    container.signal(9);
    container.wait();
    assert_eq!(container.log()[0].1, none);
}

/// A second shim for a container that has one is refused, and the first is none the worse for it.
#[test]
fn one_shim_a_container() {
    let host = Host::new();
    let mut container = host.start(host.config(&["sleep", "1000"]));
    match host.zygote.spawn_shim(&container.config, brig_shim::zygote::ShimFds::default()) {
        Err(brig_shim::Error::Refused(failure)) => {
            assert!(failure.message.contains("another shim serves this container"), "{failure}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(container.run_exec(&["true"]).0, 0);
}

#[test]
fn a_zygote_that_died_is_started_again() {
    let host = Host::new();
    let before = host.zygote.pid();
    let pid = rustix::process::Pid::from_raw(before).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    await_gone(before);
    let (_, exit) = host.run(host.config(&["true"]));
    assert_eq!(exit.code, 0);
    assert_ne!(host.zygote.pid(), before);
}

/// A zygote that dies with a request that it has not looked at: the next zygote gets it.
#[test]
fn a_request_that_died_with_the_zygote_is_asked_again() {
    use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal};
    let host = Host::new();
    let before = host.zygote.pid();
    let pid = Pid::from_raw(before).unwrap();
    let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap();
    // Its end of the socket, which is there once it serves: where requests are queued.
    host.run(host.config(&["true"]));
    let socket = rustix::process::pidfd_getfd(&pidfd, 3, PidfdGetfdFlags::empty()).unwrap();
    rustix::process::pidfd_send_signal(&pidfd, Signal::STOP).unwrap();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| host.run(host.config(&["sh", "-c", "exit 5"])));
        let mut queued = [rustix::event::PollFd::new(&socket, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut queued, None).unwrap();
        drop(socket);
        rustix::process::pidfd_send_signal(&pidfd, Signal::KILL).unwrap();
        assert_eq!(run.join().unwrap().1.code, 5);
    });
    assert_ne!(host.zygote.pid(), before);
}

#[test]
fn threads_may_ask_at_once() {
    let host = Host::new();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let host = &host;
            scope.spawn(move || {
                let (container, exit) = host.run(host.config(&["sh", "-c", &format!("exit {n}")]));
                assert_eq!(exit.code, n);
                await_gone(container.state.shim_pid);
            });
        }
    });
}

/// The last process of a shim's container to end is not waited for by anybody: no zombies, no shims are left.
#[test]
fn nothing_is_left_of_many() {
    let host = Host::new();
    let containers: Vec<Container> = (0..20).map(|_| host.start(host.config(&["sleep", "1000"]))).collect();
    let pids: Vec<i32> = containers.iter().flat_map(|c| [c.state.pid, c.state.shim_pid]).collect();
    for mut container in containers {
        container.signal(9);
        assert_eq!(container.wait().code, 137);
        assert!(container.cgroups().is_empty());
    }
    for pid in pids {
        await_gone(pid);
        assert!(!alive(pid));
    }
    assert!(alive(host.zygote.pid()));
}

/// Marginal memory of a shim at a hundred of them. Without optimisation the figure is of the same order.
#[test]
#[ignore = "a measurement: cargo test -p brig-shim --test containers -- --ignored --nocapture"]
fn memory_at_a_hundred() {
    let host = Host::new();
    let containers: Vec<Container> = (0..100).map(|_| host.start(host.config(&["sleep", "1000"]))).collect();
    // Shims give memory back when nothing happened for half a second.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let mut total = [0u64; 3];
    for container in &containers {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", container.state.shim_pid)).unwrap();
        for (sum, name) in total.iter_mut().zip(["Pss:", "Private_Dirty:", "Rss:"]) {
            let line = rollup.lines().find(|l| l.starts_with(name)).unwrap();
            *sum += line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap();
        }
    }
    let n = containers.len() as u64;
    if let Ok(path) = std::env::var("BRIG_TEST_SMAPS") {
        fs::copy(format!("/proc/{}/smaps", containers[50].state.shim_pid), path).unwrap();
    }
    println!(
        "a shim: {} KiB PSS, {} KiB private dirty, {} KiB RSS",
        total[0] / n,
        total[1] / n,
        total[2] / n
    );
    assert!(total[0] / n < 200);
}

/// Medians of the steps of a container's life.
#[test]
#[ignore = "a measurement: cargo test --release -p brig-shim --test containers -- --ignored --nocapture"]
fn latency() {
    use brig_shim::protocol::{Event, Target};
    use std::time::Instant;
    let host = Host::new();
    let mut steps: [Vec<u128>; 4] = Default::default();
    let mut execs = Vec::new();
    let mut running = host.start(host.config(&["sleep", "1000"]));
    for _ in 0..200 {
        let config = host.config(&["true"]);
        let begin = Instant::now();
        let mut container = host.create(config);
        steps[0].push(begin.elapsed().as_micros());
        container.start();
        steps[1].push(begin.elapsed().as_micros());
        container.event(|e| matches!(e, Event::Exited(_)));
        steps[2].push(begin.elapsed().as_micros());
        await_gone(container.state.shim_pid);
        steps[3].push(begin.elapsed().as_micros());
        let begin = Instant::now();
        let id = running.exec(&["true"], |_| {});
        let attached = running.attach_to(Target::Exec(id), false);
        running.call(brig_shim::protocol::Request::StartExec { id });
        attached.read_all();
        running.exec_code(id);
        execs.push(begin.elapsed().as_micros());
    }
    let median = |v: &mut Vec<u128>| {
        v.sort_unstable();
        v[v.len() / 2]
    };
    let [created, started, exited, gone] = steps.each_mut().map(median);
    println!("us after the request: created {created}, started {started}, exited {exited}, shim gone {gone}");
    println!("us: exec of true, attached, {}", median(&mut execs));
}
