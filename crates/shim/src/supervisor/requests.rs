//! Answering requests.

use super::{
    ClientKey, INIT, ProcessKey, Shim,
    client::{Attached, Client, ClientKind, Incoming},
    container::{conflict, failed},
    lifecycle::no_exec,
    process::Life,
    stdio,
};
use crate::protocol::{ConsoleSize, Event, Failure, Reply, Request, Status, Target};
use brig_core::{HasKind, Kind};
use oci_spec::runtime::LinuxResources;
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

impl Shim {
    /// Carries out a request and answers it.
    pub(super) fn handle(&mut self, key: ClientKey, id: u64, request: Request) {
        let result = match request {
            Request::Attach { target, stdin, stdout, stderr } => {
                return self.attach(key, id, target, Wants { stdin, stdout, stderr });
            }
            Request::Create(_) => {
                Err(conflict(format!("container {} is already created", self.container.state.id)))
            }
            Request::Hello { .. } => Ok(self.hello(key)),
            Request::State => Ok(Reply::State { state: Box::new(self.state()), warnings: Vec::new() }),
            Request::Start => self.start(key),
            Request::Signal { target, signal, all } => self.signal(target, signal, all),
            Request::Resize { target, size } => self.resize(target, size),
            Request::Exec(config) => self.register_exec(config),
            Request::StartExec { id } => self.start_exec(&id),
            Request::RemoveExec { id } => self.remove_exec(&id),
            Request::CloseStdin { target } => self.close_stdin(target),
            Request::Pause => self.pause(),
            Request::Resume => self.resume(),
            Request::Update { resources } => self.update(&resources),
            Request::Stats => self.container.cgroup().map(|c| Reply::Stats(Box::new(c.stats()))),
            Request::Pids => self.pids(),
        };
        self.reply(key, id, result);
        self.write_late_state();
        if let Some(record) = self.not_started.take() {
            self.record_end(record);
            self.close_all(|_| true);
        }
    }

    /// The process that is meant; `None` for an exec that ended.
    fn target(&self, target: Target) -> Result<Option<ProcessKey>, Failure> {
        match target {
            Target::Init => Ok(Some(INIT)),
            Target::Exec(id) => match self.exec_key(&id) {
                Some(key) => Ok(Some(key)),
                None if self.finished.iter().any(|(ended, _)| *ended == id) => Ok(None),
                None => Err(no_exec(&id)),
            },
        }
    }

    pub(super) fn signal(&mut self, target: Target, signal: i32, all: bool) -> Result<Reply, Failure> {
        if !(1..=64).contains(&signal) {
            let message = format!("invalid signal: {signal}");
            return Err(Failure { kind: Kind::InvalidParameter, message, exec_exit_code: None });
        }
        // Without a cgroup of its own there is no telling which processes are the container's: it is the first then.
        if all && self.container.own_cgroup().is_some() {
            let signal = rustix::process::Signal::from_named_raw(signal).ok_or_else(|| Failure {
                kind: Kind::InvalidParameter,
                message: format!("invalid signal for all processes: {signal}"),
                exec_exit_code: None,
            })?;
            self.container.cgroup()?.signal_all(signal).map_err(|e| failed("signal all processes", e))?;
            return Ok(Reply::Done);
        }
        let gone = || Failure {
            kind: Kind::NotFound,
            message: "process has already ended".into(),
            exec_exit_code: None,
        };
        let process = self.target(target)?.and_then(|key| self.processes.get(&key)).ok_or_else(gone)?;
        match &process.life {
            Life::Alive { pidfd, .. } => send_signal(pidfd.as_fd(), signal).map_err(|e| {
                if e.raw_os_error() == Some(libc::ESRCH) { gone() } else { failed("signal process", e) }
            })?,
            Life::Registered(_) => return Err(conflict("process is not started".into())),
            Life::Ended(_) => return Err(gone()),
        }
        if signal == libc::SIGKILL && self.container.state.status == Status::Paused {
            // A frozen process of cgroup v1 does not even die.
            self.resume()?;
        }
        Ok(Reply::Done)
    }

    fn resize(&mut self, target: Target, size: ConsoleSize) -> Result<Reply, Failure> {
        let key = self.target(target)?;
        let Some(process) = key.and_then(|key| self.processes.get_mut(&key)) else {
            return Err(conflict("process has already ended".into()));
        };
        if let Life::Registered(config) = &mut process.life {
            // Takes effect when it is started.
            config.console_size = Some(size);
            return Ok(Reply::Done);
        }
        if !process.terminal {
            return Err(conflict("process has no terminal".into()));
        }
        match process.output(brig_logs::Stream::Stdout) {
            Some(master) => stdio::resize(master, size).map_err(|e| failed("resize terminal", e))?,
            None => return Err(conflict("process has already ended".into())),
        }
        Ok(Reply::Done)
    }

    fn close_stdin(&mut self, target: Target) -> Result<Reply, Failure> {
        if let Some(key) = self.target(target)?
            && let Some(process) = self.processes.get_mut(&key)
        {
            process.close_input(&mut self.poller);
            self.feed_process(key);
        }
        Ok(Reply::Done)
    }

    fn pause(&mut self) -> Result<Reply, Failure> {
        let id = self.container.state.id;
        match self.container.state.status {
            Status::Running => {}
            Status::Paused => return Err(conflict(format!("Container {id} is already paused"))),
            Status::Created | Status::Exited => {
                return Err(conflict(format!("Container {id} is not running")));
            }
        }
        self.container.cgroup()?.freeze().map_err(|e| failed(&format!("pause container {id}"), e))?;
        self.set_status(Status::Paused);
        self.push(Event::Paused);
        Ok(Reply::Done)
    }

    fn resume(&mut self) -> Result<Reply, Failure> {
        let id = self.container.state.id;
        if self.container.state.status != Status::Paused {
            return Err(conflict(format!("Container {id} is not paused")));
        }
        self.container.cgroup()?.thaw().map_err(|e| failed(&format!("resume container {id}"), e))?;
        self.set_status(Status::Running);
        self.push(Event::Resumed);
        Ok(Reply::Done)
    }

    fn update(&mut self, resources: &LinuxResources) -> Result<Reply, Failure> {
        let mut warnings = Vec::new();
        self.container.cgroup()?.update(resources, &mut warnings).map_err(|e| Failure {
            kind: e.kind(),
            message: e.to_string(),
            exec_exit_code: None,
        })?;
        for message in warnings {
            self.push(Event::Warning { message });
        }
        Ok(Reply::Done)
    }

    fn pids(&self) -> Result<Reply, Failure> {
        let pids = self.container.cgroup()?.pids().map_err(|e| failed("list processes", e))?;
        Ok(Reply::Pids(pids))
    }

    fn attach(&mut self, key: ClientKey, id: u64, target: Target, wants: Wants) {
        let process = match self.target(target) {
            Err(failure) => return self.reply(key, id, Err(failure)),
            Ok(process) => process,
        };
        self.reply(key, id, Ok(Reply::Done));
        let alive = process.filter(|key| {
            self.processes.get(key).is_some_and(|p| !(matches!(p.life, Life::Ended(_)) && p.outputs_closed()))
        });
        let (Some(process), Some(client)) = (alive, self.clients.get_mut(&key)) else {
            return self.close_client(key);
        };
        let ClientKind::Control { decoder, .. } = &client.kind else { return };
        if !decoder.buffered().is_empty() {
            // Input before the reply, or a further request: the client does not keep to the protocol.
            return self.drop_client(key);
        }
        let terminal = self.processes.get(&process).is_some_and(|p| p.terminal);
        let input = if wants.stdin {
            Incoming::Wanted { pending: Vec::new(), taken: 0, ended: false }
        } else {
            Incoming::Discarded
        };
        client.kind = ClientKind::Attached(Attached {
            process,
            stdout: wants.stdout,
            // A terminal has one output.
            stderr: wants.stderr && !terminal,
            framed: !terminal,
            input,
        });
        self.watch_client(key);
    }

    /// Ends the connections that are attached to a process when they got everything.
    pub(super) fn close_attached(&mut self, process: ProcessKey) {
        let keys: Vec<ClientKey> = self
            .clients
            .iter()
            .filter(|(_, client)| Client::attached(client).is_some_and(|a| a.process == process))
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            self.close_client(key);
        }
    }
}

/// What an attaching client wants of a process' streams.
struct Wants {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

/// Any signal, those without a name included.
fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: takes numbers and a null pointer for "no further information"; touches no memory.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if sent == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
