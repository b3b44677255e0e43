//! The rules for devices: what the kernel's list and the BPF program make of them is what the spec says.

use super::super::device_bpf::{Instruction, code, program};
use super::*;

/// Runs a program as the kernel would; panics where the verifier would refuse it.
fn run(program: &[Instruction], kind: Kind, major: u32, minor: u32, wanted: u8) -> bool {
    let kind = match kind {
        Kind::Block => 1,
        Kind::Character => 2,
        Kind::Any => panic!("a device is one or the other"),
    };
    let context = [u32::from(wanted) << 16 | kind, major, minor];
    let mut registers = [None::<u64>; 6];
    registers[1] = Some(0);
    let mut at = 0;
    loop {
        let Instruction { code, registers: numbers, offset, immediate } = program[at];
        at += 1;
        let (to, from) = (usize::from(numbers & 15), usize::from(numbers >> 4));
        let value = |register: usize| registers[register].expect("read before written");
        match code {
            code::LOAD_WORD => {
                assert_eq!(from, 1);
                registers[to] = Some(context[offset as usize / 4].into());
            }
            code::MOVE => registers[to] = Some(value(from)),
            code::SET => registers[to] = Some(immediate as u64),
            code::AND => registers[to] = Some(u64::from(value(to) as u32 & immediate as u32)),
            code::SHIFT_RIGHT => registers[to] = Some(u64::from(value(to) as u32 >> immediate)),
            code::JUMP_NOT_EQUAL if value(to) as u32 != immediate as u32 => at += offset as usize,
            code::JUMP_EQUAL if value(to) as u32 == immediate as u32 => at += offset as usize,
            code::JUMP_NOT_EQUAL | code::JUMP_EQUAL => {}
            code::EXIT => return value(0) != 0,
            other => panic!("unknown instruction {other:#x}"),
        }
    }
}

/// What the kernel makes of the lines written to `devices.allow` and `devices.deny` of a group whose parent allows
/// everything: a default, and a list of exceptions that are matched as a whole. Source: `security/device_cgroup.c`.
fn kernel_list(rules: &[Rule], kind: char, major: u32, minor: u32, wanted: u8) -> bool {
    #[derive(PartialEq)]
    struct Exception(char, Option<u32>, Option<u32>, u8);
    let (mut default_allows, mut exceptions): (bool, Vec<Exception>) = (true, Vec::new());
    for (file, line) in v1_writes(rules) {
        let allow = file == "devices.allow";
        if line == "a" {
            (default_allows, exceptions) = (allow, Vec::new());
            continue;
        }
        let mut words = line.split(' ');
        let kind = words.next().unwrap().chars().next().unwrap();
        let (major, minor) = words.next().unwrap().split_once(':').unwrap();
        let (major, minor) = (major.parse().ok(), minor.parse().ok());
        let ways = words.next().unwrap().chars().fold(0, |all, way| {
            all | match way {
                'r' => access::READ,
                'w' => access::WRITE,
                'm' => access::MKNOD,
                other => panic!("{other}"),
            }
        });
        // An exception is what differs from the default; saying the default again takes exceptions away.
        let same = |e: &Exception| e.0 == kind && e.1 == major && e.2 == minor;
        if allow != default_allows {
            match exceptions.iter_mut().find(|e| same(e)) {
                Some(exception) => exception.3 |= ways,
                None => exceptions.push(Exception(kind, major, minor, ways)),
            }
        } else {
            exceptions.iter_mut().filter(|e| same(e)).for_each(|exception| exception.3 &= !ways);
            exceptions.retain(|exception| exception.3 != 0);
        }
    }
    let is_about = |e: &Exception| {
        e.0 == kind && e.1.is_none_or(|number| number == major) && e.2.is_none_or(|number| number == minor)
    };
    if default_allows {
        !exceptions.iter().any(|e| is_about(e) && wanted & e.3 != 0)
    } else {
        exceptions.iter().any(|e| is_about(e) && wanted & !e.3 == 0)
    }
}

/// Docker's list, as the daemon writes it: everything denied, then what each container may.
pub(super) fn docker() -> Vec<oci_spec::runtime::LinuxDeviceCgroup> {
    let rule =
        |allow, kind: Option<LinuxDeviceType>, major: Option<i64>, minor: Option<i64>, access: &str| {
            let mut builder = LinuxDeviceCgroupBuilder::default().allow(allow).access(access);
            if let Some(kind) = kind {
                builder = builder.typ(kind);
            }
            if let Some(major) = major {
                builder = builder.major(major);
            }
            if let Some(minor) = minor {
                builder = builder.minor(minor);
            }
            builder.build().unwrap()
        };
    let character = Some(LinuxDeviceType::C);
    vec![
        rule(false, None, None, None, "rwm"),
        rule(true, character, Some(1), Some(5), "rwm"),
        rule(true, character, Some(1), Some(3), "rwm"),
        rule(true, character, Some(1), Some(9), "rwm"),
        rule(true, character, Some(1), Some(8), "rwm"),
        rule(true, character, Some(5), Some(0), "rwm"),
        rule(true, character, Some(5), Some(1), "rwm"),
        rule(false, character, Some(10), Some(229), "rwm"),
        rule(true, character, Some(136), None, "rwm"),
        rule(true, character, None, None, "m"),
        rule(true, Some(LinuxDeviceType::B), None, None, "m"),
    ]
}

#[test]
fn docker_s_list_in_all_three_forms() {
    let rules = devices::rules(&docker()).unwrap();
    let program = program(&rules);
    for (kind, letter, major, minor, wanted, expected) in [
        (Kind::Character, 'c', 1, 3, access::ALL, true),
        (Kind::Character, 'c', 1, 9, access::READ, true),
        (Kind::Character, 'c', 136, 77, access::READ | access::WRITE, true),
        (Kind::Character, 'c', 10, 229, access::READ, false),
        (Kind::Character, 'c', 10, 229, access::MKNOD, true),
        (Kind::Block, 'b', 8, 0, access::MKNOD, true),
        (Kind::Block, 'b', 8, 0, access::READ, false),
        (Kind::Block, 'b', 8, 0, access::READ | access::MKNOD, false),
        (Kind::Block, 'b', 1, 3, access::READ, false),
    ] {
        assert_eq!(allows(&rules, kind, major, minor, wanted), expected, "{letter} {major}:{minor} {wanted}");
        assert_eq!(run(&program, kind, major, minor, wanted), expected, "{letter} {major}:{minor} {wanted}");
        assert_eq!(
            kernel_list(&rules, letter, major, minor, wanted),
            expected,
            "{letter} {major}:{minor} {wanted}"
        );
    }
}

#[test]
fn lines_have_the_kernel_s_form() {
    let lines: Vec<_> = v1_writes(&devices::rules(&docker()).unwrap());
    assert_eq!(lines[0], ("devices.deny", "a".to_owned()));
    assert_eq!(lines[1], ("devices.allow", "c 1:5 rwm".to_owned()));
    assert_eq!(lines[8], ("devices.allow", "c 136:* rwm".to_owned()));
    assert_eq!(lines[10], ("devices.allow", "b *:* m".to_owned()));
}

#[test]
fn rules_before_the_last_about_everything_are_dropped() {
    let mut list = docker();
    list.push(LinuxDeviceCgroupBuilder::default().allow(true).access("rwm").build().unwrap());
    let rules = devices::rules(&list).unwrap();
    assert_eq!(rules.len(), 1);
    assert!(run(&program(&rules), Kind::Block, 8, 0, access::ALL));
}

#[test]
fn malformed_rules_are_refused() {
    let bad_letter = LinuxDeviceCgroupBuilder::default().allow(true).access("rx").build().unwrap();
    assert!(matches!(devices::rules(&[bad_letter]), Err(CgroupError::Device(_))));
    let fifo =
        LinuxDeviceCgroupBuilder::default().allow(true).typ(LinuxDeviceType::P).access("r").build().unwrap();
    assert!(matches!(devices::rules(&[fifo]), Err(CgroupError::Device(_))));
    let bad_number = LinuxDeviceCgroupBuilder::default().allow(true).major(-2).access("r").build().unwrap();
    assert!(matches!(devices::rules(&[bad_number]), Err(CgroupError::Device(_))));
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let kind = prop_oneof![Just(Kind::Any), Just(Kind::Character), Just(Kind::Block)];
    let number = || proptest::option::of(0..3_u32);
    (any::<bool>(), kind, number(), number(), 1..8_u8).prop_map(|(allow, kind, major, minor, access)| Rule {
        allow,
        kind,
        major,
        minor,
        access,
    })
}

proptest! {
    #[test]
    fn the_program_says_what_the_rules_say(rules in proptest::collection::vec(any_rule(), 0..10)) {
        let program = program(&rules);
        for kind in [Kind::Character, Kind::Block] {
            for (major, minor) in (0..4).flat_map(|major| (0..4).map(move |minor| (major, minor))) {
                for wanted in 1..8 {
                    let expected = allows(&rules, kind, major, minor, wanted);
                    prop_assert_eq!(run(&program, kind, major, minor, wanted), expected);
                }
            }
        }
    }
}
