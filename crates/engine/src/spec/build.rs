//! The seam: a plain container with Docker's mounts, until the whole table is here.

use super::{NamespaceOf, ResolvedUser, SpecError, SpecInput, SpecSource};
use brig_api::ExecCreateRequest;
use oci_spec::runtime::{Linux, LinuxNamespace, LinuxNamespaceType, Mount, Process, RootBuilder, Spec, User};
use std::path::PathBuf;

/// The OCI configuration of a container.
///
/// # Errors
/// When a value can't be used after all.
pub fn build(input: &SpecInput<'_>) -> Result<Spec, SpecError> {
    let mut spec = Spec::default();
    let root = RootBuilder::default()
        .path("rootfs")
        .readonly(input.host_config.readonly_rootfs)
        .build()
        .map_err(|e| SpecError::Invalid(e.to_string()))?;
    spec.set_root(Some(root));
    spec.set_hostname(Some(input.hostname.to_owned()));
    let mut process = spec.process().clone().unwrap_or_default();
    process.set_terminal(Some(input.config.tty));
    process.set_args(Some(input.args.to_vec()));
    process.set_env(Some(environment(input)));
    process.set_cwd(PathBuf::from(cwd(&input.config.working_dir)));
    process.set_user(user(input.user));
    process.set_no_new_privileges(Some(false));
    spec.set_process(Some(process));
    let mut mounts: Vec<Mount> = spec.mounts().clone().unwrap_or_default();
    let files = [
        ("/etc/hosts", input.files.hosts),
        ("/etc/hostname", input.files.hostname),
        ("/etc/resolv.conf", input.files.resolv_conf),
    ];
    for (destination, source) in files {
        if let Some(source) = source {
            mounts.push(bind(destination, source.to_owned(), false));
        }
    }
    for mount in input.mounts {
        if let SpecSource::Bind { path, .. } = &mount.source {
            mounts.push(bind(&mount.destination, path.clone(), mount.read_only));
        }
    }
    spec.set_mounts(Some(mounts));
    let mut linux = spec.linux().clone().unwrap_or_default();
    linux.set_cgroups_path(Some(PathBuf::from(input.cgroup_path)));
    namespaces(&mut linux, input);
    spec.set_linux(Some(linux));
    Ok(spec)
}

/// The process of an exec, from the container's own.
///
/// # Errors
/// When a value can't be used after all.
pub fn exec_process(
    container: &Process,
    request: &ExecCreateRequest,
    runs_as: &ResolvedUser,
) -> Result<Process, SpecError> {
    let mut process = container.clone();
    process.set_terminal(Some(request.tty));
    process.set_args(request.cmd.clone());
    let mut env = container.env().clone().unwrap_or_default();
    env.extend(request.env.iter().flatten().cloned());
    process.set_env(Some(env));
    if !request.working_dir.is_empty() {
        process.set_cwd(PathBuf::from(&request.working_dir));
    }
    process.set_user(user(runs_as));
    Ok(process)
}

fn user(resolved: &ResolvedUser) -> User {
    let mut user = User::default();
    user.set_uid(resolved.uid)
        .set_gid(resolved.gid)
        .set_additional_gids(Some(resolved.additional_gids.clone()));
    user
}

fn cwd(given: &str) -> &str {
    if given.is_empty() { "/" } else { given }
}

fn environment(input: &SpecInput<'_>) -> Vec<String> {
    let given: Vec<String> = input.config.env.iter().flatten().filter(|v| v.contains('=')).cloned().collect();
    let has = |name: &str| given.iter().any(|v| v.split('=').next() == Some(name));
    let mut env = Vec::new();
    if !has("PATH") {
        env.push("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned());
    }
    if !has("HOSTNAME") {
        env.push(format!("HOSTNAME={}", input.hostname));
    }
    if input.config.tty && !has("TERM") {
        env.push("TERM=xterm".to_owned());
    }
    env.extend(given.clone());
    if !has("HOME") {
        env.push(format!("HOME={}", input.user.home));
    }
    env
}

fn bind(destination: &str, source: PathBuf, read_only: bool) -> Mount {
    let mut mount = Mount::default();
    let access = if read_only { "ro" } else { "rw" };
    mount
        .set_destination(PathBuf::from(destination))
        .set_source(Some(source))
        .set_typ(Some("bind".to_owned()))
        .set_options(Some(vec!["rbind".to_owned(), "rprivate".to_owned(), access.to_owned()]));
    mount
}

fn namespaces(linux: &mut Linux, input: &SpecInput<'_>) {
    let wanted = [
        (LinuxNamespaceType::Mount, NamespaceOf::New),
        (LinuxNamespaceType::Network, input.namespaces.network),
        (LinuxNamespaceType::Pid, input.namespaces.pid),
        (LinuxNamespaceType::Ipc, input.namespaces.ipc),
        (LinuxNamespaceType::Uts, input.namespaces.uts),
        (LinuxNamespaceType::Cgroup, input.namespaces.cgroup),
    ];
    let list = wanted.into_iter().filter(|(_, of)| *of != NamespaceOf::Host).map(|(kind, _)| {
        let mut namespace = LinuxNamespace::default();
        namespace.set_typ(kind);
        namespace
    });
    linux.set_namespaces(Some(list.collect()));
}
