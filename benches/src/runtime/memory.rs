//! The most memory that a runtime's process had.

use super::Runtime;
use super::bundle::Bundle;
use std::mem::MaybeUninit;

/// The peak resident size of `create` and of what it ran and waited for, in MiB. The kernel counts from the fork on,
/// when the process is still this program: that is small, and no runtime is seen to be smaller.
pub(crate) fn peak_mib(runtime: &Runtime, bundle: &Bundle) -> Result<f64, String> {
    let dir = bundle.of(&runtime.name, "memory", &["sleep", "1000"])?;
    let mut command = runtime.command(bundle);
    command.args(["create", "--bundle", &dir, "memory"]);
    #[allow(clippy::zombie_processes, reason = "wait4 below reaps it")]
    let child = command.spawn().map_err(|e| format!("{}: {e}", runtime.name))?;
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both places outlive the call; the child is ours and reaped nowhere else.
    let waited = unsafe { libc::wait4(child.id() as i32, &raw mut status, 0, usage.as_mut_ptr()) };
    if waited < 0 || status != 0 {
        return Err(format!("{} create: status {status}", runtime.name));
    }
    // SAFETY: zeroed, and filled by a call that succeeded.
    let peak = unsafe { usage.assume_init() }.ru_maxrss;
    runtime.call(bundle, &["delete", "--force", "memory"])?;
    Ok(peak as f64 / 1024.0)
}
