//! Both directions between a client and a process, at once and each at its own pace.

use super::{DetachKeys, Scan};
use std::io;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// How much is carried at once; also all that is held for a client that reads slowly.
const BUFFER: usize = 32 << 10;

/// What becomes of what a client sends.
#[derive(Debug)]
pub(crate) enum Input {
    /// It is thrown away.
    Ignored,
    /// It is the process' input.
    Raw,
    /// It is, and is looked through for the keys that detach.
    Typed(DetachKeys),
}

/// How an attachment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The process' output has ended, and the client has all of it.
    Output,
    /// The client typed the keys, or went away.
    Detached,
}

/// Carries bytes until the process' output ends, the client detaches or goes away. The end of the client's
/// input ends the process' input only.
///
/// # Errors
/// When the connection to the process breaks.
pub(crate) async fn pump<C>(client: &mut C, process: UnixStream, input: Input) -> io::Result<End>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let (from_process, to_process) = process.into_split();
    let (from_client, to_client) = tokio::io::split(client);
    let output = carry_output(from_process, to_client);
    let input = carry_input(from_client, to_process, input);
    tokio::pin!(output, input);
    tokio::select! {
        end = &mut output => end,
        detached = &mut input => {
            if detached { Ok(End::Detached) } else { output.await }
        }
    }
}

async fn carry_output<C: AsyncWrite + Unpin>(
    mut from: OwnedReadHalf,
    mut to: WriteHalf<C>,
) -> io::Result<End> {
    let mut buffer = vec![0u8; BUFFER];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(End::Output);
        }
        // A client that reads no more has gone away: no failure of ours.
        if to.write_all(&buffer[..read]).await.is_err() || to.flush().await.is_err() {
            return Ok(End::Detached);
        }
    }
}

/// Carries a client's input; true when the client detached.
async fn carry_input<C: AsyncRead + Unpin>(
    mut from: ReadHalf<C>,
    mut to: OwnedWriteHalf,
    mut input: Input,
) -> bool {
    let mut buffer = vec![0u8; BUFFER];
    loop {
        let Ok(read) = from.read(&mut buffer).await else { return true };
        if read == 0 {
            if !matches!(input, Input::Ignored) {
                // A process that is gone takes no end of input; its output says so.
                let _ = to.shutdown().await;
            } else {
                // Kept open: dropping it would be the end of input, too.
                to.forget();
            }
            return false;
        }
        let typed = &buffer[..read];
        let sent = match &mut input {
            Input::Ignored => Ok(()),
            Input::Raw => to.write_all(typed).await,
            Input::Typed(keys) => match keys.scan(typed) {
                Scan::Pass(bytes) => to.write_all(&bytes).await,
                Scan::Detach(bytes) => {
                    // What was typed before the keys still counts; the process may be gone.
                    let _ = to.write_all(&bytes).await;
                    return true;
                }
            },
        };
        if sent.is_err() {
            // The process takes no input any more: what the client sends is of no use, its output still is.
            input = Input::Ignored;
        }
    }
}
