//! Runs cases, each in a process of its own, several at once.

use std::collections::HashMap;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

/// Names the case in the environment of its process.
const CASE: &str = "BRIG_RUNTIME_CASE";
/// Seconds after which a case is dead.
const PATIENCE: u32 = 60;

/// One case.
#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    pub run: fn(&Path),
    pub ignored: bool,
}

struct Live {
    case: Case,
    child: Child,
    dir: PathBuf,
    since: Instant,
}

pub fn main(cases: &[Case]) {
    if let Ok(name) = std::env::var(CASE) {
        let dir = std::env::current_dir().expect("working folder");
        let case = cases.iter().find(|c| c.name == name).expect("a known case");
        (case.run)(&dir);
        return;
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| args.iter().any(|a| a == flag);
    if has("--list") {
        cases.iter().for_each(|c| println!("{}: test", c.name));
        return;
    }
    let ignored = has("--ignored") || has("--include-ignored");
    let filters: Vec<&String> = args.iter().filter(|a| !a.starts_with('-')).collect();
    let chosen = |c: &&Case| {
        (!c.ignored || ignored) && (filters.is_empty() || filters.iter().any(|f| c.name.contains(f.as_str())))
    };
    let chosen: Vec<Case> = cases.iter().filter(chosen).copied().collect();
    if !rustix::process::geteuid().is_root() {
        println!("containers: needs root; {} cases not run", chosen.len());
        std::process::exit(if chosen.is_empty() { 0 } else { 1 });
    }
    std::process::exit(run_all(&chosen, if has("--nocapture") { 1 } else { 4 }));
}

fn run_all(cases: &[Case], at_once: usize) -> i32 {
    // SAFETY: takes integers and touches no memory.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    let mut waiting = cases.iter();
    let mut live: HashMap<i32, Live> = HashMap::new();
    let mut failed = Vec::new();
    loop {
        while live.len() < at_once
            && let Some(case) = waiting.next()
        {
            let one = spawn(*case);
            live.insert(one.child.id() as i32, one);
        }
        if live.is_empty() {
            break;
        }
        let mut raw = 0;
        // SAFETY: raw outlives the call.
        let pid = unsafe { libc::waitpid(-1, &raw mut raw, 0) };
        let Some(one) = live.remove(&pid) else { continue };
        kill_orphans(&live);
        let name = one.case.name;
        if !finish(one, ExitStatus::from_raw(raw)) {
            failed.push(name);
        }
    }
    println!("\n{} passed, {} failed {failed:?}", cases.len() - failed.len(), failed.len());
    i32::from(!failed.is_empty())
}

fn spawn(case: Case) -> Live {
    let dir = std::env::temp_dir().join(format!("brig-runtime-{}-{}", std::process::id(), case.name));
    std::fs::create_dir(&dir).expect("the case's folder");
    let out = std::fs::File::create(dir.join("output")).expect("the case's output");
    let mut command = Command::new(std::env::current_exe().expect("own path"));
    command.env(CASE, case.name).current_dir(&dir).stdin(Stdio::null());
    command.stdout(out.try_clone().expect("dup")).stderr(out);
    // SAFETY: alarm(2) is async-signal-safe; it survives execve and kills a case that hangs.
    unsafe {
        command.pre_exec(|| {
            libc::alarm(PATIENCE);
            Ok(())
        });
    }
    Live { case, child: command.spawn().expect("own program"), dir, since: Instant::now() }
}

fn finish(one: Live, status: ExitStatus) -> bool {
    let output = std::fs::read_to_string(one.dir.join("output")).unwrap_or_default();
    let verdict = if status.success() { "ok" } else { "FAILED" };
    println!("test {} ... {verdict} ({} ms)", one.case.name, one.since.elapsed().as_millis());
    if !status.success() || output.contains("figure:") {
        println!("{output}{}", if status.success() { String::new() } else { format!("[{status}]\n") });
    }
    remove_cgroups(one.child.id());
    std::fs::remove_dir_all(&one.dir).expect("the case's folder goes away: nothing is mounted there");
    status.success()
}

/// Removes the cgroups of a case that did not come to do it; their processes are dead by now.
fn remove_cgroups(case: u32) {
    let prefix = format!("brig-runtime-test-{case}-");
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    for hierarchy in hierarchies.chain([root.to_owned()]) {
        for group in std::fs::read_dir(hierarchy).into_iter().flatten().flatten() {
            if group.file_name().to_string_lossy().starts_with(&prefix) {
                let _ = std::fs::remove_dir(group.path());
            }
        }
    }
}

/// Kills our children that are no cases: what a case left behind.
fn kill_orphans(live: &HashMap<i32, Live>) {
    let Ok(children) = std::fs::read_to_string(format!("/proc/self/task/{}/children", std::process::id()))
    else {
        return;
    };
    for pid in children.split_whitespace().filter_map(|p| p.parse::<i32>().ok()) {
        if !live.contains_key(&pid) {
            // SAFETY: takes integers; it is our child and not reaped yet.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
    }
}
