//! What a process has beside its user and its limits: how it is scheduled, on which processors and memory nodes it
//! may be, and as which kind of Linux it sees the machine.

use super::list::parse_list;
use crate::error::Error;
use oci_spec::runtime::{
    ExecCPUAffinity, Linux, LinuxMemoryPolicy, LinuxPersonality, LinuxPersonalityDomain, LinuxSchedulerFlag,
    LinuxSchedulerPolicy, MemoryPolicyFlagType, MemoryPolicyModeType, Scheduler,
};

/// `struct sched_attr` of `linux/sched/types.h`, in its first published size.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SchedulerAttributes {
    pub(crate) size: u32,
    pub(crate) policy: u32,
    pub(crate) flags: u64,
    pub(crate) nice: i32,
    pub(crate) priority: u32,
    pub(crate) runtime: u64,
    pub(crate) deadline: u64,
    pub(crate) period: u64,
}

/// Bits, the lowest number in the lowest bit of the first word: a set of processors or memory nodes.
pub(crate) type Mask = Vec<u64>;

/// A call of `set_mempolicy(2)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemoryPolicy {
    /// Mode and flags.
    pub(crate) mode: u32,
    /// Nodes; empty for none.
    pub(crate) nodes: Mask,
}

/// On which processors a joining process runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Affinity {
    /// Before it is in the container's cgroup.
    pub(crate) initial: Option<Mask>,
    /// From then on.
    pub(crate) last: Option<Mask>,
}

/// All of it; nothing is set that the spec does not ask for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Attributes {
    pub(crate) scheduler: Option<SchedulerAttributes>,
    pub(crate) personality: Option<u64>,
    pub(crate) memory_policy: Option<MemoryPolicy>,
}

impl Attributes {
    /// Checks what the spec says.
    pub(crate) fn new(scheduler: Option<&Scheduler>, linux: Option<&Linux>) -> Result<Self, Error> {
        let policy = linux.and_then(|l| l.memory_policy().as_ref());
        Ok(Self {
            scheduler: scheduler.map(scheduler_attributes).transpose()?,
            personality: linux.and_then(|l| l.personality().as_ref()).map(personality).transpose()?,
            memory_policy: policy.map(memory_policy).transpose()?,
        })
    }
}

fn scheduler_attributes(scheduler: &Scheduler) -> Result<SchedulerAttributes, Error> {
    use LinuxSchedulerPolicy as Policy;
    let wrong = |what: String| Err(Error::Spec(format!("process.scheduler: {what}")));
    let policy = *scheduler.policy();
    let number = match policy {
        Policy::SchedOther => 0,
        Policy::SchedFifo => 1,
        Policy::SchedRr => 2,
        Policy::SchedBatch => 3,
        // Reserved, and never in any kernel of Linus'.
        Policy::SchedIso => return wrong("policy SCHED_ISO is not one that Linux has".into()),
        Policy::SchedIdle => 5,
        Policy::SchedDeadline => 6,
    };
    let nice = scheduler.nice().unwrap_or(0);
    if !(-20..=19).contains(&nice) {
        return wrong(format!("invalid nice value {nice}: it must be from -20 to 19"));
    }
    if nice != 0 && !matches!(policy, Policy::SchedOther | Policy::SchedBatch) {
        return wrong("nice is for SCHED_OTHER and SCHED_BATCH only".into());
    }
    let priority = scheduler.priority().unwrap_or(0);
    let real_time = matches!(policy, Policy::SchedFifo | Policy::SchedRr);
    if priority != 0 && !real_time {
        return wrong("priority is for SCHED_FIFO and SCHED_RR only".into());
    }
    if real_time && !(1..=99).contains(&priority) {
        return wrong(format!("invalid priority {priority}: it must be from 1 to 99"));
    }
    let times =
        [*scheduler.runtime(), *scheduler.deadline(), *scheduler.period()].map(Option::unwrap_or_default);
    if times != [0; 3] && policy != Policy::SchedDeadline {
        return wrong("runtime, deadline and period are for SCHED_DEADLINE only".into());
    }
    let [runtime, deadline, period] = times;
    let flags = scheduler.flags().iter().flatten().fold(0, |all, flag| {
        all | match flag {
            LinuxSchedulerFlag::SchedResetOnFork => 0x01,
            LinuxSchedulerFlag::SchedFlagReclaim => 0x02,
            LinuxSchedulerFlag::SchedFlagDLOverrun => 0x04,
            LinuxSchedulerFlag::SchedFlagKeepPolicy => 0x08,
            LinuxSchedulerFlag::SchedFlagKeepParams => 0x10,
            LinuxSchedulerFlag::SchedFlagUtilClampMin => 0x20,
            LinuxSchedulerFlag::SchedFlagUtilClampMax => 0x40,
        }
    });
    Ok(SchedulerAttributes {
        size: size_of::<SchedulerAttributes>() as u32,
        policy: number,
        flags,
        nice,
        priority: priority.unsigned_abs(),
        runtime,
        deadline,
        period,
    })
}

/// The value of `personality(2)`.
fn personality(given: &LinuxPersonality) -> Result<u64, Error> {
    if given.flags().as_ref().is_some_and(|flags| !flags.is_empty()) {
        return Err(Error::Spec(
            "linux.personality: flags are reserved, the specification knows none".into(),
        ));
    }
    Ok(match given.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    })
}

fn memory_policy(given: &LinuxMemoryPolicy) -> Result<MemoryPolicy, Error> {
    use MemoryPolicyModeType as Mode;
    let mode = match given.mode() {
        Mode::MpolDefault => 0,
        Mode::MpolPreferred => 1,
        Mode::MpolBind => 2,
        Mode::MpolInterleave => 3,
        Mode::MpolLocal => 4,
        Mode::MpolPreferredMany => 5,
        Mode::MpolWeightedInterleave => 6,
    };
    let flags = given.flags().iter().flatten().fold(0, |all, flag| {
        all | match flag {
            MemoryPolicyFlagType::MpolFNumaBalancing => 1 << 13,
            MemoryPolicyFlagType::MpolFRelativeNodes => 1 << 14,
            MemoryPolicyFlagType::MpolFStaticNodes => 1 << 15,
        }
    });
    if flags & 0xc000 == 0xc000 {
        return Err(Error::Spec(
            "linux.memoryPolicy: MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other".into(),
        ));
    }
    let nodes = given.nodes().as_deref().unwrap_or_default();
    let takes_none = matches!(given.mode(), Mode::MpolDefault | Mode::MpolLocal);
    if takes_none && !nodes.trim().is_empty() {
        return Err(Error::Spec(format!("linux.memoryPolicy: mode {} takes no nodes", given.mode())));
    }
    Ok(MemoryPolicy { mode: mode | flags, nodes: parse_list(nodes, "linux.memoryPolicy.nodes")? })
}

/// Checks `execCPUAffinity`.
pub(crate) fn affinity(given: &ExecCPUAffinity) -> Result<Affinity, Error> {
    let mask = |text: &Option<String>, what: &str| {
        text.as_deref().filter(|text| !text.is_empty()).map(|text| parse_list(text, what)).transpose()
    };
    Ok(Affinity {
        initial: mask(given.initial(), "process.execCPUAffinity.initial")?,
        last: mask(given.cpu_affinity_final(), "process.execCPUAffinity.final")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheduler(json: &str) -> Result<SchedulerAttributes, Error> {
        scheduler_attributes(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn a_scheduler_is_what_the_kernel_takes() {
        let given = scheduler(r#"{"policy":"SCHED_BATCH","nice":5,"flags":["SCHED_RESET_ON_FORK"]}"#);
        let given = given.unwrap();
        assert_eq!((given.size, given.policy, given.nice, given.flags), (48, 3, 5, 1));
        let given = scheduler(r#"{"policy":"SCHED_DEADLINE","runtime":1,"deadline":2,"period":3}"#).unwrap();
        assert_eq!((given.policy, given.runtime, given.deadline, given.period), (6, 1, 2, 3));
        for bad in [
            r#"{"policy":"SCHED_ISO"}"#,
            r#"{"policy":"SCHED_OTHER","nice":20}"#,
            r#"{"policy":"SCHED_FIFO","nice":1,"priority":1}"#,
            r#"{"policy":"SCHED_FIFO"}"#,
            r#"{"policy":"SCHED_RR","priority":100}"#,
            r#"{"policy":"SCHED_RR","priority":-1}"#,
            r#"{"policy":"SCHED_OTHER","priority":1}"#,
            r#"{"policy":"SCHED_OTHER","runtime":1}"#,
        ] {
            let error = scheduler(bad).unwrap_err().to_string();
            assert!(error.starts_with("process.scheduler: "), "{bad}: {error}");
        }
    }

    #[test]
    fn a_memory_policy_is_what_the_kernel_takes() {
        let read = |json: &str| memory_policy(&serde_json::from_str(json).unwrap());
        let given = read(r#"{"mode":"MPOL_BIND","nodes":"0,2","flags":["MPOL_F_STATIC_NODES"]}"#).unwrap();
        assert_eq!(given, MemoryPolicy { mode: 2 | 1 << 15, nodes: vec![0b101] });
        for bad in [
            r#"{"mode":"MPOL_BIND","nodes":"x"}"#,
            r#"{"mode":"MPOL_LOCAL","nodes":"0"}"#,
            r#"{"mode":"MPOL_BIND","nodes":"0","flags":["MPOL_F_STATIC_NODES","MPOL_F_RELATIVE_NODES"]}"#,
        ] {
            assert!(read(bad).unwrap_err().to_string().starts_with("linux.memoryPolicy"), "{bad}");
        }
    }

    #[test]
    fn a_personality_is_what_the_kernel_takes() {
        let read = |json: &str| personality(&serde_json::from_str(json).unwrap());
        assert_eq!(read(r#"{"domain":"LINUX32"}"#).unwrap(), 8);
        assert_eq!(read(r#"{"domain":"LINUX","flags":[]}"#).unwrap(), 0);
        assert!(read(r#"{"domain":"LINUX","flags":["X"]}"#).is_err());
    }
}
