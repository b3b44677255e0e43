//! Which devices a group may use: the spec's list of rules, of which a later one beats an earlier one.

use super::error::CgroupError;
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

/// Which devices a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Character and block devices.
    Any,
    /// Character devices.
    Character,
    /// Block devices.
    Block,
}

/// Ways to use a device, as bits: `BPF_DEVCG_ACC_*`.
pub(super) mod access {
    pub(in super::super) const MKNOD: u8 = 1;
    pub(in super::super) const READ: u8 = 2;
    pub(in super::super) const WRITE: u8 = 4;
    pub(in super::super) const ALL: u8 = MKNOD | READ | WRITE;
}

/// A checked rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) allow: bool,
    pub(super) kind: Kind,
    /// `None`: every number.
    pub(super) major: Option<u32>,
    /// `None`: every number.
    pub(super) minor: Option<u32>,
    pub(super) access: u8,
}

impl Rule {
    pub(super) fn is_about_everything(&self) -> bool {
        self.kind == Kind::Any && self.major.is_none() && self.minor.is_none() && self.access == access::ALL
    }

    /// As `devices.allow` and `devices.deny` have it.
    fn line(&self) -> String {
        let kind = match self.kind {
            // Only with all numbers and all ways: see `v1_writes`.
            Kind::Any => 'a',
            Kind::Character => 'c',
            Kind::Block => 'b',
        };
        let number = |number: Option<u32>| number.map_or_else(|| "*".to_owned(), |number| number.to_string());
        let mut line = format!("{kind} {}:{} ", number(self.major), number(self.minor));
        for (bit, letter) in [(access::READ, 'r'), (access::WRITE, 'w'), (access::MKNOD, 'm')] {
            if self.access & bit != 0 {
                line.push(letter);
            }
        }
        line
    }
}

/// Checks the spec's rules. Those before the last that is about everything are moot and dropped.
pub(super) fn rules(list: &[LinuxDeviceCgroup]) -> Result<Vec<Rule>, CgroupError> {
    let mut rules = list.iter().map(rule).collect::<Result<Vec<_>, _>>()?;
    if let Some(last) = rules.iter().rposition(Rule::is_about_everything) {
        rules.drain(..last);
    }
    Ok(rules)
}

fn rule(from: &LinuxDeviceCgroup) -> Result<Rule, CgroupError> {
    let bad = || CgroupError::Device(from.to_string());
    let kind = match from.typ() {
        None | Some(LinuxDeviceType::A) => Kind::Any,
        Some(LinuxDeviceType::B) => Kind::Block,
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => Kind::Character,
        Some(LinuxDeviceType::P) => return Err(bad()),
    };
    // The spec's -1 is every number.
    let number = |number: Option<i64>| match number {
        None | Some(-1) => Ok(None),
        Some(number) => u32::try_from(number).map(Some).map_err(|_| bad()),
    };
    let letters = from.access().as_deref().unwrap_or_default();
    let mut access = 0;
    for letter in letters.chars() {
        access |= match letter {
            'r' => access::READ,
            'w' => access::WRITE,
            'm' => access::MKNOD,
            _ => return Err(bad()),
        };
    }
    if access == 0 {
        access = access::ALL;
    }
    Ok(Rule { allow: from.allow(), kind, major: number(from.major())?, minor: number(from.minor())?, access })
}

/// The writes for version 1, as (file, text). The kernel applies them in order, like the spec does, but a rule for
/// both kinds it knows only as "everything".
pub(super) fn v1_writes(rules: &[Rule]) -> Vec<(&'static str, String)> {
    let mut writes = Vec::with_capacity(rules.len());
    for rule in rules {
        let file = if rule.allow { "devices.allow" } else { "devices.deny" };
        if rule.is_about_everything() {
            writes.push((file, "a".to_owned()));
        } else if rule.kind == Kind::Any {
            for kind in [Kind::Character, Kind::Block] {
                writes.push((file, Rule { kind, ..*rule }.line()));
            }
        } else {
            writes.push((file, rule.line()));
        }
    }
    writes
}

/// Whether a use of a device is allowed: what both the kernel's list and the BPF program have to come to.
#[cfg(test)]
pub(super) fn allows(rules: &[Rule], kind: Kind, major: u32, minor: u32, wanted: u8) -> bool {
    // Each way is decided by itself: a rule about some of them says nothing about the others.
    [access::MKNOD, access::READ, access::WRITE].into_iter().filter(|way| wanted & way != 0).all(|way| {
        let last = rules.iter().rev().find(|rule| {
            (rule.kind == Kind::Any || rule.kind == kind)
                && rule.major.is_none_or(|number| number == major)
                && rule.minor.is_none_or(|number| number == minor)
                && rule.access & way != 0
        });
        last.is_some_and(|rule| rule.allow)
    })
}
