//! What `brig net` carries by hand.

use super::*;
use std::{net::Shutdown, sync::mpsc};

/// A published port that only the proxy can reach.
fn proxied(test: impl FnOnce(&World, &mut Container) + Send) {
    world_with(
        |c| c.firewall = false,
        |w| {
            let mut c = w.container();
            c.publish(w, &[tcp(8080, 80)]).unwrap();
            test(w, &mut c);
        },
    );
}

fn listen(c: &Container) -> TcpListener {
    within(&c.netns, || TcpListener::bind("0.0.0.0:80").unwrap())
}

#[test]
fn megabytes_go_both_ways_at_once_and_come_out_whole() {
    proxied(|_, c| {
        let listener = listen(c);
        let echo = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut write = stream.try_clone().unwrap();
            std::io::copy(&mut stream, &mut write).unwrap();
            write.shutdown(Shutdown::Write).unwrap();
        });
        let bytes: Vec<u8> = (0..4u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 8080)).unwrap();
        let mut write = stream.try_clone().unwrap();
        let sent = bytes.clone();
        let sender = thread::spawn(move || {
            write.write_all(&sent).unwrap();
            write.shutdown(Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        assert!(received == bytes);
        sender.join().unwrap();
        echo.join().unwrap();
    });
}

#[test]
fn each_direction_closes_on_its_own() {
    proxied(|_, c| {
        let listener = listen(c);
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = String::new();
            // The client's end is seen here while the answer is still to come.
            stream.read_to_string(&mut question).unwrap();
            write!(stream, "to {question}: yes").unwrap();
        });
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 8080)).unwrap();
        stream.write_all(b"is it?").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "to is it?: yes");
        server.join().unwrap();
    });
}

#[test]
fn nobody_listens_and_a_released_port_cuts_its_connections() {
    proxied(|w, c| {
        let mut byte = [0];
        let mut refused = TcpStream::connect((Ipv4Addr::LOCALHOST, 8080)).unwrap();
        assert!(matches!(refused.read(&mut byte), Ok(0) | Err(_)));
        let listener = listen(c);
        let (send, receive) = mpsc::channel();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"x").unwrap();
            send.send(()).unwrap();
            // Until it is cut.
            matches!(stream.read(&mut [0]), Ok(0) | Err(_))
        });
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 8080)).unwrap();
        stream.read_exact(&mut byte).unwrap();
        receive.recv().unwrap();
        w.net.release(&c.endpoint).unwrap();
        assert!(matches!(stream.read(&mut byte), Ok(0) | Err(_)));
        assert!(server.join().unwrap());
    });
}

#[test]
fn a_reader_that_does_not_read_holds_up_its_writer_and_nobody_else() {
    proxied(|_, c| {
        let listener = listen(c);
        let server = thread::spawn(move || {
            let (stalled, _) = listener.accept().unwrap();
            let (mut lively, _) = listener.accept().unwrap();
            lively.write_all(b"here").unwrap();
            (stalled, lively)
        });
        let mut stalled = TcpStream::connect((Ipv4Addr::LOCALHOST, 8080)).unwrap();
        stalled.set_nonblocking(true).unwrap();
        let chunk = [0u8; 64 << 10];
        let mut lively = None;
        let mut sent = 0;
        // Full sooner or later: socket buffers and two pipes are all that there is.
        while sent < 256 << 20 {
            match stalled.write(&chunk) {
                Ok(n) => sent += n,
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                    // The other connection goes on meanwhile.
                    let stream = lively
                        .get_or_insert_with(|| TcpStream::connect((Ipv4Addr::LOCALHOST, 8080)).unwrap());
                    let mut answer = [0; 4];
                    stream.read_exact(&mut answer).unwrap();
                    assert_eq!(&answer, b"here");
                    break;
                }
                Err(e) => panic!("{e}"),
            }
        }
        assert!(sent < 256 << 20 && lively.is_some());
        server.join().unwrap();
    });
}

#[test]
fn nonsense_on_the_control_socket_harms_nobody() {
    world(|w| {
        use std::os::unix::net::UnixStream;
        let connect = || UnixStream::connect(&w.net.config().socket).unwrap();
        let mut garbage = connect();
        garbage.write_all(&u32::MAX.to_le_bytes()).unwrap();
        assert_eq!(garbage.read(&mut [0; 8]).unwrap(), 0);
        let mut unknown = connect();
        unknown.write_all(b"\x02\0\0\0{}").unwrap();
        let mut answer = [0; 4 + 9];
        unknown.read_exact(&mut answer).unwrap();
        assert_eq!(&answer[4..], b"\"Unknown\"");
        drop(connect());
        let crowd: Vec<_> = (0..40).map(|_| connect()).collect();
        drop(crowd);
        assert!(w.net.process.pid().unwrap().is_some());
    });
}
