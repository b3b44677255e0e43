//! Requests as the corpus has them, sent by hand.

use brig_e2e::http::{self, Response};
use std::{
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// How long nothing may come before an exchange is taken for stuck.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `GET`
    pub method: &'a str,
    /// With version and parameters.
    pub path: &'a str,
    /// Further headers, `Name: value`.
    pub headers: &'a [String],
    /// JSON, or nothing.
    pub body: &'a [u8],
    /// What follows once the daemon has answered with its head.
    pub stdin: Option<&'a [u8]>,
}

/// Sends a request and reads the whole answer.
///
/// # Errors
/// When the daemon can't be reached, or falls silent.
pub fn exchange(socket: &Path, request: Request<'_>) -> io::Result<Response> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let has =
        |name: &str| request.headers.iter().any(|h| h.to_ascii_lowercase().starts_with(&format!("{name}:")));
    let mut head = format!("{} {} HTTP/1.1\r\nHost: docker\r\n", request.method, request.path);
    if !has("connection") {
        head += "Connection: close\r\n";
    }
    if !request.body.is_empty() || request.method == "POST" {
        head += &format!("Content-Length: {}\r\n", request.body.len());
    }
    if !request.body.is_empty() && !has("content-type") {
        head += "Content-Type: application/json\r\n";
    }
    for header in request.headers {
        head += &format!("{header}\r\n");
    }
    let mut bytes = (head + "\r\n").into_bytes();
    bytes.extend_from_slice(request.body);
    stream.write_all(&bytes)?;
    let mut answer = Vec::new();
    if let Some(stdin) = request.stdin {
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? > 0 {
            answer.push(byte[0]);
        }
        // One that refused has closed already; its answer tells.
        let _ = stream.write_all(stdin).and_then(|()| stream.shutdown(Shutdown::Write));
    }
    match stream.read_to_end(&mut answer) {
        Err(e) if answer.is_empty() => Err(e),
        _ if !answer.windows(4).any(|w| w == b"\r\n\r\n") => {
            Err(io::Error::other(format!("no answer but {:?}", String::from_utf8_lossy(&answer))))
        }
        _ => Ok(http::parse(&answer)),
    }
}
