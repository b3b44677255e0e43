//! `brig net` as a process: started, found again, killed, started anew, ended. This binary is its own `brig`: run
//! with the argument `net` it is the network process, so it has no test harness.

mod names;

use brig_core::StatePaths;
use brig_net::{EndpointRequest, Net, NetConfig, NetworkRecord, PortRequest, Protocol, process};
use std::{
    io::Read,
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|a| a == "net") {
        std::process::exit(process::main(arguments));
    }
    // In a network namespace of its own: the main thread's, before there are others. What is started is in it too.
    // SAFETY: this is the only thread.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }.unwrap();
    for (name, test) in [
        ("starts_once_outlives_its_daemon_and_ends_when_idle", starts_once as fn(&Path)),
        ("comes_back_with_its_ports_when_killed", comes_back),
        ("a_start_that_fails_says_why", fails),
        ("a_thousand_ports", a_thousand_ports),
    ]
    .into_iter()
    .chain(names::TESTS)
    {
        let dir = tempfile::tempdir().unwrap();
        test(dir.path());
        println!("test {name} ... ok");
    }
}

fn open(dir: &Path) -> Net {
    Net::open(NetConfig::new(&StatePaths::new(dir, dir))).unwrap()
}

fn network(net: &Net) -> NetworkRecord {
    let bridge = net.default_networks(&[]).unwrap().remove(0);
    net.ensure_network(&bridge).unwrap();
    bridge
}

fn request(port: u16) -> PortRequest {
    let host_ip = Some(Ipv4Addr::UNSPECIFIED.into());
    PortRequest { protocol: Protocol::Tcp, container_port: 80, host_ip, host_ports: Some(port..=port) }
}

fn client(net: &Net) -> process::Client {
    let config = net.config();
    process::Client::new(config.socket.clone(), config.executable.clone(), config.userland_proxy)
}

fn taken(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_err()
}

/// Waits until a process is gone.
fn gone(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    let Ok(fd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) else { return };
    let mut wait = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut wait, None).unwrap();
}

fn starts_once(dir: &Path) {
    let net = open(dir);
    let bridge = network(&net);
    assert_eq!(client(&net).pid().unwrap(), None);
    let mut endpoint = net.allocate(&bridge.id, &EndpointRequest::default()).unwrap();
    let start = std::time::Instant::now();
    endpoint.ports = net.publish(&endpoint, &[request(8080)]).unwrap();
    println!("the first port, with the start of the process: {:?}", start.elapsed());
    assert!(taken(8080));
    let pid = client(&net).pid().unwrap().unwrap();
    let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap();
    let cmdline = read("cmdline");
    assert!(cmdline.starts_with(b"brig\0net\0--socket\0"), "{cmdline:?}");
    // Its session is its own, and it holds nothing of ours: null, lock, epoll, control, two peers each, the port.
    let stat = String::from_utf8(read("stat")).unwrap();
    let session: i32 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(3).unwrap().parse().unwrap();
    assert_eq!(session, pid);
    for fd in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
        let target = std::fs::read_link(fd.unwrap().path()).unwrap();
        let target = target.to_string_lossy();
        let own = ["/dev/null", "socket:[", "anon_inode:[eventpoll]"];
        assert!(own.iter().any(|o| target.starts_with(o)) || target.ends_with("net.lock"), "{target}");
    }
    // Many at once find one process.
    drop(net);
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let client = client(&open(dir));
            std::thread::spawn(move || client.pid().unwrap())
        })
        .collect();
    for found in clients {
        assert_eq!(found.join().unwrap(), Some(pid));
    }
    let net = open(dir);
    let live = std::slice::from_ref(&endpoint);
    net.rebuild(std::slice::from_ref(&bridge), live, Default::default()).unwrap();
    assert_eq!(client(&net).pid().unwrap(), Some(pid));
    net.release(&endpoint).unwrap();
    assert!(!taken(8080));
    net.shutdown(true).unwrap();
    gone(pid);
    assert_eq!(client(&net).pid().unwrap(), None);
    assert!(!dir.join("net.sock").exists());
}

fn comes_back(dir: &Path) {
    let net = open(dir);
    let bridge = network(&net);
    let mut endpoint = net.allocate(&bridge.id, &EndpointRequest::default()).unwrap();
    endpoint.ports = net.publish(&endpoint, &[request(8080), request(8081)]).unwrap();
    let pid = client(&net).pid().unwrap().unwrap();
    let events = rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::CLOEXEC).unwrap();
    rustix::fs::inotify::add_watch(&events, dir, rustix::fs::inotify::WatchFlags::CREATE).unwrap();
    let process = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    gone(pid);
    // Nobody asks for anything, and yet there is a new socket.
    let mut wait = [rustix::event::PollFd::new(&events, rustix::event::PollFlags::IN)];
    let patience = rustix::event::Timespec { tv_sec: 30, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut wait, Some(&patience)).unwrap(), 1);
    // The next port joins the others.
    let more = net.publish(&endpoint, &[request(8082)]).unwrap();
    let next = client(&net).pid().unwrap().unwrap();
    assert_ne!(next, pid);
    for port in 8080..=8082 {
        assert!(taken(port), "{port}");
    }
    endpoint.ports.extend(more);
    net.release(&endpoint).unwrap();
    net.shutdown(true).unwrap();
    gone(next);
}

fn fails(dir: &Path) {
    let blocked = dir.join("net.sock");
    std::fs::create_dir(&blocked).unwrap();
    let net = open(dir);
    let bridge = network(&net);
    let endpoint = net.allocate(&bridge.id, &EndpointRequest::default()).unwrap();
    let refused = net.publish(&endpoint, &[request(8080)]).unwrap_err().to_string();
    assert!(refused.contains("network process: "), "{refused}");
    let mut config = net.config().clone();
    std::fs::remove_dir(&blocked).unwrap();
    config.executable = dir.join("nothing");
    let net = Net::open(config).unwrap();
    net.ensure_network(&bridge).unwrap();
    let refused = net.publish(&endpoint, &[request(8080)]).unwrap_err().to_string();
    assert!(refused.ends_with("network process: start: No such file or directory (os error 2)"), "{refused}");
    net.shutdown(true).unwrap();
    let output = std::process::Command::new("/proc/self/exe").args(["net", "--nonsense"]).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
}

fn a_thousand_ports(dir: &Path) {
    let net = open(dir);
    let bridge = network(&net);
    let mut endpoint = net.allocate(&bridge.id, &EndpointRequest::default()).unwrap();
    let requests: Vec<_> = (10_000..11_000).map(request).collect();
    let start = std::time::Instant::now();
    endpoint.ports = net.publish(&endpoint, &requests).unwrap();
    let took = start.elapsed();
    assert!(took.as_secs() < 2, "{took:?}");
    let pid = client(&net).pid().unwrap().unwrap();
    let mut memory = String::new();
    std::fs::File::open(format!("/proc/{pid}/smaps_rollup")).unwrap().read_to_string(&mut memory).unwrap();
    let private: u64 = memory
        .lines()
        .filter(|l| l.starts_with("Private_"))
        .filter_map(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum();
    println!("1000 ports in {took:?}; private memory of the process: {private} KiB");
    net.release(&endpoint).unwrap();
    net.shutdown(true).unwrap();
    gone(pid);
}
