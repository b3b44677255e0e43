//! Starting the container and processes in it, and what memory running out means.

use super::{
    ClientKey, ProcessKey, Shim,
    container::{conflict, failed, runtime_failure},
    create::console_size,
    poller::Watched,
    process::{Life, Process},
    stdio::{self, Ends},
};
use crate::protocol::{
    Event, ExecConfig, ExecState, ExecStatus, ExitRecord, Failure, Reply, ShimState, Status, Target,
};
use brig_core::{Id, Kind};
use brig_logs::timestamp;
use brig_runtime::{ExecOptions, ExecTarget, Stdio};
use std::os::fd::AsFd;

/// Execs that may be registered or alive at once.
const MAX_EXECS: usize = 512;

impl Shim {
    /// Lets the container's command go. When it can't be executed, the container is undone and the shim ends.
    pub(super) fn start(&mut self, asked_by: ClientKey) -> Result<Reply, Failure> {
        let Some(created) = self.container.created.take() else {
            return Err(conflict(format!("container {} is already started", self.container.state.id)));
        };
        let pid = created.pid();
        match created.start() {
            Ok(running) => {
                self.container.seccomp = running.seccomp;
                self.container.running_cgroup = running.cgroup;
                let at = timestamp::now();
                self.container.state.started_at = Some(at);
                self.container.state.status = Status::Running;
                self.state_unwritten = true;
                // Who asked has the answer.
                self.push_but(Event::Started { pid, at }, Some(asked_by));
                Ok(Reply::Started { pid, at })
            }
            Err(error) => {
                let failure = runtime_failure(&error);
                self.not_started(&failure);
                Err(failure)
            }
        }
    }

    /// Who asked for the container is gone. One that was not started yet is killed: a daemon that comes later
    /// makes its containers anew, and may not find this one in time.
    pub(super) fn creator_left(&mut self) {
        if self.container.created.is_some() {
            // It fails when the process is gone already, whose end is noticed by itself.
            let _ = self.signal(Target::Init, libc::SIGKILL, false);
        }
    }

    /// The runtime has killed, reaped and undone the container. A daemon that misses the answer finds the record.
    fn not_started(&mut self, failure: &Failure) {
        let record = ExitRecord {
            code: failure.exec_exit_code.unwrap_or(128),
            signal: None,
            oom_killed: false,
            exited_at: timestamp::now(),
            error: Some(failure.message.clone()),
        };
        if let Some(process) = self.processes.get_mut(&super::INIT)
            && let Life::Alive { pidfd, .. } = &mut process.life
        {
            self.poller.forget(pidfd);
        }
        self.finish_init(super::process::End { code: record.code, signal: None });
        self.not_started = Some(record);
    }

    /// Writes the state of a container that was just started, which need not wait for that: it is looked at only when
    /// the shim does not live any more. Nothing else comes before it.
    pub(super) fn write_late_state(&mut self) {
        if std::mem::take(&mut self.state_unwritten) {
            self.set_status(self.container.state.status);
        }
    }

    /// Changes the state that clients and a later daemon see.
    pub(super) fn set_status(&mut self, status: Status) {
        self.container.state.status = status;
        if let Err(error) = self.records.write_state(&self.container.state) {
            self.push(Event::Warning { message: format!("write shim state: {error}") });
        }
    }

    /// The present state with all execs.
    pub(super) fn state(&self) -> ShimState {
        let alive =
            self.processes.values().filter_map(|p| Some(ExecState { id: p.exec?, status: p.status() }));
        let ended = self
            .finished
            .iter()
            .map(|(id, code)| ExecState { id: *id, status: ExecStatus::Exited { code: *code } });
        ShimState { execs: ended.chain(alive).collect(), ..self.container.state.clone() }
    }

    pub(super) fn register_exec(&mut self, config: Box<ExecConfig>) -> Result<Reply, Failure> {
        self.container.must_run()?;
        if self.exec_key(&config.id).is_some() || self.finished.iter().any(|(id, _)| *id == config.id) {
            return Err(conflict(format!("exec {} exists already", config.id)));
        }
        if self.processes.len() > MAX_EXECS {
            let message = format!("container has {MAX_EXECS} execs already");
            return Err(Failure { kind: Kind::Unavailable, message, exec_exit_code: None });
        }
        let key = self.next_process;
        self.next_process += 1;
        let process = Process {
            exec: Some(config.id),
            terminal: config.terminal,
            has_input: config.open_stdin,
            input_ends_with_client: true,
            ends: Ends::Unmade,
            life: Life::Registered(config),
            drain_until: None,
            held_back: false,
        };
        self.processes.insert(key, process);
        Ok(Reply::Done)
    }

    pub(super) fn start_exec(&mut self, id: &Id) -> Result<Reply, Failure> {
        let key = self.exec_key(id).ok_or_else(|| no_exec(id))?;
        let process = self.processes.get_mut(&key).ok_or_else(|| no_exec(id))?;
        let Life::Registered(config) = &process.life else {
            return Err(conflict(format!("exec {id} is already started")));
        };
        let config = config.clone();
        self.container.must_run()?;
        match self.enter(&config) {
            Ok((ends, life, pid)) => {
                let process = self.processes.get_mut(&key).ok_or_else(|| no_exec(id))?;
                process.ends = ends;
                process.life = life;
                if let Err(error) = process.watch(key, &mut self.poller) {
                    process.kill(&mut self.poller);
                    self.drop_exec(key);
                    return Err(failed("watch exec", error));
                }
                self.feed_process(key);
                self.fat = true;
                Ok(Reply::Started { pid, at: timestamp::now() })
            }
            Err(failure) => {
                self.drop_exec(key);
                Err(Failure { exec_exit_code: failure.exec_exit_code.or(Some(126)), ..failure })
            }
        }
    }

    fn enter(&mut self, config: &ExecConfig) -> Result<(Ends, Life, i32), Failure> {
        let (stdio, ends) = if config.terminal {
            (Stdio::Terminal, Ends::Unmade)
        } else {
            let owner = self.container.owners.on_host(config.process.user().uid());
            stdio::pipes(config.open_stdin, owner).map_err(|e| failed("make standard streams", e))?
        };
        let execed = brig_runtime::exec(ExecOptions {
            target: ExecTarget { pid: self.container.state.pid, pidfd: self.container.pidfd.as_fd() },
            process: &config.process,
            stdio,
            console_size: config.console_size.map(console_size),
            seccomp: self.container.seccomp.as_ref().filter(|_| !config.unconfined),
            cgroup: self.container.own_cgroup(),
            departures: brig_runtime::Departures::default(),
            linux: None,
        })
        .map_err(|e| runtime_failure(&e))?;
        let ends = match execed.terminal {
            Some(master) => stdio::terminal(master).map_err(|e| failed("take over terminal", e))?,
            None => ends,
        };
        for message in execed.warnings {
            self.push(Event::Warning { message });
        }
        let life = Life::Alive { pid: execed.pid, pidfd: Watched::new(execed.pidfd) };
        Ok((ends, life, execed.pid))
    }

    pub(super) fn remove_exec(&mut self, id: &Id) -> Result<Reply, Failure> {
        let key = self.exec_key(id).ok_or_else(|| no_exec(id))?;
        match self.processes.get(&key).map(|p| &p.life) {
            Some(Life::Registered(_)) => {
                self.drop_exec(key);
                Ok(Reply::Done)
            }
            _ => Err(conflict(format!("exec {id} is running"))),
        }
    }

    /// Forgets an exec; its clients see the end of its output.
    pub(super) fn drop_exec(&mut self, key: ProcessKey) {
        self.processes.remove(&key);
        self.close_attached(key);
    }

    pub(super) fn exec_key(&self, id: &Id) -> Option<ProcessKey> {
        self.processes.iter().find(|(_, p)| p.exec.as_ref() == Some(id)).map(|(key, _)| *key)
    }

    /// The container may have run out of memory.
    pub(super) fn memory_event(&mut self) {
        if let Some(memory) = &mut self.container.memory {
            memory.clear();
        }
        self.count_oom_kills();
    }

    /// Tells of kills for want of memory since the last count.
    pub(super) fn count_oom_kills(&mut self) {
        let Some(cgroup) = self.container.own_cgroup() else { return };
        let kills = cgroup.oom_kills();
        if kills > self.container.oom_kills {
            self.container.oom_kills = kills;
            self.push(Event::Oom);
        }
    }
}

pub(super) fn no_exec(id: &Id) -> Failure {
    Failure { kind: Kind::NotFound, message: format!("No such exec instance: {id}"), exec_exit_code: None }
}
