//! A registry that answers whatever a test says, on a port of its own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What was asked.
#[derive(Debug)]
pub struct Told {
    pub path: String,
    headers: Vec<(String, String)>,
}

impl Told {
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.clone())
    }

    /// Where the range that is asked for begins.
    pub fn range(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.split('-').next()?.parse().ok()
    }
}

/// What is answered.
#[derive(Debug)]
pub enum Answer {
    Plain {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// Announces all that is left, sends `bytes` and hangs up.
    Cut {
        from: usize,
        all: usize,
        bytes: Vec<u8>,
    },
    /// Never ends.
    Endless,
    /// Announces so many bytes and sends one now and then.
    Trickle(usize),
}

impl Answer {
    pub fn status(status: u16, body: &[u8]) -> Self {
        Self::Plain { status, headers: Vec::new(), body: body.to_vec() }
    }

    pub fn ok(body: &[u8]) -> Self {
        Self::status(200, body)
    }

    pub fn redirect(to: &str) -> Self {
        Self::status(307, b"").with("Location", to)
    }

    pub fn challenge(what: &str) -> Self {
        Self::status(401, b"").with("WWW-Authenticate", what)
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let Self::Plain { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    fn send(self, stream: &mut TcpStream) -> std::io::Result<()> {
        match self {
            Self::Plain { status, headers, body } => {
                let mut head =
                    format!("HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
                for (name, value) in headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                stream.write_all(format!("{head}\r\n").as_bytes())?;
                stream.write_all(&body)
            }
            Self::Cut { from, all, bytes } => {
                let status = if from == 0 { "200 OK" } else { "206 Partial Content" };
                let head = format!(
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{}/{all}\r\nConnection: close\r\n\r\n",
                    all - from,
                    all - 1
                );
                stream.write_all(head.as_bytes())?;
                stream.write_all(&bytes)
            }
            Self::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
                loop {
                    stream.write_all(&[b' '; 4096])?;
                }
            }
            Self::Trickle(length) => {
                stream
                    .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes())?;
                loop {
                    stream.write_all(b" ")?;
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
        }
    }
}

/// A registry of a test's own. Its threads end with the test.
pub struct Fake {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
}

impl Fake {
    pub fn start(answer: impl Fn(&Told) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, counted) = (answer.clone(), counted.clone());
                std::thread::spawn(move || talk(stream, &*answer, &counted));
            }
        });
        Self { address, requests }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

fn talk(mut stream: TcpStream, answer: &dyn Fn(&Told) -> Answer, counted: &AtomicUsize) {
    let mut reader = BufReader::new(stream.try_clone().expect("a clone"));
    let mut first = String::new();
    // One that tries TLS, or hangs up, asks nothing.
    if reader.read_line(&mut first).is_err() || !first.contains("HTTP/1") {
        return;
    }
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).is_err() || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    let told = Told { path, headers };
    let length = told.header("content-length").and_then(|l| l.parse::<u64>().ok()).unwrap_or(0);
    // What is sent is of no interest.
    let _ = std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink());
    counted.fetch_add(1, Ordering::SeqCst);
    // The other side may have hung up on purpose.
    let _ = answer(&told).send(&mut stream);
}
