//! The transition function.

use super::{
    Effect, Input, Note, Probe, Refusal, Restart, Step, StopOrder, Verdict, effect::DurabilityOf, health,
};
use crate::host_config;
use crate::record::{
    After, Cause, ContainerRecord, Ended, Exit, Failure, HealthStatus, MountOrigin, Run, State, Volumes,
};
use brig_api::{ContainerUpdateRequest, HealthcheckResult};
use jiff::Timestamp;
use std::sync::Arc;

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// What an input makes of a container at `now`. Pure: nothing is done here, and the same arguments give the
/// same answer.
///
/// # Errors
/// When a client asks for what the present state excludes; nothing has changed then. What the world reports
/// is never refused: a report that fits no more (a timer of an earlier run, a second exit) changes nothing.
pub fn step(record: &ContainerRecord, input: Input, now: Timestamp) -> Result<Step, Refusal> {
    let mut machine = Machine { record: record.clone(), effects: Vec::new(), now };
    machine.take(input)?;
    Ok(Step { record: machine.record, effects: machine.effects })
}

struct Machine {
    record: ContainerRecord,
    effects: Vec<Effect>,
    now: Timestamp,
}

impl Machine {
    fn take(&mut self, input: Input) -> Result<(), Refusal> {
        match input {
            Input::Start => self.start(),
            Input::Stop(order) => self.stop(order),
            Input::Restart(order) => self.restart(order),
            Input::Kill { signal } => self.kill(signal),
            Input::Pause => self.pause(),
            Input::Unpause => self.unpause(),
            Input::Remove { force, volumes } => self.remove(force, volumes),
            Input::Rename { name } => self.rename(name),
            Input::Update(request) => self.update(request),
            report => {
                self.observe(report);
                Ok(())
            }
        }
    }

    fn observe(&mut self, report: Input) {
        match report {
            Input::Shutdown(order) => self.shut_down(order),
            Input::Boot => self.boot(),
            Input::Started { pid, start_time, at } => self.started(pid, start_time, at),
            Input::StartFailed(failure) => self.start_failed(failure),
            Input::Exited { code, oom_killed, error, at } => self.exited(code, oom_killed, error, at),
            Input::OutOfMemory => self.out_of_memory(),
            Input::Frozen => self.frozen(),
            Input::Thawed => self.thawed(),
            Input::Checked { run, number, result } => self.checked(run, number, result),
            Input::StopExpired { run } => self.stop_expired(run),
            Input::RestartDue { run } => self.restart_due(run),
            Input::Discarded => self.discarded(),
            Input::DiscardFailed { message } => self.discard_failed(message),
            Input::Start
            | Input::Stop(_)
            | Input::Restart(_)
            | Input::Kill { .. }
            | Input::Pause
            | Input::Unpause
            | Input::Remove { .. }
            | Input::Rename { .. }
            | Input::Update(_) => {}
        }
    }

    fn go(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn persist(&mut self) {
        self.go(Effect::Persist(DurabilityOf::Run));
    }

    fn persist_wish(&mut self) {
        self.go(Effect::Persist(DurabilityOf::Wish));
    }

    fn start(&mut self) -> Result<(), Refusal> {
        match &self.record.state {
            State::Created { .. } | State::Exited(_) => {
                self.record.restart_count = 0;
                self.record.backoff_ms = 0;
                self.begin(Cause::User);
                Ok(())
            }
            State::Starting { .. } | State::Running(_) | State::Restarting { .. } => {
                Err(Refusal::AlreadyRunning)
            }
            State::Paused(_) => Err(Refusal::StartPaused),
            State::Removing { .. } | State::Dead { .. } => Err(Refusal::MarkedForRemoval),
        }
    }

    fn begin(&mut self, cause: Cause) {
        let previous = self.record.state.exit().cloned();
        self.record.state = State::Starting { cause, previous };
        self.record.runs += 1;
        self.go(Effect::BringUp(cause));
    }

    fn started(&mut self, pid: i32, start_time: u64, at: Timestamp) {
        let State::Starting { cause, .. } = &self.record.state else { return };
        let cause = *cause;
        self.record.state =
            State::Running(Run { pid, start_time, started_at: at, oom_killed: false, after: After::Policy });
        if Probe::is_in(&self.record.config) {
            self.record.health = Some(Arc::new(health::begin(self.record.health.as_deref())));
        }
        self.persist();
        self.go(Effect::Emit(Note::Start));
        if cause == Cause::Restart {
            self.go(Effect::Emit(Note::Restart));
        }
    }

    fn start_failed(&mut self, failure: Failure) {
        let State::Starting { previous, .. } = &self.record.state else { return };
        self.record.state = match previous.clone() {
            None => State::Created { failure: Some(failure) },
            Some(exit) => State::Exited(Exit { code: failure.code, error: failure.message, ..exit }),
        };
        if self.record.host_config.auto_remove {
            self.begin_removal(Volumes::Remove);
        } else {
            self.persist();
        }
    }

    fn stop(&mut self, order: StopOrder) -> Result<(), Refusal> {
        match &self.record.state {
            State::Running(_) | State::Paused(_) => self.end_run(order, After::Stop),
            State::Restarting { .. } => {
                self.stay();
                self.go(Effect::Emit(Note::Stop));
            }
            State::Created { .. }
            | State::Starting { .. }
            | State::Exited(_)
            | State::Removing { .. }
            | State::Dead { .. } => return Err(Refusal::AlreadyStopped),
        }
        Ok(())
    }

    fn restart(&mut self, order: StopOrder) -> Result<(), Refusal> {
        match &self.record.state {
            State::Running(_) | State::Paused(_) => self.end_run(order, After::Restart),
            State::Created { .. } | State::Exited(_) | State::Restarting { .. } => {
                self.go(Effect::Disarm);
                self.record.restart_count = 0;
                self.record.backoff_ms = 0;
                self.begin(Cause::Restart);
            }
            State::Starting { .. } => return Err(Refusal::AlreadyRunning),
            State::Removing { .. } | State::Dead { .. } => return Err(Refusal::MarkedForRemoval),
        }
        Ok(())
    }

    fn shut_down(&mut self, order: StopOrder) {
        match &self.record.state {
            State::Running(_) | State::Paused(_) => self.end_run(order, After::Shutdown),
            // What waits for its policy is started again when the daemon is back.
            State::Restarting { .. } => self.go(Effect::Disarm),
            _ => {}
        }
    }

    /// Sends the stop signal, lets a frozen container hear it, and sets the timer for SIGKILL.
    fn end_run(&mut self, order: StopOrder, after: After) {
        self.mark(after);
        self.persist_wish();
        self.signal(order.signal);
        if matches!(self.record.state, State::Paused(_)) {
            self.go(Effect::Thaw);
        }
        if order.signal != SIGKILL
            && let Some(timeout) = order.timeout
        {
            self.go(Effect::ArmStop(timeout));
        }
    }

    /// Notes what is to happen when the run ends. A weaker wish does not replace a stronger one: nothing cancels
    /// a forced removal, and a bare signal or the daemon's end no stop that a client asked for.
    fn mark(&mut self, wish: After) {
        let (State::Running(run) | State::Paused(run)) = &mut self.record.state else { return };
        let replaces = match (run.after, wish) {
            (After::Remove(_), _) => false,
            (_, After::Stop | After::Restart | After::Remove(_)) => true,
            (before, After::Kill) => matches!(before, After::Policy | After::Shutdown),
            (before, After::Shutdown) => matches!(before, After::Policy | After::Restart),
            (_, After::Policy) => false,
        };
        if replaces {
            run.after = wish;
        }
    }

    fn signal(&mut self, signal: i32) {
        self.go(Effect::Signal(signal));
        self.go(Effect::Emit(Note::Kill { signal }));
    }

    fn stop_expired(&mut self, run: u64) {
        if run == self.record.runs && self.record.state.run().is_some() {
            self.signal(SIGKILL);
            if matches!(self.record.state, State::Paused(_)) {
                self.go(Effect::Thaw);
            }
        }
    }

    fn kill(&mut self, signal: i32) -> Result<(), Refusal> {
        match &self.record.state {
            State::Running(_) | State::Paused(_) => {
                let ends = signal == SIGKILL || signal == stop_signal(&self.record);
                if ends {
                    self.mark(After::Kill);
                    self.persist_wish();
                }
                self.signal(signal);
                if ends && matches!(self.record.state, State::Paused(_)) {
                    self.go(Effect::Thaw);
                }
                Ok(())
            }
            State::Restarting { .. } => {
                self.stay();
                Ok(())
            }
            _ => Err(Refusal::NotRunning(self.record.id)),
        }
    }

    /// From waiting for the policy to ended by a client.
    fn stay(&mut self) {
        let State::Restarting { exit, .. } = &self.record.state else { return };
        let exit = Exit { ended: Ended::ByUser, ..exit.clone() };
        self.record.state = State::Exited(exit.clone());
        self.go(Effect::Disarm);
        self.persist_wish();
        self.go(Effect::Ended(exit));
        if self.record.host_config.auto_remove {
            self.begin_removal(Volumes::Remove);
        }
    }

    fn pause(&mut self) -> Result<(), Refusal> {
        match &self.record.state {
            State::Running(_) => {
                self.go(Effect::Freeze);
                Ok(())
            }
            State::Paused(_) => Err(Refusal::AlreadyPaused(self.record.id)),
            State::Restarting { .. } => Err(Refusal::Restarting(self.record.id)),
            _ => Err(Refusal::NotRunning(self.record.id)),
        }
    }

    fn unpause(&mut self) -> Result<(), Refusal> {
        match &self.record.state {
            State::Paused(_) => {
                self.go(Effect::Thaw);
                Ok(())
            }
            _ => Err(Refusal::NotPaused(self.record.id)),
        }
    }

    fn frozen(&mut self) {
        if let State::Running(run) = &self.record.state {
            self.record.state = State::Paused(run.clone());
            self.persist();
            self.go(Effect::Emit(Note::Pause));
        }
    }

    fn thawed(&mut self) {
        if let State::Paused(run) = &self.record.state {
            self.record.state = State::Running(run.clone());
            self.persist();
            self.go(Effect::Emit(Note::Unpause));
        }
    }

    fn out_of_memory(&mut self) {
        if let State::Running(run) | State::Paused(run) = &mut self.record.state {
            run.oom_killed = true;
            self.persist();
            self.go(Effect::Emit(Note::Oom));
        }
    }

    fn checked(&mut self, run: u64, number: u64, result: Arc<HealthcheckResult>) {
        let started = self.record.state.run().map(|run| run.started_at);
        let (Some(started), Some(before), Some(config)) =
            (started, &self.record.health, &self.record.config.healthcheck)
        else {
            return;
        };
        if run != self.record.runs {
            return;
        }
        let was = before.status;
        let after = health::after(before, config, started, number, result);
        let is = after.status;
        self.record.health = Some(Arc::new(after));
        self.persist();
        if is == was {
            return;
        }
        self.go(Effect::Emit(Note::Health(is)));
        if is == HealthStatus::Unhealthy && health::restarts(&self.record.config) {
            let timeout = health::stop_timeout(&self.record.config);
            self.end_run(StopOrder { signal: stop_signal(&self.record), timeout }, After::Restart);
        }
    }

    fn exited(&mut self, code: i32, oom_killed: bool, error: String, at: Timestamp) {
        let run = match &self.record.state {
            State::Running(run) | State::Paused(run) => run.clone(),
            // The daemon died between the start and its commit: the run is known by its end only.
            State::Starting { .. } => {
                Run { pid: 0, start_time: 0, started_at: at, oom_killed, after: After::Policy }
            }
            // A second report of the same end.
            _ => return,
        };
        let ended = match run.after {
            After::Policy | After::Shutdown => Ended::ByItself,
            After::Stop | After::Kill | After::Restart | After::Remove(_) => Ended::ByUser,
        };
        let exit = Exit {
            code,
            oom_killed: oom_killed || run.oom_killed,
            error,
            started_at: run.started_at,
            finished_at: at,
            ended,
        };
        self.record.last_finished = Some(at);
        self.record.sandbox = None;
        self.record.health = self.record.health.take().map(|health| Arc::new(health::end(&health)));
        self.go(Effect::Disarm);
        self.settle(exit, run.after);
    }

    /// Decides what follows the end of a run. The record is written before the tear-down, which removes the
    /// shim's own note of the exit.
    fn settle(&mut self, exit: Exit, after: After) {
        let seconds = exit.finished_at.duration_since(exit.started_at).as_secs();
        let die = Effect::Emit(Note::Die { code: exit.code, seconds });
        match after {
            After::Restart => {
                self.record.state = State::Exited(exit.clone());
                self.persist();
                self.go(Effect::TearDown);
                self.go(die);
                self.go(Effect::Emit(Note::Stop));
                self.go(Effect::Ended(exit));
                self.record.restart_count = 0;
                self.record.backoff_ms = 0;
                self.begin(Cause::Restart);
                return;
            }
            After::Remove(volumes) => {
                self.record.state = State::Removing { exit: Some(exit.clone()), volumes };
            }
            After::Policy | After::Stop | After::Kill | After::Shutdown => {
                match Restart::of(&self.record).after_exit(&self.record, &exit, after) {
                    Verdict::Again(wait) => {
                        self.record.restart_count += 1;
                        self.record.backoff_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                        let due = self.now.checked_add(wait).unwrap_or(self.now);
                        self.record.state = State::Restarting { exit: exit.clone(), due };
                        self.persist();
                        self.go(Effect::TearDown);
                        self.go(die);
                        self.go(Effect::Ended(exit));
                        self.go(Effect::ArmRestart(wait));
                        return;
                    }
                    Verdict::Stay if self.record.host_config.auto_remove => {
                        let volumes = Volumes::Remove;
                        self.record.state = State::Removing { exit: Some(exit.clone()), volumes };
                    }
                    Verdict::Stay => self.record.state = State::Exited(exit.clone()),
                }
            }
        }
        let removed = match self.record.state {
            State::Removing { volumes, .. } => Some(volumes),
            _ => None,
        };
        // What the end of the run leaves is known from the shim's own note of it: where nothing but files goes with the
        // container, the removal of its record is the only step there is.
        let at_once = removed.is_some_and(|volumes| !self.has_to_remove(volumes));
        if at_once {
            self.go(Effect::Erase);
        } else {
            self.persist();
            self.go(Effect::TearDown);
        }
        self.go(die);
        if after == After::Stop {
            self.go(Effect::Emit(Note::Stop));
        }
        self.go(Effect::Ended(exit));
        if let Some(volumes) = removed.filter(|_| !at_once) {
            self.go(Effect::Discard(volumes));
        }
    }

    /// Whether there are volumes that go with the container.
    fn has_to_remove(&self, volumes: Volumes) -> bool {
        let mut mounts = self.record.mounts.iter();
        volumes == Volumes::Remove && mounts.any(|mount| mount.origin == MountOrigin::Anonymous)
    }

    fn restart_due(&mut self, run: u64) {
        if run == self.record.runs && matches!(self.record.state, State::Restarting { .. }) {
            self.begin(Cause::Policy);
        }
    }

    fn boot(&mut self) {
        let again = match &self.record.state {
            State::Restarting { .. } => true,
            State::Exited(exit) => Restart::of(&self.record).at_boot(&self.record, exit),
            State::Removing { volumes, .. } => {
                let volumes = *volumes;
                self.go(Effect::Discard(volumes));
                return;
            }
            _ => false,
        };
        if again {
            self.begin(Cause::Policy);
        } else if matches!(self.record.state, State::Exited(_)) && self.record.host_config.auto_remove {
            self.begin_removal(Volumes::Remove);
        }
    }

    fn remove(&mut self, force: bool, volumes: Volumes) -> Result<(), Refusal> {
        match &self.record.state {
            State::Created { .. } | State::Exited(_) | State::Dead { .. } => self.begin_removal(volumes),
            State::Paused(_) if !force => return Err(Refusal::RemovePaused),
            State::Running(_) | State::Starting { .. } | State::Restarting { .. } if !force => {
                return Err(Refusal::RemoveRunning(self.record.state.status()));
            }
            State::Running(_) | State::Paused(_) => {
                self.end_run(StopOrder { signal: SIGKILL, timeout: None }, After::Remove(volumes));
            }
            State::Restarting { .. } | State::Starting { .. } => {
                self.go(Effect::Disarm);
                self.begin_removal(volumes);
            }
            State::Removing { .. } => {
                return Err(Refusal::RemovalInProgress(self.record.name.clone()));
            }
        }
        Ok(())
    }

    fn begin_removal(&mut self, volumes: Volumes) {
        let exit = self.record.state.exit().cloned();
        self.record.state = State::Removing { exit, volumes };
        self.persist_wish();
        self.go(Effect::Discard(volumes));
    }

    fn discarded(&mut self) {
        if matches!(self.record.state, State::Removing { .. }) {
            // Before `Forget`, which ends the actor: those who wait for the removal may look for the event.
            self.go(Effect::Emit(Note::Destroy));
            self.go(Effect::Forget);
        }
    }

    fn discard_failed(&mut self, message: String) {
        if let State::Removing { exit, .. } = &self.record.state {
            self.record.state = State::Dead { exit: exit.clone(), message: message.clone() };
            self.persist();
            self.go(Effect::RemovalFailed(message));
        }
    }

    fn update(&mut self, request: Box<ContainerUpdateRequest>) -> Result<(), Refusal> {
        if matches!(self.record.state, State::Removing { .. } | State::Dead { .. }) {
            return Err(Refusal::UpdateRemoved);
        }
        let merged = host_config::merge(&self.record.host_config, &request);
        self.record.host_config = Arc::new(merged.map_err(Refusal::Contradiction)?);
        if let Some(labels) = &request.labels {
            let all = Arc::make_mut(&mut self.record.config).labels.get_or_insert_default();
            for (name, value) in labels {
                match value {
                    Some(value) => drop(all.insert(name.clone(), value.clone())),
                    None => drop(all.remove(name)),
                }
            }
        }
        if self.record.state.run().is_some() {
            // First: what the kernel refuses is not kept.
            self.go(Effect::Limit(request));
        }
        self.go(Effect::Persist(DurabilityOf::Intent));
        self.go(Effect::Emit(Note::Update));
        Ok(())
    }

    fn rename(&mut self, name: String) -> Result<(), Refusal> {
        if matches!(self.record.state, State::Removing { .. }) {
            return Err(Refusal::RemovalInProgress(self.record.name.clone()));
        }
        let old = std::mem::replace(&mut self.record.name, name);
        self.go(Effect::Persist(DurabilityOf::Intent));
        self.go(Effect::ReleaseName(old.clone()));
        if self.record.state.run().is_some() {
            self.go(Effect::TellNames);
        }
        self.go(Effect::Emit(Note::Rename { old }));
        Ok(())
    }
}

/// The signal that asks the container to stop.
fn stop_signal(record: &ContainerRecord) -> i32 {
    brig_core::signal::parse(&record.config.stop_signal).unwrap_or(SIGTERM)
}
