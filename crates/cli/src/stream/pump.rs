//! Carrying bytes between the client's streams and an attached process.

use super::{
    detach::{Typed, Watch},
    signals,
    stdio::{Input, Output},
};
use crate::{
    error::{Error, Result},
    terminal,
};
use brig_api::{
    client::{Client, Raw},
    stream::{Decoder, StreamType},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    signal::unix::{SignalKind, signal},
};

/// Why the streams ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The process closed its output.
    Output,
    /// The user typed the detach keys.
    Detached,
}

/// An attached process and what of the client's streams it is given.
#[derive(Debug)]
pub struct Pump<'a> {
    /// Who is asked to resize the terminal.
    pub client: &'a Client,
    /// `/containers/x` or `/exec/x`, whose `/resize` is asked.
    pub resize: Option<String>,
    /// The connection.
    pub connection: Raw,
    /// The process has a terminal: bytes are raw, and the client's terminal is made so.
    pub tty: bool,
    /// Standard input is sent.
    pub stdin: bool,
    /// Standard output is wanted.
    pub stdout: bool,
    /// Standard error is wanted.
    pub stderr: bool,
    /// The keys that detach, if they are watched for.
    pub detach: Option<Watch>,
}

const BUFFER: usize = 32 << 10;

impl Pump<'_> {
    /// Carries until the output ends or the user detaches. `started` is awaited meanwhile: it starts the
    /// process, once all is ready.
    ///
    /// # Errors
    /// When `started` fails, a stream breaks, or a signal ends the client (128 and its number).
    pub async fn run(self, started: impl Future<Output = Result>) -> Result<Ended> {
        let (reader, writer) = tokio::io::split(self.connection);
        let raw = (self.tty && self.stdin && terminal::is_terminal(std::io::stdin()))
            .then(terminal::Raw::enter)
            .transpose()?;
        let is_raw = raw.is_some();
        let input = send_input(writer, self.stdin, self.detach);
        let output = receive_output(reader, self.tty, self.stdout, self.stderr);
        let resize = keep_size(self.client, if self.tty { self.resize } else { None });
        let killed = async {
            // With raw mode on, the default action of a signal would leave the terminal in it.
            if is_raw { signals::termination().await } else { std::future::pending().await }
        };
        tokio::pin!(input, output, resize, killed, started);
        let mut input_open = true;
        let mut is_started = false;
        let ended = loop {
            tokio::select! {
                result = &mut started, if !is_started => match result {
                    Ok(()) => is_started = true,
                    Err(e) => break Err(e),
                },
                // The daemon ends the streams of a process that can't be started before it says why.
                result = &mut output => break match result {
                    Ok(()) if !is_started => started.await.map(|()| Ended::Output),
                    result => result.map(|()| Ended::Output),
                },
                result = &mut input, if input_open => match result {
                    Ok(Some(Ended::Detached)) => break Ok(Ended::Detached),
                    Ok(_) => input_open = false,
                    Err(e) => break Err(e.into()),
                },
                () = &mut resize, if is_started => {}
                number = &mut killed => {
                    let code = u8::try_from(128 + number).unwrap_or(1);
                    break Err(Error::silent(code));
                }
            }
        };
        drop(raw);
        ended
    }
}

/// Sends standard input, then its end.
async fn send_input(
    mut writer: WriteHalf<Raw>,
    wanted: bool,
    mut detach: Option<Watch>,
) -> std::io::Result<Option<Ended>> {
    if !wanted {
        return Ok(None);
    }
    let input = Input::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match input.read(&mut buffer).await {
            Ok(0) => break,
            Ok(n) => n,
            // A terminal that was hung up.
            Err(e) if e.raw_os_error() == Some(libc::EIO) => break,
            Err(e) => return Err(e),
        };
        let sent = match &mut detach {
            None => writer.write_all(&buffer[..read]).await,
            Some(watch) => match watch.feed(&buffer[..read]) {
                Typed::Send(bytes) => writer.write_all(&bytes).await,
                Typed::Detach(bytes) => {
                    // The connection is left in a moment; what was typed before is worth a try.
                    let _ = writer.write_all(&bytes).await;
                    return Ok(Some(Ended::Detached));
                }
            },
        };
        // The process closed its input or ended: its output tells the rest.
        if sent.is_err() {
            return Ok(None);
        }
    }
    let _ = writer.shutdown().await;
    Ok(None)
}

/// Writes what comes to standard output and standard error, until it ends.
async fn receive_output(mut reader: ReadHalf<Raw>, tty: bool, stdout: bool, stderr: bool) -> Result {
    let out = stdout.then(Output::stdout);
    let err = stderr.then(Output::stderr);
    let mut decoder = Decoder::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match reader.read(&mut buffer).await {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        if tty {
            if let Some(out) = &out {
                out.write_all(&buffer[..read]).await?;
            }
            continue;
        }
        write_frames(&mut decoder, &buffer[..read], out.as_ref(), err.as_ref()).await?;
    }
}

/// Takes frames apart and writes each to its stream.
///
/// # Errors
/// When this is no stream of frames, or a stream of the client's is gone.
pub async fn write_frames(
    decoder: &mut Decoder,
    mut bytes: &[u8],
    out: Option<&Output>,
    err: Option<&Output>,
) -> Result {
    while let Some((stream, piece)) = decoder.next(&mut bytes).map_err(|e| Error::Message(e.to_string()))? {
        let sink = if stream == StreamType::Stderr { err } else { out };
        if let Some(sink) = sink {
            sink.write_all(piece).await?;
        }
    }
    Ok(())
}

/// Gives a running process' terminal the size of the client's, and follows changes for ever.
async fn keep_size(client: &Client, target: Option<String>) {
    let (Some(target), Ok(mut changes)) = (target, signal(SignalKind::window_change())) else {
        return std::future::pending().await;
    };
    loop {
        if let Some(size) = terminal::size() {
            let request = client
                .post(&format!("{target}/resize"))
                .query("h", size.rows.to_string())
                .query("w", size.columns.to_string());
            // The process may have ended meanwhile.
            let _ = request.send().await;
        }
        if changes.recv().await.is_none() {
            return std::future::pending().await;
        }
    }
}
