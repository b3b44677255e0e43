//! The process of an exec.

use super::process::{cwd, override_with, sets, user};
use super::{ResolvedUser, SpecError};
use brig_api::ExecCreateRequest;
use brig_runtime::capabilities;
use oci_spec::runtime::Process;

/// The process of an exec, from the container's own: its rights and limits, unless it is privileged.
///
/// # Errors
/// When brig's own capabilities can't be read, for a privileged one.
pub fn exec_process(
    container: &Process,
    request: &ExecCreateRequest,
    runs_as: &ResolvedUser,
) -> Result<Process, SpecError> {
    let mut process = container.clone();
    let mut env = container.env().clone().unwrap_or_default();
    // TERM and HOME go with the terminal and the user.
    if !request.tty && container.terminal() == Some(true) {
        env.retain(|variable| variable != "TERM=xterm");
    }
    if request.tty && !env.iter().any(|variable| variable.starts_with("TERM=")) {
        env.push("TERM=xterm".to_owned());
    }
    if runs_as.uid != container.user().uid() {
        override_with(&mut env, &[format!("HOME={}", runs_as.home)]);
    }
    override_with(&mut env, request.env.as_deref().unwrap_or_default());
    process
        .set_terminal(Some(request.tty))
        .set_args(Some(request.cmd.clone().unwrap_or_default()))
        .set_env(Some(env))
        .set_user(user(runs_as));
    if !request.working_dir.is_empty() {
        process.set_cwd(cwd(&request.working_dir));
    }
    if request.privileged {
        let all = capabilities::permitted()
            .map_err(|errno| SpecError::Invalid(format!("read own capabilities: {errno}")))?;
        process.set_capabilities(Some(sets(all)));
    }
    Ok(process)
}
