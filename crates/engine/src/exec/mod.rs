//! Further processes in a running container.

mod session;
mod store;

pub use session::ExecSession;
pub(crate) use store::Execs;

use crate::{
    actor::Snapshot,
    carry::DetachKeys,
    core::Core,
    engine::Engine,
    error::{Error, Result},
    machine::Refusal,
    record::State,
    start,
};
use brig_api::{ExecCreateRequest, ExecInspectResponse, ExecStartRequest, IdResponse, ProcessConfig};
use brig_core::Id;
use brig_shim::protocol::{Request, Target};
use std::{collections::BTreeMap, sync::Arc};
use store::Phase;

impl Engine {
    /// Makes an exec; nothing runs yet.
    ///
    /// # Errors
    /// When the container does not run.
    pub async fn exec_create(&self, name: &str, request: ExecCreateRequest) -> Result<IdResponse> {
        let core = self.core();
        let snapshot = core.registry.resolve(name)?.snapshot();
        check_active(&snapshot, name)?;
        if request.cmd.as_ref().is_none_or(Vec::is_empty) {
            return Err(Error::Invalid("No exec command specified".to_owned()));
        }
        let keys = DetachKeys::parse(&request.detach_keys).ok_or_else(|| {
            Error::Invalid(format!("Invalid escape keys ({}) provided", request.detach_keys))
        })?;
        if !request.user.is_empty() {
            let rootfs = core.store.snapshot_mount(&snapshot.record.id.to_string())?;
            start::user_of(&snapshot.record, &rootfs, &request.user)?;
        }
        let exec = core.execs.add(snapshot.record.id, request, keys);
        let more = BTreeMap::from([("execID".to_owned(), exec.id.to_string())]);
        core.tell_container(&snapshot.record, &format!("exec_create: {}", exec.command()), more);
        Ok(IdResponse { id: exec.id.to_string() })
    }

    /// Claims an exec to start it with [`ExecSession::detach`] or [`ExecSession::serve`].
    ///
    /// # Errors
    /// When there is no such exec, it was started before, or its container does not run.
    pub async fn exec_start(&self, id: &str, request: ExecStartRequest) -> Result<ExecSession> {
        let core = self.core();
        let exec = core.execs.get(id)?;
        let handle = core.registry.get(&exec.container);
        let snapshot = handle.ok_or_else(|| Error::NoSuchContainer(id.to_owned()))?.snapshot();
        check_active(&snapshot, &snapshot.record.id.to_string())?;
        exec.claim()?;
        let command = exec.command();
        let session = ExecSession::new(core, exec, snapshot, request.console_size);
        session.tell(&format!("exec_start: {command}"));
        Ok(session)
    }

    /// Everything about an exec.
    ///
    /// # Errors
    /// When there is no such exec.
    pub async fn exec_inspect(&self, id: &str) -> Result<ExecInspectResponse> {
        let exec = self.core().execs.get(id)?;
        let request = &exec.request;
        let (running, exit_code, pid) = match exec.phase() {
            Phase::Created => (false, None, 0),
            Phase::Starting => (true, None, 0),
            Phase::Running { pid } => (true, None, i64::from(pid)),
            Phase::Ended { code } => (false, Some(i64::from(code)), 0),
        };
        let mut command = request.cmd.clone().unwrap_or_default().into_iter();
        Ok(ExecInspectResponse {
            id: exec.id.to_string(),
            running,
            exit_code,
            process_config: ProcessConfig {
                tty: request.tty,
                entrypoint: command.next().unwrap_or_default(),
                arguments: command.collect(),
                privileged: Some(request.privileged),
                user: request.user.clone(),
            },
            open_stdin: request.attach_stdin,
            open_stderr: request.attach_stderr,
            open_stdout: request.attach_stdout,
            can_remove: false,
            container_id: exec.container.to_string(),
            detach_keys: Some(if request.detach_keys.is_empty() {
                String::new()
            } else {
                base64(exec.keys.bytes())
            }),
            pid,
        })
    }

    /// Sets the size of an exec's terminal, in characters.
    ///
    /// # Errors
    /// When the exec does not run.
    pub async fn exec_resize(&self, id: &str, height: u32, width: u32) -> Result<()> {
        let core = self.core();
        let exec = core.execs.get(id)?;
        let handle = core.registry.get(&exec.container);
        let snapshot = handle.ok_or_else(|| Error::NoSuchContainer(id.to_owned()))?.snapshot();
        check_active(&snapshot, &snapshot.record.id.to_string())?;
        // Clients size the terminal right after they asked for the start: the answer waits for that.
        let mut phase = exec.phase.subscribe();
        let started = phase.wait_for(|phase| matches!(phase, Phase::Running { .. } | Phase::Ended { .. }));
        let started = tokio::time::timeout(std::time::Duration::from_secs(10), started).await;
        match started.map(|seen| seen.map(|phase| *phase)) {
            Ok(Ok(Phase::Running { .. })) => {}
            Ok(_) => return Err(Error::Invalid("exec process is not started".to_owned())),
            Err(_) => return Err(Error::System("timeout waiting for exec session ready".to_owned())),
        }
        let link = snapshot.link.clone().ok_or(Refusal::NotRunning(snapshot.record.id))?;
        let size = start::console_size(height, width);
        link.call(Request::Resize { target: Target::Exec(exec.id), size }).await?;
        Ok(())
    }
}

/// Makes and claims an exec of the daemon's own, a health check, with an id that is known beforehand.
pub(crate) fn begin_check(
    core: &Arc<Core>,
    snapshot: &Arc<Snapshot>,
    command: &[String],
    id: Id,
) -> Result<ExecSession> {
    check_active(snapshot, &snapshot.record.id.to_string())?;
    let request = ExecCreateRequest {
        attach_stdout: true,
        attach_stderr: true,
        cmd: Some(command.to_vec()),
        ..ExecCreateRequest::default()
    };
    let exec = core.execs.add_as(id, snapshot.record.id, request);
    let command = exec.command();
    exec.claim()?;
    let session = ExecSession::new(core, exec, snapshot.clone(), None);
    session.tell(&format!("exec_create: {command}"));
    session.tell(&format!("exec_start: {command}"));
    Ok(session)
}

/// Whether processes can be started in a container.
fn check_active(snapshot: &Arc<Snapshot>, name: &str) -> Result<()> {
    let id = snapshot.record.id;
    match &snapshot.record.state {
        State::Running(_) => Ok(()),
        State::Paused(_) => Err(Error::ExecPaused(name.to_owned())),
        State::Restarting { .. } => Err(Refusal::Restarting(id).into()),
        _ => Err(Refusal::NotRunning(id).into()),
    }
}

/// Standard base64, as Go writes byte slices.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut word = [0u8; 3];
        word[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from(word[0]) << 16 | u32::from(word[1]) << 8 | u32::from(word[2]);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize] as char;
            out.push(if place <= chunk.len() { digit } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn base64_as_in_the_rfc() {
        for (plain, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(super::base64(plain.as_bytes()), text);
        }
    }
}
