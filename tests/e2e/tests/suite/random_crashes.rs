//! Clients do what they like, the daemon or a supervisor is killed whenever it likes: after each round every record
//! matches the kernel, nothing leaked, and nothing that was acknowledged is lost.

use brig_e2e::{Host, http, leftovers};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// How long what goes on behind answers may take: cgroups, links and folders go last.
const SETTLED_WITHIN: Duration = Duration::from_secs(20);

/// Clients at once; each has containers of its own, so that what it was told is all there is to know of them.
const CLIENTS: usize = 3;
/// Containers of each.
const NAMES: usize = 3;
/// What a client does in a round, at most.
const STEPS: usize = 12;

/// Where a daemon, a supervisor or a container's first process dies by itself.
const FAILPOINTS: [&str; 42] = [
    "engine.before_snapshot",
    "store.snapshot.record",
    "engine.after_prepare",
    "engine.before_create_record",
    "engine.after_create_record",
    "engine.before_record_starting",
    "engine.after_record_starting",
    "engine.before_sandbox",
    "engine.after_sandbox",
    "engine.after_snapshot",
    "engine.before_netns",
    "engine.after_netns",
    "engine.before_attach",
    "engine.after_attach",
    "engine.after_publish",
    "engine.before_shim",
    "engine.before_start",
    "engine.after_shim",
    "engine.after_start",
    "engine.before_record_running",
    "engine.after_record_running",
    "engine.before_record_paused",
    "engine.after_record_paused",
    "engine.before_record_restarting",
    "engine.before_record_exited",
    "engine.after_record_exited",
    "engine.before_tear_down",
    "engine.after_tear_down",
    "engine.before_record_removing",
    "engine.after_record_removing",
    "engine.before_discard",
    "engine.after_snapshot_removed",
    "engine.after_discard",
    "engine.after_erase",
    "engine.before_forget",
    "engine.after_forget",
    "runtime.cgroup",
    "runtime.cloned",
    "runtime.start",
    "shim.state",
    "shim.exit",
    "shim.recorded",
];

/// A sequence of numbers that is the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len())]
    }
}

/// What a client knows of a container from the last answer it got about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Known {
    /// It was removed, or never made.
    #[default]
    Gone,
    /// It was made, and nobody asked for its removal.
    There,
    /// A request that makes or removes it had no answer.
    Unknown,
}

/// A client with its containers, and what it has written into its volume.
#[derive(Debug, Default)]
struct Client {
    known: BTreeMap<String, Known>,
    written: u64,
    sequence: u64,
}

impl Client {
    /// Does something; `false` when there is no daemon any more.
    fn step(&mut self, number: usize, host: &Path, dice: &mut Dice) -> bool {
        let name = format!("c{number}-{}", dice.roll(NAMES));
        let ask = |method: &str, path: &str, body: Option<&str>| http::attempt(host, method, path, body);
        match dice.roll(12) {
            0..=2 => self.create(&name, number, host, dice),
            3..=5 => ask("POST", &format!("/containers/{name}/start"), None).is_some(),
            6 => {
                let verb = *dice.one(&["pause", "unpause", "restart?t=0", "kill", "stop?t=0"]);
                ask("POST", &format!("/containers/{name}/{verb}"), None).is_some()
            }
            7 => ask("POST", &format!("/containers/{name}/stop?t=0"), None).is_some(),
            8 => self.remove(&name, host),
            9..=10 => self.write(&name, host),
            _ => ask("GET", "/containers/json?all=1&size=1", None).is_some(),
        }
    }

    /// Has something running before the round begins.
    fn prepare(&mut self, number: usize, host: &Path) {
        let name = format!("c{number}-0");
        let body = json!({
            "Image": "busybox", "Cmd": ["sleep", "1000"],
            "HostConfig": { "Binds": [format!("data{number}:/data")], "RestartPolicy": { "Name": "always" } },
        });
        let made =
            http::attempt(host, "POST", &format!("/containers/create?name={name}"), Some(&body.to_string()));
        if made.is_some_and(|answer| answer.status == 201) {
            self.known.insert(name.clone(), Known::There);
        }
        // Frozen, or run already: as well.
        http::attempt(host, "POST", &format!("/containers/{name}/start"), None);
    }

    fn create(&mut self, name: &str, number: usize, host: &Path, dice: &mut Dice) -> bool {
        let program = *dice.one(&["exec sleep 1000", "exec sleep 1000", "exit 3", "echo out; sleep 0.05"]);
        let restart = *dice.one(&["no", "no", "always", "on-failure"]);
        let port = format!("{}", 9000 + number);
        let host_config = json!({
            "Binds": [format!("data{number}:/data")],
            "RestartPolicy": { "Name": restart },
            "AutoRemove": restart == "no" && dice.roll(4) == 0,
            "PortBindings": if dice.roll(3) == 0 { json!({ "80/tcp": [{ "HostPort": port }] }) } else { json!({}) },
        });
        let body = json!({
            "Image": "busybox", "Cmd": ["sh", "-c", program], "HostConfig": host_config, "Volumes": { "/anonymous": {} },
        });
        let auto_remove = body["HostConfig"]["AutoRemove"] == true;
        let made =
            http::attempt(host, "POST", &format!("/containers/create?name={name}"), Some(&body.to_string()));
        let before = self.known.get(name).copied().unwrap_or_default();
        let known = match &made {
            // It goes when it likes.
            Some(answer) if answer.status == 201 && auto_remove => Known::Unknown,
            Some(answer) if answer.status == 201 => Known::There,
            // The name is taken, or a failpoint's error: nothing was made.
            Some(_) => before,
            None if before == Known::There => Known::There,
            None => Known::Unknown,
        };
        self.known.insert(name.to_owned(), known);
        let starts = dice.roll(2) == 0;
        made.is_some()
            && (!starts || http::attempt(host, "POST", &format!("/containers/{name}/start"), None).is_some())
    }

    fn remove(&mut self, name: &str, host: &Path) -> bool {
        let answer = http::attempt(host, "DELETE", &format!("/containers/{name}?force=1&v=1"), None);
        let known = match &answer {
            Some(answer) if matches!(answer.status, 204 | 404) => Known::Gone,
            _ => Known::Unknown,
        };
        self.known.insert(name.to_owned(), known);
        answer.is_some()
    }

    /// Has a container write a number into the volume; once that has an answer, it stays written.
    fn write(&mut self, name: &str, host: &Path) -> bool {
        self.sequence += 1;
        let number = self.sequence;
        let body = json!({
            "AttachStdout": true,
            "Cmd": ["sh", "-c", format!("echo {number} > /data/.n && mv /data/.n /data/n && echo done")],
        });
        let Some(made) =
            http::attempt(host, "POST", &format!("/containers/{name}/exec"), Some(&body.to_string()))
        else {
            return false;
        };
        if made.status != 201 {
            return true;
        }
        let exec = made.json()["Id"].as_str().expect("an id").to_owned();
        let Some(ran) = http::attempt(host, "POST", &format!("/exec/{exec}/start"), Some("{}")) else {
            return false;
        };
        if ran.body.windows(4).any(|window| window == b"done") {
            self.written = number;
        }
        true
    }
}

/// One round: clients at work, a death in the middle, another daemon.
fn round(host: &Host, clients: &mut [Client], dice: &mut Dice) {
    let socket = host.socket();
    for (number, client) in clients.iter_mut().enumerate() {
        client.prepare(number, &socket);
    }
    // In debug builds only; else all deaths come from outside.
    let failpoint = (dice.roll(2) == 0).then(|| *dice.one(&FAILPOINTS));
    if let Some(failpoint) = failpoint {
        host.kill_daemon();
        // What the last round left undone may bring it to its failpoint before it is ready.
        host.try_start_daemon(&[("BRIG_FAILPOINTS", &format!("{failpoint}=kill"))]);
    }
    let seeds: Vec<u64> = clients.iter().map(|_| dice.roll(usize::MAX) as u64 | 1).collect();
    let (after, what) = (dice.roll(CLIENTS * STEPS), dice.roll(3));
    let (done, steps) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        for (number, (client, seed)) in clients.iter_mut().zip(seeds).enumerate() {
            let (socket, done) = (&socket, done.clone());
            scope.spawn(move || {
                let mut dice = Dice(seed);
                for _ in 0..STEPS {
                    let lives = client.step(number, socket, &mut dice);
                    // Nobody counts any more after the death.
                    let _ = done.send(());
                    if !lives {
                        break;
                    }
                }
            });
        }
        drop(done);
        // In the middle of whatever the others are at then.
        steps.iter().take(after).for_each(drop);
        if what > 0
            && let Some(shim) = shims(host).into_iter().next()
        {
            kill(shim);
        }
        if what < 2 && host.daemon_lives() {
            host.kill_daemon();
        }
    });
    if host.daemon_lives() {
        host.kill_daemon();
    } else {
        host.forget_daemon();
    }
    host.start_daemon(&[]);
}

/// The supervisors of containers that run.
fn shims(host: &Host) -> Vec<i32> {
    let state = |folder: PathBuf| {
        let text = std::fs::read_to_string(folder.join("state.json")).ok()?;
        let pid = serde_json::from_str::<Value>(&text).ok()?["pid"].as_i64()?;
        parent(i32::try_from(pid).ok()?)
    };
    folders(&host.path("run/shims"))
        .into_iter()
        .filter_map(|name| state(host.path("run/shims").join(name)))
        .collect()
}

fn parent(pid: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok().filter(|pid| *pid > 1)
}

fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        // It may have ended just now.
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn folders(path: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// What is not as it must be; nothing when all is well.
fn wrong(host: &Host, clients: &[Client]) -> Vec<String> {
    let mut wrong = Vec::new();
    let list = host.api("GET", "/containers/json?all=1", None).json();
    let containers: Vec<Value> = list.as_array().expect("a list").clone();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let names: BTreeSet<String> = containers.iter().map(|c| text(&c["Names"][0])[1..].to_owned()).collect();
    let ids: BTreeSet<String> = containers.iter().map(|c| text(&c["Id"])).collect();
    // What clients were told.
    for (name, known) in clients.iter().flat_map(|client| &client.known) {
        match known {
            Known::There if !names.contains(name) => wrong.push(format!("{name} was made and is lost")),
            Known::Gone if names.contains(name) => wrong.push(format!("{name} was removed and is there")),
            _ => {}
        }
    }
    for (number, client) in clients.iter().enumerate().filter(|(_, client)| client.written > 0) {
        let file = host.path(&format!("data/volumes/data{number}/_data/n"));
        let found = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse::<u64>().ok());
        if found.is_none_or(|found| found < client.written) {
            wrong.push(format!("{} was written to data{number}, which has {found:?}", client.written));
        }
    }
    // Records and the kernel.
    let cgroups = leftovers::container_cgroups(host);
    let mut running = BTreeSet::new();
    for id in &ids {
        let inspect = host.api("GET", &format!("/containers/{id}/json"), None);
        if inspect.status != 200 {
            wrong.push(format!("{id} is listed and can't be looked at"));
            continue;
        }
        let state = &inspect.json()["State"];
        let mine: Vec<&PathBuf> = cgroups.iter().filter(|path| path.ends_with(id)).collect();
        let pid = state["Pid"].as_i64().unwrap_or_default();
        let status = text(&state["Status"]);
        if matches!(status.as_str(), "running" | "paused") {
            running.insert(id.clone());
            let procs = mine.iter().any(|path| {
                let procs = std::fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
                procs.lines().any(|line| line.parse() == Ok(pid))
            });
            if !procs {
                wrong.push(format!("{id} is {status} as {pid}, which is not in its cgroup"));
            }
        } else if status == "dead" || status == "removing" {
            wrong.push(format!("{id} is {status}: {}", state["Error"]));
        } else if pid != 0 || !mine.is_empty() {
            wrong.push(format!("{id} is {status} with pid {pid} and {mine:?}"));
        }
    }
    for path in cgroups.iter().filter(|path| !running.iter().any(|id| path.ends_with(id))) {
        wrong.push(format!("cgroup {} is nobody's", path.display()));
    }
    for (what, found, due) in [
        ("folders of containers", folders(&host.path("data/containers")), &ids),
        ("folders of supervisors", folders(&host.path("run/shims")), &running),
    ] {
        if found != *due {
            wrong.push(format!("{what}: {found:?} for {due:?}"));
        }
    }
    let links = leftovers::veths(host).len();
    if links != running.len() {
        wrong.push(format!("{links} interfaces for {} that run", running.len()));
    }
    let volumes = folders(&host.path("data/volumes"));
    let due = ids.len() + clients.iter().filter(|client| !client.known.is_empty()).count();
    if volumes.len() > due {
        wrong.push(format!("{} volumes, more than {due}: {volumes:?}", volumes.len()));
    }
    wrong
}

/// Whether all becomes well soon: what ends by itself, or is started again, does so meanwhile.
fn check(host: &Host, clients: &[Client], round: usize) {
    let deadline = Instant::now() + SETTLED_WITHIN;
    loop {
        let found = wrong(host, clients);
        if found.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "round {round}:\n  {}", found.join("\n  "));
        // Cgroups and links go without a word.
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn rounds(count: usize, seed: u64) {
    let host = Host::start();
    host.import_busybox();
    let mut dice = Dice(seed);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::default()).collect();
    for number in 0..count {
        round(&host, &mut clients, &mut dice);
        check(&host, &clients, number);
    }
    let written: u64 = clients.iter().map(|client| client.written).sum();
    assert!(written > 0, "no client came to anything");
}

#[test]
fn a_few_rounds() {
    rounds(12, 0x1234_5678_9abc_def1);
}

/// With a seed of their own each: what one sequence does not come across, another does.
#[test]
#[ignore = "takes minutes; part of `cargo xtask test --full`"]
fn three_hundred_rounds() {
    std::thread::scope(|scope| {
        for part in 1..=3u64 {
            scope.spawn(move || rounds(110, part.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        }
    });
}
