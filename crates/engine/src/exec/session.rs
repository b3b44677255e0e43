//! An exec that is being started.

use super::store::{Exec, Phase};
use crate::{
    actor::{Snapshot, Streams},
    carry::{self, End, Input},
    core::Core,
    error::{Error, Result},
    machine::Refusal,
    shim_link::ShimLink,
    spec, start,
};
use brig_api::stream::{StreamType, header};
use brig_shim::protocol::{ExecConfig, Reply, Request, Target};
use std::{collections::BTreeMap, sync::Arc};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// An exec that may start: checked and marked as being started. Dropped, it is as if its command could not be
/// run.
#[derive(Debug)]
pub struct ExecSession {
    core: Arc<Core>,
    exec: Arc<Exec>,
    snapshot: Arc<Snapshot>,
    size: Option<[u32; 2]>,
}

impl Drop for ExecSession {
    fn drop(&mut self) {
        if self.exec.phase() == Phase::Starting {
            self.core.execs.end(&self.core, &self.exec, 126);
        }
    }
}

impl ExecSession {
    pub(super) fn new(
        core: &Arc<Core>,
        exec: Arc<Exec>,
        snapshot: Arc<Snapshot>,
        size: Option<[u32; 2]>,
    ) -> Self {
        let size = size.or(exec.request.console_size);
        Self { core: core.clone(), exec, snapshot, size }
    }

    /// The exec.
    pub(crate) fn exec(&self) -> Arc<Exec> {
        self.exec.clone()
    }

    /// Whether the exec has a terminal: then the bytes are raw, else framed as stdcopy does.
    #[must_use]
    pub fn tty(&self) -> bool {
        self.exec.request.tty
    }

    /// Starts the process without a client, and returns when it runs.
    ///
    /// # Errors
    /// When the command can't be run.
    pub async fn detach(self) -> Result<()> {
        let link = self.register(false).await?;
        self.start(&link).await
    }

    /// Starts the process and carries bytes between it and the client until it ends, the client leaves, or
    /// the detach keys are typed. When the command can't be run, the client is told on the connection, as
    /// Docker does, for the answer's headers were sent before.
    ///
    /// # Errors
    /// When the command can't be run or the connection to the container breaks: for the log only.
    pub async fn serve<C: AsyncRead + AsyncWrite + Unpin + Send>(self, mut client: C) -> Result<()> {
        let served = self.serve_client(&mut client).await;
        if let Err(error) = &served {
            let line = format!("{error}\r\n");
            let bytes = if self.tty() {
                line.into_bytes()
            } else {
                {
                    let length = u32::try_from(line.len()).unwrap_or(u32::MAX);
                    [&header(StreamType::Stdout, length)[..], line.as_bytes()].concat()
                }
            };
            // A client that went away needs no explanation.
            let _ = client.write_all(&bytes).await;
        }
        // Likewise.
        let _ = client.shutdown().await;
        served
    }

    async fn serve_client<C: AsyncRead + AsyncWrite + Unpin + Send>(&self, client: &mut C) -> Result<()> {
        let request = &self.exec.request;
        let link = self.register(request.attach_stdin).await?;
        let streams = Streams {
            stdin: request.attach_stdin,
            stdout: request.attach_stdout,
            stderr: request.attach_stderr,
        };
        let process = carry::connect(link.dir(), Target::Exec(self.exec.id), streams).await?;
        self.start(&link).await?;
        let input = match (request.attach_stdin, request.tty) {
            (false, _) => Input::Ignored,
            (true, false) => Input::Raw,
            (true, true) => Input::Typed(self.exec.keys.clone()),
        };
        let end = carry::pump(client, process, input).await;
        match end.map_err(|e| Error::System(format!("exec attach failed: {e}")))? {
            // The client asks for the exit code when its stream ends: not before there is one.
            End::Output => self.exec.ended().await,
            End::Detached => self.tell("exec_detach"),
        }
        Ok(())
    }

    /// Makes the process known to the shim; nothing runs yet.
    async fn register(&self, open_stdin: bool) -> Result<ShimLink> {
        let record = &self.snapshot.record;
        let link = self.snapshot.link.clone().ok_or(Refusal::NotRunning(record.id))?;
        // Reads two small files of the image: not worth a thread's wake-up.
        let request = &self.exec.request;
        let rootfs = self.core.store.snapshot_mount(&record.id.to_string())?;
        let container = start::spec_again(&self.core, record, &rootfs)?;
        let process = container.process().clone().unwrap_or_default();
        let user = if request.user.is_empty() { &record.config.user } else { &request.user };
        let runs_as = start::user_of(record, &rootfs, user)?;
        let config = ExecConfig {
            id: self.exec.id,
            process: Box::new(spec::exec_process(&process, request, &runs_as)?),
            terminal: request.tty,
            console_size: self.size.map(|[rows, cols]| start::console_size(rows, cols)),
            open_stdin,
            unconfined: request.privileged,
        };
        link.call(Request::Exec(Box::new(config))).await?;
        Ok(link)
    }

    async fn start(&self, link: &ShimLink) -> Result<()> {
        match link.ask(Request::StartExec { id: self.exec.id }).await? {
            Ok(Reply::Started { pid, .. }) => {
                self.exec.started(pid);
                Ok(())
            }
            Ok(_) => {
                Err(Error::System("the shim answered the start of an exec with something else".to_owned()))
            }
            Err(refused) => {
                let error = start::exec_failure(refused);
                let code = if let Error::Start { code, .. } = error { code } else { 126 };
                // No process, no end of one to tell of.
                self.exec.end(code);
                Err(error)
            }
        }
    }

    pub(super) fn tell(&self, action: &str) {
        let more = BTreeMap::from([("execID".to_owned(), self.exec.id.to_string())]);
        self.core.tell_container(&self.snapshot.record, action, more);
    }
}
