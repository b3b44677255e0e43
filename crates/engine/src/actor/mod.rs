//! One actor a container: it owns the record, asks the machine what an input makes of it, and does the effects.
//!
//! Clients reach it by its [`Handle`]: a bounded mailbox for what changes the container, a snapshot for what only
//! reads. While an effect is being done (a start, a removal), other inputs wait in the mailbox.

mod effects;
mod message;
mod networks;
mod waiters;

pub(crate) use message::{
    AttachGrant, Membership, Message, NetworkChange, Streams, Until, WaitGrant, Waited,
};
pub(crate) use waiters::PendingAttach;

use crate::{
    core::Core,
    error::{Error, Result},
    health::{Monitor, probe_of},
    machine::{Input, step},
    record::{ContainerRecord, Exit, SandboxRecord, State},
    shim_link::ShimLink,
    shipping,
    start::Live,
};
use brig_core::Id;
use jiff::Timestamp;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, OwnedMutexGuard, mpsc, oneshot, watch},
    time::Instant,
};
use waiters::Waiters;

/// How many messages wait for an actor.
const MAILBOX: usize = 64;

/// What readers see of a container: as it was after the last input.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The record.
    pub(crate) record: ContainerRecord,
    /// The sandbox it is in, while it runs.
    pub(crate) sandbox: Option<SandboxRecord>,
    /// The connection to its shim, while it runs.
    pub(crate) link: Option<ShimLink>,
}

/// How others reach an actor.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    id: Id,
    mailbox: mpsc::Sender<Message>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
    still: Arc<Mutex<()>>,
}

impl Handle {
    /// The container's id.
    pub(crate) fn id(&self) -> Id {
        self.id
    }

    /// The container as it is.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.borrow().clone()
    }

    /// The container as it is, to be watched.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshot.clone()
    }

    /// Gives an input and waits until it is done, as far as `until` says.
    pub(crate) async fn act(&self, input: Input, until: Until) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Act { input, until, reply }).await?;
        answer.await.map_err(|_| Error::Gone(self.id))?
    }

    /// Waits until nobody starts or removes the container, or works on its layers, and keeps it from being started or
    /// removed.
    pub(crate) async fn still(&self) -> OwnedMutexGuard<()> {
        self.still.clone().lock_owned().await
    }

    /// Sends a message.
    pub(crate) async fn send(&self, message: Message) -> Result<()> {
        self.mailbox.send(message).await.map_err(|_| Error::Gone(self.id))
    }
}

/// A container's actor.
pub(crate) struct Actor {
    core: Arc<Core>,
    record: ContainerRecord,
    /// What the present run holds, while there is one.
    live: Option<Live>,
    publish: watch::Sender<Arc<Snapshot>>,
    waiters: Waiters,
    /// The health checks of the present run.
    checks: Option<Monitor>,
    /// When a stop turns into a kill, and of which run.
    stop_at: Option<(Instant, u64)>,
    /// When the restart policy starts it again, and after which run.
    restart_at: Option<(Instant, u64)>,
    /// The container is gone; the actor ends.
    forgotten: bool,
    /// Who starts or removes the container, or works on the layers of one that does not run.
    still: Arc<Mutex<()>>,
}

impl Actor {
    /// Starts the actor of a new container, and registers it.
    pub(crate) fn spawn(core: &Arc<Core>, record: ContainerRecord) {
        let _ = Self::spawn_with(core, record, None, Vec::new());
    }

    /// Starts and registers the actor of a container that was there before, and does `inputs` before anything else.
    /// What comes back with the handle is told when they are done.
    pub(crate) fn spawn_with(
        core: &Arc<Core>,
        record: ContainerRecord,
        live: Option<Live>,
        inputs: Vec<Input>,
    ) -> (Handle, oneshot::Receiver<()>) {
        let id = record.id;
        let (mailbox, messages) = mpsc::channel(MAILBOX);
        let (publish, snapshot) = watch::channel(Arc::new(Snapshot {
            record: record.clone(),
            sandbox: live.as_ref().and_then(|live| live.sandbox.clone()),
            link: live.as_ref().map(|live| live.link.clone()),
        }));
        let actor = Self {
            core: core.clone(),
            record,
            live,
            publish,
            waiters: Waiters::default(),
            checks: None,
            stop_at: None,
            restart_at: None,
            forgotten: false,
            still: Arc::default(),
        };
        let (tell, settled) = oneshot::channel();
        let handle = Handle { id, mailbox, snapshot, still: actor.still.clone() };
        // Before the actor does anything: it may be the removal of what is registered here.
        core.registry.insert(handle.clone());
        shipping::begin(core, &handle);
        tokio::spawn(actor.run(messages, inputs, tell));
        (handle, settled)
    }

    async fn run(
        mut self,
        mut messages: mpsc::Receiver<Message>,
        inputs: Vec<Input>,
        settled: oneshot::Sender<()>,
    ) {
        for input in inputs {
            self.observe(input).await;
        }
        self.mind_health();
        // Nobody has to wait for it.
        let _ = settled.send(());
        while !self.forgotten {
            let timer = self.next_timer();
            tokio::select! {
                message = messages.recv() => match message {
                    Some(message) => self.receive(message).await,
                    // The registry and all callers are gone: the daemon ends.
                    None => return,
                },
                report = told(&self.core, self.live.as_ref()) => self.shim_told(report).await,
                input = fire(timer) => self.timer_fired(input).await,
            }
        }
    }

    async fn receive(&mut self, message: Message) {
        match message {
            Message::Act { input, until, reply } => {
                let done = self.take(input).await;
                match done {
                    // One that is gone by now has nothing more to tell.
                    Ok(()) if !self.forgotten && self.waiters.must_wait(until, &self.record) => {
                        self.waiters.add_command(until, reply);
                    }
                    // The caller may have gone away.
                    done => drop(reply.send(done)),
                }
            }
            Message::Report(input) => self.observe(input).await,
            Message::Member { container, change } => self.change_member(container, change),
            Message::Network { change, reply } => {
                // The caller may have gone away.
                let _ = reply.send(self.change_network(change).await);
            }
            Message::Wait { condition, reply } => {
                // The caller may have gone away.
                let _ = reply.send(self.waiters.grant(condition, &self.record));
            }
            Message::Attach { streams, reply } => {
                let grant = match &self.live {
                    Some(live) => AttachGrant::Now(live.link.dir().to_path_buf()),
                    None => AttachGrant::WhenStarted(self.waiters.add_attach(streams)),
                };
                // The caller may have gone away.
                let _ = reply.send(grant);
            }
        }
    }

    /// Notes who else is in the sandbox, which is this container's.
    fn change_member(&mut self, container: Id, change: Membership) {
        let own = self.record.id;
        let sandbox = self.live.as_mut().and_then(|live| live.sandbox.as_mut());
        // It may have ended since: then there is nothing to be in.
        let Some(sandbox) = sandbox.filter(|sandbox| sandbox.owner == own) else { return };
        sandbox.members.retain(|member| *member != container);
        if change == Membership::Joined {
            sandbox.members.push(container);
        }
        if let Err(error) = self.core.put_sandbox(sandbox) {
            tracing::error!(container = %own, %error, "the sandbox's record could not be written");
        }
        self.show();
    }

    /// Does what a report of the world makes of the container. What fails has been logged: nobody waits for it.
    async fn observe(&mut self, input: Input) {
        let _ = self.take(input).await;
    }

    /// Takes an input: asks the machine, does the effects, and takes what they report in turn.
    ///
    /// The first error is the answer: the machine's refusal, or what an effect failed of.
    async fn take(&mut self, input: Input) -> Result<()> {
        let mut inputs = VecDeque::from([input]);
        let mut outcome = Ok(());
        // Held until what came of it is shown.
        let mut still = None;
        while let Some(input) = inputs.pop_front() {
            let from_client = input.is_from_client();
            let stepped = match step(&self.record, input, Timestamp::now()) {
                Ok(stepped) => stepped,
                Err(refusal) => {
                    outcome = outcome.and(Err(refusal.into()));
                    continue;
                }
            };
            let before = std::mem::replace(&mut self.record, stepped.record);
            for (number, effect) in stepped.effects.into_iter().enumerate() {
                let name = effect.name();
                if effect.changes_layers() && still.is_none() {
                    still = Some(self.still.clone().lock_owned().await);
                }
                let Err(error) = self.perform(effect, &mut inputs).await else { continue };
                if !from_client {
                    // What the world reports is so, whatever fails of writing it down or cleaning up after it.
                    tracing::error!(container = %self.record.id, effect = name, %error, "after a change");
                    outcome = outcome.and(Err(error));
                    continue;
                }
                outcome = outcome.and(Err(error));
                if number == 0 {
                    // Nothing was done of what the client asked for, and nothing reports what came of it.
                    if inputs.is_empty() {
                        self.record = before.clone();
                    }
                }
                break;
            }
            if before != self.record {
                self.show();
                self.mind_health();
            }
        }
        self.waiters.settle(&self.record, outcome.as_ref().err());
        outcome
    }

    /// Begins or ends health checks: a container is checked while it runs and is not frozen.
    fn mind_health(&mut self) {
        if !matches!(self.record.state, State::Running(_)) {
            self.checks = None;
        } else if self.checks.is_none()
            && self.record.health.is_some()
            && let Some(probe) = probe_of(&self.record)
            && let Some(handle) = self.core.registry.get(&self.record.id)
        {
            self.checks = Some(Monitor::start(&self.core, handle, probe));
        }
    }

    /// Shows the container as it is to readers.
    fn show(&self) {
        self.publish.send_replace(Arc::new(Snapshot {
            record: self.record.clone(),
            sandbox: self.live.as_ref().and_then(|live| live.sandbox.clone()),
            link: self.live.as_ref().map(|live| live.link.clone()),
        }));
    }

    /// The shim has told something, or hung up.
    async fn shim_told(&mut self, report: Report) {
        match report {
            Report::OutOfMemory => {
                if let Some(live) = &mut self.live {
                    live.oom_seen = true;
                }
                self.observe(Input::OutOfMemory).await;
            }
            Report::Exited(exit) => {
                if exit.oom_killed && self.live.as_ref().is_some_and(|live| !live.oom_seen) {
                    // Both came at once, where its first process was the one.
                    self.observe(Input::OutOfMemory).await;
                }
                let input = Input::Exited {
                    code: exit.code,
                    oom_killed: exit.oom_killed,
                    error: exit.error.unwrap_or_default(),
                    at: timestamp(exit.exited_at),
                };
                self.observe(input).await;
            }
            Report::Lost => {
                let input = match &self.live {
                    Some(live) => crate::reconcile::after_lost_shim(&self.core, &self.record, live).await,
                    None => return,
                };
                self.observe(input).await;
            }
        }
        if self.record.state.run().is_none() {
            // The machine had no use for the report; what the run held goes all the same.
            if self.live.is_some() {
                self.tear_down().await;
            }
        }
    }

    fn next_timer(&self) -> Option<(Instant, Input)> {
        let stop = self.stop_at.map(|(at, run)| (at, Input::StopExpired { run }));
        let restart = self.restart_at.map(|(at, run)| (at, Input::RestartDue { run }));
        [stop, restart].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    async fn timer_fired(&mut self, input: Input) {
        match input {
            Input::StopExpired { .. } => self.stop_at = None,
            _ => self.restart_at = None,
        }
        if matches!(input, Input::RestartDue { .. }) && self.core.check_open().is_err() {
            // The next daemon starts it again.
            return;
        }
        self.observe(input).await;
    }
}

/// What a shim reports of its container.
enum Report {
    OutOfMemory,
    Exited(brig_shim::protocol::ExitRecord),
    Lost,
}

/// The next report of the run's shim; never, while there is no run.
async fn told(core: &Core, live: Option<&Live>) -> Report {
    let Some(live) = live else { return std::future::pending().await };
    let mut told = live.told.clone();
    loop {
        let seen = told.borrow_and_update().clone();
        if let Some(exit) = seen.exit {
            return Report::Exited(exit);
        }
        if seen.closed && core.check_open().is_ok() {
            return Report::Lost;
        }
        if seen.oom && !live.oom_seen {
            return Report::OutOfMemory;
        }
        if told.changed().await.is_err() {
            // The task of the connection was dropped: the daemon ends, and the container goes on without it. What
            // a connection that closed means is for the next daemon to find out.
            return std::future::pending().await;
        }
    }
}

async fn fire(timer: Option<(Instant, Input)>) -> Input {
    match timer {
        Some((at, input)) => {
            tokio::time::sleep_until(at).await;
            input
        }
        None => std::future::pending().await,
    }
}

/// A shim's time.
pub(crate) fn timestamp(nanos: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// When a timer of that length ends; as good as never when it is longer than clocks go.
fn deadline(after: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(after).unwrap_or_else(|| now + Duration::from_secs(86_400 * 365 * 30))
}

/// What is waited for with the code to answer.
fn code_of(exit: Option<&Exit>) -> i32 {
    exit.map_or(0, |exit| exit.code)
}
