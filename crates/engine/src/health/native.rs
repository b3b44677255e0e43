//! Checks without a process in the container: a connection from within its network namespace. Only the socket is made
//! there, by a thread that goes in for it and ends; what is said over it is said from here.

use crate::{actor::Handle, machine::HttpTarget, start::same_process};
use rustix::{
    net::{AddressFamily, SocketFlags, SocketType, socket_with},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use std::{
    fs::File,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

/// No status line is longer.
const STATUS_LINE: usize = 512;

/// Whether something takes connections.
pub(super) async fn tcp(handle: &Handle, address: SocketAddr) -> Result<String, String> {
    connect(handle, address).await.map(|_| format!("connected to {address}"))
}

/// Whether a server answers with a status of 200 to 399.
pub(super) async fn http(handle: &Handle, target: &HttpTarget) -> Result<String, String> {
    let mut stream = connect(handle, target.address).await?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: brig-health\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        target.path, target.host
    );
    let failed = |e: std::io::Error| format!("GET {}: {e}", target.path);
    stream.write_all(request.as_bytes()).await.map_err(failed)?;
    let mut answer = Vec::new();
    let mut limited = stream.take(STATUS_LINE as u64);
    while !answer.contains(&b'\n') {
        if limited.read_buf(&mut answer).await.map_err(failed)? == 0 {
            break;
        }
    }
    judge(&answer)
}

/// What a status line says.
fn judge(answer: &[u8]) -> Result<String, String> {
    let line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line).trim_end().to_owned();
    let mut words = line.split(' ');
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    match words.next().and_then(|word| word.parse::<u16>().ok()).filter(|_| is_http) {
        Some(200..=399) => Ok(line),
        Some(_) => Err(line),
        None => Err("the server answered something that is not HTTP".to_owned()),
    }
}

async fn connect(handle: &Handle, address: SocketAddr) -> Result<TcpStream, String> {
    let run = handle.snapshot().record.state.run().cloned().ok_or("the container does not run")?;
    let (done, made) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("health".to_owned()).spawn(move || {
        // Nobody listens any more to one that came too late.
        let _ = done.send(socket_in(run.pid, run.start_time, address));
    });
    thread.map_err(|e| format!("start a thread: {e}"))?;
    let socket = made.await.map_err(|_| "the thread for it failed".to_owned())?;
    let socket = TcpSocket::from_std_stream(socket.map_err(|e| format!("socket: {e}"))?.into());
    socket.connect(address).await.map_err(|e| format!("connect to {address}: {e}"))
}

/// Makes a socket in a process' network namespace, where the calling thread stays.
fn socket_in(pid: i32, start_time: u64, address: SocketAddr) -> std::io::Result<OwnedFd> {
    let namespace = File::open(format!("/proc/{pid}/ns/net"))?;
    // Opened first, checked then: a number that was given to another process since does not pass.
    if !same_process(pid, start_time) {
        return Err(rustix::io::Errno::SRCH.into());
    }
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(family, SocketType::STREAM, flags, None)?)
}

#[cfg(test)]
mod tests {
    use super::judge;

    #[test]
    fn what_status_lines_say() {
        assert_eq!(judge(b"HTTP/1.1 200 OK\r\nX: y\r\n").unwrap(), "HTTP/1.1 200 OK");
        assert!(judge(b"HTTP/1.0 302 Found\r\n").is_ok());
        assert_eq!(judge(b"HTTP/1.1 503 Busy\r\n").unwrap_err(), "HTTP/1.1 503 Busy");
        for none in [&b""[..], b"HTTP/1.1", b"SSH-2.0-x\r\n", b"HTTP/1.1 20x\n", b"\xff\xfe 200\n"] {
            assert!(judge(none).unwrap_err().contains("not HTTP"));
        }
    }
}
