//! Rules for devices as systemd has them: a list of what is allowed. What systemd can't say is said by the runtime's
//! own rules, which are in force beside these.

use super::super::devices::{Kind, Rule, access};
use super::{Property, property};
use crate::cgroup::Version;
use crate::dbus::Value;

/// `DeviceAllow=char-MAJOR` is known since then.
const NUMBERED_GROUPS: u32 = 240;

/// What systemd is told.
#[derive(Debug, PartialEq, Eq)]
enum List {
    /// That there are no rules.
    Free,
    /// That nothing is allowed but these.
    Only(Vec<(String, String)>),
}

/// The properties of checked rules.
pub(super) fn properties(rules: &[Rule], version: Version, systemd: u32) -> Vec<Property> {
    let (policy, allowed) = match list(rules, version, systemd) {
        List::Free => ("auto", Vec::new()),
        List::Only(allowed) => ("strict", allowed),
    };
    let entry =
        |(path, access): (String, String)| Value::Struct(vec![Value::Text(path), Value::Text(access)]);
    let empty = || property("DeviceAllow", Value::Array("(ss)".into(), Vec::new()));
    let mut properties = vec![empty(), property("DevicePolicy", Value::text(policy))];
    if !allowed.is_empty() {
        // The empty list before it forgets what was there.
        let allowed = allowed.into_iter().map(entry).collect();
        properties.push(property("DeviceAllow", Value::Array("(ss)".into(), allowed)));
    }
    properties
}

fn list(rules: &[Rule], version: Version, systemd: u32) -> List {
    // Rules that have no base are on top of "nothing", as in the kernel's own program.
    let (everything, rest) = match rules.split_first() {
        Some((first, rest)) if first.is_about_everything() => (first.allow, rest),
        _ => (false, rules),
    };
    if everything {
        // Exceptions from "everything" can't be said. In version 2 the runtime's program stands beside systemd's, and
        // says them. In version 1 there is one list for both, which systemd writes anew when it is reloaded: nothing
        // may be allowed then that was not before.
        return match version {
            _ if rest.iter().all(|rule| rule.allow) => List::Free,
            Version::V2 => List::Free,
            Version::V1 => List::Only(Vec::new()),
        };
    }
    let mut allowed: Vec<Rule> = Vec::new();
    let kinds = |kind| match kind {
        Kind::Any => vec![Kind::Block, Kind::Character],
        one => vec![one],
    };
    for rule in rest.iter().flat_map(|rule| kinds(rule.kind).into_iter().map(|kind| Rule { kind, ..*rule })) {
        let same =
            |other: &&mut Rule| (other.kind, other.major, other.minor) == (rule.kind, rule.major, rule.minor);
        match (rule.allow, allowed.iter_mut().find(same)) {
            (true, Some(known)) => known.access |= rule.access,
            (true, None) => allowed.push(rule),
            (false, _) => {
                for known in allowed.iter_mut().filter(|known| covers(&rule, known)) {
                    known.access &= !rule.access;
                }
                let cuts = |known: &Rule| known.access & rule.access != 0 && overlap(&rule, known);
                if version == Version::V1 && allowed.iter().any(cuts) {
                    return List::Only(Vec::new());
                }
            }
        }
    }
    allowed.retain(|rule| rule.access != 0);
    List::Only(
        allowed.iter().filter_map(|rule| Some((path(rule, version, systemd)?, letters(rule)))).collect(),
    )
}

/// Whether a rule is about all that another one is about.
fn covers(rule: &Rule, other: &Rule) -> bool {
    rule.kind == other.kind
        && (rule.major.is_none() || rule.major == other.major)
        && (rule.minor.is_none() || rule.minor == other.minor)
}

fn overlap(one: &Rule, other: &Rule) -> bool {
    let meet = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
    one.kind == other.kind && meet(one.major, other.major) && meet(one.minor, other.minor)
}

fn path(rule: &Rule, version: Version, systemd: u32) -> Option<String> {
    let kind = if rule.kind == Kind::Block { "block" } else { "char" };
    match (rule.major, rule.minor) {
        (Some(major), Some(minor)) => Some(format!("/dev/{kind}/{major}:{minor}")),
        (Some(major), None) => (systemd >= NUMBERED_GROUPS).then(|| format!("{kind}-{major}")),
        (None, None) => Some(format!("{kind}-*")),
        // One number of every driver can't be said. In version 2 systemd's program has to let it pass.
        (None, Some(_)) => (version == Version::V2).then(|| format!("{kind}-*")),
    }
}

fn letters(rule: &Rule) -> String {
    let all = [(access::READ, 'r'), (access::WRITE, 'w'), (access::MKNOD, 'm')];
    all.into_iter().filter(|(bit, _)| rule.access & bit != 0).map(|(_, letter)| letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Rule = Rule { allow: false, kind: Kind::Any, major: None, minor: None, access: access::ALL };

    fn allow(kind: Kind, major: Option<u32>, minor: Option<u32>, access: u8) -> Rule {
        Rule { allow: true, kind, major, minor, access }
    }

    fn only(entries: &[(&str, &str)]) -> List {
        List::Only(entries.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect())
    }

    #[test]
    fn a_list_of_what_is_allowed() {
        let rules = [
            NONE,
            allow(Kind::Character, Some(1), Some(3), access::READ | access::WRITE),
            allow(Kind::Character, Some(1), Some(3), access::MKNOD),
            allow(Kind::Character, Some(136), None, access::ALL),
            allow(Kind::Any, None, None, access::MKNOD),
        ];
        let expected =
            only(&[("/dev/char/1:3", "rwm"), ("char-136", "rwm"), ("block-*", "m"), ("char-*", "m")]);
        assert_eq!(list(&rules, Version::V2, 252), expected);
        let old = only(&[("/dev/char/1:3", "rwm"), ("block-*", "m"), ("char-*", "m")]);
        assert_eq!(list(&rules, Version::V1, 239), old);
        let names: Vec<_> = properties(&rules, Version::V2, 252).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["DeviceAllow", "DevicePolicy", "DeviceAllow"]);
    }

    #[test]
    fn what_is_denied_again() {
        let zero = allow(Kind::Character, Some(1), Some(5), access::ALL);
        let denied = Rule { allow: false, access: access::WRITE, ..zero };
        assert_eq!(list(&[NONE, zero, denied], Version::V1, 252), only(&[("/dev/char/1:5", "rm")]));
        let all = Rule { minor: None, access: access::ALL, ..denied };
        assert_eq!(list(&[NONE, zero, all], Version::V1, 252), only(&[]));
        // A hole in a wider rule: more than systemd can say.
        let wide = allow(Kind::Character, Some(1), None, access::ALL);
        assert_eq!(list(&[NONE, wide, denied], Version::V2, 252), only(&[("char-1", "rwm")]));
        assert_eq!(list(&[NONE, wide, denied], Version::V1, 252), only(&[]));
    }

    #[test]
    fn everything_and_but() {
        let everything = Rule { allow: true, ..NONE };
        let but = Rule { allow: false, ..allow(Kind::Block, Some(8), None, access::ALL) };
        assert_eq!(list(&[everything], Version::V1, 252), List::Free);
        assert_eq!(list(&[everything, but], Version::V2, 252), List::Free);
        assert_eq!(list(&[everything, but], Version::V1, 252), only(&[]));
        assert_eq!(list(&[], Version::V2, 252), only(&[]));
        let minor = allow(Kind::Block, None, Some(1), access::READ);
        assert_eq!(list(&[NONE, minor], Version::V2, 252), only(&[("block-*", "r")]));
        assert_eq!(list(&[NONE, minor], Version::V1, 252), only(&[]));
    }
}
