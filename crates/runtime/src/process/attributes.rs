//! Scheduling, processors, memory nodes and personality, put into force for the calling process.

use crate::error::{Errno, Error};
use crate::plan::attributes::{Attributes, MemoryPolicy, SchedulerAttributes};

/// Puts into force what the spec asks for.
pub(super) fn set(attributes: &Attributes) -> Result<(), Error> {
    if let Some(scheduler) = &attributes.scheduler {
        set_scheduler(scheduler)?;
    }
    if let Some(policy) = &attributes.memory_policy {
        set_memory_policy(policy)?;
    }
    if let Some(personality) = attributes.personality {
        set_personality(personality)?;
    }
    Ok(())
}

/// Says which right is missing, since users see an errno else.
fn failed(step: &str, right: &str, absent: &str) -> Error {
    match Errno::last() {
        errno @ Errno(libc::EPERM) => Error::step(format!("{step} (it takes {right})"), errno),
        errno @ Errno(libc::ENOSYS) => Error::step(format!("{step} ({absent})"), errno),
        errno => Error::step(step, errno),
    }
}

fn set_scheduler(attributes: &SchedulerAttributes) -> Result<(), Error> {
    // SAFETY: the kernel reads as many bytes as `size` says, which is the type's; 0 is the calling process.
    match unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const *attributes, 0) } {
        0 => Ok(()),
        _ => Err(failed("set process.scheduler", "CAP_SYS_NICE", "the kernel has no such scheduler")),
    }
}

fn set_memory_policy(policy: &MemoryPolicy) -> Result<(), Error> {
    let nodes = if policy.nodes.is_empty() { std::ptr::null() } else { policy.nodes.as_ptr() };
    // The kernel takes one bit less than it is told.
    let bits = if policy.nodes.is_empty() { 0 } else { policy.nodes.len() * 64 + 1 };
    // SAFETY: the kernel reads as many words as hold `bits - 1` bits, which is all there are.
    match unsafe { libc::syscall(libc::SYS_set_mempolicy, policy.mode, nodes, bits) } {
        0 => Ok(()),
        _ => Err(failed("set linux.memoryPolicy", "CAP_SYS_NICE", "the kernel is built without NUMA")),
    }
}

fn set_personality(personality: u64) -> Result<(), Error> {
    // SAFETY: takes an integer.
    match unsafe { libc::syscall(libc::SYS_personality, personality) } {
        r if r >= 0 => Ok(()),
        _ => Err(Error::step("set linux.personality", Errno::last())),
    }
}

/// Sees to it that the calling process runs on these processors only.
pub(crate) fn set_affinity(processors: &[u64], which: &str) -> Result<(), Error> {
    // SAFETY: the kernel reads so many bytes; 0 is the calling process.
    let set = unsafe {
        libc::syscall(libc::SYS_sched_setaffinity, 0, size_of_val(processors), processors.as_ptr())
    };
    match set {
        r if r >= 0 => Ok(()),
        _ => {
            let hint = "are any of these processors there, and the container's?";
            Err(Error::step(format!("set process.execCPUAffinity.{which} ({hint})"), Errno::last()))
        }
    }
}
