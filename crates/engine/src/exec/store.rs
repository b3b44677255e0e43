//! The execs of all containers.

use crate::{
    carry::DetachKeys,
    core::Core,
    error::{Error, Result},
    record::ContainerRecord,
};
use brig_api::ExecCreateRequest;
use brig_core::Id;
use brig_shim::protocol::{ExecState, ExecStatus};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// How many execs of a container are remembered after they have ended.
const REMEMBERED: usize = 64;

/// What an exec does. States exclude one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Made.
    Created,
    /// A client starts it.
    Starting,
    /// Its process runs.
    Running {
        /// The process on the host.
        pid: i32,
    },
    /// Its process has ended, or could not be started.
    Ended {
        /// The exit code.
        code: i32,
    },
}

/// One exec.
#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) id: Id,
    pub(crate) container: Id,
    /// When it was made, in order.
    pub(crate) number: u64,
    pub(crate) request: ExecCreateRequest,
    pub(crate) keys: DetachKeys,
    pub(crate) phase: watch::Sender<Phase>,
}

impl Exec {
    /// The command as events show it: the program, a blank, the arguments.
    pub(crate) fn command(&self) -> String {
        let command = self.request.cmd.as_deref().unwrap_or_default();
        let (program, arguments) = command.split_first().map_or(("", &[][..]), |(p, a)| (p.as_str(), a));
        format!("{program} {}", arguments.join(" "))
    }

    /// What it does now.
    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// How it ended; `None` while it has not.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        match self.phase() {
            Phase::Ended { code } => Some(code),
            _ => None,
        }
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&self) {
        let mut phase = self.phase.subscribe();
        // The sender is in self: it does not go away before us.
        let _ = phase.wait_for(|phase| matches!(phase, Phase::Ended { .. })).await;
    }

    /// Marks it as being started.
    pub(crate) fn claim(&self) -> Result<()> {
        let mut before = Phase::Created;
        let claimed = self.phase.send_if_modified(|phase| {
            before = *phase;
            let free = *phase == Phase::Created;
            if free {
                *phase = Phase::Starting;
            }
            free
        });
        match (claimed, before) {
            (true, _) => Ok(()),
            (false, Phase::Ended { .. }) => Err(Error::ExecDone(self.id)),
            (false, _) => Err(Error::ExecRunning(self.id)),
        }
    }

    /// Its process runs; one that has ended already stays ended.
    pub(crate) fn started(&self, pid: i32) {
        self.phase.send_if_modified(|phase| {
            let starting = *phase == Phase::Starting;
            if starting {
                *phase = Phase::Running { pid };
            }
            starting
        });
    }

    /// Its process has ended; true for the first to tell.
    pub(crate) fn end(&self, code: i32) -> bool {
        self.phase.send_if_modified(|phase| {
            let alive = !matches!(phase, Phase::Ended { .. });
            if alive {
                *phase = Phase::Ended { code };
            }
            alive
        })
    }
}

/// The execs of all containers.
#[derive(Debug, Default)]
pub(crate) struct Execs {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    next: u64,
    by_id: BTreeMap<String, Arc<Exec>>,
    by_container: HashMap<Id, Vec<Arc<Exec>>>,
}

impl Execs {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an exec.
    pub(crate) fn add(&self, container: Id, request: ExecCreateRequest, keys: DetachKeys) -> Arc<Exec> {
        self.insert(Id::random(), container, request, keys, Phase::Created)
    }

    /// Makes one with an id that is known beforehand.
    pub(crate) fn add_as(&self, id: Id, container: Id, request: ExecCreateRequest) -> Arc<Exec> {
        self.insert(id, container, request, DetachKeys::default(), Phase::Created)
    }

    fn insert(
        &self,
        id: Id,
        container: Id,
        request: ExecCreateRequest,
        keys: DetachKeys,
        phase: Phase,
    ) -> Arc<Exec> {
        let mut tables = self.tables();
        tables.next += 1;
        let number = tables.next;
        let exec = Arc::new(Exec { id, container, number, request, keys, phase: watch::Sender::new(phase) });
        tables.by_id.insert(id.to_string(), exec.clone());
        let of_container = tables.by_container.entry(container).or_default();
        of_container.push(exec.clone());
        let ended: Vec<Arc<Exec>> =
            of_container.iter().filter(|e| matches!(e.phase(), Phase::Ended { .. })).cloned().collect();
        let surplus = ended.len().saturating_sub(REMEMBERED);
        let dropped = &ended[..surplus];
        of_container.retain(|e| dropped.iter().all(|d| d.number != e.number));
        for old in dropped {
            tables.by_id.remove(&old.id.to_string());
        }
        exec
    }

    /// The exec with this id, or a prefix that fits one.
    pub(crate) fn get(&self, id: &str) -> Result<Arc<Exec>> {
        let tables = self.tables();
        tables.by_id.get(id).cloned().ok_or_else(|| Error::NoSuchExec(id.to_owned()))
    }

    /// Ids of a container's execs that have not ended, in the order in which they were made.
    pub(crate) fn living(&self, container: &Id) -> Vec<String> {
        let tables = self.tables();
        let all = tables.by_container.get(container).into_iter().flatten();
        all.filter(|e| !matches!(e.phase(), Phase::Ended { .. })).map(|e| e.id.to_string()).collect()
    }

    /// The shim tells that an exec has ended.
    pub(crate) fn ended(&self, core: &Core, id: Id, code: i32) {
        let Ok(exec) = self.get(&id.to_string()) else { return };
        self.end(core, &exec, code);
    }

    /// An exec has ended, or could not be started.
    pub(crate) fn end(&self, core: &Core, exec: &Exec, code: i32) {
        if !exec.end(code) {
            return;
        }
        if let Some(handle) = core.registry.get(&exec.container) {
            let more = BTreeMap::from([
                ("execID".to_owned(), exec.id.to_string()),
                ("exitCode".to_owned(), code.to_string()),
            ]);
            core.tell_container(&handle.snapshot().record, "exec_die", more);
        }
    }

    /// The container's run has ended: so have its execs.
    pub(crate) fn container_ended(&self, core: &Core, container: &Id) {
        let alive: Vec<Arc<Exec>> = {
            let tables = self.tables();
            tables.by_container.get(container).into_iter().flatten().cloned().collect()
        };
        for exec in alive {
            match exec.phase() {
                Phase::Starting | Phase::Running { .. } => self.end(core, &exec, 137),
                // Never started: it can't be any more.
                Phase::Created => {
                    exec.end(137);
                }
                Phase::Ended { .. } => {}
            }
        }
    }

    /// The container is gone: so are its execs.
    pub(crate) fn forget(&self, container: Id) {
        let mut tables = self.tables();
        for exec in tables.by_container.remove(&container).unwrap_or_default() {
            tables.by_id.remove(&exec.id.to_string());
        }
    }

    /// Takes over what an earlier daemon made, of which only the shim knows now.
    pub(crate) fn adopt(&self, record: &ContainerRecord, states: &[ExecState]) {
        for state in states {
            let phase = match state.status {
                ExecStatus::Created => Phase::Created,
                ExecStatus::Running { pid } => Phase::Running { pid },
                ExecStatus::Exited { code } => Phase::Ended { code },
            };
            let request = ExecCreateRequest::default();
            self.insert(state.id, record.id, request, DetachKeys::default(), phase);
        }
    }
}
