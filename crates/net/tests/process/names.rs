//! Names answered in containers' network namespaces, with real packets.

use crate::{client, gone, network, open};
use brig_core::Id;
use brig_net::{
    Net,
    dns::{Host, Link, Resolver, Upstream},
};
use domain::{
    base::{Message, MessageBuilder, Name, Rtype, iana::Rcode},
    rdata::{A, AllRecordData},
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

type Test = (&'static str, fn(&Path));

pub const TESTS: [Test; 6] = [
    ("names_of_containers", names_of_containers),
    ("names_outside", names_outside),
    ("servers_that_fail", servers_that_fail),
    ("names_come_back_when_the_process_is_killed", come_back),
    ("a_daemon_takes_names_over", taken_over),
    ("connections_are_bounded", bounded),
];

const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 0, 0, 11), 53);

/// Runs `work` on a thread in a network namespace.
fn inside<T: Send>(netns: &OwnedFd, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let run = scope.spawn(|| {
            move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        });
        run.join().unwrap()
    })
}

fn question(id: u16, name: &str, kind: Rtype) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec().question();
    builder.header_mut().set_id(id);
    builder.header_mut().set_rd(true);
    builder.push((&Name::<Vec<u8>>::from_chars(name.chars()).unwrap(), kind)).unwrap();
    builder.finish()
}

/// An answer's code and records.
fn read(answer: &[u8]) -> (Rcode, Vec<String>) {
    let message = Message::from_octets(answer).unwrap();
    let records = message.answer().unwrap().limit_to::<AllRecordData<_, _>>();
    (message.header().rcode(), records.map(|r| r.unwrap().data().to_string()).collect())
}

fn ask_udp(name: &str, kind: Rtype) -> (Rcode, Vec<String>) {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.connect(SERVER).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.send(&question(77, name, kind)).unwrap();
    let mut answer = [0; 4096];
    let length = socket.recv(&mut answer).unwrap();
    assert_eq!(answer[..2], 77u16.to_be_bytes());
    read(&answer[..length])
}

fn ask_tcp(stream: &mut TcpStream, name: &str, kind: Rtype) -> (Rcode, Vec<String>) {
    let question = question(78, name, kind);
    stream.write_all(&u16::try_from(question.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(&question).unwrap();
    read(&framed(stream).unwrap())
}

fn framed(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

fn host(names: &[&str], address: &str) -> Host {
    Host {
        endpoint: Id::random(),
        names: names.iter().map(|&n| n.to_owned()).collect(),
        addresses: vec![address.parse().unwrap()],
    }
}

fn resolver(network: Id, upstreams: &[[u8; 4]]) -> Resolver {
    let upstreams = upstreams.iter().map(|&ip| Upstream { ip: IpAddr::from(ip), from_host: false }).collect();
    Resolver { id: Id::random(), networks: vec![network], links: vec![], upstreams, host: vec![] }
}

fn end(net: &Net, resolver: &Id) {
    let pid = client(net).pid().unwrap().unwrap();
    net.forsake(resolver).unwrap();
    net.shutdown(true).unwrap();
    gone(pid);
}

fn names_of_containers(dir: &Path) {
    let net = open(dir);
    let bridge = network(&net);
    let netns = net.create_netns().unwrap();
    let web = host(&["web", "shared"], "172.30.0.2");
    net.name(&bridge.id, web.clone()).unwrap();
    net.name(&bridge.id, host(&["db", "shared"], "172.30.0.3")).unwrap();
    let mut resolver = resolver(bridge.id, &[]);
    net.resolve(resolver.clone(), netns.try_clone().unwrap()).unwrap();
    inside(&netns, || {
        // A server of the container's own has the port to itself.
        let own = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 53)).unwrap();
        let _own = (own, TcpListener::bind((Ipv4Addr::UNSPECIFIED, 53)).unwrap());
        assert_eq!(ask_udp("WEB", Rtype::A), (Rcode::NOERROR, vec!["172.30.0.2".to_owned()]));
        assert_eq!(ask_udp("web", Rtype::AAAA), (Rcode::NOERROR, vec![]));
        assert_eq!(ask_udp("web", Rtype::TXT), (Rcode::NOERROR, vec![]));
        assert_eq!(ask_udp("db.bridge", Rtype::A).1, ["172.30.0.3"]);
        assert_eq!(ask_udp("2.0.30.172.in-addr.arpa", Rtype::PTR).1, ["web.bridge."]);
        let (first, second) = (ask_udp("shared", Rtype::A).1, ask_udp("shared", Rtype::A).1);
        assert_eq!(first.len(), 2);
        assert_eq!(first, second.iter().rev().cloned().collect::<Vec<_>>());
        assert_eq!(ask_udp("nobody", Rtype::A), (Rcode::SERVFAIL, vec![]));
        let mut stream = TcpStream::connect(SERVER).unwrap();
        for _ in 0..2 {
            assert_eq!(ask_tcp(&mut stream, "web", Rtype::A).1, ["172.30.0.2"]);
            assert_eq!(ask_tcp(&mut stream, "nobody", Rtype::A), (Rcode::SERVFAIL, vec![]));
        }
    });
    // It has another name now, and a link.
    net.name(&bridge.id, Host { names: vec!["www".to_owned()], ..web }).unwrap();
    resolver.links.push(Link { network: bridge.id, alias: "store".to_owned(), name: "db".to_owned() });
    net.change_resolver(resolver.clone()).unwrap();
    inside(&netns, || {
        assert_eq!(ask_udp("web", Rtype::A), (Rcode::SERVFAIL, vec![]));
        assert_eq!(ask_udp("www", Rtype::A).1, ["172.30.0.2"]);
        assert_eq!(ask_udp("store", Rtype::A).1, ["172.30.0.3"]);
    });
    end(&net, &resolver.id);
    inside(&netns, || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        socket.connect(SERVER).unwrap();
        // Nobody is there.
        socket.send(&question(1, "web", Rtype::A)).unwrap();
        assert!(socket.recv(&mut [0; 99]).is_err());
    });
}

/// What a server does with a question.
type Behaviour = fn(&[u8]) -> Vec<Vec<u8>>;

fn answer(question: &[u8], code: Rcode, address: Option<[u8; 4]>) -> Vec<u8> {
    let message = Message::from_octets(question).unwrap();
    let mut answer = MessageBuilder::new_vec().start_answer(&message, code).unwrap();
    if let Some([a, b, c, d]) = address {
        let name = *message.sole_question().unwrap().qname();
        answer.push((name, 60, A::from_octets(a, b, c, d))).unwrap();
    }
    answer.finish()
}

/// Serves at `address` in the calling thread's namespace until the sender is dropped. Every question's name is told.
fn serve(address: [u8; 4], behaviour: Behaviour) -> mpsc::Receiver<String> {
    let (told, heard) = mpsc::channel();
    let socket = UdpSocket::bind((Ipv4Addr::from(address), 53)).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::from(address), 53)).unwrap();
    let tell = told.clone();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let question = &buffer[..length];
            let name = Message::from_octets(question).unwrap().sole_question().unwrap().qname().to_string();
            if tell.send(name).is_err() {
                return;
            }
            for answer in behaviour(question) {
                socket.send_to(&answer, from).unwrap();
            }
        }
    });
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            while let Ok(question) = framed(&mut stream) {
                if told.send("tcp".to_owned()).is_err() {
                    return;
                }
                for answer in behaviour(&question) {
                    stream.write_all(&u16::try_from(answer.len()).unwrap().to_be_bytes()).unwrap();
                    stream.write_all(&answer).unwrap();
                }
            }
        }
    });
    heard
}

fn names_outside(dir: &Path) {
    let net = open(dir);
    let bridge = network(&net);
    let netns = net.create_netns().unwrap();
    let resolver = resolver(bridge.id, &[[127, 0, 0, 1]]);
    net.resolve(resolver.clone(), netns.try_clone().unwrap()).unwrap();
    let heard = inside(&netns, || {
        let heard = serve([127, 0, 0, 1], |q| vec![answer(q, Rcode::NOERROR, Some([192, 0, 2, 1]))]);
        assert_eq!(ask_udp("example.org", Rtype::A), (Rcode::NOERROR, vec!["192.0.2.1".to_owned()]));
        let mut stream = TcpStream::connect(SERVER).unwrap();
        assert_eq!(ask_tcp(&mut stream, "example.org", Rtype::SRV).0, Rcode::NOERROR);
        // A client that has said all it has to say gets its answer.
        let question = question(5, "example.org", Rtype::A);
        stream.write_all(&u16::try_from(question.len()).unwrap().to_be_bytes()).unwrap();
        stream.write_all(&question).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(read(&framed(&mut stream).unwrap()).1, ["192.0.2.1"]);
        heard
    });
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["example.org", "tcp", "tcp"]);
    end(&net, &resolver.id);
}

fn servers_that_fail(dir: &Path) {
    let net = open(dir);
    let bridge = network(&net);
    let garbled: Behaviour = |q| {
        let mut other_id = answer(q, Rcode::NOERROR, Some([192, 0, 2, 66]));
        other_id[0] ^= 1;
        let other_name = question(u16::from_be_bytes([q[0], q[1]]), "other.example", Rtype::A);
        let true_one = answer(q, Rcode::NOERROR, Some([192, 0, 2, 1]));
        vec![b"x".to_vec(), other_id, answer(&other_name, Rcode::NOERROR, Some([192, 0, 2, 66])), true_one]
    };
    let refuses: Behaviour = |q| vec![answer(q, Rcode::REFUSED, None)];
    let knows_none: Behaviour = |q| vec![answer(q, Rcode::NXDOMAIN, None)];
    let knows: Behaviour = |q| vec![answer(q, Rcode::NOERROR, Some([192, 0, 2, 1]))];
    let silent: Behaviour = |_| vec![];
    let good = (Rcode::NOERROR, vec!["192.0.2.1".to_owned()]);
    let none = |code| (code, vec![]);
    let cases: [(&str, &[Behaviour], _); 7] = [
        ("garbled", &[garbled], good.clone()),
        ("refused by the first", &[refuses, knows], good.clone()),
        ("refused by all", &[refuses, refuses], none(Rcode::REFUSED)),
        ("the first silent", &[silent, knows], good.clone()),
        ("not there, says the first", &[knows_none, knows], none(Rcode::NXDOMAIN)),
        ("nobody listens", &[], none(Rcode::SERVFAIL)),
        ("all silent", &[silent], none(Rcode::SERVFAIL)),
    ];
    // All at once, each in a namespace of its own: some take seconds.
    let ids: Vec<Id> = thread::scope(|scope| {
        let net = &net;
        let runs = cases.map(|(what, servers, expected)| {
            let mut upstreams: Vec<[u8; 4]> = (1..=servers.len() as u8).map(|n| [127, 0, 1, n]).collect();
            if upstreams.is_empty() {
                upstreams.push([127, 0, 1, 1]);
            }
            let resolver = resolver(bridge.id, &upstreams);
            scope.spawn(move || {
                let netns = net.create_netns().unwrap();
                net.resolve(resolver.clone(), netns.try_clone().unwrap()).unwrap();
                inside(&netns, || {
                    let _heard: Vec<_> =
                        servers.iter().zip(&upstreams).map(|(server, ip)| serve(*ip, *server)).collect();
                    let begin = Instant::now();
                    assert_eq!(ask_udp("example.org", Rtype::A), expected, "{what}");
                    assert!(begin.elapsed() < Duration::from_secs(10), "{what}: {:?}", begin.elapsed());
                });
                resolver.id
            })
        });
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for id in &ids[1..] {
        net.forsake(id).unwrap();
    }
    end(&net, &ids[0]);
}

fn come_back(dir: &Path) {
    let net = open(dir);
    let bridge = network(&net);
    let netns = net.create_netns().unwrap();
    net.name(&bridge.id, host(&["web"], "172.30.0.2")).unwrap();
    let resolver = resolver(bridge.id, &[]);
    net.resolve(resolver.clone(), netns.try_clone().unwrap()).unwrap();
    let pid = client(&net).pid().unwrap().unwrap();
    let process = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    gone(pid);
    // Whatever is told next finds, or starts, a process that knows all.
    net.name(&bridge.id, host(&["db"], "172.30.0.3")).unwrap();
    net.resolve(self::resolver(bridge.id, &[]), net.create_netns().unwrap()).unwrap();
    inside(&netns, || {
        assert_eq!(ask_udp("web", Rtype::A).1, ["172.30.0.2"]);
        assert_eq!(ask_udp("db", Rtype::A).1, ["172.30.0.3"]);
    });
    let next = client(&net).pid().unwrap().unwrap();
    assert_ne!(next, pid);
    net.rebuild(std::slice::from_ref(&bridge), &[], Default::default()).unwrap();
    net.shutdown(true).unwrap();
    gone(next);
}

fn taken_over(dir: &Path) {
    let net = open(dir);
    let bridge = network(&net);
    let netns = net.create_netns().unwrap();
    let web = host(&["web"], "172.30.0.2");
    net.name(&bridge.id, web.clone()).unwrap();
    let (kept, left) = (resolver(bridge.id, &[]), resolver(bridge.id, &[]));
    net.resolve(kept.clone(), netns.try_clone().unwrap()).unwrap();
    let other = net.create_netns().unwrap();
    net.resolve(left, other.try_clone().unwrap()).unwrap();
    drop(net);
    // The daemon is gone, and names are answered all the same.
    inside(&netns, || assert_eq!(ask_udp("web", Rtype::A).1, ["172.30.0.2"]));
    let net = open(dir);
    let names = brig_net::process::LiveNames {
        networks: vec![(bridge.id, "bridge".to_owned(), vec![host(&["db"], "172.30.0.3")])],
        resolvers: vec![(kept.clone(), netns.try_clone().unwrap())],
    };
    net.rebuild(std::slice::from_ref(&bridge), &[], names).unwrap();
    inside(&netns, || {
        assert_eq!(ask_udp("db", Rtype::A).1, ["172.30.0.3"]);
        assert_eq!(ask_udp("web", Rtype::A).0, Rcode::SERVFAIL);
    });
    inside(&other, || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        socket.connect(SERVER).unwrap();
        socket.send(&question(1, "db", Rtype::A)).unwrap();
        assert!(socket.recv(&mut [0; 99]).is_err());
    });
    end(&net, &kept.id);
}

fn bounded(dir: &Path) {
    let net = open(dir);
    let bridge = network(&net);
    let netns = net.create_netns().unwrap();
    net.name(&bridge.id, host(&["web"], "172.30.0.2")).unwrap();
    let resolver = resolver(bridge.id, &[]);
    net.resolve(resolver.clone(), netns.try_clone().unwrap()).unwrap();
    inside(&netns, || {
        let mut kept: Vec<_> = (0..32).map(|_| TcpStream::connect(SERVER).unwrap()).collect();
        for stream in &mut kept {
            assert_eq!(ask_tcp(stream, "web", Rtype::A).1, ["172.30.0.2"]);
        }
        // One more is closed, and those that were there are not disturbed.
        let mut more = TcpStream::connect(SERVER).unwrap();
        assert_eq!(more.read(&mut [0]).unwrap_or(0), 0);
        assert_eq!(ask_tcp(&mut kept[0], "web", Rtype::A).1, ["172.30.0.2"]);
        drop(kept.pop());
        let mut begin = TcpStream::connect(SERVER).unwrap();
        while begin.write_all(&[0, 1]).and_then(|()| begin.read(&mut [0])).unwrap_or(0) > 0 {
            begin = TcpStream::connect(SERVER).unwrap();
        }
        // Datagrams that are no questions get no answer, and harm nobody.
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        for bytes in [&b""[..], b"x", &[0xff; 4096]] {
            socket.send_to(bytes, SERVER).unwrap();
        }
        assert_eq!(ask_udp("web", Rtype::A).1, ["172.30.0.2"]);
    });
    // How much it takes.
    let (queries, begin) = (20_000, Instant::now());
    inside(&netns, || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        socket.connect(SERVER).unwrap();
        let (question, mut answer) = (question(9, "web", Rtype::A), [0; 512]);
        for _ in 0..queries {
            socket.send(&question).unwrap();
            socket.recv(&mut answer).unwrap();
        }
    });
    println!("{queries} queries, one after the other, in {:?}", begin.elapsed());
    end(&net, &resolver.id);
}
