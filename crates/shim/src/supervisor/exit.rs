//! The ends of processes, and of the shim.

use super::{
    INIT, Phase, ProcessKey, Shim,
    attach::Got,
    process::{End, Life},
};
use crate::protocol::{Event, ExitRecord, Status};
use brig_logs::{Stream, timestamp};
use std::{
    io,
    time::{Duration, Instant},
};

/// How long output is awaited from others that hold a process' streams after its end. Its own output is all there
/// by then, so this is only for the last words of its children.
const GRACE: Duration = Duration::from_millis(200);
/// How long the ends of execs are awaited after the container's.
const EXEC_ENDS: Duration = Duration::from_secs(2);
/// Ended execs that are remembered.
const REMEMBERED: usize = 128;

impl Shim {
    /// The pidfd of a process became readable.
    pub(super) fn process_ended(&mut self, key: ProcessKey) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let Ok(end) = process.reap(&mut self.poller).or_else(|_| match process.life {
            Life::Ended(end) => Ok(end),
            _ => Err(()),
        }) else {
            return;
        };
        process.drain_until = Some(Instant::now() + GRACE);
        if key == INIT {
            self.init_ended(end);
        }
        self.drain(key);
    }

    fn init_ended(&mut self, end: End) {
        self.finish_init(end);
        let created = self.container.created.take();
        let started = created.is_none();
        // Killed before it was started. The runtime finds it gone, and takes away what it made besides.
        drop(created);
        if started && !self.container.own_pid_namespace {
            // Nobody else ends what it left behind.
            self.kill_rest();
        }
    }

    /// From now on the container counts as ended.
    pub(super) fn finish_init(&mut self, end: End) {
        self.container.state.status = Status::Exited;
        if let Some(process) = self.processes.get_mut(&INIT) {
            process.life = Life::Ended(end);
        }
        self.phase = Phase::Draining(Instant::now() + EXEC_ENDS);
        let registered: Vec<ProcessKey> = self
            .processes
            .iter()
            .filter(|(_, p)| matches!(p.life, Life::Registered(_)))
            .map(|(key, _)| *key)
            .collect();
        for key in registered {
            self.drop_exec(key);
        }
    }

    fn kill_rest(&mut self) {
        if let Some(cgroup) = &self.container.cgroup
            && let Err(error) = cgroup.kill_all()
        {
            self.push(Event::Warning { message: format!("kill what the container left: {error}") });
        }
    }

    /// Reads what an ended process left in its streams, whether or not clients keep up: it is not more than pipes
    /// hold.
    fn drain(&mut self, key: ProcessKey) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            while self.pump_output(key, stream) == Got::Bytes {}
        }
        if let Some(process) = self.processes.get_mut(&key) {
            // Late output of others is still wanted.
            process.held_back = false;
            process.watch_output(key, &mut self.poller, false);
        }
    }

    /// Concludes processes whose streams came to their end or whose time is up, and with the last the container.
    pub(super) fn settle_processes(&mut self) {
        if matches!(self.phase, Phase::Lingering) {
            return;
        }
        let now = Instant::now();
        let settled: Vec<(ProcessKey, End)> = self
            .processes
            .iter()
            .filter_map(|(key, p)| match p.life {
                Life::Ended(end)
                    if *key != INIT && (p.outputs_closed() || p.drain_until.is_some_and(|t| t <= now)) =>
                {
                    Some((*key, end))
                }
                _ => None,
            })
            .collect();
        for (key, end) in settled {
            self.conclude_exec(key, end);
        }
        let Phase::Draining(until) = self.phase else { return };
        let Some(init) = self.processes.get(&INIT) else { return };
        let Life::Ended(end) = init.life else { return };
        let drained = init.outputs_closed() || init.drain_until.is_none_or(|t| t <= now);
        if drained && (self.processes.len() == 1 || until <= now) {
            self.conclude_container(end);
        }
    }

    fn conclude_exec(&mut self, key: ProcessKey, end: End) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            while self.pump_output(key, stream) == Got::Bytes {}
        }
        let id = self.processes.get(&key).and_then(|p| p.exec);
        self.drop_exec(key);
        if let Some(id) = id {
            if self.finished.len() == REMEMBERED {
                self.finished.remove(0);
            }
            self.finished.push((id, end.code));
            self.push(Event::ExecExited { id, code: end.code });
        }
    }

    fn conclude_container(&mut self, end: End) {
        let mut errors: Vec<String> = Vec::new();
        for stream in [Stream::Stdout, Stream::Stderr] {
            while self.pump_output(INIT, stream) == Got::Bytes {}
            if let Err(error) = self.log.end(stream) {
                errors.push(format!("output is lost: {error}"));
            }
        }
        self.count_oom_kills();
        if let Some(mut memory) = self.container.memory.take() {
            self.poller.forget(&mut memory);
        }
        if let Some(cgroup) = self.container.cgroup.take() {
            // Empty when the pid namespace is its own; else whatever came into it since.
            if let Err(error) = cgroup.kill_all().and_then(|()| cgroup.remove()) {
                errors.push(error.to_string());
            }
        }
        let record = ExitRecord {
            code: end.code,
            signal: end.signal,
            oom_killed: self.container.oom_kills > 0,
            exited_at: timestamp::now(),
            error: (!errors.is_empty()).then(|| errors.join("; ")),
        };
        self.conclude(record);
    }

    /// Records the end, tells it, and closes all connections when they got everything.
    pub(super) fn conclude(&mut self, mut record: ExitRecord) {
        if let Err(error) = self.records.write_exit(&record) {
            let error = format!("write exit record: {error}");
            record.error = Some(record.error.take().map_or(error.clone(), |first| format!("{first}; {error}")));
        }
        self.records.remove_socket();
        self.poller.forget(&mut self.listener);
        self.phase = Phase::Lingering;
        self.push(Event::Exited(record));
        let keys: Vec<_> = self.clients.keys().copied().collect();
        for key in keys {
            self.close_client(key);
        }
    }

    /// The shim can't go on. The container can't either, without anybody to hold its streams.
    pub(super) fn abandon(&mut self, error: &io::Error) -> i32 {
        self.kill_rest();
        let record = ExitRecord {
            code: 255,
            signal: None,
            oom_killed: false,
            exited_at: timestamp::now(),
            error: Some(format!("shim: wait for events: {error}")),
        };
        self.conclude(record);
        1
    }
}
