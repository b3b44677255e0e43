//! The process of the spec, checked.

use super::attributes::{self, Affinity, Attributes};
use crate::Stdio;
use crate::capabilities::ProcessCapabilities;
use crate::error::Error;
use crate::options::{ConsoleSize, Departures};
use crate::seccomp::Program;
use crate::security_modules;
use oci_spec::runtime::{Linux, LinuxIOPriority, PosixRlimitType, Process};
use std::ffi::CString;
use std::path::PathBuf;

/// One resource limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rlimit {
    /// `RLIMIT_*`.
    pub(crate) resource: u32,
    /// Its name, for messages.
    pub(crate) kind: PosixRlimitType,
    /// What is in force.
    pub(crate) soft: u64,
    /// What the process may raise it to.
    pub(crate) hard: u64,
}

/// The process to run.
#[derive(Debug)]
pub(crate) struct ProcessPlan {
    /// The program as the user named it, and its arguments; empty only where there is no process.
    pub(crate) args: Vec<String>,
    /// `NAME=value`, each name once, the last value given.
    pub(crate) env: Vec<String>,
    /// Working folder inside the root; absolute.
    pub(crate) cwd: PathBuf,
    /// User.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Further groups.
    pub(crate) groups: Vec<u32>,
    /// Mode bits taken from new files; what the process finds when it starts.
    pub(crate) umask: u32,
    /// The five capability sets.
    pub(crate) capabilities: ProcessCapabilities,
    /// Limits, each resource once.
    pub(crate) rlimits: Vec<Rlimit>,
    /// Whether `execve` can no longer give rights.
    pub(crate) no_new_privileges: bool,
    /// How readily the kernel kills it for want of memory, -1000 to 1000.
    pub(crate) oom_score_adj: Option<i32>,
    /// Whether the standard streams are a terminal.
    pub(crate) terminal: bool,
    /// First size of it.
    pub(crate) console_size: ConsoleSize,
    /// AppArmor profile to change to at `execve`.
    pub(crate) apparmor: Option<String>,
    /// SELinux label to take on at `execve`.
    pub(crate) selinux: Option<String>,
    /// How it is scheduled, and the like.
    pub(crate) attributes: Attributes,
    /// Processors, of a process that joins a container.
    pub(crate) affinity: Affinity,
    /// `ioprio_set(2)` value.
    pub(crate) io_priority: Option<u32>,
    /// The seccomp filter.
    pub(crate) seccomp: Option<Program>,
    /// What is done otherwise than usual.
    pub(crate) departures: Departures,
    /// Whether it is in another user namespace than the machine's, where groups may be denied.
    pub(crate) in_user_namespace: bool,
}

/// What a start without a process fails with.
pub(crate) const MISSING: &str = "process must be given: config.json has none";

/// What stands in for a process that the spec leaves out: no program.
pub(super) fn nothing() -> Process {
    let mut process = Process::default();
    process.set_args(None).set_env(None).set_capabilities(None).set_rlimits(None);
    process
}

impl ProcessPlan {
    /// Checks a process of the spec against what the caller gives with it.
    pub(crate) fn new(
        process: &Process,
        linux: Option<&Linux>,
        stdio: &Stdio,
        console_size: Option<ConsoleSize>,
        seccomp: Option<Program>,
        departures: Departures,
    ) -> Result<Self, Error> {
        let args = process.args().clone().unwrap_or_default();
        if args.is_empty() && *process != nothing() {
            return Err(Error::Spec("args must not be empty".into()));
        }
        let env = deduplicate(process.env().clone().unwrap_or_default());
        if let Some(text) = args.iter().chain(&env).find(|text| text.contains('\0')) {
            return Err(Error::Spec(format!("{text:?} contains a NUL byte")));
        }
        let cwd = process.cwd().clone();
        if !cwd.is_absolute() {
            return Err(Error::Spec(format!("cwd {:?} must be an absolute path", cwd.display().to_string())));
        }
        let terminal = process.terminal().unwrap_or(false);
        if terminal != matches!(stdio, Stdio::Terminal) {
            return Err(Error::Spec(
                "process.terminal and the standard streams contradict each other".into(),
            ));
        }
        if seccomp.as_ref().is_some_and(Program::notifies) && !departures.takes_listener {
            return Err(Error::Unsupported("seccomp user notification".into()));
        }
        let apparmor = process.apparmor_profile().clone().filter(|p| !p.is_empty() && p != "unconfined");
        let selinux = process.selinux_label().clone().filter(|label| !label.is_empty());
        check_labels(apparmor.as_deref(), selinux.as_deref())?;
        let oom_score_adj = process.oom_score_adj();
        if oom_score_adj.is_some_and(|adj| !(-1000..=1000).contains(&adj)) {
            return Err(Error::Spec("process.oomScoreAdj must be from -1000 to 1000".into()));
        }
        let user = process.user();
        let groups = user.additional_gids().clone().unwrap_or_default();
        // To the kernel this number means "leave as it is", which is root.
        if groups.iter().chain([&user.uid(), &user.gid()]).any(|id| *id == u32::MAX) {
            return Err(Error::Spec(format!("{} is not a user or group id", u32::MAX)));
        }
        let from_spec = process.console_size().map(|size| ConsoleSize {
            rows: u16::try_from(size.height()).unwrap_or(u16::MAX),
            columns: u16::try_from(size.width()).unwrap_or(u16::MAX),
        });
        Ok(Self {
            args,
            env,
            cwd,
            uid: user.uid(),
            gid: user.gid(),
            groups,
            umask: user.umask().unwrap_or(0o022) & 0o777,
            capabilities: ProcessCapabilities::from_oci(process.capabilities().as_ref()),
            rlimits: rlimits(process)?,
            no_new_privileges: process.no_new_privileges().unwrap_or(false),
            oom_score_adj,
            terminal,
            console_size: console_size.or(from_spec).unwrap_or_default(),
            apparmor,
            selinux,
            attributes: Attributes::new(process.scheduler().as_ref(), linux)?,
            affinity: process
                .exec_cpu_affinity()
                .as_ref()
                .map_or(Ok(Affinity::default()), attributes::affinity)?,
            io_priority: process.io_priority().as_ref().map(io_priority).transpose()?,
            seccomp,
            departures,
            in_user_namespace: departures.rootless,
        })
    }

    /// The value of an environment variable.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().find_map(|text| text.strip_prefix(name)?.strip_prefix('='))
    }
}

/// Refuses labels that the kernel could not put into force: a process without them would have more rights than its
/// owner believes. runc's words.
fn check_labels(apparmor: Option<&str>, selinux: Option<&str>) -> Result<(), Error> {
    if let Some(label) = [apparmor, selinux].into_iter().flatten().find(|l| l.contains(['\0', '\n'])) {
        return Err(Error::Spec(format!("{label:?} is not a label")));
    }
    if let Some(profile) = apparmor.filter(|_| !security_modules::has_apparmor()) {
        return Err(Error::Spec(format!(
            "apparmor: config provided but apparmor not supported: profile {profile:?} can't be put into force by this \
             kernel; leave process.apparmorProfile out, or boot it with AppArmor"
        )));
    }
    if let Some(label) = selinux.filter(|_| !security_modules::has_selinux()) {
        return Err(no_selinux(label, "process.selinuxLabel"));
    }
    Ok(())
}

/// A label on a machine without SELinux.
pub(super) fn no_selinux(label: &str, field: &str) -> Error {
    Error::Spec(format!(
        "selinux label is specified in config, but selinux is disabled or not supported: {label:?} can't be put into \
         force; leave {field} out"
    ))
}

/// A text for the kernel; `ProcessPlan::new` has seen to it that it holds no NUL.
pub(crate) fn c_string(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

/// Keeps the last of several values of one name, at its place; entries without `=` stay as they are.
fn deduplicate(env: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    let mut kept: Vec<String> = Vec::with_capacity(env.len());
    for entry in env.into_iter().rev() {
        let name = entry.split_once('=').map_or(entry.as_str(), |(name, _)| name);
        if seen.insert(name.to_owned()) {
            kept.push(entry);
        }
    }
    kept.reverse();
    kept
}

fn rlimits(process: &Process) -> Result<Vec<Rlimit>, Error> {
    let mut all: Vec<Rlimit> = Vec::new();
    for limit in process.rlimits().iter().flatten() {
        let (kind, soft, hard) = (limit.typ(), limit.soft(), limit.hard());
        let resource = resource(kind);
        if all.iter().any(|known| known.resource == resource) {
            return Err(Error::Spec(format!("rlimit {kind} is given twice")));
        }
        if soft > hard {
            return Err(Error::Spec(format!("rlimit {kind}: soft limit {soft} exceeds hard limit {hard}")));
        }
        all.push(Rlimit { resource, kind, soft, hard });
    }
    Ok(all)
}

fn resource(kind: PosixRlimitType) -> u32 {
    use PosixRlimitType as T;
    let number = match kind {
        T::RlimitCpu => libc::RLIMIT_CPU,
        T::RlimitFsize => libc::RLIMIT_FSIZE,
        T::RlimitData => libc::RLIMIT_DATA,
        T::RlimitStack => libc::RLIMIT_STACK,
        T::RlimitCore => libc::RLIMIT_CORE,
        T::RlimitRss => libc::RLIMIT_RSS,
        T::RlimitNproc => libc::RLIMIT_NPROC,
        T::RlimitNofile => libc::RLIMIT_NOFILE,
        T::RlimitMemlock => libc::RLIMIT_MEMLOCK,
        T::RlimitAs => libc::RLIMIT_AS,
        T::RlimitLocks => libc::RLIMIT_LOCKS,
        T::RlimitSigpending => libc::RLIMIT_SIGPENDING,
        T::RlimitMsgqueue => libc::RLIMIT_MSGQUEUE,
        T::RlimitNice => libc::RLIMIT_NICE,
        T::RlimitRtprio => libc::RLIMIT_RTPRIO,
        T::RlimitRttime => libc::RLIMIT_RTTIME,
    };
    #[allow(clippy::unnecessary_cast, reason = "the type differs between C libraries")]
    {
        number as u32
    }
}

/// The value of `ioprio_set(2)`: class in the top three bits.
fn io_priority(priority: &LinuxIOPriority) -> Result<u32, Error> {
    use oci_spec::runtime::IOPriorityClass as Class;
    let class = match priority.class() {
        Class::IoprioClassRt => 1,
        Class::IoprioClassBe => 2,
        Class::IoprioClassIdle => 3,
    };
    match u32::try_from(priority.priority()) {
        Ok(level) if level <= 7 => Ok(class << 13 | level),
        _ => Err(Error::Spec(format!("invalid ioPriority.Priority: {}", priority.priority()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: &str) -> Result<ProcessPlan, Error> {
        let mut value: serde_json::Value = serde_json::from_str(json).unwrap();
        let object = value.as_object_mut().unwrap();
        object.entry("user").or_insert(serde_json::json!({}));
        object.entry("cwd").or_insert("/".into());
        object.entry("args").or_insert(serde_json::json!(["x"]));
        let null = || std::fs::File::open("/dev/null").unwrap().into();
        let stdio = Stdio::Pipes { stdin: null(), stdout: null(), stderr: null() };
        ProcessPlan::new(
            &serde_json::from_value(value).unwrap(),
            None,
            &stdio,
            None,
            None,
            Departures::default(),
        )
    }

    #[test]
    fn the_last_value_of_a_variable_counts() {
        let p = plan(r#"{"env":["A=1","B=2","A=3","PATH"]}"#).unwrap();
        assert_eq!(p.env, ["B=2", "A=3", "PATH"]);
        assert_eq!(p.variable("A"), Some("3"));
        assert_eq!(p.variable("PATH"), None);
        assert_eq!((p.umask, p.uid), (0o022, 0));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for json in [
            r#"{"args":[]}"#,
            r#"{"args":["a\u0000b"]}"#,
            r#"{"env":["a=\u0000"]}"#,
            r#"{"cwd":"relative"}"#,
            r#"{"user":{"uid":4294967295}}"#,
            r#"{"user":{"gid":4294967295}}"#,
            r#"{"user":{"additionalGids":[1,4294967295]}}"#,
            r#"{"terminal":true}"#,
            r#"{"oomScoreAdj":1001}"#,
            r#"{"rlimits":[{"type":"RLIMIT_NOFILE","soft":2,"hard":1}]}"#,
            r#"{"rlimits":[{"type":"RLIMIT_CPU","soft":1,"hard":1},{"type":"RLIMIT_CPU","soft":1,"hard":1}]}"#,
            r#"{"ioPriority":{"class":"IOPRIO_CLASS_RT","priority":8}}"#,
        ] {
            assert!(plan(json).is_err(), "{json}");
        }
    }

    #[test]
    fn io_priority_has_its_class_on_top() {
        let p = plan(r#"{"ioPriority":{"class":"IOPRIO_CLASS_IDLE","priority":0}}"#).unwrap();
        assert_eq!(p.io_priority, Some(3 << 13));
    }
}
