use super::compile::{answer, answer_of};
use super::interpreter::{Call, run, verify};
use super::*;
use crate::capabilities::CapabilitySet;
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg, LinuxSeccompArgBuilder,
    LinuxSeccompOperator as Op, LinuxSyscall,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Docker's profile in Docker's form, as moby publishes it.
const DOCKER: &str = include_str!("testdata/docker-default.json");

const ABIS: [Abi; 6] = [Abi::X86_64, Abi::X86, Abi::X32, Abi::Aarch64, Abi::Arm, Abi::Riscv64];

fn arg(index: usize, op: Op, value: u64, value_two: u64) -> LinuxSeccompArg {
    let builder = LinuxSeccompArgBuilder::default().index(index).op(op).value(value).value_two(value_two);
    builder.build().unwrap()
}

fn rule(name: &str, action: Action, errno: Option<u32>, args: &[LinuxSeccompArg]) -> LinuxSyscall {
    let mut rule = LinuxSyscall::default();
    rule.set_names(vec![name.to_owned()]).set_action(action).set_errno_ret(errno);
    if !args.is_empty() {
        rule.set_args(Some(args.to_vec()));
    }
    rule
}

fn filter(default: Action, archs: &[Arch], rules: Vec<LinuxSyscall>) -> LinuxSeccomp {
    let mut seccomp = LinuxSeccomp::default();
    seccomp.set_default_action(default).set_architectures(Some(archs.to_vec())).set_syscalls(Some(rules));
    seccomp
}

/// What the spec says, read rule by rule: the slow and obvious counterpart of the compiler, for one ABI.
struct Naive {
    abi: Abi,
    default: u32,
    highest: u32,
    /// Per number, in the spec's order: the answer and the conditions for it.
    rules: BTreeMap<u32, Vec<(u32, Vec<LinuxSeccompArg>)>>,
}

impl Naive {
    fn new(seccomp: &LinuxSeccomp, abi: Abi) -> Self {
        let default = answer_of(seccomp.default_action(), seccomp.default_errno_ret());
        let of = |name: &str| syscalls::row(name).and_then(|row| syscalls::number(row, abi));
        let mut naive = Self { abi, default, highest: 0, rules: BTreeMap::new() };
        for rule in seccomp.syscalls().iter().flatten() {
            let answer = answer_of(rule.action(), rule.errno_ret());
            let args = rule.args().clone().unwrap_or_default();
            for name in rule.names() {
                naive.highest = naive.highest.max(of(name).unwrap_or(0));
                if answer == default {
                    continue;
                }
                if let Some(number) = of(name) {
                    naive.rules.entry(number).or_default().push((answer, args.clone()));
                }
                // i386 programs may come through a multiplexer; a few members stand for all.
                let through = [("socketcall", "socket", 1), ("socketcall", "bind", 2), ("ipc", "semop", 1)];
                for (multiplexer, _, which) in through.iter().filter(|(_, call, _)| name == call) {
                    if let (Some(number), true) = (of(multiplexer), args.is_empty()) {
                        let is_it = vec![arg(0, Op::ScmpCmpEq, *which, 0)];
                        naive.highest = naive.highest.max(number);
                        naive.rules.entry(number).or_default().push((answer, is_it));
                    }
                }
            }
        }
        naive
    }

    fn answer(&self, number: u32, arguments: [u64; 6]) -> u32 {
        let default_allows =
            matches!(self.default & 0xffff_0000, answer::ALLOW | answer::LOG | answer::TRACE);
        if !default_allows && self.highest > 0 && number > self.highest {
            return answer::ERRNO | libc::ENOSYS as u32;
        }
        let Some(rules) = self.rules.get(&number) else { return self.default };
        let always = rules.iter().find(|(_, args)| args.is_empty());
        let first = always.or_else(|| rules.iter().find(|(_, args)| self.hold(args, arguments)));
        first.map_or(self.default, |(answer, _)| *answer)
    }

    fn hold(&self, args: &[LinuxSeccompArg], arguments: [u64; 6]) -> bool {
        let holds = |arg: &LinuxSeccompArg| {
            let narrow =
                |value: u64| if self.abi.has_32bit_arguments() { value & 0xffff_ffff } else { value };
            let (actual, value) = (narrow(arguments[arg.index()]), narrow(arg.value()));
            match arg.op() {
                Op::ScmpCmpNe => actual != value,
                Op::ScmpCmpLt => actual < value,
                Op::ScmpCmpLe => actual <= value,
                Op::ScmpCmpEq => actual == value,
                Op::ScmpCmpGe => actual >= value,
                Op::ScmpCmpGt => actual > value,
                Op::ScmpCmpMaskedEq => actual & value == narrow(arg.value_two().unwrap_or(0)),
            }
        };
        let indexes: BTreeSet<usize> = args.iter().map(LinuxSeccompArg::index).collect();
        if indexes.len() < args.len() { args.iter().any(holds) } else { args.iter().all(holds) }
    }

    /// Values around everything that the rules of a call compare with, and each flag of the masks.
    fn interesting(&self, number: u32) -> BTreeSet<u64> {
        let mut values = BTreeSet::from([0, 1, u64::MAX, 0xffff_ffff, 0x1_0000_0000]);
        for arg in self.rules.get(&number).into_iter().flatten().flat_map(|(_, args)| args) {
            for value in [arg.value(), arg.value_two().unwrap_or(0)] {
                let high = 1 << 32;
                values.extend([
                    value,
                    value.wrapping_sub(1),
                    value.wrapping_add(1),
                    value ^ high,
                    !value,
                    value | high,
                ]);
            }
            if arg.op() == Op::ScmpCmpMaskedEq {
                values.extend((0..64).map(|bit| 1 << bit).filter(|bit| arg.value() & bit != 0));
            }
        }
        values
    }
}

/// Compares program and spec for every number and interesting argument of an ABI.
fn compare(seccomp: &LinuxSeccomp, program: &Program, abi: Abi) {
    let base = if abi == Abi::X32 { 0x4000_0000 } else { 0 };
    let naive = Naive::new(seccomp, abi);
    let check = |number: u32, arguments: [u64; 6]| {
        let call = Call { number: base + number, arch: abi.audit(), arguments };
        let (actual, _) = run(program.instructions(), &call);
        let expected = naive.answer(number, arguments);
        assert_eq!(actual, expected, "{abi:?} {number} {arguments:x?}: {actual:#x} is not {expected:#x}");
    };
    for number in (0..600).chain([1000, 0xf0001, 0xf0002, 0xf0005, 0xf0007, 0x3fff_ffff]) {
        check(number, [0; 6]);
        if naive.rules.get(&number).is_none_or(|rules| rules.iter().any(|(_, args)| args.is_empty())) {
            continue;
        }
        for value in naive.interesting(number) {
            // i386's and ARM's registers have 32 bits.
            let value = if abi.has_32bit_arguments() { value & 0xffff_ffff } else { value };
            for index in 0..6 {
                let mut arguments = [0; 6];
                arguments[index] = value;
                check(number, arguments);
                arguments = [value; 6];
                arguments[index] = 0;
                check(number, arguments);
            }
        }
    }
}

fn facts(abi: Abi, capabilities: CapabilitySet, kernel: (u32, u32)) -> ProfileFacts {
    ProfileFacts { abi, capabilities, kernel }
}

/// Each single capability that the profile knows, none, Docker's default, all.
fn capability_sets() -> Vec<CapabilitySet> {
    let single = (0..41).map(|bit| CapabilitySet::from_bits(1 << bit));
    single.chain([CapabilitySet::EMPTY, CapabilitySet::DOCKER_DEFAULT, CapabilitySet::ALL]).collect()
}

#[test]
fn the_table_of_system_calls_is_sorted_and_right() {
    assert!(syscalls::TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    let number = |name, abi| syscalls::number(syscalls::row(name).unwrap(), abi);
    assert_eq!(number("execve", Abi::X86_64), Some(59));
    assert_eq!(number("execve", Abi::X86), Some(11));
    assert_eq!(number("execve", Abi::X32), Some(520));
    assert_eq!(number("execve", Abi::Aarch64), Some(221));
    assert_eq!(number("execve", Abi::Arm), Some(11));
    assert_eq!(number("open", Abi::Aarch64), None);
    assert!(syscalls::row("no_such_call").is_none());
    // What libc knows of this machine.
    #[cfg(target_arch = "x86_64")]
    for (name, expected) in [
        ("read", libc::SYS_read),
        ("seccomp", libc::SYS_seccomp),
        ("clone3", libc::SYS_clone3),
        ("mseal", libc::SYS_mseal),
        ("umount2", libc::SYS_umount2),
        ("newfstatat", libc::SYS_newfstatat),
    ] {
        assert_eq!(number(name, Abi::X86_64).map(i64::from), Some(expected), "{name}");
    }
}

#[test]
fn the_built_in_profile_is_docker_s_json() {
    for abi in ABIS {
        for capabilities in capability_sets() {
            for kernel in [(4, 7), (4, 8), (6, 1)] {
                let facts = facts(abi, capabilities, kernel);
                let expected = custom_profile(DOCKER, &facts).unwrap().unwrap();
                assert_eq!(default_profile(&facts), expected, "{facts:?}");
            }
        }
    }
}

#[test]
fn docker_s_profile_compiled_says_what_its_rules_say() {
    for capabilities in [CapabilitySet::EMPTY, CapabilitySet::DOCKER_DEFAULT, CapabilitySet::ALL] {
        let seccomp = default_profile(&facts(Abi::NATIVE.unwrap(), capabilities, (6, 1)));
        let program = compile(&seccomp).unwrap();
        verify(program.instructions());
        let listed = seccomp.architectures().clone().unwrap();
        for abi in ABIS.into_iter().filter(|abi| listed.contains(&abi.to_oci())) {
            compare(&seccomp, &program, abi);
        }
    }
}

#[test]
fn the_other_machines_profiles_compile_right_too() {
    for machine in [Abi::X86_64, Abi::Aarch64, Abi::Riscv64] {
        let seccomp = default_profile(&facts(machine, CapabilitySet::DOCKER_DEFAULT, (6, 1)));
        let program = compile(&seccomp).unwrap();
        verify(program.instructions());
        let listed = seccomp.architectures().clone().unwrap();
        assert!(listed.contains(&machine.to_oci()));
        for abi in ABIS.into_iter().filter(|abi| listed.contains(&abi.to_oci())) {
            compare(&seccomp, &program, abi);
        }
    }
}

#[test]
fn a_call_costs_few_instructions() {
    let seccomp = default_profile(&facts(Abi::X86_64, CapabilitySet::DOCKER_DEFAULT, (6, 1)));
    let program = compile(&seccomp).unwrap();
    assert!(program.instructions().len() < 700, "{} instructions", program.instructions().len());
    for number in 0..470 {
        let call = Call { number, arch: Abi::X86_64.audit(), arguments: [0; 6] };
        let (_, steps) = run(program.instructions(), &call);
        assert!(steps <= 24, "call {number} takes {steps} instructions");
    }
}

#[test]
fn docker_s_promises_hold() {
    let seccomp = default_profile(&facts(Abi::X86_64, CapabilitySet::DOCKER_DEFAULT, (6, 1)));
    let program = compile(&seccomp).unwrap();
    let ask = |name: &str, abi: Abi, arguments: [u64; 6]| {
        let base = if abi == Abi::X32 { 0x4000_0000 } else { 0 };
        let number = base + syscalls::number(syscalls::row(name).unwrap(), abi).unwrap();
        run(program.instructions(), &Call { number, arch: abi.audit(), arguments }).0
    };
    let errno = |errno: i32| answer::ERRNO | errno as u32;
    assert_eq!(ask("read", Abi::X86_64, [0; 6]), answer::ALLOW);
    assert_eq!(ask("mount", Abi::X86_64, [0; 6]), errno(libc::EPERM));
    assert_eq!(ask("keyctl", Abi::X86_64, [0; 6]), errno(libc::EPERM));
    assert_eq!(ask("io_uring_setup", Abi::X86_64, [0; 6]), errno(libc::EPERM));
    assert_eq!(ask("clone3", Abi::X86_64, [0; 6]), errno(libc::ENOSYS));
    assert_eq!(ask("clone", Abi::X86_64, [libc::SIGCHLD as u64, 0, 0, 0, 0, 0]), answer::ALLOW);
    assert_eq!(ask("clone", Abi::X86_64, [libc::CLONE_NEWUSER as u64, 0, 0, 0, 0, 0]), errno(libc::EPERM));
    assert_eq!(ask("socket", Abi::X86_64, [libc::AF_INET as u64, 0, 0, 0, 0, 0]), answer::ALLOW);
    assert_eq!(ask("socket", Abi::X86_64, [libc::AF_VSOCK as u64, 0, 0, 0, 0, 0]), errno(libc::EPERM));
    assert_eq!(ask("personality", Abi::X86_64, [0xffff_ffff, 0, 0, 0, 0, 0]), answer::ALLOW);
    assert_eq!(ask("personality", Abi::X86_64, [1, 0, 0, 0, 0, 0]), errno(libc::EPERM));
    assert_eq!(ask("mount", Abi::X86, [0; 6]), errno(libc::EPERM));
    assert_eq!(ask("read", Abi::X32, [0; 6]), answer::ALLOW);
    // Newer than the profile, on each ABI.
    for (number, abi) in [(999, Abi::X86_64), (999, Abi::X86), (0x4000_0000 + 999, Abi::X32)] {
        let call = Call { number, arch: abi.audit(), arguments: [0; 6] };
        assert_eq!(run(program.instructions(), &call).0, errno(libc::ENOSYS));
    }
    // An ABI that is not listed.
    let call = Call { number: 0, arch: Abi::Aarch64.audit(), arguments: [0; 6] };
    assert_eq!(run(program.instructions(), &call).0, answer::KILL_THREAD);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn x32_calls_of_a_profile_without_x32_kill() {
    let allow_read = vec![rule("read", Action::ScmpActAllow, None, &[])];
    let program = compile(&filter(Action::ScmpActErrno, &[Arch::ScmpArchX86_64], allow_read)).unwrap();
    let ask = |number| {
        run(program.instructions(), &Call { number, arch: Abi::X86_64.audit(), arguments: [0; 6] }).0
    };
    assert_eq!(ask(0), answer::ALLOW);
    assert_eq!(ask(0x4000_0000), answer::KILL_THREAD);
    assert_eq!(ask(u32::MAX), answer::ERRNO | libc::ENOSYS as u32);
}

#[test]
fn every_action_has_its_answer() {
    for (action, errno, expected) in [
        (Action::ScmpActKill, None, 0),
        (Action::ScmpActKillThread, None, 0),
        (Action::ScmpActKillProcess, None, 0x8000_0000),
        (Action::ScmpActTrap, None, 0x0003_0000),
        (Action::ScmpActErrno, None, 0x0005_0001),
        (Action::ScmpActErrno, Some(38), 0x0005_0026),
        (Action::ScmpActErrno, Some(0), 0x0005_0000),
        (Action::ScmpActTrace, Some(7), 0x7ff0_0007),
        (Action::ScmpActLog, None, 0x7ffc_0000),
        (Action::ScmpActNotify, None, 0x7fc0_0000),
    ] {
        let seccomp = filter(Action::ScmpActAllow, &[], vec![rule("getppid", action, errno, &[])]);
        let program = compile(&seccomp).unwrap();
        let abi = Abi::NATIVE.unwrap();
        let number = syscalls::number(syscalls::row("getppid").unwrap(), abi).unwrap();
        let ask =
            |number| run(program.instructions(), &Call { number, arch: abi.audit(), arguments: [0; 6] }).0;
        assert_eq!(ask(number), expected, "{action:?}");
        assert_eq!(ask(number + 1), answer::ALLOW);
        assert_eq!(ask(1023), answer::ALLOW, "a default that allows has no ENOSYS");
        assert_eq!(program.notifies(), action == Action::ScmpActNotify);
    }
}

#[test]
fn rules_for_one_call_combine_as_with_libseccomp() {
    let eq = |index, value| arg(index, Op::ScmpCmpEq, value, 0);
    let errno = |errno, args: &[_]| rule("dup2", Action::ScmpActErrno, Some(errno), args);
    for rules in [
        vec![errno(5, &[eq(0, 1)]), errno(6, &[eq(0, 1), eq(1, 2)]), errno(7, &[eq(1, 2)])],
        vec![errno(5, &[eq(0, 1)]), errno(6, &[])],
        vec![errno(5, &[]), errno(6, &[])],
        // Two conditions on one argument: each is enough.
        vec![errno(5, &[eq(0, 1), eq(0, 2), eq(1, 9)])],
    ] {
        let seccomp = filter(Action::ScmpActAllow, &[], rules);
        compare(&seccomp, &compile(&seccomp).unwrap(), Abi::NATIVE.unwrap());
    }
}

#[test]
fn far_jumps_are_reached() {
    // A thousand conditional rules on calls all over the table: far more than a conditional jump's 255.
    let mut rules = Vec::new();
    for (at, (name, _)) in syscalls::TABLE.iter().enumerate() {
        let value = at as u64 * 0x1_0001_0001;
        rules.push(rule(
            name,
            Action::ScmpActErrno,
            Some(at as u32 % 50),
            &[arg(at % 6, Op::ScmpCmpLe, value, 0)],
        ));
    }
    let seccomp = filter(Action::ScmpActAllow, &[], rules);
    let program = compile(&seccomp).unwrap();
    assert!(program.instructions().len() > 1000);
    verify(program.instructions());
    compare(&seccomp, &program, Abi::NATIVE.unwrap());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let too_long =
        (0..2000).map(|at| rule("dup", Action::ScmpActErrno, Some(1), &[arg(0, Op::ScmpCmpEq, at, 0)]));
    let error = compile(&filter(Action::ScmpActAllow, &[], too_long.collect())).unwrap_err();
    assert!(error.to_string().contains("the kernel takes at most 4096"), "{error}");
    let bad = vec![rule("dup", Action::ScmpActErrno, None, &[arg(6, Op::ScmpCmpEq, 0, 0)])];
    let error = compile(&filter(Action::ScmpActAllow, &[], bad)).unwrap_err();
    assert!(matches!(error, SeccompError::Argument(6)));
    assert_eq!(error.kind(), Kind::InvalidParameter);
    assert!(matches!(compile(&filter(Action::ScmpActNotify, &[], vec![])), Err(SeccompError::NotifyDefault)));
    let write = vec![rule("write", Action::ScmpActNotify, None, &[])];
    assert!(matches!(compile(&filter(Action::ScmpActAllow, &[], write)), Err(SeccompError::NotifyWrite)));
}

#[test]
fn a_user_s_profile_is_read_as_docker_does() {
    let facts = facts(Abi::X86_64, CapabilitySet::DOCKER_DEFAULT, (5, 15));
    let read = |json: &str| custom_profile(json, &facts);
    assert!(read("{}").unwrap().is_none());
    let error = read("{").unwrap_err().to_string();
    assert!(error.starts_with("Decoding seccomp profile failed: "), "{error}");
    assert!(read(r#"{"defaultAction":"SCMP_ACT_NONSENSE"}"#).is_err());
    let both = r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],
                   "archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":[]}]}"#;
    assert!(read(both).unwrap_err().to_string().starts_with("both 'architectures' and 'archMap'"));
    let both = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"a","names":["b"],"action":"SCMP_ACT_ERRNO"}]}"#;
    assert!(read(both).unwrap_err().to_string().starts_with("both 'name' and 'names'"));
    let kernel = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
        {"names":["b"],"action":"SCMP_ACT_ERRNO","includes":{"minKernel":"x"}}]}"#;
    assert!(read(kernel).unwrap_err().to_string().starts_with("invalid kernel version"));

    let old_form = r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_OF_TOMORROW"],
        "syscalls":[
        {"name":"mkdir","action":"SCMP_ACT_ERRNO","args":null},
        {"names":["chmod"],"action":"SCMP_ACT_ERRNO","errnoRet":13,"args":[],"comment":"c","includes":{},"excludes":null},
        {"names":["newer"],"action":"SCMP_ACT_ERRNO","includes":{"minKernel":"5.16"}},
        {"names":["older"],"action":"SCMP_ACT_ERRNO","excludes":{"minKernel":"5.15"}},
        {"names":["elsewhere"],"action":"SCMP_ACT_ERRNO","includes":{"arches":["arm64"]}},
        {"names":["able"],"action":"SCMP_ACT_ERRNO","includes":{"caps":["CAP_CHOWN","CAP_SYS_ADMIN"]}},
        {"names":["socket"],"action":"SCMP_ACT_KILL_PROCESS",
         "args":[{"index":0,"value":18446744073709551615,"valueTwo":3,"op":"SCMP_CMP_MASKED_EQ"}]}]}"#;
    let seccomp = read(old_form).unwrap().unwrap();
    let names: Vec<&str> =
        seccomp.syscalls().iter().flatten().flat_map(|rule| rule.names()).map(String::as_str).collect();
    assert_eq!(names, ["mkdir", "chmod", "socket"]);
    assert_eq!(seccomp.architectures().as_deref().unwrap(), [Arch::ScmpArchX86_64]);
    let last = seccomp.syscalls().as_ref().unwrap()[2].args().clone().unwrap()[0];
    assert_eq!((last.value(), last.value_two()), (u64::MAX, Some(3)));
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        Just(Op::ScmpCmpNe),
        Just(Op::ScmpCmpLt),
        Just(Op::ScmpCmpLe),
        Just(Op::ScmpCmpEq),
        Just(Op::ScmpCmpGe),
        Just(Op::ScmpCmpGt),
        Just(Op::ScmpCmpMaskedEq),
    ]
}

fn any_value() -> impl Strategy<Value = u64> {
    prop_oneof![any::<u64>(), 0..4_u64, (0..4_u64).prop_map(|high| high << 32 | 1), Just(u64::MAX)]
}

fn any_rule() -> impl Strategy<Value = LinuxSyscall> {
    let args = proptest::collection::vec((0..3_usize, any_op(), any_value(), any_value()), 0..3);
    let actions = prop_oneof![
        Just(Action::ScmpActAllow),
        Just(Action::ScmpActErrno),
        Just(Action::ScmpActTrap),
        Just(Action::ScmpActKillProcess)
    ];
    let names = proptest::sample::select(vec![
        "read",
        "write",
        "clone",
        "socket",
        "bind",
        "semop",
        "ioctl",
        "futex_wait",
    ]);
    (names, actions, 0..3_u32, args).prop_map(|(name, action, errno, args)| {
        let args: Vec<_> =
            args.into_iter().map(|(index, op, value, two)| arg(index, op, value, two)).collect();
        rule(name, action, Some(errno), &args)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_rules_compile_to_what_they_say(
        rules in proptest::collection::vec(any_rule(), 0..8),
        default in prop_oneof![Just(Action::ScmpActAllow), Just(Action::ScmpActErrno)],
    ) {
        let archs = [Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32, Arch::ScmpArchArm];
        let seccomp = filter(default, &archs, rules);
        let program = compile(&seccomp).unwrap();
        verify(program.instructions());
        for abi in [Abi::X86_64, Abi::X86, Abi::X32, Abi::Arm] {
            compare(&seccomp, &program, abi);
        }
    }
}

/// Compiles Docker's profile in a loop; run by hand with `--release -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn how_long_docker_s_profile_takes() {
    let facts = facts(Abi::X86_64, CapabilitySet::DOCKER_DEFAULT, (6, 1));
    let rounds = 1000;
    let start = std::time::Instant::now();
    for _ in 0..rounds {
        std::hint::black_box(default_profile(std::hint::black_box(&facts)));
    }
    let resolved = start.elapsed() / rounds;
    let seccomp = default_profile(&facts);
    let start = std::time::Instant::now();
    for _ in 0..rounds {
        std::hint::black_box(compile(std::hint::black_box(&seccomp)).unwrap());
    }
    let compiled = start.elapsed() / rounds;
    println!(
        "resolve {resolved:?}, compile {compiled:?}, {} instructions",
        compile(&seccomp).unwrap().instructions().len()
    );
}

mod loading {
    use super::*;

    /// What a forked child with the filter in force gets from a few calls. The child makes no allocation.
    fn in_child(program: &Program, body: impl FnOnce(Result<bool, rustix::io::Errno>) -> i32) -> i32 {
        // SAFETY: the child runs only system calls and leaves by _exit.
        unsafe {
            match libc::fork() {
                0 => {
                    libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
                    // The descriptor is kept: without a listener the kernel answers ENOSYS for notifications.
                    let loaded = program.load();
                    let code = body(loaded.as_ref().map(Option::is_some).map_err(|error| *error));
                    libc::syscall(libc::SYS_exit_group, code);
                    libc::_exit(99)
                }
                child => {
                    assert!(child > 0);
                    let mut status = 0;
                    assert_eq!(libc::waitpid(child, &mut status, 0), child);
                    if libc::WIFSIGNALED(status) {
                        128 + libc::WTERMSIG(status)
                    } else {
                        libc::WEXITSTATUS(status)
                    }
                }
            }
        }
    }

    fn errno_of(call: i64) -> i32 {
        // SAFETY: the thread's errno.
        if call == -1 { unsafe { *libc::__errno_location() } } else { 0 }
    }

    #[test]
    fn docker_s_profile_holds_in_a_process() {
        let facts = facts(Abi::NATIVE.unwrap(), CapabilitySet::DOCKER_DEFAULT, (6, 1));
        let program = compile(&default_profile(&facts)).unwrap();
        let code = in_child(&program, |loaded| {
            if loaded != Ok(false) {
                return 1;
            }
            // SAFETY: calls that are refused, or that only ask.
            unsafe {
                if errno_of(libc::syscall(libc::SYS_unshare, libc::CLONE_NEWUTS)) != libc::EPERM {
                    return 2;
                }
                if errno_of(libc::syscall(libc::SYS_keyctl, 0, 0, 0, 0, 0)) != libc::EPERM {
                    return 3;
                }
                if errno_of(libc::syscall(libc::SYS_clone3, 0, 0)) != libc::ENOSYS {
                    return 4;
                }
                if errno_of(libc::syscall(libc::SYS_socket, libc::AF_VSOCK, libc::SOCK_STREAM, 0))
                    != libc::EPERM
                {
                    return 5;
                }
                if errno_of(libc::syscall(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0)) != 0 {
                    return 6;
                }
                if libc::getpid() <= 0 {
                    return 7;
                }
                if errno_of(libc::syscall(2000)) != libc::ENOSYS {
                    return 8;
                }
            }
            0
        });
        assert_eq!(code, 0);
    }

    #[test]
    fn killing_kills() {
        let rules = vec![rule("getppid", Action::ScmpActKillProcess, None, &[])];
        let program = compile(&filter(Action::ScmpActAllow, &[], rules)).unwrap();
        let code = in_child(&program, |loaded| {
            if loaded != Ok(false) {
                return 1;
            }
            // SAFETY: asks only; never comes back.
            unsafe { libc::syscall(libc::SYS_getppid) };
            2
        });
        assert_eq!(code, 128 + libc::SIGSYS);
    }

    #[test]
    fn a_program_that_notifies_gives_a_listener() {
        let rules = vec![rule("getppid", Action::ScmpActNotify, None, &[])];
        let program = compile(&filter(Action::ScmpActAllow, &[], rules)).unwrap();
        assert!(program.notifies());
        assert_eq!(in_child(&program, |loaded| if loaded == Ok(true) { 0 } else { 1 }), 0);
    }

    #[test]
    fn loading_without_the_right_says_so() {
        let rules = vec![rule("getppid", Action::ScmpActErrno, None, &[])];
        let program = compile(&filter(Action::ScmpActAllow, &[], rules)).unwrap();
        // SAFETY: the child runs only system calls and leaves by _exit.
        let status = unsafe {
            match libc::fork() {
                0 => {
                    libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534);
                    let refused = matches!(program.load(), Err(rustix::io::Errno::ACCESS));
                    libc::_exit(if refused { 0 } else { 1 })
                }
                child => {
                    let mut status = 0;
                    assert_eq!(libc::waitpid(child, &mut status, 0), child);
                    status
                }
            }
        };
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{status:#x}");
    }
}
