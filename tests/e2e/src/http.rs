//! The raw API: requests written by hand, so that what a client library would mend reaches the daemon.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// An answer: its status, its header block in lower-case names and its whole body, chunks joined.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, values as they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// The `message` of an error answer.
    #[track_caller]
    pub fn message(&self) -> String {
        self.json()["message"].as_str().expect("a message").to_owned()
    }

    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Opens a connection on which no read or write blocks for more than half a minute.
pub fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap_or_else(|e| panic!("{}: {e}", socket.display()));
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("timeout");
    stream.set_write_timeout(Some(Duration::from_secs(30))).expect("timeout");
    stream
}

/// Sends one request with an optional JSON body and reads the whole answer.
pub fn request(socket: &Path, method: &str, path: &str, body: Option<&str>) -> Response {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n");
    if let Some(body) = body {
        head += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    raw(socket, format!("{head}\r\n{}", body.unwrap_or_default()).as_bytes())
}

/// As [`request`], of a daemon that may die meanwhile: `None` then.
pub fn attempt(socket: &Path, method: &str, path: &str, body: Option<&str>) -> Option<Response> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("timeout");
    let body = body.unwrap_or_default();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n");
    let more = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    // It may answer and hang up before it has read all: the answer is what counts.
    let _ = stream.write_all((head + &more).as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer.windows(4).any(|window| window == b"\r\n\r\n").then(|| parse(&answer))
}

/// Sends bytes as they are and reads the whole answer.
pub fn raw(socket: &Path, bytes: &[u8]) -> Response {
    let mut stream = connect(socket);
    // The daemon may answer and close before it has read a huge body: the answer is what counts.
    let sent = stream.write_all(bytes);
    let mut answer = Vec::new();
    match (stream.read_to_end(&mut answer), sent) {
        (Err(e), _) if answer.is_empty() => panic!("reading the answer: {e}"),
        (_, Err(e)) if answer.is_empty() => panic!("sending: {e}"),
        _ => parse(&answer),
    }
}

/// Takes an answer apart.
#[track_caller]
pub fn parse(answer: &[u8]) -> Response {
    let end = answer
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no end of headers: {}", String::from_utf8_lossy(answer)));
    let head = std::str::from_utf8(&answer[..end]).expect("headers are text");
    let mut lines = head.split("\r\n");
    let status =
        lines.next().and_then(|l| l.split(' ').nth(1)).and_then(|s| s.parse().ok()).expect("a status line");
    let headers: Vec<_> = lines
        .filter_map(|l| l.split_once(':'))
        .map(|(n, v)| (n.trim().to_ascii_lowercase(), v.trim().to_owned()))
        .collect();
    let rest = &answer[end + 4..];
    let chunked = headers.iter().any(|(n, v)| n == "transfer-encoding" && v == "chunked");
    Response { status, body: if chunked { join_chunks(rest) } else { rest.to_vec() }, headers }
}

fn join_chunks(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|w| w == b"\r\n") {
        let size =
            std::str::from_utf8(&rest[..line]).ok().and_then(|s| usize::from_str_radix(s.trim(), 16).ok());
        let Some(size) = size.filter(|s| *s > 0 && rest.len() >= line + 2 + s) else { break };
        body.extend_from_slice(&rest[line + 2..line + 2 + size]);
        rest = rest.get(line + 2 + size + 2..).unwrap_or_default();
    }
    body
}
