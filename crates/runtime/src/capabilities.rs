//! Capabilities: names and bits, Docker's default set, `--cap-add` and `--cap-drop`, and putting a set into force.
//!
//! Everything but [`last`], [`permitted`] and the `apply` functions is pure. The `apply` functions allocate
//! nothing, so they may run between `fork` and `execve`.

use brig_core::{HasKind, Kind};
use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities};
use rustix::io::Errno;
use std::fmt;
use std::sync::OnceLock;

/// Every capability that this build knows, by bit, with its name as Docker and the runtime spec write it.
/// Source: `linux/capability.h` of 6.18; the last one came with Linux 5.9.
const NAMES: [(Capability, &str); 41] = [
    (Capability::Chown, "CAP_CHOWN"),
    (Capability::DacOverride, "CAP_DAC_OVERRIDE"),
    (Capability::DacReadSearch, "CAP_DAC_READ_SEARCH"),
    (Capability::Fowner, "CAP_FOWNER"),
    (Capability::Fsetid, "CAP_FSETID"),
    (Capability::Kill, "CAP_KILL"),
    (Capability::Setgid, "CAP_SETGID"),
    (Capability::Setuid, "CAP_SETUID"),
    (Capability::Setpcap, "CAP_SETPCAP"),
    (Capability::LinuxImmutable, "CAP_LINUX_IMMUTABLE"),
    (Capability::NetBindService, "CAP_NET_BIND_SERVICE"),
    (Capability::NetBroadcast, "CAP_NET_BROADCAST"),
    (Capability::NetAdmin, "CAP_NET_ADMIN"),
    (Capability::NetRaw, "CAP_NET_RAW"),
    (Capability::IpcLock, "CAP_IPC_LOCK"),
    (Capability::IpcOwner, "CAP_IPC_OWNER"),
    (Capability::SysModule, "CAP_SYS_MODULE"),
    (Capability::SysRawio, "CAP_SYS_RAWIO"),
    (Capability::SysChroot, "CAP_SYS_CHROOT"),
    (Capability::SysPtrace, "CAP_SYS_PTRACE"),
    (Capability::SysPacct, "CAP_SYS_PACCT"),
    (Capability::SysAdmin, "CAP_SYS_ADMIN"),
    (Capability::SysBoot, "CAP_SYS_BOOT"),
    (Capability::SysNice, "CAP_SYS_NICE"),
    (Capability::SysResource, "CAP_SYS_RESOURCE"),
    (Capability::SysTime, "CAP_SYS_TIME"),
    (Capability::SysTtyConfig, "CAP_SYS_TTY_CONFIG"),
    (Capability::Mknod, "CAP_MKNOD"),
    (Capability::Lease, "CAP_LEASE"),
    (Capability::AuditWrite, "CAP_AUDIT_WRITE"),
    (Capability::AuditControl, "CAP_AUDIT_CONTROL"),
    (Capability::Setfcap, "CAP_SETFCAP"),
    (Capability::MacOverride, "CAP_MAC_OVERRIDE"),
    (Capability::MacAdmin, "CAP_MAC_ADMIN"),
    (Capability::Syslog, "CAP_SYSLOG"),
    (Capability::WakeAlarm, "CAP_WAKE_ALARM"),
    (Capability::BlockSuspend, "CAP_BLOCK_SUSPEND"),
    (Capability::AuditRead, "CAP_AUDIT_READ"),
    (Capability::Perfmon, "CAP_PERFMON"),
    (Capability::Bpf, "CAP_BPF"),
    (Capability::CheckpointRestore, "CAP_CHECKPOINT_RESTORE"),
];

/// Why a list of capabilities was refused. The words are Docker's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// No capability has this name.
    #[error("unknown capability: \"{0}\"")]
    Unknown(String),
    /// The user asked for a capability that the kernel lacks or that brig itself does not hold.
    #[error("capability not supported by your kernel or not available in the current environment: \"{0}\"")]
    Unavailable(String),
}

impl HasKind for CapabilityError {
    fn kind(&self) -> Kind {
        Kind::InvalidParameter
    }
}

/// A set of capabilities, one bit each, numbered as the kernel does.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct CapabilitySet(u64);

impl CapabilitySet {
    /// No capability.
    pub const EMPTY: Self = Self(0);

    /// Every capability that this build knows the name of.
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);

    /// What Docker gives a container that asked for nothing (moby's `oci/caps` defaults).
    pub const DOCKER_DEFAULT: Self = Self(
        (1 << 0) // CHOWN
            | (1 << 1) // DAC_OVERRIDE
            | (1 << 3) // FOWNER
            | (1 << 4) // FSETID
            | (1 << 5) // KILL
            | (1 << 6) // SETGID
            | (1 << 7) // SETUID
            | (1 << 8) // SETPCAP
            | (1 << 10) // NET_BIND_SERVICE
            | (1 << 13) // NET_RAW
            | (1 << 18) // SYS_CHROOT
            | (1 << 27) // MKNOD
            | (1 << 29) // AUDIT_WRITE
            | (1 << 31), // SETFCAP
    );

    /// The set with these bits; bits that no known capability has are dropped.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// The bits, numbered as the kernel does.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether everything in `other` is in this one.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this one and not in the other.
    pub fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The one capability of this name: in any case, with or without `CAP_`.
    pub fn named(name: &str) -> Result<Self, CapabilityError> {
        let full = normalize(name);
        match NAMES.iter().position(|(_, known)| *known == full) {
            Some(bit) => Ok(Self(1 << bit)),
            None => Err(CapabilityError::Unknown(full)),
        }
    }

    /// Names of what is in it, `CAP_` and all, by bit.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().enumerate().filter(move |(bit, _)| self.0 & (1 << bit) != 0).map(|(_, (_, name))| *name)
    }

    /// As the runtime spec has it.
    pub fn to_oci(self) -> Capabilities {
        NAMES
            .iter()
            .enumerate()
            .filter(|(bit, _)| self.0 & (1 << bit) != 0)
            .map(|(_, (cap, _))| *cap)
            .collect()
    }

    /// From what the runtime spec has; an absent set is empty.
    pub fn from_oci(set: Option<&Capabilities>) -> Self {
        let Some(set) = set else { return Self::EMPTY };
        let bits = NAMES.iter().enumerate().filter(|(_, (cap, _))| set.contains(cap));
        Self(bits.fold(0, |all, (bit, _)| all | (1 << bit)))
    }
}

impl fmt::Debug for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Upper case, with `CAP_` in front.
fn normalize(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") }
}

/// Checks the names in one list (`HostConfig.CapAdd` or `CapDrop`) as Docker does at create.
pub fn validate(names: &[String]) -> Result<(), CapabilityError> {
    parse_list(names).map(drop)
}

/// A list of names as (set, whether it has the word ALL in it).
fn parse_list(names: &[String]) -> Result<(CapabilitySet, bool), CapabilityError> {
    let (mut set, mut all) = (CapabilitySet::EMPTY, false);
    for name in names {
        if name.eq_ignore_ascii_case("ALL") {
            all = true;
        } else {
            set = set.union(CapabilitySet::named(name)?);
        }
    }
    Ok((set, all))
}

/// What a container gets from `--cap-add`, `--cap-drop` and `--privileged`, by Docker's rules: ALL among the added
/// beats everything but single drops; ALL among the dropped leaves just the added; an added one beats its drop.
///
/// `available` is what brig itself may hand on ([`permitted`]): ALL and `--privileged` mean all of those, while one
/// that was asked for by name and is not available is an error. Members of Docker's default set that are not
/// available are left out without a word here; [`limit`] reports them when the set is put into force.
pub fn resolve(
    add: &[String],
    drop: &[String],
    privileged: bool,
    available: CapabilitySet,
) -> Result<CapabilitySet, CapabilityError> {
    let (added, add_all) = parse_list(add)?;
    let (dropped, drop_all) = parse_list(drop)?;
    if privileged {
        return Ok(available);
    }
    if let Some(name) = added.difference(available).names().next() {
        return Err(CapabilityError::Unavailable(name.to_owned()));
    }
    Ok(match (add_all, drop_all) {
        // Docker looks for ALL among the drops literally, so "add ALL, drop ALL" is "add ALL".
        (true, _) => available.difference(dropped),
        (false, true) => added,
        (false, false) => CapabilitySet::DOCKER_DEFAULT.difference(dropped).union(added),
    })
}

/// The five sets of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessCapabilities {
    /// What no `execve` can go beyond.
    pub bounding: CapabilitySet,
    /// What is in force.
    pub effective: CapabilitySet,
    /// What the process may put into force.
    pub permitted: CapabilitySet,
    /// What a program with inheritable file capabilities gets.
    pub inheritable: CapabilitySet,
    /// What a program run by a user other than root keeps.
    pub ambient: CapabilitySet,
}

impl ProcessCapabilities {
    /// The sets of an OCI process. Without `capabilities` there are none at all.
    pub fn from_oci(caps: Option<&LinuxCapabilities>) -> Self {
        let Some(caps) = caps else { return Self::default() };
        Self {
            bounding: CapabilitySet::from_oci(caps.bounding().as_ref()),
            effective: CapabilitySet::from_oci(caps.effective().as_ref()),
            permitted: CapabilitySet::from_oci(caps.permitted().as_ref()),
            inheritable: CapabilitySet::from_oci(caps.inheritable().as_ref()),
            ambient: CapabilitySet::from_oci(caps.ambient().as_ref()),
        }
    }

    /// The sets that can be had by a process that itself has `own` permitted, and a warning naming what had to be
    /// left out. The kernel would refuse the whole set for one missing member.
    pub fn limit(self, own: CapabilitySet) -> (Self, Option<String>) {
        let wanted = self.effective.union(self.permitted).union(self.inheritable).union(self.ambient);
        // The bounding set only ever shrinks; what is not in it is no loss unless it was to be used.
        let missing = wanted.union(self.bounding).difference(own);
        let permitted = self.permitted.intersection(own);
        let inheritable = self.inheritable.intersection(own);
        let limited = Self {
            bounding: self.bounding.intersection(own),
            effective: self.effective.intersection(permitted),
            permitted,
            inheritable,
            // The kernel allows as ambient only what is both permitted and inheritable.
            ambient: self.ambient.intersection(permitted).intersection(inheritable),
        };
        let warning = (!missing.is_empty()).then(|| {
            let names: Vec<&str> = missing.names().collect();
            format!("capabilities left out because brig itself does not have them: {}", names.join(", "))
        });
        (limited, warning)
    }

    /// Drops everything else from the bounding set. Needs `CAP_SETPCAP`, so it comes before [`Self::apply`] and
    /// before the change of user. Async-signal-safe.
    ///
    /// # Errors
    /// What `prctl(PR_CAPBSET_DROP)` says; EPERM without `CAP_SETPCAP`.
    pub fn apply_bounding(&self, last: u32) -> Result<(), Errno> {
        for bit in 0..=last {
            if self.bounding.0 & (1 << bit) != 0 {
                continue;
            }
            // SAFETY: PR_CAPBSET_DROP takes one integer and touches no memory.
            if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, bit as libc::c_ulong, 0, 0, 0) } != 0 {
                return Err(last_errno());
            }
        }
        Ok(())
    }

    /// Puts effective, permitted, inheritable and ambient into force for the calling thread. Comes after the change
    /// of user (which needs `PR_SET_KEEPCAPS` before it, or leaves nothing to keep). Async-signal-safe.
    ///
    /// # Errors
    /// What `capset` and `prctl(PR_CAP_AMBIENT)` say; EPERM when a set holds what the thread does not have (see
    /// [`Self::limit`]).
    pub fn apply(&self, last: u32) -> Result<(), Errno> {
        let word = |set: CapabilitySet, high: bool| if high { (set.0 >> 32) as u32 } else { set.0 as u32 };
        let header = CapHeader { version: LINUX_CAPABILITY_VERSION_3, pid: 0 };
        let data = [false, true].map(|high| CapData {
            effective: word(self.effective, high),
            permitted: word(self.permitted, high),
            inheritable: word(self.inheritable, high),
        });
        // SAFETY: version 3 reads one header and two data structs; both outlive the call.
        if unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) } != 0 {
            return Err(last_errno());
        }
        // SAFETY: PR_CAP_AMBIENT takes integers only and touches no memory.
        if unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) } != 0 {
            return Err(last_errno());
        }
        for bit in (0..=last).filter(|bit| self.ambient.0 & (1 << bit) != 0) {
            // SAFETY: as above.
            if unsafe {
                libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, bit as libc::c_ulong, 0, 0)
            } != 0
            {
                return Err(last_errno());
            }
        }
        Ok(())
    }
}

const LINUX_CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

/// The highest capability of the running kernel, at most the highest that this build knows. Probed once a process.
pub fn last() -> u32 {
    static LAST: OnceLock<u32> = OnceLock::new();
    *LAST.get_or_init(|| {
        // A bisection: the kernel answers EINVAL for a number beyond its last.
        let (mut known, mut beyond) = (0, NAMES.len() as u32);
        while beyond - known > 1 {
            let middle = known + (beyond - known) / 2;
            // SAFETY: PR_CAPBSET_READ takes one integer and touches no memory.
            if unsafe { libc::prctl(libc::PR_CAPBSET_READ, middle as libc::c_ulong, 0, 0, 0) } >= 0 {
                known = middle;
            } else {
                beyond = middle;
            }
        }
        known
    })
}

/// What the calling thread may hand on: its permitted set, less what is no longer in its bounding set.
///
/// # Errors
/// What `capget` says; never seen in practice.
pub fn permitted() -> Result<CapabilitySet, Errno> {
    let mut header = CapHeader { version: LINUX_CAPABILITY_VERSION_3, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: version 3 writes two data structs and may write the header; both outlive the call.
    if unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) } != 0 {
        return Err(last_errno());
    }
    let mut bits = u64::from(data[0].permitted) | u64::from(data[1].permitted) << 32;
    for bit in 0..=last() {
        // SAFETY: PR_CAPBSET_READ takes one integer and touches no memory.
        if unsafe { libc::prctl(libc::PR_CAPBSET_READ, bit as libc::c_ulong, 0, 0, 0) } != 1 {
            bits &= !(1 << bit);
        }
    }
    Ok(CapabilitySet::from_bits(bits))
}

#[cfg(test)]
mod tests;
