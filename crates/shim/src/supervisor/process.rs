//! One process of the container with its streams: the container's own or one made by exec.

use super::{
    poller::{Poller, Role, Watched},
    stdio::Ends,
};
use crate::protocol::{ExecConfig, ExecStatus};
use brig_core::Id;
use brig_logs::Stream;
use rustix::{
    event::epoll::EventFlags,
    process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid},
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Instant,
};

/// A process of the container.
#[derive(Debug)]
pub(super) struct Process {
    /// Its exec id; `None` for the container's own.
    pub(super) exec: Option<Id>,
    pub(super) terminal: bool,
    /// Whether it was given an input.
    pub(super) has_input: bool,
    /// Whether the end of a client's input is the end of its own.
    pub(super) input_ends_with_client: bool,
    pub(super) ends: Ends,
    pub(super) life: Life,
    /// After its end: when to stop waiting for others that hold its streams.
    pub(super) drain_until: Option<Instant>,
    /// Whether an attached client can't take more, so that nothing is read.
    pub(super) held_back: bool,
}

/// How far a process is.
#[derive(Debug)]
pub(super) enum Life {
    /// An exec that waits to be started.
    Registered(Box<ExecConfig>),
    /// Made; started or, the container's own, about to be.
    Alive {
        pid: i32,
        pidfd: Watched<OwnedFd>,
    },
    Ended(End),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    /// The exit status, or 128 + the signal's number.
    pub(super) code: i32,
    pub(super) signal: Option<i32>,
}

impl Process {
    /// Has its end and its output watched.
    pub(super) fn watch(&mut self, key: super::ProcessKey, poller: &mut Poller) -> io::Result<()> {
        if let Life::Alive { pidfd, .. } = &mut self.life {
            poller.must_watch(pidfd, Role::ProcessEnd(key), EventFlags::IN)?;
        }
        self.watch_output(key, poller, false);
        Ok(())
    }

    /// Kills and reaps it.
    pub(super) fn kill(&mut self, poller: &mut Poller) {
        if let Life::Alive { pidfd, .. } = &self.life {
            // Fails only when it is dead already.
            let _ = pidfd_send_signal(pidfd.as_fd(), Signal::KILL);
            self.reap(poller);
        }
    }

    /// Watches the output unless it is held back; `writing` says whether a terminal's input waits to be written.
    pub(super) fn watch_output(&mut self, key: super::ProcessKey, poller: &mut Poller, writing: bool) {
        let read = if self.held_back { EventFlags::empty() } else { EventFlags::IN };
        match &mut self.ends {
            Ends::Unmade => {}
            Ends::Pipes { stdout, stderr, .. } => {
                for (pipe, stream) in [(stdout, Stream::Stdout), (stderr, Stream::Stderr)] {
                    if let Some(pipe) = pipe {
                        poller.watch(pipe, Role::Output(key, stream), read);
                    }
                }
            }
            Ends::Terminal { master, .. } => {
                let write = if writing { EventFlags::OUT } else { EventFlags::empty() };
                if let Some(master) = master {
                    poller.watch(master, Role::Output(key, Stream::Stdout), read | write);
                }
            }
        }
    }

    /// Watches for room in the input, or not any more.
    pub(super) fn watch_input(&mut self, key: super::ProcessKey, poller: &mut Poller, waiting: bool) {
        match &mut self.ends {
            Ends::Pipes { stdin: Some(pipe), .. } => {
                let interest = if waiting { EventFlags::OUT } else { EventFlags::empty() };
                poller.watch(pipe, Role::Input(key), interest);
            }
            Ends::Terminal { .. } => self.watch_output(key, poller, waiting),
            _ => {}
        }
    }

    /// Where its output is read from.
    pub(super) fn output(&self, stream: Stream) -> Option<BorrowedFd<'_>> {
        match (&self.ends, stream) {
            (Ends::Pipes { stdout, .. }, Stream::Stdout) => stdout.as_ref().map(|w| w.as_fd()),
            (Ends::Pipes { stderr, .. }, Stream::Stderr) => stderr.as_ref().map(|w| w.as_fd()),
            (Ends::Terminal { master, .. }, Stream::Stdout) => master.as_ref().map(|w| w.as_fd()),
            _ => None,
        }
    }

    /// Closes an output that came to its end.
    pub(super) fn close_output(&mut self, stream: Stream, poller: &mut Poller) {
        let slot = match (&mut self.ends, stream) {
            (Ends::Pipes { stdout, .. }, Stream::Stdout) => stdout,
            (Ends::Pipes { stderr, .. }, Stream::Stderr) => stderr,
            (Ends::Terminal { master, .. }, Stream::Stdout) => master,
            _ => return,
        };
        if let Some(mut fd) = slot.take() {
            poller.forget(&mut fd);
        }
    }

    pub(super) fn outputs_closed(&self) -> bool {
        match &self.ends {
            Ends::Unmade => true,
            Ends::Pipes { stdout, stderr, .. } => stdout.is_none() && stderr.is_none(),
            Ends::Terminal { master, .. } => master.is_none(),
        }
    }

    /// What its input is.
    pub(super) fn input(&self) -> Input<'_> {
        if !self.has_input {
            return Input::None;
        }
        match &self.ends {
            Ends::Unmade if matches!(self.life, Life::Registered(_)) => Input::Later,
            Ends::Pipes { stdin: Some(fd), .. } => Input::Open(fd.as_fd()),
            Ends::Terminal { master: Some(fd), .. } => Input::Open(fd.as_fd()),
            _ => Input::None,
        }
    }

    /// Ends its input. A terminal has none to end: it goes on for those who write to it.
    pub(super) fn close_input(&mut self, poller: &mut Poller) {
        match &mut self.ends {
            Ends::Unmade => self.has_input = false,
            Ends::Pipes { stdin, .. } => {
                if let Some(mut fd) = stdin.take() {
                    poller.forget(&mut fd);
                }
            }
            Ends::Terminal { .. } => {}
        }
    }

    /// Takes its exit status. To be called when its pidfd is readable; `None` for a process that is not alive.
    pub(super) fn reap(&mut self, poller: &mut Poller) -> Option<End> {
        let Life::Alive { pidfd, .. } = &mut self.life else { return None };
        let status = loop {
            match waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED) {
                Err(rustix::io::Errno::INTR) => {}
                status => break status,
            }
        };
        poller.forget(pidfd);
        // Without a status (somebody else took it) the process is gone all the same.
        let end = match status {
            Ok(Some(status)) => match status.terminating_signal() {
                Some(signal) => End { code: 128 + signal, signal: Some(signal) },
                None => End { code: status.exit_status().unwrap_or(255), signal: None },
            },
            Ok(None) | Err(_) => End { code: 255, signal: None },
        };
        self.life = Life::Ended(end);
        Some(end)
    }

    /// As told to clients.
    pub(super) fn status(&self) -> ExecStatus {
        match &self.life {
            Life::Registered(_) => ExecStatus::Created,
            Life::Alive { pid, .. } => ExecStatus::Running { pid: *pid },
            Life::Ended(end) => ExecStatus::Exited { code: end.code },
        }
    }
}

/// What the input of a process is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Input<'a> {
    /// It has none, or not any more.
    None,
    /// It will have one when it is started.
    Later,
    /// Here it is.
    Open(BorrowedFd<'a>),
}
