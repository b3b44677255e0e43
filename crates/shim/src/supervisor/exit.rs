//! The ends of processes, and of the shim.

use super::{
    INIT, Phase, ProcessKey, Shim,
    attach::Got,
    client::Client,
    process::{End, Life},
};
use crate::protocol::{Event, ExitRecord, Status};
use brig_logs::{Stream, timestamp};
use brig_runtime::cgroup::Cgroup;
use std::{
    io,
    time::{Duration, Instant},
};

/// How long output is awaited from others that hold a process' streams after its end. Its own output is all there
/// by then, so this is only for the last words of its children.
const GRACE: Duration = Duration::from_millis(200);
/// How long the ends of execs are awaited after the container's.
const EXEC_ENDS: Duration = Duration::from_secs(2);
/// Chunks read at most from what an ended process left: more than a pipe can hold.
const MOST_CHUNKS: usize = 32;
/// Ended execs that are remembered.
const REMEMBERED: usize = 128;

impl Shim {
    /// The pidfd of a process became readable.
    pub(super) fn process_ended(&mut self, key: ProcessKey) {
        let Some(process) = self.processes.get_mut(&key) else { return };
        let Some(end) = process.reap(&mut self.poller) else { return };
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
        if let Some(cgroup) = self.container.own_cgroup()
            && let Err(error) = cgroup.kill_all()
        {
            self.push(Event::Warning { message: format!("kill what the container left: {error}") });
        }
    }

    /// Reads what an ended process left in its streams, whether or not clients keep up: it is not more than pipes
    /// hold.
    fn drain(&mut self, key: ProcessKey) {
        self.pump_what_is_there(key);
        if let Some(process) = self.processes.get_mut(&key) {
            // Late output of others is still wanted.
            process.held_back = false;
            process.watch_output(key, &mut self.poller, false);
        }
    }

    fn pump_what_is_there(&mut self, key: ProcessKey) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            // Somebody who holds the other end may write for ever.
            for _ in 0..MOST_CHUNKS {
                if self.pump_output(key, stream) != Got::Bytes {
                    break;
                }
            }
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
                Life::Ended(end) if p.outputs_closed() || p.drain_until.is_some_and(|t| t <= now) => {
                    Some((*key, end))
                }
                _ => None,
            })
            .collect();
        let mut init_settled = None;
        for (key, end) in settled {
            if key == INIT {
                self.end_outputs(INIT);
                init_settled = Some(end);
            } else {
                self.conclude_exec(key, end);
            }
        }
        if let (Some(end), Phase::Draining(until)) = (init_settled, &self.phase)
            && (self.processes.len() == 1 || *until <= now)
        {
            self.conclude_container(end);
        }
    }

    fn conclude_exec(&mut self, key: ProcessKey, end: End) {
        self.end_outputs(key);
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

    /// Takes what is there by now, and no more.
    fn end_outputs(&mut self, key: ProcessKey) {
        self.pump_what_is_there(key);
        for stream in [Stream::Stdout, Stream::Stderr] {
            self.end_output(key, stream);
        }
        if let Some(process) = self.processes.get_mut(&key) {
            process.drain_until = None;
        }
    }

    fn conclude_container(&mut self, end: End) {
        let mut errors: Vec<String> = Vec::new();
        let execs: Vec<ProcessKey> = self.processes.keys().copied().filter(|key| *key != INIT).collect();
        for key in execs {
            // Killed and not gone by now: nothing more is to be had from it.
            self.conclude_exec(key, End { code: 128 + libc::SIGKILL, signal: Some(libc::SIGKILL) });
        }
        if self.log_failing {
            errors.push("output was lost: the log could not be written".to_owned());
        }
        self.count_oom_kills();
        if let Some(mut memory) = self.container.memory.take() {
            self.poller.forget(&mut memory);
        }
        let mut cgroup = self.container.running_cgroup.take();
        // With a pid namespace of its own, nothing of it is left. Else something may have come into the cgroup since,
        // and it has not ended before that has.
        if !self.container.own_pid_namespace
            && let Some(cgroup) = cgroup.take()
            && let Err(error) = cgroup.kill_all().and_then(|()| cgroup.remove())
        {
            errors.push(error.to_string());
        }
        let record = ExitRecord {
            code: end.code,
            signal: end.signal,
            oom_killed: self.container.oom_kills > 0,
            exited_at: timestamp::now(),
            error: (!errors.is_empty()).then(|| errors.join("; ")),
        };
        self.conclude(record, cgroup);
    }

    /// Records the end, tells it, and hangs up. What is left to clean up then is gone before the control connections
    /// are: who waits for that finds nothing in the way of the container's next run. A shim that dies in between has
    /// recorded the end; who finds the record looks for the cgroup.
    fn conclude(&mut self, record: ExitRecord, cgroup: Option<Cgroup>) {
        let record = self.record_end(record);
        if let Err(error) = brig_core::failpoint::hit("shim.recorded") {
            self.push(Event::Warning { message: error.to_string() });
        }
        self.push(Event::Exited(record));
        self.close_all(|client| client.attached().is_some());
        if let Some(cgroup) = cgroup
            && let Err(error) = cgroup.remove()
        {
            self.push(Event::Warning { message: error.to_string() });
        }
        self.container.mounts = None;
        self.close_all(|_| true);
    }

    /// Writes the record and takes no more connections.
    pub(super) fn record_end(&mut self, mut record: ExitRecord) -> ExitRecord {
        if let Err(error) = self.records.write_exit(&record) {
            let error = format!("write exit record: {error}");
            record.error =
                Some(record.error.take().map_or(error.clone(), |first| format!("{first}; {error}")));
        }
        self.records.remove_socket();
        self.poller.forget(&mut self.listener);
        self.phase = Phase::Lingering;
        record
    }

    /// Closes connections when they got everything.
    pub(super) fn close_all(&mut self, which: impl Fn(&Client) -> bool) {
        let keys: Vec<_> = self.clients.iter().filter(|(_, c)| which(c)).map(|(key, _)| *key).collect();
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
        self.conclude(record, None);
        1
    }
}
