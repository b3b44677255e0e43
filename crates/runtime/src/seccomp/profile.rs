//! Docker's form of a profile: the runtime spec's rules, each with conditions on the container (capabilities, ABI,
//! kernel). Resolving it for one container gives the runtime spec's form.

use super::SeccompError;
use super::arch::Abi;
use crate::capabilities::CapabilitySet;
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder, LinuxSeccompFilterFlag,
    LinuxSeccompOperator, LinuxSyscall,
};
use serde::{Deserialize, Deserializer};
use std::path::PathBuf;

/// What a profile's conditions are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileFacts {
    /// The ABI of the machine.
    pub abi: Abi,
    /// The container's bounding set.
    pub capabilities: CapabilitySet,
    /// The kernel's version, major and minor.
    pub kernel: (u32, u32),
}

/// A whole profile.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Profile {
    pub(super) default_action: Option<LinuxSeccompAction>,
    pub(super) default_errno_ret: Option<u32>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) architectures: Vec<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) arch_map: Vec<ArchMapping>,
    pub(super) flags: Option<Vec<LinuxSeccompFilterFlag>>,
    pub(super) listener_path: Option<PathBuf>,
    pub(super) listener_metadata: Option<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) syscalls: Vec<Group>,
}

/// The ABIs that a machine runs besides its own.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ArchMapping {
    pub(super) architecture: String,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) sub_architectures: Vec<String>,
}

/// One rule for several calls.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) names: Vec<String>,
    pub(super) name: Option<String>,
    pub(super) action: LinuxSeccompAction,
    pub(super) errno_ret: Option<u32>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) args: Vec<Argument>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) includes: Condition,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) excludes: Condition,
}

/// A condition on an argument. `valueTwo` may be absent, where the runtime spec's own type wants it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Argument {
    pub(super) index: usize,
    #[serde(default)]
    pub(super) value: u64,
    #[serde(default)]
    pub(super) value_two: u64,
    pub(super) op: LinuxSeccompOperator,
}

/// A condition on the container.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Condition {
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) caps: Vec<String>,
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) arches: Vec<String>,
    pub(super) min_kernel: Option<String>,
}

/// Go reads `null` as the empty value.
fn null_is_empty<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A user's profile (the text of `--security-opt seccomp=`) for one container. `None` if the profile is empty, which
/// means no filter.
///
/// # Errors
/// Text that is no profile, in Docker's words.
pub fn custom_profile(json: &str, facts: &ProfileFacts) -> Result<Option<LinuxSeccomp>, SeccompError> {
    let profile: Profile = serde_json::from_str(json).map_err(SeccompError::Decode)?;
    if !profile.architectures.is_empty() && !profile.arch_map.is_empty() {
        return Err(SeccompError::Profile(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or \
             'archMap'"
                .to_owned(),
        ));
    }
    if profile.default_action.is_none() && profile.syscalls.is_empty() {
        return Ok(None);
    }
    resolve(profile, facts).map(Some)
}

/// The rules whose conditions hold, in the profile's order.
pub(super) fn resolve(profile: Profile, facts: &ProfileFacts) -> Result<LinuxSeccomp, SeccompError> {
    let mut syscalls = Vec::with_capacity(profile.syscalls.len());
    for group in profile.syscalls {
        if group.excludes.excludes(facts)? || !group.includes.includes(facts)? {
            continue;
        }
        let names = match (group.name, group.names) {
            (Some(name), names) if names.is_empty() && !name.is_empty() => vec![name],
            (Some(name), _) if !name.is_empty() => {
                return Err(SeccompError::Profile(
                    "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'"
                        .to_owned(),
                ));
            }
            (_, names) => names,
        };
        let mut syscall = LinuxSyscall::default();
        syscall.set_names(names).set_action(group.action).set_errno_ret(group.errno_ret);
        if !group.args.is_empty() {
            syscall.set_args(Some(group.args.iter().map(|arg| arg.to_oci()).collect()));
        }
        syscalls.push(syscall);
    }

    let architectures = if profile.arch_map.is_empty() {
        profile.architectures.iter().filter_map(|name| parse_arch(name)).collect()
    } else {
        let native = facts.abi.to_oci();
        let mapping =
            profile.arch_map.iter().find(|mapping| parse_arch(&mapping.architecture) == Some(native));
        let subs = mapping.into_iter().flat_map(|mapping| &mapping.sub_architectures);
        mapping.iter().map(|_| native).chain(subs.filter_map(|name| parse_arch(name))).collect::<Vec<_>>()
    };

    let mut seccomp = LinuxSeccomp::default();
    seccomp
        .set_default_action(profile.default_action.unwrap_or(LinuxSeccompAction::ScmpActAllow))
        .set_default_errno_ret(profile.default_errno_ret)
        .set_flags(profile.flags)
        .set_listener_path(profile.listener_path)
        .set_listener_metadata(profile.listener_metadata)
        .set_architectures((!architectures.is_empty()).then_some(architectures))
        .set_syscalls(Some(syscalls));
    Ok(seccomp)
}

/// An ABI by the spec's name; profiles may list newer ones than the spec's type knows.
fn parse_arch(name: &str) -> Option<Arch> {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).ok()
}

impl Argument {
    fn to_oci(self) -> LinuxSeccompArg {
        let builder = LinuxSeccompArgBuilder::default().index(self.index).value(self.value).op(self.op);
        let builder = if self.value_two == 0 { builder } else { builder.value_two(self.value_two) };
        builder.build().expect("index, value and op are all that the builder asks for")
    }
}

impl Condition {
    /// As `includes`: everything that is said must hold (of the ABIs, one).
    fn includes(&self, facts: &ProfileFacts) -> Result<bool, SeccompError> {
        Ok((self.arches.is_empty() || self.names_abi(facts))
            && self.caps.iter().all(|cap| has(facts, cap))
            && self.kernel_is_new_enough(facts)?.unwrap_or(true))
    }

    /// As `excludes`: one thing that holds is enough.
    fn excludes(&self, facts: &ProfileFacts) -> Result<bool, SeccompError> {
        Ok(self.names_abi(facts)
            || self.caps.iter().any(|cap| has(facts, cap))
            || self.kernel_is_new_enough(facts)?.unwrap_or(false))
    }

    fn names_abi(&self, facts: &ProfileFacts) -> bool {
        self.arches.iter().any(|arch| arch == facts.abi.docker_name())
    }

    fn kernel_is_new_enough(&self, facts: &ProfileFacts) -> Result<Option<bool>, SeccompError> {
        let Some(text) = self.min_kernel.as_deref().filter(|text| !text.is_empty()) else { return Ok(None) };
        let parsed = text.split_once('.').and_then(|(major, minor)| {
            Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?)).filter(|(major, _)| *major > 0)
        });
        match parsed {
            Some(wanted) => Ok(Some(facts.kernel >= wanted)),
            None => Err(SeccompError::Profile(format!(
                "invalid kernel version: {text:?}: expected \"major.minor\""
            ))),
        }
    }
}

/// Whether the container has a capability; Docker compares the names as they stand.
fn has(facts: &ProfileFacts, cap: &str) -> bool {
    facts.capabilities.names().any(|name| name == cap)
}
