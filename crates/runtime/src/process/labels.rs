//! Labels of security modules, which the program takes on when it is executed.

use crate::error::{Errno, Error};
use crate::plan::process::ProcessPlan;
use crate::procfs::ProcHandle;

/// Writes the labels through a procfs that nobody has tampered with (CVE-2019-16884, CVE-2019-19921): written to another
/// file, they would be in force nowhere.
pub(super) fn set(process: &ProcessPlan, proc: &dyn Fn() -> Result<ProcHandle, Error>) -> Result<(), Error> {
    if process.apparmor.is_none() && process.selinux.is_none() {
        return Ok(());
    }
    let proc = proc()?;
    if let Some(profile) = &process.apparmor {
        let text = format!("exec {profile}");
        match proc.write("self/attr/apparmor/exec", &text) {
            // A kernel before 5.8, where modules share one file.
            Err(e) if e.errno() == Some(Errno(libc::ENOENT)) => proc.write("self/attr/exec", &text),
            other => other,
        }
        .map_err(|error| refused(error, "AppArmor profile", profile, "is it loaded?"))?;
    }
    if let Some(label) = &process.selinux {
        proc.write("self/attr/exec", label)
            .map_err(|error| refused(error, "SELinux label", label, "does the policy know it?"))?;
    }
    Ok(())
}

fn refused(error: Error, what: &str, label: &str, hint: &str) -> Error {
    match error.errno() {
        Some(errno) => Error::step(format!("apply {what} {label:?} ({hint}): {error}"), errno),
        None => error,
    }
}
