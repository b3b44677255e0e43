//! From the runtime spec's rules to a program.
//!
//! An ABI's numbers are cut into ranges that share one answer, and a balanced tree of comparisons finds the range:
//! Docker's profile has about 120 ranges, so a system call costs about ten instructions (and none at all where the
//! kernel finds by itself that a number is always allowed). Rules with conditions on arguments are leaves of the tree.

use super::arch::{Abi, X32_BIT};
use super::bpf::{AND, Emitter, Instruction, JUMP_EQUAL, JUMP_GREATER, JUMP_GREATER_EQUAL, LOAD, Label};
use super::{SeccompError, syscalls};
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator};

/// The kernel's limit on a program (BPF_MAXINSNS).
const LONGEST: usize = 4096;

/// `struct seccomp_data`: nr, arch, instruction pointer, six arguments of 64 bits.
const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCH: u32 = 4;
const OFFSET_ARGUMENTS: u32 = 16;

/// The kernel's answers: `SECCOMP_RET_*` of `linux/seccomp.h`.
pub(super) mod answer {
    pub(in super::super) const KILL_PROCESS: u32 = 0x8000_0000;
    pub(in super::super) const KILL_THREAD: u32 = 0;
    pub(in super::super) const TRAP: u32 = 0x0003_0000;
    pub(in super::super) const ERRNO: u32 = 0x0005_0000;
    pub(in super::super) const USER_NOTIFICATION: u32 = 0x7fc0_0000;
    pub(in super::super) const TRACE: u32 = 0x7ff0_0000;
    pub(in super::super) const LOG: u32 = 0x7ffc_0000;
    pub(in super::super) const ALLOW: u32 = 0x7fff_0000;
}

/// The kernel's answer for an action; `data` goes with errno and trace, EPERM when it is absent.
pub(super) fn answer_of(action: LinuxSeccompAction, data: Option<u32>) -> u32 {
    let data = data.unwrap_or(libc::EPERM as u32) & 0xffff;
    match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => answer::KILL_THREAD,
        LinuxSeccompAction::ScmpActKillProcess => answer::KILL_PROCESS,
        LinuxSeccompAction::ScmpActTrap => answer::TRAP,
        LinuxSeccompAction::ScmpActErrno => answer::ERRNO | data,
        LinuxSeccompAction::ScmpActNotify => answer::USER_NOTIFICATION,
        LinuxSeccompAction::ScmpActTrace => answer::TRACE | data,
        LinuxSeccompAction::ScmpActLog => answer::LOG,
        LinuxSeccompAction::ScmpActAllow => answer::ALLOW,
    }
}

/// Calls that i386 programs may also make through one call that says which it is in its first argument: a rule for
/// the call by name holds for this way too, as with libseccomp. Sorted by name. Source: `linux/net.h`, `linux/ipc.h`.
const MULTIPLEXED: [(&str, &str, u64); 32] = [
    ("accept", "socketcall", 5),
    ("accept4", "socketcall", 18),
    ("bind", "socketcall", 2),
    ("connect", "socketcall", 3),
    ("getpeername", "socketcall", 7),
    ("getsockname", "socketcall", 6),
    ("getsockopt", "socketcall", 15),
    ("listen", "socketcall", 4),
    ("msgctl", "ipc", 14),
    ("msgget", "ipc", 13),
    ("msgrcv", "ipc", 12),
    ("msgsnd", "ipc", 11),
    ("recv", "socketcall", 10),
    ("recvfrom", "socketcall", 12),
    ("recvmmsg", "socketcall", 19),
    ("recvmsg", "socketcall", 17),
    ("semctl", "ipc", 3),
    ("semget", "ipc", 2),
    ("semop", "ipc", 1),
    ("semtimedop", "ipc", 4),
    ("send", "socketcall", 9),
    ("sendmmsg", "socketcall", 20),
    ("sendmsg", "socketcall", 16),
    ("sendto", "socketcall", 11),
    ("setsockopt", "socketcall", 14),
    ("shmat", "ipc", 21),
    ("shmctl", "ipc", 24),
    ("shmdt", "ipc", 22),
    ("shmget", "ipc", 23),
    ("shutdown", "socketcall", 13),
    ("socket", "socketcall", 1),
    ("socketpair", "socketcall", 8),
];

/// One condition on an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Condition {
    argument: u32,
    operator: LinuxSeccompOperator,
    /// What to compare with; the mask for MASKED_EQ.
    value: u64,
    /// What the masked argument has to be; only for MASKED_EQ.
    masked: u64,
}

impl Condition {
    fn from_oci(arg: &LinuxSeccompArg) -> Result<Self, SeccompError> {
        let argument = u32::try_from(arg.index()).ok().filter(|index| *index < 6);
        Ok(Self {
            argument: argument.ok_or(SeccompError::Argument(arg.index()))?,
            operator: arg.op(),
            value: arg.value(),
            masked: arg.value_two().unwrap_or(0),
        })
    }
}

/// What a rule of the spec says, cut into alternatives: the answer is given if all conditions of one hold.
#[derive(Debug)]
struct Rule {
    answer: u32,
    /// Empty: always.
    alternatives: Vec<Vec<Condition>>,
}

/// What to do for one system call.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Decision {
    Always(u32),
    /// Conditions that must all hold, with the answer then; the first that fits counts, else the default.
    Depends(Vec<(Vec<Condition>, u32)>),
}

/// A range of numbers up to the next one's start.
type Range = (u32, Decision);

/// Compiles; see [`super::compile`].
pub(super) fn program(seccomp: &LinuxSeccomp) -> Result<Vec<Instruction>, SeccompError> {
    let default = answer_of(seccomp.default_action(), seccomp.default_errno_ret());
    if default == answer::USER_NOTIFICATION {
        return Err(SeccompError::NotifyDefault);
    }
    let rules = Rules::new(seccomp, default)?;
    let native = Abi::NATIVE.ok_or(SeccompError::Machine)?;
    // The native one comes first: its programs then find their way fastest. x32 is a part of x86_64's section.
    let mut abis = vec![native];
    for abi in seccomp.architectures().iter().flatten().filter_map(|arch| Abi::from_oci(*arch)) {
        if !abis.contains(&abi) {
            abis.push(abi);
        }
    }

    let mut emitter = Emitter::default();
    // An ABI that the profile does not know: as libseccomp, the thread dies.
    let mut next = emitter.ret(answer::KILL_THREAD);
    let x32 = abis.contains(&Abi::X32);
    for abi in abis.iter().rev().copied().filter(|abi| *abi != Abi::X32) {
        let section = section(&mut emitter, abi, x32, &rules, default);
        next = emitter.branch(JUMP_EQUAL, abi.audit(), section, next);
    }
    emitter.then(LOAD, OFFSET_ARCH, next);
    let program = emitter.finish();
    if program.len() > LONGEST {
        return Err(SeccompError::TooLong(program.len()));
    }
    Ok(program)
}

/// The spec's rules, system call by system call.
struct Rules {
    /// In the spec's order. Names that no ABI has are left out, as are rules that say what holds anyway (runc and
    /// libseccomp do so too).
    rules: Vec<(&'static syscalls::Row, Rule)>,
    /// All calls that the profile names, whatever it says about them, and the multiplexers it speaks of.
    named: Vec<&'static syscalls::Row>,
}

impl Rules {
    fn new(seccomp: &LinuxSeccomp, default: u32) -> Result<Self, SeccompError> {
        let mut all = Self { rules: Vec::with_capacity(400), named: Vec::with_capacity(400) };
        for syscall in seccomp.syscalls().iter().flatten() {
            let answer = answer_of(syscall.action(), syscall.errno_ret());
            let args = syscall.args().iter().flatten();
            let conditions = args.map(Condition::from_oci).collect::<Result<Vec<_>, _>>()?;
            for name in syscall.names() {
                // runc: whoever has to answer could not even be written to.
                if answer == answer::USER_NOTIFICATION && name == "write" {
                    return Err(SeccompError::NotifyWrite);
                }
                let Some(row) = syscalls::row(name) else { continue };
                all.named.push(row);
                if answer != default {
                    all.add(row, answer, &conditions);
                }
            }
        }
        Ok(all)
    }

    fn add(&mut self, row: &'static syscalls::Row, answer: u32, conditions: &[Condition]) {
        self.rules.push((row, Rule { answer, alternatives: alternatives(conditions) }));
        // What a rule says about arguments can't be seen through a multiplexer: they are behind a pointer there.
        if conditions.is_empty()
            && let Ok(at) = MULTIPLEXED.binary_search_by(|(known, ..)| (*known).cmp(row.0))
            && let (_, through, value) = MULTIPLEXED[at]
            && let Some(row) = syscalls::row(through)
        {
            let which =
                Condition { argument: 0, operator: LinuxSeccompOperator::ScmpCmpEq, value, masked: 0 };
            self.named.push(row);
            self.rules.push((row, Rule { answer, alternatives: vec![vec![which]] }));
        }
    }

    /// The highest number that the profile names on an ABI.
    fn highest(&self, abi: Abi) -> Option<u32> {
        self.named.iter().filter_map(|row| syscalls::number(row, abi)).max().filter(|highest| *highest > 0)
    }
}

/// runc's reading of a rule with several conditions on one argument: each condition alone is enough. (libseccomp
/// takes only one condition an argument, so runc makes a rule of each.)
fn alternatives(conditions: &[Condition]) -> Vec<Vec<Condition>> {
    let repeated = |c: &Condition| conditions.iter().filter(|other| other.argument == c.argument).count() > 1;
    if conditions.is_empty() {
        Vec::new()
    } else if conditions.iter().any(repeated) {
        conditions.iter().map(|condition| vec![*condition]).collect()
    } else {
        vec![conditions.to_vec()]
    }
}

/// Whether a number that is newer than the whole profile gets ENOSYS instead of the default answer, so that
/// programs fall back to what they did before that call existed (runc's rule since 1.0.0-rc93).
fn newer_calls_do_not_exist(default: u32) -> bool {
    !matches!(default & 0xffff_0000, answer::ALLOW | answer::LOG | answer::TRACE)
}

/// Everything for one value of `arch`, from the load of the number on.
fn section(emitter: &mut Emitter, abi: Abi, x32: bool, rules: &Rules, default: u32) -> Label {
    let tree_of = |emitter: &mut Emitter, abi: Abi| {
        let ranges = ranges(abi, rules, default);
        tree(emitter, &ranges, abi, default)
    };
    let mut root = tree_of(emitter, abi);
    if abi == Abi::X86_64 {
        // Without x32 in the profile its calls are those of an unknown ABI; only -1, which a tracer puts in the
        // place of a call that it wants skipped, is none.
        let other = if x32 {
            tree_of(emitter, Abi::X32)
        } else {
            let skipped = if newer_calls_do_not_exist(default) { enosys() } else { default };
            let (skipped, kill) = (emitter.ret(skipped), emitter.ret(answer::KILL_THREAD));
            emitter.branch(JUMP_EQUAL, u32::MAX, skipped, kill)
        };
        root = emitter.branch(JUMP_GREATER_EQUAL, X32_BIT, other, root);
    }
    emitter.then(LOAD, OFFSET_NUMBER, root)
}

fn enosys() -> u32 {
    answer::ERRNO | libc::ENOSYS as u32
}

/// The whole space of numbers of an ABI as ranges, none of which decides as its neighbour does.
fn ranges(abi: Abi, rules: &Rules, default: u32) -> Vec<Range> {
    let highest = rules.highest(abi);
    let rules = &rules.rules;
    let mut numbered: Vec<(u32, usize)> = rules
        .iter()
        .enumerate()
        .filter_map(|(at, (row, _))| Some((syscalls::number(row, abi)?, at)))
        .collect();
    numbered.sort_unstable();
    let base = if abi == Abi::X32 { X32_BIT } else { 0 };

    let mut ranges: Vec<Range> = Vec::with_capacity(160);
    let mut add = |start: u32, decision: Decision| {
        if ranges.last().is_none_or(|(_, last)| *last != decision) {
            ranges.push((start, decision));
        }
    };
    let mut free = 0;
    for same in numbered.chunk_by(|a, b| a.0 == b.0) {
        let number = same[0].0;
        if number > free {
            add(base + free, Decision::Always(default));
        }
        add(base + number, decide(same.iter().map(|(_, at)| &rules[*at].1)));
        free = number + 1;
    }
    match highest.filter(|_| newer_calls_do_not_exist(default)) {
        Some(highest) => {
            if highest >= free {
                add(base + free, Decision::Always(default));
            }
            add(base + free.max(highest + 1), Decision::Always(enosys()));
        }
        None => add(base + free, Decision::Always(default)),
    }
    ranges
}

/// What all rules for one system call come to: the first that always holds, else the conditions in order.
fn decide<'a>(rules: impl Iterator<Item = &'a Rule>) -> Decision {
    let mut depends = Vec::new();
    for rule in rules {
        if rule.alternatives.is_empty() {
            return Decision::Always(rule.answer);
        }
        depends.extend(rule.alternatives.iter().map(|conditions| (conditions.clone(), rule.answer)));
    }
    Decision::Depends(depends)
}

/// The comparisons that find the range of the number in A.
fn tree(emitter: &mut Emitter, ranges: &[Range], abi: Abi, default: u32) -> Label {
    match ranges {
        [] => emitter.ret(default),
        [(_, Decision::Always(answer))] => emitter.ret(*answer),
        [(_, Decision::Depends(rules))] => conditions(emitter, rules, abi, default),
        _ => {
            let (left, right) = ranges.split_at(ranges.len() / 2);
            let start = right[0].0;
            let right = tree(emitter, right, abi, default);
            let left = tree(emitter, left, abi, default);
            emitter.branch(JUMP_GREATER_EQUAL, start, right, left)
        }
    }
}

/// Rules with conditions, in order.
fn conditions(emitter: &mut Emitter, rules: &[(Vec<Condition>, u32)], abi: Abi, default: u32) -> Label {
    let mut next = emitter.ret(default);
    for (conditions, answer) in rules.iter().rev() {
        let mut fits = emitter.ret(*answer);
        for condition in conditions.iter().rev() {
            fits = check(emitter, condition, abi, fits, next);
        }
        next = fits;
    }
    next
}

/// One condition. Arguments have 64 bits, A has 32: the high half decides unless it is equal. All ABIs here are
/// little endian, so the high half lies 4 bytes on.
fn check(emitter: &mut Emitter, condition: &Condition, abi: Abi, yes: Label, no: Label) -> Label {
    use LinuxSeccompOperator as Op;
    let Condition { argument, operator, value, masked } = *condition;
    let low_at = OFFSET_ARGUMENTS + 8 * argument;
    let high_at = low_at + 4;
    let (low, high) = (value as u32, (value >> 32) as u32);
    let narrow = abi.has_32bit_arguments();

    if operator == Op::ScmpCmpMaskedEq {
        let test = emitter.branch(JUMP_EQUAL, masked as u32, yes, no);
        let and = emitter.then(AND, low, test);
        let low_half = emitter.then(LOAD, low_at, and);
        if narrow {
            return low_half;
        }
        let test = emitter.branch(JUMP_EQUAL, (masked >> 32) as u32, low_half, no);
        let and = emitter.then(AND, high, test);
        return emitter.then(LOAD, high_at, and);
    }

    let low_test = match operator {
        Op::ScmpCmpEq => emitter.branch(JUMP_EQUAL, low, yes, no),
        Op::ScmpCmpNe => emitter.branch(JUMP_EQUAL, low, no, yes),
        Op::ScmpCmpGe => emitter.branch(JUMP_GREATER_EQUAL, low, yes, no),
        Op::ScmpCmpGt => emitter.branch(JUMP_GREATER, low, yes, no),
        Op::ScmpCmpLe => emitter.branch(JUMP_GREATER, low, no, yes),
        Op::ScmpCmpLt => emitter.branch(JUMP_GREATER_EQUAL, low, no, yes),
        Op::ScmpCmpMaskedEq => unreachable!("handled above"),
    };
    let low_half = emitter.then(LOAD, low_at, low_test);
    if narrow {
        return low_half;
    }
    let high_test = match operator {
        Op::ScmpCmpEq => emitter.branch(JUMP_EQUAL, high, low_half, no),
        Op::ScmpCmpNe => emitter.branch(JUMP_EQUAL, high, low_half, yes),
        Op::ScmpCmpGe | Op::ScmpCmpGt => {
            let less_or_equal = emitter.branch(JUMP_EQUAL, high, low_half, no);
            emitter.branch(JUMP_GREATER, high, yes, less_or_equal)
        }
        Op::ScmpCmpLe | Op::ScmpCmpLt => {
            let less_or_equal = emitter.branch(JUMP_EQUAL, high, low_half, yes);
            emitter.branch(JUMP_GREATER, high, no, less_or_equal)
        }
        Op::ScmpCmpMaskedEq => unreachable!("handled above"),
    };
    emitter.then(LOAD, high_at, high_test)
}
