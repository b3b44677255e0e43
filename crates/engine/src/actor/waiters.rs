//! Who waits for something of a container.

use super::{Until, WaitGrant, Waited, code_of, message::Streams};
use crate::{
    error::{Error, Result},
    options::WaitCondition,
    record::{ContainerRecord, Exit, State},
};
use brig_core::HasKind;
use tokio::{net::UnixStream, sync::oneshot};

/// An attachment that waits for the container to start.
pub(crate) struct PendingAttach {
    pub(crate) streams: Streams,
    pub(crate) connect: oneshot::Sender<UnixStream>,
}

/// Who waits for something of a container.
#[derive(Default)]
pub(super) struct Waiters {
    waits: Vec<(WaitCondition, oneshot::Sender<Waited>)>,
    commands: Vec<(Until, oneshot::Sender<Result<()>>)>,
    attaches: Vec<PendingAttach>,
}

impl Waiters {
    /// Registers a wait, unless it is over.
    pub(super) fn grant(&mut self, condition: WaitCondition, record: &ContainerRecord) -> WaitGrant {
        if condition == WaitCondition::NotRunning && !record.state.is_running() {
            let error = record.state.exit().map_or_else(String::new, |exit| exit.error.clone());
            return WaitGrant::Now(Waited { code: record.state.exit_code(), error });
        }
        // Clients that went away leave nothing behind for long.
        self.waits.retain(|(_, told)| !told.is_closed());
        let (tell, told) = oneshot::channel();
        self.waits.push((condition, tell));
        WaitGrant::Later(told)
    }

    /// Whether the answer to a command has to wait, with the container as it is.
    pub(super) fn must_wait(&self, until: Until, record: &ContainerRecord) -> bool {
        match until {
            Until::Done => false,
            Until::Ended => record.state.run().is_some(),
            Until::Restarted => {
                record.state.run().is_some_and(|run| run.after == crate::record::After::Restart)
            }
            Until::Removed => record.state.run().is_some() || matches!(record.state, State::Removing { .. }),
        }
    }

    /// Registers a command whose answer has to wait.
    pub(super) fn add_command(&mut self, until: Until, reply: oneshot::Sender<Result<()>>) {
        self.commands.push((until, reply));
    }

    /// Registers an attachment for the next start.
    pub(super) fn add_attach(&mut self, streams: Streams) -> oneshot::Receiver<UnixStream> {
        self.attaches.retain(|pending| !pending.connect.is_closed());
        let (connect, connected) = oneshot::channel();
        self.attaches.push(PendingAttach { streams, connect });
        connected
    }

    /// Takes the attachments that wait for a start.
    pub(super) fn take_attaches(&mut self) -> Vec<PendingAttach> {
        std::mem::take(&mut self.attaches)
    }

    /// A run has ended.
    pub(super) fn ended(&mut self, exit: &Exit) {
        let waited = Waited { code: exit.code, error: exit.error.clone() };
        self.tell_waits(&waited, |condition| condition != WaitCondition::Removed);
        self.answer(|until| until == Until::Ended, || Ok(()));
    }

    /// The container is gone. All that wait are told: nothing else will ever happen to it.
    pub(super) fn removed(&mut self, record: &ContainerRecord) {
        let waited = Waited { code: code_of(record.state.exit()), error: String::new() };
        self.tell_waits(&waited, |_| true);
        let id = record.id;
        self.answer(|until| matches!(until, Until::Removed | Until::Ended), || Ok(()));
        self.answer(|_| true, || Err(Error::Gone(id)));
        self.attaches.clear();
    }

    /// The removal failed.
    pub(super) fn removal_failed(&mut self, record: &ContainerRecord, message: &str) {
        let waited = Waited { code: code_of(record.state.exit()), error: message.to_owned() };
        self.tell_waits(&waited, |condition| condition == WaitCondition::Removed);
        self.answer(|until| until == Until::Removed, || Err(Error::System(message.to_owned())));
    }

    /// After an input: answers restarts that have ended in a start or a failure.
    pub(super) fn settle(&mut self, record: &ContainerRecord, error: Option<&Error>) {
        if self.must_wait(Until::Restarted, record) {
            return;
        }
        self.answer(
            |until| until == Until::Restarted,
            || match error {
                None => Ok(()),
                Some(error) => Err(copy(error)),
            },
        );
    }

    fn tell_waits(&mut self, waited: &Waited, which: impl Fn(WaitCondition) -> bool) {
        let (told, left) = std::mem::take(&mut self.waits).into_iter().partition(|(c, _)| which(*c));
        self.waits = left;
        for (_, tell) in told {
            // A client that went away needs no answer.
            let _ = tell.send(waited.clone());
        }
    }

    fn answer(&mut self, which: impl Fn(Until) -> bool, answer: impl Fn() -> Result<()>) {
        let (done, left) = std::mem::take(&mut self.commands).into_iter().partition(|(u, _)| which(*u));
        self.commands = left;
        for (_, reply) in done {
            // A client that went away needs no answer.
            let _ = reply.send(answer());
        }
    }
}

/// The same failure for one more who waits for it: text and what the API makes of it stay.
fn copy(error: &Error) -> Error {
    match error {
        Error::Start { code, message } => Error::Start { code: *code, message: message.clone() },
        other => Error::Copied { kind: other.kind(), message: other.to_string() },
    }
}
