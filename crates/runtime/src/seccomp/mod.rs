//! Seccomp: from the runtime spec's rules to a filter in force, without libseccomp.
//!
//! ```text
//! Docker's profile (own table, or a user's JSON) --profile--> LinuxSeccomp --compile--> Program --load--> kernel
//! ```
//!
//! Several ABIs live in one program (x86_64 with i386 and x32, aarch64 with 32-bit ARM). Where the runtime spec
//! leaves a question open, the answer is that of runc with libseccomp:
//! - A rule without conditions beats all rules with conditions for the same call; else the first that fits counts.
//! - Names that no ABI has are ignored, as are rules that repeat the default action.
//! - A call of an ABI that is not listed kills the thread.
//! - A call whose number is above all that the profile names answers ENOSYS, unless the default is to allow.

mod arch;
mod bpf;
mod compile;
mod default_profile;
mod load;
mod profile;
mod syscalls;
mod text;

pub use arch::Abi;
pub use bpf::Instruction;
pub use default_profile::default_profile;
pub use profile::{ProfileFacts, custom_profile};

use brig_core::{HasKind, Kind};
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompFilterFlag};
use serde::{Deserialize, Serialize};

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub enum SeccompError {
    /// The user's profile is not JSON, or not of Docker's form.
    #[error("Decoding seccomp profile failed: {0}")]
    Decode(#[source] serde_json::Error),
    /// The user's profile says two things at once, or a thing that has no meaning.
    #[error("{0}")]
    Profile(String),
    /// A rule speaks of an argument that no system call has.
    #[error("seccomp rule for argument {0}: a system call has arguments 0 to 5")]
    Argument(usize),
    /// Nobody could be told of the calls that telling takes.
    #[error("SCMP_ACT_NOTIFY cannot be used as default action")]
    NotifyDefault,
    /// The same for one call.
    #[error("SCMP_ACT_NOTIFY cannot be used for the write syscall")]
    NotifyWrite,
    /// The kernel takes no longer one.
    #[error("seccomp filter has {0} instructions: the kernel takes at most 4096")]
    TooLong(usize),
    /// brig has no table of system calls for this machine.
    #[error("a seccomp filter on {arch}", arch = std::env::consts::ARCH)]
    Machine,
}

impl HasKind for SeccompError {
    fn kind(&self) -> Kind {
        match self {
            Self::Machine => Kind::NotImplemented,
            _ => Kind::InvalidParameter,
        }
    }
}

impl From<SeccompError> for crate::Error {
    fn from(error: SeccompError) -> Self {
        match error {
            SeccompError::Machine => Self::Unsupported(error.to_string()),
            _ => Self::Seccomp(error.to_string()),
        }
    }
}

/// `SECCOMP_FILTER_FLAG_*` of `linux/seccomp.h`.
const FLAG_TSYNC: u32 = 1;
const FLAG_LOG: u32 = 1 << 1;
const FLAG_SPEC_ALLOW: u32 = 1 << 2;
const FLAG_NEW_LISTENER: u32 = 1 << 3;
const FLAG_WAIT_KILLABLE_RECV: u32 = 1 << 5;

/// A filter, ready to be put into force by [`Program::load`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    #[serde(with = "text")]
    instructions: Vec<Instruction>,
    flags: u32,
}

impl Program {
    /// The instructions, at most 4096.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// Whether [`Program::load`] gives back a descriptor that user notifications come from.
    pub fn notifies(&self) -> bool {
        self.flags & FLAG_NEW_LISTENER != 0
    }
}

/// Compiles the runtime spec's rules for this machine and the other ABIs they list.
///
/// Without `flags` the speculation mitigations stay as they are for the process (runc's default since 1.2; without
/// it each program under a filter pays for the store bypass mitigation on kernels that tie the two together).
///
/// # Errors
/// A rule that makes no sense, or too many of them; see [`SeccompError`].
pub fn compile(seccomp: &LinuxSeccomp) -> Result<Program, SeccompError> {
    let instructions = compile::program(seccomp)?;
    let mut flags = match seccomp.flags() {
        None => FLAG_SPEC_ALLOW,
        Some(flags) => flags.iter().fold(0, |all, flag| {
            all | match flag {
                LinuxSeccompFilterFlag::SeccompFilterFlagTsync => FLAG_TSYNC,
                LinuxSeccompFilterFlag::SeccompFilterFlagLog => FLAG_LOG,
                LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => FLAG_SPEC_ALLOW,
                LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => FLAG_WAIT_KILLABLE_RECV,
            }
        }),
    };
    let notifies = |action| action == LinuxSeccompAction::ScmpActNotify;
    if seccomp.syscalls().iter().flatten().any(|syscall| notifies(syscall.action())) {
        flags |= FLAG_NEW_LISTENER;
        // The kernel can't give back both a descriptor and the thread that did not follow.
        flags &= !FLAG_TSYNC;
    }
    Ok(Program { instructions, flags })
}

#[cfg(test)]
mod interpreter;
#[cfg(test)]
mod tests;
