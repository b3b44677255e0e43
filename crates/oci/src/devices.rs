//! What every container may do with devices, whatever its `config.json` says: runc and crun add the same, and callers
//! count on it (Docker's list has no terminals in it).

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType, Spec};

/// Type, numbers (any where there is none) and access.
const ALLOWED: [(LinuxDeviceType, Option<i64>, Option<i64>, &str); 12] = [
    // Making a node is no way to use it.
    (LinuxDeviceType::C, None, None, "m"),
    (LinuxDeviceType::B, None, None, "m"),
    // null, zero, full, random, urandom, tty
    (LinuxDeviceType::C, Some(1), Some(3), "rwm"),
    (LinuxDeviceType::C, Some(1), Some(5), "rwm"),
    (LinuxDeviceType::C, Some(1), Some(7), "rwm"),
    (LinuxDeviceType::C, Some(1), Some(8), "rwm"),
    (LinuxDeviceType::C, Some(1), Some(9), "rwm"),
    (LinuxDeviceType::C, Some(5), Some(0), "rwm"),
    // console, ptmx, and the terminals of the container's own devpts
    (LinuxDeviceType::C, Some(5), Some(1), "rwm"),
    (LinuxDeviceType::C, Some(5), Some(2), "rwm"),
    (LinuxDeviceType::C, Some(136), None, "rwm"),
    // tun, which makes interfaces in the container's own network namespace only
    (LinuxDeviceType::C, Some(10), Some(200), "rwm"),
];

/// Adds them after the spec's own rules.
pub(crate) fn allow_defaults(spec: &mut Spec) {
    let Some(linux) = spec.linux_mut().as_mut() else { return };
    let mut resources = linux.resources().clone().unwrap_or_default();
    let mut rules = resources.devices().clone().unwrap_or_default();
    rules.extend(ALLOWED.into_iter().map(|(kind, major, minor, access)| {
        let mut rule = LinuxDeviceCgroup::default();
        rule.set_allow(true).set_typ(Some(kind)).set_access(Some(access.into()));
        rule.set_major(major).set_minor(minor);
        rule
    }));
    resources.set_devices(Some(rules));
    linux.set_resources(Some(resources));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_specs_own_rules_come_first() {
        let mut spec: Spec = serde_json::from_str(
            r#"{"ociVersion":"1.2.0","linux":{"resources":{"devices":[{"allow":false,"access":"rwm"}]}}}"#,
        )
        .unwrap();
        allow_defaults(&mut spec);
        let linux = spec.linux().as_ref().unwrap();
        let rules = linux.resources().as_ref().unwrap().devices().clone().unwrap();
        assert_eq!(rules.len(), ALLOWED.len() + 1);
        assert!(!rules[0].allow() && rules[1].allow());
    }
}
