//! `POST /containers/{id}/attach`.

use super::logs;
use crate::{
    actor::{AttachGrant, Message, Snapshot, Streams},
    carry::{self, DetachKeys, End, Input},
    core::Core,
    engine::Engine,
    error::{Error, Result},
    options::{AttachOptions, LogOptions},
    record::State,
};
use brig_shim::protocol::Target;
use std::{collections::BTreeMap, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::UnixStream,
    sync::oneshot,
};

/// An attachment that is registered: no byte from now on is missed, also when the container does not run yet.
#[derive(Debug)]
pub struct AttachSession {
    core: Arc<Core>,
    snapshot: Arc<Snapshot>,
    input: Input,
    logs: Option<LogOptions>,
    process: Process,
}

/// The way to the container's streams.
#[derive(Debug)]
enum Process {
    /// Not asked for.
    None,
    /// It runs.
    Now(UnixStream),
    /// It does not run yet.
    WhenStarted(oneshot::Receiver<UnixStream>),
}

impl AttachSession {
    /// Whether the container has a terminal: then the bytes are raw, else framed as stdcopy does.
    #[must_use]
    pub fn tty(&self) -> bool {
        self.snapshot.record.config.tty
    }

    /// Carries bytes between the client and the container until the container ends, the client leaves, or
    /// the detach keys are typed. The end of the client's input ends the container's stdin only.
    ///
    /// # Errors
    /// When the connection to the container breaks.
    pub async fn serve<C: AsyncRead + AsyncWrite + Unpin + Send>(mut self, mut client: C) -> Result<()> {
        if let Some(options) = self.logs.take() {
            let mut log = logs::open(&self.core, &self.snapshot.record, &options, None)?;
            while let Some(bytes) = log.next().await {
                let bytes = bytes.map_err(|e| Error::System(format!("log: {e}")))?;
                // A client that went away has no use for the rest.
                if client.write_all(&bytes).await.is_err() {
                    return Ok(());
                }
            }
        }
        self.core.tell_container(&self.snapshot.record, "attach", BTreeMap::new());
        let process = match self.process {
            Process::None => None,
            Process::Now(process) => Some(process),
            // It fails when the container is removed without ever starting: then nothing comes.
            Process::WhenStarted(started) => started.await.ok(),
        };
        if let Some(process) = process {
            let end = carry::pump(&mut client, process, self.input).await;
            if end.map_err(|e| Error::System(format!("attach: {e}")))? == End::Detached {
                self.core.tell_container(&self.snapshot.record, "detach", BTreeMap::new());
            }
        }
        // A client that went away needs no end.
        let _ = client.shutdown().await;
        Ok(())
    }
}

impl Engine {
    /// Attaches to a container. The answer's headers may be sent when this returns; what follows on the
    /// connection is [`AttachSession::serve`]'s.
    ///
    /// # Errors
    /// When the container is frozen, or the detach keys are none.
    pub async fn container_attach(&self, name: &str, options: AttachOptions) -> Result<AttachSession> {
        let core = self.core();
        let text = options.detach_keys.as_deref().unwrap_or_default();
        let keys = DetachKeys::parse(text)
            .ok_or_else(|| Error::Invalid(format!("Invalid detach keys ({text}) provided")))?;
        let handle = core.registry.resolve(name)?;
        let snapshot = handle.snapshot();
        let record = &snapshot.record;
        match record.state {
            State::Paused(_) => return Err(Error::AttachPaused(name.to_owned())),
            State::Restarting { .. } => return Err(Error::AttachRestarting(name.to_owned())),
            _ => {}
        }
        let stdin = options.stdin && record.config.open_stdin;
        let input = match (stdin, record.config.tty) {
            (false, _) => Input::Ignored,
            (true, false) => Input::Raw,
            (true, true) => Input::Typed(keys),
        };
        let process = if options.stream {
            let streams = Streams { stdin, stdout: options.stdout, stderr: options.stderr };
            let (reply, grant) = oneshot::channel();
            handle.send(Message::Attach { streams, reply }).await?;
            match grant.await.map_err(|_| Error::Gone(handle.id()))? {
                AttachGrant::Now(dir) => Process::Now(carry::connect(&dir, Target::Init, streams).await?),
                AttachGrant::WhenStarted(started) => Process::WhenStarted(started),
            }
        } else {
            Process::None
        };
        let logs = options.logs.then(|| LogOptions {
            stdout: options.stdout,
            stderr: options.stderr,
            ..LogOptions::default()
        });
        Ok(AttachSession { core: core.clone(), snapshot, input, logs, process })
    }
}
