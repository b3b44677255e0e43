use super::*;
use proptest::prelude::*;

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn set(names: &[&str]) -> CapabilitySet {
    names.iter().fold(CapabilitySet::EMPTY, |all, name| all.union(CapabilitySet::named(name).unwrap()))
}

/// The bit numbers that libc and the kernel headers give, spot-checked at both ends and in the middle.
#[test]
fn names_have_the_kernel_s_numbers() {
    for (name, bit) in [
        ("CAP_CHOWN", 0),
        ("CAP_NET_ADMIN", 12),
        ("CAP_SYS_ADMIN", 21),
        ("CAP_MKNOD", 27),
        ("CAP_SETFCAP", 31),
        ("CAP_SYSLOG", 34),
        ("CAP_AUDIT_READ", 37),
        ("CAP_PERFMON", 38),
        ("CAP_BPF", 39),
        ("CAP_CHECKPOINT_RESTORE", 40),
    ] {
        assert_eq!(CapabilitySet::named(name).unwrap().bits(), 1 << bit, "{name}");
    }
}

#[test]
fn every_name_is_the_one_that_the_oci_type_writes() {
    for (capability, name) in NAMES {
        assert_eq!(serde_json::to_value(capability).unwrap(), name);
    }
}

#[test]
fn docker_s_default_set() {
    let expected = set(&[
        "CHOWN",
        "DAC_OVERRIDE",
        "FSETID",
        "FOWNER",
        "MKNOD",
        "NET_RAW",
        "SETGID",
        "SETUID",
        "SETFCAP",
        "SETPCAP",
        "NET_BIND_SERVICE",
        "SYS_CHROOT",
        "KILL",
        "AUDIT_WRITE",
    ]);
    assert_eq!(CapabilitySet::DOCKER_DEFAULT, expected);
    assert_eq!(CapabilitySet::DOCKER_DEFAULT.bits(), 0xa804_25fb);
}

#[test]
fn names_come_in_any_case_and_without_the_prefix() {
    for name in ["net_admin", "NET_ADMIN", "cap_net_admin", "Cap_Net_Admin"] {
        assert_eq!(CapabilitySet::named(name).unwrap().bits(), 1 << 12, "{name}");
    }
}

#[test]
fn an_unknown_name_is_refused_in_docker_s_words() {
    let error = resolve(&strings(&["foo"]), &[], false, CapabilitySet::ALL).unwrap_err();
    assert_eq!(error.to_string(), r#"unknown capability: "CAP_FOO""#);
    assert_eq!(error.kind(), Kind::InvalidParameter);
    // Docker validates the lists of a privileged container too.
    assert!(resolve(&[], &strings(&["bar"]), true, CapabilitySet::ALL).is_err());
    assert!(validate(&strings(&["ALL", "chown"])).is_ok());
    assert!(validate(&strings(&["CAP_ALL"])).is_err());
}

#[test]
fn adding_and_dropping_follow_docker_s_precedence() {
    let default = CapabilitySet::DOCKER_DEFAULT;
    let all = CapabilitySet::ALL;
    let case = |add: &[&str], drop: &[&str]| resolve(&strings(add), &strings(drop), false, all).unwrap();
    assert_eq!(case(&[], &[]), default);
    assert_eq!(case(&["net_admin"], &[]), default.union(set(&["NET_ADMIN"])));
    assert_eq!(case(&[], &["chown", "CAP_KILL"]), default.difference(set(&["CHOWN", "KILL"])));
    assert_eq!(case(&["chown"], &["chown"]), default);
    assert_eq!(case(&["ALL"], &["sys_admin"]), all.difference(set(&["SYS_ADMIN"])));
    assert_eq!(case(&["all", "chown"], &["chown"]), all.difference(set(&["CHOWN"])));
    assert_eq!(case(&["net_raw"], &["ALL"]), set(&["NET_RAW"]));
    assert_eq!(case(&[], &["ALL"]), CapabilitySet::EMPTY);
    assert_eq!(case(&["ALL"], &["ALL"]), all);
    assert_eq!(resolve(&[], &[], true, all).unwrap(), all);
}

#[test]
fn what_brig_lacks_is_an_error_only_by_name() {
    let without = CapabilitySet::ALL.difference(set(&["SYS_RESOURCE"]));
    let error = resolve(&strings(&["sys_resource"]), &[], false, without).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"capability not supported by your kernel or not available in the current environment: "CAP_SYS_RESOURCE""#
    );
    assert_eq!(resolve(&strings(&["ALL"]), &[], false, without).unwrap(), without);
    assert_eq!(resolve(&[], &[], true, without).unwrap(), without);
}

#[test]
fn limiting_says_once_what_was_left_out() {
    let own = CapabilitySet::ALL.difference(set(&["SYS_RESOURCE", "MKNOD"]));
    let all = CapabilitySet::ALL;
    let wanted = ProcessCapabilities { bounding: all, effective: all, permitted: all, ..Default::default() };
    let (limited, warning) = wanted.limit(own);
    assert_eq!(limited.permitted, own);
    assert_eq!(limited.bounding, own);
    assert_eq!(
        warning.unwrap(),
        "capabilities left out because brig itself does not have them: CAP_SYS_RESOURCE, CAP_MKNOD"
    );
    assert_eq!(ProcessCapabilities { bounding: own, ..Default::default() }.limit(own).1, None);
}

#[test]
fn ambient_is_what_is_permitted_and_inheritable() {
    let chown = set(&["CHOWN"]);
    let sets = ProcessCapabilities { permitted: chown, ambient: chown, ..Default::default() };
    assert_eq!(sets.limit(CapabilitySet::ALL).0.ambient, CapabilitySet::EMPTY);
    let sets = ProcessCapabilities { inheritable: chown, ..sets };
    assert_eq!(sets.limit(CapabilitySet::ALL).0.ambient, chown);
}

#[test]
fn the_kernel_s_last_capability_is_the_one_in_proc() {
    let text = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap();
    assert_eq!(last(), text.trim().parse::<u32>().unwrap().min(40));
}

proptest! {
    #[test]
    fn oci_and_back(bits: u64) {
        let set = CapabilitySet::from_bits(bits);
        prop_assert_eq!(CapabilitySet::from_oci(Some(&set.to_oci())), set);
        prop_assert_eq!(set.names().count() as u32, set.bits().count_ones());
    }
}

/// Runs `body` in a forked child and gives back its exit code; the body must not allocate or panic.
fn in_child(body: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs only async-signal-safe calls and leaves by _exit.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(body()),
            child => {
                assert!(child > 0);
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &mut status, 0), child);
                assert!(libc::WIFEXITED(status), "child ended by signal: {status:#x}");
                libc::WEXITSTATUS(status)
            }
        }
    }
}

#[test]
fn a_child_has_exactly_what_was_applied() {
    let last = last();
    let own = permitted().unwrap();
    let chown = set(&["CHOWN", "NET_RAW", "KILL"]);
    let bounding = set(&["CHOWN", "NET_RAW", "KILL", "MKNOD"]);
    let wanted = ProcessCapabilities {
        bounding,
        effective: chown,
        permitted: chown,
        inheritable: chown,
        ambient: set(&["KILL"]),
    };
    let (sets, warning) = wanted.limit(own);
    assert_eq!(warning, None, "the tests need a root that has Docker's default set");
    let code = in_child(|| {
        if sets.apply_bounding(last).is_err() {
            return 1;
        }
        if sets.apply(last).is_err() {
            return 2;
        }
        let mut header = CapHeader { version: LINUX_CAPABILITY_VERSION_3, pid: 0 };
        let mut data = [CapData::default(); 2];
        // SAFETY: as in `permitted`.
        if unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) } != 0 {
            return 3;
        }
        let bits = chown.bits() as u32;
        if data[0].effective != bits || data[0].permitted != bits || data[0].inheritable != bits {
            return 4;
        }
        if data[1].permitted != 0 {
            return 5;
        }
        for bit in 0..=last {
            // SAFETY: integers only.
            let (inside, ambient) = unsafe {
                (
                    libc::prctl(libc::PR_CAPBSET_READ, bit as libc::c_ulong, 0, 0, 0),
                    libc::prctl(
                        libc::PR_CAP_AMBIENT,
                        libc::PR_CAP_AMBIENT_IS_SET,
                        bit as libc::c_ulong,
                        0,
                        0,
                    ),
                )
            };
            if (inside == 1) != (bounding.bits() & (1 << bit) != 0) {
                return 6;
            }
            if (ambient == 1) != (sets.ambient.bits() & (1 << bit) != 0) {
                return 7;
            }
        }
        // Nothing can be got back.
        match wanted_more(last) {
            Err(Errno::PERM) => 0,
            _ => 8,
        }
    });
    assert_eq!(code, 0);
}

fn wanted_more(last: u32) -> Result<(), Errno> {
    let all = CapabilitySet::ALL;
    ProcessCapabilities { permitted: all, effective: all, ..Default::default() }.apply(last)
}
