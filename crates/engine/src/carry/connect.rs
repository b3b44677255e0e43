//! A connection to a process' streams.

use crate::{
    actor::Streams,
    error::{Error, Result},
};
use brig_shim::{
    client,
    protocol::{ClientFrame, Reply, Request, ServerFrame, Target, decode, encode, frame_length},
};
use std::{io, path::Path};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

/// Attaches to a process through its shim. Nothing that the process writes after this returns is missed.
pub(crate) async fn connect(dir: &Path, target: Target, streams: Streams) -> Result<UnixStream> {
    let stream = client::connect(dir)?;
    let broken = |source: io::Error| Error::file("attach", dir, source);
    stream.set_nonblocking(true).map_err(broken)?;
    let mut stream = UnixStream::from_std(stream).map_err(broken)?;
    let Streams { stdin, stdout, stderr } = streams;
    let request = Request::Attach { target, stdin, stdout, stderr };
    let frame = encode(&ClientFrame { id: 1, request }).map_err(brig_shim::Error::from)?;
    stream.write_all(&frame).await.map_err(broken)?;
    loop {
        // Not a byte more than a frame is read: what follows the reply is the process'.
        let mut prefix = [0u8; 4];
        stream.read_exact(&mut prefix).await.map_err(broken)?;
        let length = frame_length(prefix).map_err(brig_shim::Error::from)?;
        let mut json = vec![0u8; length];
        stream.read_exact(&mut json).await.map_err(broken)?;
        match decode(&json).map_err(brig_shim::Error::from)? {
            ServerFrame::Event(_) => {}
            ServerFrame::Reply { result: Ok(Reply::Done), .. } => return Ok(stream),
            ServerFrame::Reply { result: Ok(_), .. } => {
                return Err(Error::System("the shim answered an attach with something else".to_owned()));
            }
            ServerFrame::Reply { result: Err(refused), .. } => return Err(Error::Shim(refused)),
        }
    }
}
