//! Resource limits. Raising a hard limit takes CAP_SYS_RESOURCE, which brig may not have: then it sets what it can.

use crate::error::{Errno, Error};
use crate::plan::process::Rlimit;

/// Puts a limit into force; a warning says what could not be had.
pub(super) fn set(limit: &Rlimit) -> Result<Option<String>, Error> {
    let failed = |errno: Errno| Error::step(format!("set rlimit {}", limit.kind), errno);
    match set_both(limit.resource, limit.soft, limit.hard) {
        Ok(()) => return Ok(None),
        Err(Errno(libc::EPERM)) => {}
        Err(errno) => return Err(failed(errno)),
    }
    let (_, most) = both(limit.resource).map_err(failed)?;
    let (soft, hard) = (limit.soft.min(most), limit.hard.min(most));
    set_both(limit.resource, soft, hard).map_err(failed)?;
    Ok(Some(format!(
        "{}: {}:{} can't be set without the right to raise limits; {}:{} is in force",
        limit.kind,
        shown(limit.soft),
        shown(limit.hard),
        shown(soft),
        shown(hard)
    )))
}

/// Raises hard limits as far as they are wanted and may be raised, for who is about to lose the right to; nothing is
/// limited by that.
pub(crate) fn raise(limits: &[Rlimit]) {
    for limit in limits {
        if let Ok((soft, hard)) = both(limit.resource)
            && limit.hard > hard
        {
            // Where it is refused, `set` says what is in force.
            let _ = set_both(limit.resource, soft, limit.hard);
        }
    }
}

fn shown(value: u64) -> String {
    if value == libc::RLIM_INFINITY { "unlimited".into() } else { value.to_string() }
}

#[allow(
    clippy::useless_conversion,
    clippy::unnecessary_cast,
    reason = "the type differs between C libraries"
)]
fn set_both(resource: u32, soft: u64, hard: u64) -> Result<(), Errno> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: limit outlives the call.
    match unsafe { libc::setrlimit(resource as _, &raw const limit) } {
        0 => Ok(()),
        _ => Err(Errno::last()),
    }
}

/// The soft and the hard limit that are in force.
fn both(resource: u32) -> Result<(u64, u64), Errno> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: limit outlives the call.
    match unsafe { libc::getrlimit(resource as _, &raw mut limit) } {
        0 => Ok((limit.rlim_cur, limit.rlim_max)),
        _ => Err(Errno::last()),
    }
}
