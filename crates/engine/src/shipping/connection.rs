//! The way to a receiver.

use brig_logs::remote::{Address, Message, Remote};
use std::{io, path::Path, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UdpSocket, UnixDatagram, UnixStream},
};

/// How long a receiver may take to take a batch, or to answer.
const PATIENCE: Duration = Duration::from_secs(10);

trait Both: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Both for T {}

enum Open {
    Udp(UdpSocket),
    Datagram(UnixDatagram),
    Stream(Box<dyn Both>),
}

/// The way to a receiver, open or not.
pub(super) struct Connection {
    remote: Remote,
    open: Option<Open>,
}

impl Connection {
    pub(super) fn new(remote: Remote) -> Self {
        Self { remote, open: None }
    }

    /// Sends messages, all or an error: then some may have come. The next call connects anew.
    pub(super) async fn send(&mut self, messages: &[Message]) -> Result<(), String> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.connect().await?,
        };
        let sent = tokio::time::timeout(PATIENCE, send(&mut open, messages)).await;
        match sent {
            Ok(Ok(())) => {
                self.open = Some(open);
                Ok(())
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the receiver takes nothing".to_owned()),
        }
    }

    async fn connect(&self) -> Result<Open, String> {
        let mut first = None;
        for address in self.remote.addresses() {
            match tokio::time::timeout(PATIENCE, connect(&address)).await {
                Ok(Ok(open)) => return Ok(open),
                Ok(Err(error)) => drop(first.get_or_insert(format!("{address:?}: {error}"))),
                Err(_) => drop(first.get_or_insert(format!("{address:?}: no answer"))),
            }
        }
        Err(first.unwrap_or_default())
    }
}

async fn connect(address: &Address) -> io::Result<Open> {
    Ok(match address {
        Address::Udp(server) => {
            let server = tokio::net::lookup_host(server).await?.next();
            let server = server.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
            let any: std::net::SocketAddr =
                if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
            let socket = UdpSocket::bind(any).await?;
            socket.connect(server).await?;
            Open::Udp(socket)
        }
        Address::Tcp(server) => {
            let stream = TcpStream::connect(server).await?;
            // What is written at once is sent at once.
            stream.set_nodelay(true)?;
            Open::Stream(Box::new(stream))
        }
        Address::Tls(_) => return Err(io::Error::other("encrypted connections are not there yet")),
        Address::Datagram(path) => Open::Datagram(datagram(path)?),
        Address::Stream(path) => Open::Stream(Box::new(UnixStream::connect(path).await?)),
    })
}

fn datagram(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    Ok(socket)
}

async fn send(open: &mut Open, messages: &[Message]) -> io::Result<()> {
    let parts = messages.iter().flat_map(|message| &message.parts);
    match open {
        Open::Udp(socket) => {
            for part in parts {
                socket.send(part).await?;
            }
        }
        Open::Datagram(socket) => {
            for part in parts {
                socket.send(part).await?;
            }
        }
        Open::Stream(stream) => {
            still_there(stream).await?;
            for part in parts {
                stream.write_all(part).await?;
            }
            stream.flush().await?;
            for ack in messages.iter().filter_map(|message| message.ack.as_deref()) {
                acknowledged(stream, ack).await?;
            }
        }
    }
    Ok(())
}

/// Whether the other side has hung up since: what is written then goes nowhere, without an error.
async fn still_there(stream: &mut Box<dyn Both>) -> io::Result<()> {
    let mut byte = [0u8; 64];
    tokio::select! {
        biased;
        read = stream.read(&mut byte) => match read? {
            0 => Err(io::ErrorKind::ConnectionAborted.into()),
            // Nothing of what it might say matters here.
            _ => Ok(()),
        },
        () = std::future::ready(()) => Ok(()),
    }
}

/// Reads the answer to one message: a map of `ack` and its name.
async fn acknowledged(stream: &mut Box<dyn Both>, ack: &str) -> io::Result<()> {
    let mut answer = Vec::new();
    let wanted = ack.as_bytes();
    while !answer.windows(wanted.len()).any(|part| part == wanted) {
        if answer.len() > 1024 {
            return Err(io::Error::other("the receiver acknowledges something else"));
        }
        // A byte at a time would do as well: one message's answer has no other behind it that was not asked for.
        let mut byte = [0u8; 1];
        stream.read_exact(&mut byte).await?;
        answer.push(byte[0]);
    }
    Ok(())
}
