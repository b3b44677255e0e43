//! Doing what the machine says.

use super::{Actor, deadline};
use crate::{
    error::{Error, Result},
    machine::{DurabilityOf, Effect, Input, Note},
    record::{Failure, HealthStatus, State, Volumes},
    spec, start,
};
use brig_api::ContainerUpdateRequest;
use brig_core::{HasKind, Kind, failpoint};
use brig_shim::protocol::{Request, Target};
use std::collections::{BTreeMap, VecDeque};

impl Actor {
    /// Does one effect; what it reports goes to the end of `inputs`.
    pub(super) async fn perform(&mut self, effect: Effect, inputs: &mut VecDeque<Input>) -> Result<()> {
        match effect {
            Effect::Persist(durability) => {
                let [before, after] = record_failpoints(&self.record.state);
                failpoint::hit(before)?;
                match self.core.put_container(&self.record, durability.into()) {
                    Err(error) if durability == DurabilityOf::Wish => {
                        tracing::error!(container = %self.record.id, %error, "a daemon that is killed now forgets it");
                    }
                    put => put?,
                }
                failpoint::hit(after)?;
            }
            Effect::BringUp(cause) => return self.bring_up(cause, inputs).await,
            Effect::TearDown => self.tear_down().await,
            Effect::Signal(signal) => self.signal(signal).await?,
            Effect::Freeze => {
                let cannot = format!("cannot pause container {}", self.record.id);
                self.ask(Request::Pause).await.map_err(|e| e.context(cannot))?;
                inputs.push_back(Input::Frozen);
            }
            Effect::Thaw => {
                let cannot = format!("Cannot unpause container {}", self.record.id);
                match self.ask(Request::Resume).await {
                    Ok(()) => inputs.push_back(Input::Thawed),
                    // A killed container is thawed by the shim, to die.
                    Err(Error::Shim(failure)) if failure.kind == Kind::Conflict => {
                        inputs.push_back(Input::Thawed);
                    }
                    // Its end is about to be reported.
                    Err(Error::ShimGone(_)) => {}
                    Err(error) => return Err(error.context(cannot)),
                }
            }
            Effect::Limit(request) => self.limit(&request).await?,
            Effect::ArmStop(after) => self.stop_at = Some((deadline(after), self.record.runs)),
            Effect::ArmRestart(after) => self.restart_at = Some((deadline(after), self.record.runs)),
            Effect::Disarm => (self.stop_at, self.restart_at) = (None, None),
            Effect::Emit(note) => self.emit(&note),
            Effect::Ended(exit) => {
                self.show();
                self.waiters.ended(&exit);
            }
            Effect::Discard(volumes) => inputs.push_back(self.discard(volumes).await),
            Effect::Erase => inputs.push_back(self.erase().await),
            Effect::Forget => self.forget()?,
            Effect::RemovalFailed(message) => self.waiters.removal_failed(&self.record, &message),
            Effect::TellNames => self.tell_names().await,
            Effect::ReleaseName(name) => self.core.registry.release(self.record.id, &name),
        }
        Ok(())
    }

    async fn bring_up(&mut self, cause: crate::record::Cause, inputs: &mut VecDeque<Input>) -> Result<()> {
        let named = start::name_networks(&self.core, &mut self.record);
        self.show();
        let attaches = self.waiters.take_attaches();
        let record = self.record.clone();
        let started = match named {
            Ok(()) => self.core.blocking(move |core| start::bring_up(core, &record, attaches)).await,
            Err(error) => Err(error),
        };
        match started {
            Ok((live, started)) => {
                self.record.sandbox = live.sandbox.as_ref().map(|sandbox| sandbox.id);
                self.live = Some(live);
                inputs.push_back(started);
                Ok(())
            }
            Err(error) => {
                let failure = failure(&error);
                tracing::debug!(container = %self.record.id, ?cause, %error, "start failed");
                inputs.push_back(Input::StartFailed(failure));
                Err(error)
            }
        }
    }

    pub(super) async fn tear_down(&mut self) {
        self.core.execs.container_ended(&self.core, &self.record.id);
        start::tear_down(&self.core, &self.record, self.live.take()).await;
    }

    async fn ask(&self, request: Request) -> Result<()> {
        match &self.live {
            Some(live) => live.link.call(request).await.map(drop),
            None => Err(Error::Refused(crate::machine::Refusal::NotRunning(self.record.id))),
        }
    }

    async fn limit(&self, request: &ContainerUpdateRequest) -> Result<()> {
        let resources = spec::changed_limits(request)?;
        if resources == spec::changed_limits(&ContainerUpdateRequest::default())? {
            return Ok(());
        }
        self.ask(Request::Update { resources: Box::new(resources) }).await
    }

    /// Sends a signal. A process that is gone already is no failure: its end is about to be reported.
    async fn signal(&self, signal: i32) -> Result<()> {
        match self.ask(Request::Signal { target: Target::Init, signal, all: false }).await {
            Err(Error::Shim(failure)) if failure.kind == Kind::NotFound => Ok(()),
            Err(Error::ShimGone(_)) => Ok(()),
            Err(error) => Err(error.context(format!("Cannot kill container {}", self.record.id))),
            Ok(()) => Ok(()),
        }
    }

    async fn discard(&self, volumes: Volumes) -> Input {
        self.core.shipping.finish(self.record.id).await;
        let record = self.record.clone();
        let done = self.core.blocking(move |core| start::discard(core, &record, volumes)).await;
        match done {
            Ok(()) => Input::Discarded,
            Err(error) => Input::DiscardFailed { message: error.to_string() },
        }
    }

    /// The container has its new name whether or not others can look it up.
    async fn tell_names(&self) {
        let Some(sandbox) = self.own_sandbox() else { return };
        let record = self.record.clone();
        if let Err(error) = self.core.blocking(move |core| start::tell_anew(core, &record, &sandbox)).await {
            tracing::error!(container = %self.record.id, %error, "its new name could not be told");
        }
    }

    async fn erase(&mut self) -> Input {
        self.core.execs.container_ended(&self.core, &self.record.id);
        self.core.shipping.finish(self.record.id).await;
        match start::erase(&self.core, &self.record, self.live.take()).await {
            Ok(()) => Input::Discarded,
            Err(error) => Input::DiscardFailed { message: error.to_string() },
        }
    }

    fn forget(&mut self) -> Result<()> {
        failpoint::hit("engine.after_forget")?;
        self.core.registry.remove(self.record.id);
        self.core.execs.forget(self.record.id);
        self.waiters.removed(&self.record);
        self.forgotten = true;
        Ok(())
    }

    fn emit(&self, note: &Note) {
        let mut more = BTreeMap::new();
        let action = match note {
            Note::Start => "start",
            Note::Restart => "restart",
            Note::Kill { signal } => {
                more.insert("signal".to_owned(), signal.to_string());
                "kill"
            }
            Note::Die { code, seconds } => {
                more.insert("exitCode".to_owned(), code.to_string());
                more.insert("execDuration".to_owned(), seconds.to_string());
                "die"
            }
            Note::Stop => "stop",
            Note::Oom => "oom",
            Note::Health(status) => match status {
                HealthStatus::Starting => "health_status: starting",
                HealthStatus::Healthy => "health_status: healthy",
                HealthStatus::Unhealthy => "health_status: unhealthy",
            },
            Note::Pause => "pause",
            Note::Unpause => "unpause",
            Note::Destroy => "destroy",
            Note::Update => "update",
            Note::Rename { old } => {
                more.insert("oldName".to_owned(), format!("/{old}"));
                "rename"
            }
        };
        self.core.tell_container(&self.record, action, more);
    }
}

/// The places around the writing of a record, by the state that is written.
const fn record_failpoints(state: &State) -> [&'static str; 2] {
    match state {
        State::Created { .. } => ["engine.before_record_created", "engine.after_record_created"],
        State::Starting { .. } => ["engine.before_record_starting", "engine.after_record_starting"],
        State::Running(_) => ["engine.before_record_running", "engine.after_record_running"],
        State::Paused(_) => ["engine.before_record_paused", "engine.after_record_paused"],
        State::Restarting { .. } => ["engine.before_record_restarting", "engine.after_record_restarting"],
        State::Exited(_) => ["engine.before_record_exited", "engine.after_record_exited"],
        State::Removing { .. } => ["engine.before_record_removing", "engine.after_record_removing"],
        State::Dead { .. } => ["engine.before_record_dead", "engine.after_record_dead"],
    }
}

/// The container's exit code and error after a start that failed.
fn failure(error: &Error) -> Failure {
    let code = match error {
        Error::Start { code, .. } => *code,
        _ => 128,
    };
    let message = error.to_string();
    debug_assert!(error.kind() != Kind::NotModified, "{message}");
    Failure { code, message }
}
