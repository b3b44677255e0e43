//! The machine interfaces (ABIs) a filter can tell apart.

use oci_spec::runtime::Arch;

/// A calling convention with its own system call numbers. The value is the column in the table of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Abi {
    /// 64-bit x86.
    X86_64 = 0,
    /// 32-bit x86 (i386).
    X86 = 1,
    /// x86_64 registers with 32-bit pointers; told from x86_64 by bit 30 of the number.
    X32 = 2,
    /// 64-bit ARM.
    Aarch64 = 3,
    /// 32-bit ARM (EABI).
    Arm = 4,
    /// 64-bit RISC-V.
    Riscv64 = 5,
}

/// Bit 30 of a system call's number on x86_64: the call is x32's.
pub(super) const X32_BIT: u32 = 0x4000_0000;

impl Abi {
    /// The ABI that this program is built for, if a filter can be compiled for it.
    pub const NATIVE: Option<Self> = if cfg!(all(target_arch = "x86_64", target_pointer_width = "32")) {
        Some(Self::X32)
    } else if cfg!(target_arch = "x86_64") {
        Some(Self::X86_64)
    } else if cfg!(target_arch = "x86") {
        Some(Self::X86)
    } else if cfg!(target_arch = "aarch64") {
        Some(Self::Aarch64)
    } else if cfg!(target_arch = "arm") {
        Some(Self::Arm)
    } else if cfg!(target_arch = "riscv64") {
        Some(Self::Riscv64)
    } else {
        None
    };

    /// From the runtime spec's name. `None` for one that this build has no numbers for: no process of such an ABI
    /// can run on a machine that brig runs on, so leaving it out of a filter takes nothing away.
    pub(super) fn from_oci(arch: Arch) -> Option<Self> {
        match arch {
            Arch::ScmpArchNative => Self::NATIVE,
            Arch::ScmpArchX86_64 => Some(Self::X86_64),
            Arch::ScmpArchX86 => Some(Self::X86),
            Arch::ScmpArchX32 => Some(Self::X32),
            Arch::ScmpArchAarch64 => Some(Self::Aarch64),
            Arch::ScmpArchArm => Some(Self::Arm),
            Arch::ScmpArchRiscv64 => Some(Self::Riscv64),
            _ => None,
        }
    }

    /// The runtime spec's name.
    pub(super) fn to_oci(self) -> Arch {
        match self {
            Self::X86_64 => Arch::ScmpArchX86_64,
            Self::X86 => Arch::ScmpArchX86,
            Self::X32 => Arch::ScmpArchX32,
            Self::Aarch64 => Arch::ScmpArchAarch64,
            Self::Arm => Arch::ScmpArchArm,
            Self::Riscv64 => Arch::ScmpArchRiscv64,
        }
    }

    /// The name that Docker's profiles have in `includes.arches`.
    pub(super) fn docker_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::X86 => "x86",
            Self::X32 => "x32",
            Self::Aarch64 => "arm64",
            Self::Arm => "arm",
            Self::Riscv64 => "riscv64",
        }
    }

    /// `AUDIT_ARCH_*` of `linux/audit.h`: the machine's ELF number, bit 31 for 64 bits, bit 30 for little endian.
    pub(super) fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
            Self::Riscv64 => 0xc000_00f3,
        }
    }

    /// Whether the kernel hands arguments over with 32 bits only.
    pub(super) fn has_32bit_arguments(self) -> bool {
        matches!(self, Self::X86 | Self::Arm)
    }
}
