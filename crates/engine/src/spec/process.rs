//! What runs, as whom, with which environment and rights.

use super::{ResolvedUser, SpecInput};
use crate::host_config::SecurityOptions;
use brig_runtime::capabilities::CapabilitySet;
use oci_spec::runtime::{LinuxCapabilities, PosixRlimit, PosixRlimitBuilder, Process, User};
use std::path::PathBuf;

/// What programs are looked for in where nobody says.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn process(
    input: &SpecInput<'_>,
    security: &SecurityOptions,
    capabilities: CapabilitySet,
) -> Process {
    let config = input.config;
    let mut process = Process::default();
    process
        .set_terminal(Some(config.tty))
        .set_user(user(input.user))
        .set_args(Some(input.args.to_vec()))
        .set_env(Some(environment(
            config.tty,
            input.hostname,
            &input.user.home,
            input.linked,
            config.env.as_deref().unwrap_or_default(),
        )))
        .set_cwd(cwd(&config.working_dir))
        .set_capabilities(Some(sets(capabilities)))
        .set_rlimits(Some(rlimits(input)))
        .set_no_new_privileges(Some(security.no_new_privileges))
        // Checked to be within -1000 and 1000.
        .set_oom_score_adj(Some(input.host_config.oom_score_adj as i32));
    process
}

/// The sets of a container: what it may have, it has, but hands nothing on by inheritance (CVE-2022-24769).
pub(super) fn sets(capabilities: CapabilitySet) -> LinuxCapabilities {
    let mut sets = LinuxCapabilities::default();
    sets.set_bounding(Some(capabilities.to_oci()))
        .set_effective(Some(capabilities.to_oci()))
        .set_permitted(Some(capabilities.to_oci()))
        .set_inheritable(None)
        .set_ambient(None);
    sets
}

pub(super) fn user(resolved: &ResolvedUser) -> User {
    let mut user = User::default();
    // Docker: the primary group is one of the others as well, so that dropping it changes nothing.
    let gids = std::iter::once(resolved.gid).chain(resolved.additional_gids.iter().copied());
    user.set_uid(resolved.uid).set_gid(resolved.gid).set_additional_gids(Some(gids.collect()));
    user
}

pub(super) fn cwd(given: &str) -> PathBuf {
    PathBuf::from(if given.is_empty() { "/" } else { given })
}

/// The environment: Docker's own variables and those of links, over them the container's, then HOME as runc sets it.
pub(super) fn environment(
    tty: bool,
    hostname: &str,
    home: &str,
    linked: &[String],
    own: &[String],
) -> Vec<String> {
    let mut env = vec![PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if tty {
        env.push("TERM=xterm".to_owned());
    }
    env.extend_from_slice(linked);
    override_with(&mut env, own);
    if !home.is_empty() && !env.iter().any(|variable| name_of(variable) == "HOME") {
        env.push(format!("HOME={home}"));
    }
    env
}

fn name_of(variable: &str) -> &str {
    variable.split_once('=').map_or(variable, |(name, _)| name)
}

/// Sets variables in their places; new ones come at the end. One without `=` takes the variable away.
pub(super) fn override_with(env: &mut Vec<String>, own: &[String]) {
    for variable in own {
        let name = name_of(variable);
        let at = env.iter().position(|known| name_of(known) == name);
        match (at, variable.contains('=')) {
            (Some(at), true) => env[at].clone_from(variable),
            (None, true) => env.push(variable.clone()),
            (Some(at), false) => drop(env.remove(at)),
            (None, false) => {}
        }
    }
}

/// `--ulimit`. Names were checked when the container was made.
fn rlimits(input: &SpecInput<'_>) -> Vec<PosixRlimit> {
    let limit = |ulimit: &brig_api::Ulimit| {
        let kind = crate::host_config::rlimit_type(&ulimit.name)?;
        // -1 is unlimited, which is all bits set. The builder fails only for what is missing.
        PosixRlimitBuilder::default().typ(kind).soft(ulimit.soft as u64).hard(ulimit.hard as u64).build().ok()
    };
    input.host_config.ulimits.iter().flatten().filter_map(limit).collect()
}
