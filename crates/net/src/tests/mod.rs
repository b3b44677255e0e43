//! Tests with real links, in network namespaces of their own: as root, in parallel, and nothing is left since all
//! dies with the last thread inside.
//!
//! A world is a host with brig's networks and, on another bridge that brig knows nothing of, a machine outside.

mod ipv6;
mod measure;
mod modes;
mod proxy;
mod publish;
mod reach;
mod rebuild;
mod ruleset;
mod shared;

use crate::{
    Endpoint, EndpointRequest, Error, MacAddr, Net, NetConfig, NetworkRecord, PortBinding, PortRequest,
    Protocol, attach, netns, process, rtnl::Rtnl, sysctl,
};
use brig_core::{Id, StatePaths};
use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::{AsFd, OwnedFd},
    thread,
    time::Duration,
};

/// The host's address on the outer network, and the outside machine's.
const HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// How long a connection is waited for: less than the second after which a lost first packet is sent again, since
/// none must be lost.
const PATIENCE: Duration = Duration::from_millis(950);

struct World {
    net: Net,
    bridge: NetworkRecord,
    outside: OwnedFd,
    _dir: tempfile::TempDir,
}

struct Container {
    netns: OwnedFd,
    endpoint: Endpoint,
}

/// Runs a test in a network namespace that is its host.
fn world(test: impl FnOnce(&World) + Send) {
    world_with(|_| {}, test);
}

fn world_with(configure: impl FnOnce(&mut NetConfig) + Send, test: impl FnOnce(&World) + Send) {
    let run = |_: std::os::fd::BorrowedFd<'_>| {
        let mut rtnl = Rtnl::open().unwrap();
        rtnl.set_up(1).unwrap();
        // A new namespace takes over what the machine has.
        sysctl::set("ipv4/ip_forward", "0").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut config = NetConfig::new(&StatePaths::new(dir.path(), dir.path()));
        configure(&mut config);
        let control = std::os::unix::net::UnixListener::bind(&config.socket).unwrap();
        let process = thread::spawn(move || process::server::run(control).unwrap());
        let net = Net::open(config).unwrap();
        let outside = outside(&net, &mut rtnl);
        let bridge = net.default_networks(&[]).unwrap().remove(0);
        net.ensure_network(&bridge).unwrap();
        let world = World { net, bridge, outside, _dir: dir };
        test(&world);
        // Whatever the test left published goes with the process.
        world.net.process.reconcile(&Default::default(), Default::default()).unwrap();
        assert!(world.net.process.shutdown().unwrap());
        process.join().unwrap();
        Ok(())
    };
    // On a thread of its own: the namespace is the thread's for as long as it lives, so nothing has to come back.
    let on_a_thread = || {
        let (_world, ()) = netns::create(netns::current().unwrap().as_fd(), run).unwrap();
    };
    let ended = thread::scope(|s| s.spawn(on_a_thread).join());
    if let Err(panic) = ended {
        std::panic::resume_unwind(panic);
    }
}

fn outside(net: &Net, rtnl: &mut Rtnl) -> OwnedFd {
    rtnl.create_bridge("uplink", MacAddr::random(), None).unwrap();
    let uplink = rtnl.link("uplink").unwrap().unwrap();
    rtnl.configure(uplink.index, &["198.51.100.1/24".parse().unwrap()], &[]).unwrap();
    let netns = net.create_netns().unwrap();
    let endpoint = outside_endpoint();
    attach::attach(
        rtnl,
        netns::current().unwrap().as_fd(),
        netns.as_fd(),
        &endpoint,
        ("uplink", uplink.index),
        None,
    )
    .unwrap();
    netns
}

/// The machine's outside.
fn outside_endpoint() -> Endpoint {
    Endpoint {
        id: Id::random(),
        network: Id::random(),
        name: "outside".to_owned(),
        interface: "wan0".to_owned(),
        veth: "outside".to_owned(),
        mac: MacAddr::random(),
        ipv4: Some("198.51.100.2/24".parse().unwrap()),
        ipv6: None,
        // It would send packets for containers to the host, if anybody there wanted to.
        gateway4: Some(HOST),
        gateway6: None,
        leads_everywhere: false,
        ports: Vec::new(),
    }
}

impl World {
    fn container(&self) -> Container {
        self.container_in(&self.bridge)
    }

    fn container_in(&self, network: &NetworkRecord) -> Container {
        let request = EndpointRequest { name: "web".to_owned(), ..EndpointRequest::default() };
        let endpoint = self.net.allocate(&network.id, &request).unwrap();
        let netns = self.net.create_netns().unwrap();
        self.net.attach(netns.as_fd(), &endpoint).unwrap();
        Container { netns, endpoint }
    }
}

impl Container {
    /// Publishes, and keeps what came of it.
    fn publish(&mut self, w: &World, requests: &[PortRequest]) -> Result<Vec<PortBinding>, Error> {
        let published = w.net.publish(&self.endpoint, requests)?;
        self.endpoint.ports.extend(&published);
        Ok(published)
    }

    fn ip(&self) -> IpAddr {
        self.endpoint.ipv4.unwrap().addr().into()
    }

    /// Serves in the container; see [`serve`].
    fn serve(&self, port: u16) {
        within(&self.netns, || serve(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)));
    }

    /// Connects from inside; see [`ask`].
    fn ask(&self, to: impl Into<SocketAddr>) -> std::io::Result<String> {
        let to = to.into();
        within(&self.netns, || ask(to))
    }
}

fn within<T>(netns: &OwnedFd, work: impl FnOnce() -> T) -> T {
    netns::visit(netns, work)
}

/// Listens in this thread's namespace and tells each client its own address, until the process ends. A listener
/// keeps its namespace alive, so the thread ends when the test connects no more and nobody holds it: at exit.
fn serve(at: SocketAddr) {
    let listener = TcpListener::bind(at).unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let Ok(peer) = client.peer_addr() else { continue };
            // A client that went away is the test's affair.
            let _ = write!(client, "{}", peer.ip());
        }
    });
}

/// Connects from this thread's namespace and answers what the server sees us as.
fn ask(to: impl Into<SocketAddr>) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to.into(), PATIENCE)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Whether connecting fails as it does when packets are dropped.
fn is_dropped(answer: &std::io::Result<String>) -> bool {
    answer.as_ref().is_err_and(|e| e.kind() == std::io::ErrorKind::TimedOut)
}

/// A request for a TCP port on all addresses.
fn tcp(host: u16, container: u16) -> PortRequest {
    PortRequest {
        protocol: Protocol::Tcp,
        container_port: container,
        host_ip: None,
        host_ports: Some(host..=host),
    }
}

/// Bridged packets go through the IP hooks, or not: both must work.
fn filter_bridged(on: bool) {
    let set = |value| sysctl::set("bridge/bridge-nf-call-iptables", value);
    let outcome: Result<_, Error> = set(if on { "1" } else { "0" });
    outcome.unwrap();
}
