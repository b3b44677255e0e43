//! Version 2 has no list of devices but a BPF program that is asked: written here in eBPF, rule by rule.
//!
//! For each rule from the last to the first, as long as ways to use the device are left to decide: if the rule is
//! about the device, a denied way that is wanted ends with "no"; allowed ways need no further asking, and when none
//! are left the answer is "yes". At the end the answer is "no".

use super::devices::{Kind, Rule, access};
use rustix::io::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `struct bpf_insn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Instruction {
    pub(super) code: u8,
    /// Destination in the low four bits, source in the high four.
    pub(super) registers: u8,
    pub(super) offset: i16,
    pub(super) immediate: i32,
}

/// Codes of `linux/bpf.h`, put together from class, size or operation, and mode or source.
pub(super) mod code {
    /// dst = *(u32 *)(src + offset) (BPF_LDX | BPF_MEM | BPF_W).
    pub(in super::super) const LOAD_WORD: u8 = 0x61;
    /// dst = src (BPF_ALU64 | BPF_MOV | BPF_X).
    pub(in super::super) const MOVE: u8 = 0xbf;
    /// dst = immediate (BPF_ALU64 | BPF_MOV | BPF_K).
    pub(in super::super) const SET: u8 = 0xb7;
    /// dst &= immediate on 32 bits (BPF_ALU | BPF_AND | BPF_K).
    pub(in super::super) const AND: u8 = 0x54;
    /// dst >>= immediate on 32 bits (BPF_ALU | BPF_RSH | BPF_K).
    pub(in super::super) const SHIFT_RIGHT: u8 = 0x74;
    /// Jump if dst != immediate, on 32 bits (BPF_JMP32 | BPF_JNE | BPF_K).
    pub(in super::super) const JUMP_NOT_EQUAL: u8 = 0x56;
    /// Jump if dst == immediate, on 32 bits (BPF_JMP32 | BPF_JEQ | BPF_K).
    pub(in super::super) const JUMP_EQUAL: u8 = 0x16;
    /// The end; the answer is in register 0 (BPF_JMP | BPF_EXIT).
    pub(in super::super) const EXIT: u8 = 0x95;
}

/// Registers: 0 the answer and scratch, 1 the context; ours: 2 the kind, 3 the ways still to decide, 4 and 5 the
/// device's numbers.
const ANSWER: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const WAYS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

fn instruction(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: destination | source << 4, offset, immediate }
}

/// The program for these rules.
pub(super) fn program(rules: &[Rule]) -> Vec<Instruction> {
    // struct bpf_cgroup_dev_ctx { u32 access_type /* ways << 16 | kind */, major, minor }
    let mut program = vec![
        instruction(code::LOAD_WORD, KIND, CONTEXT, 0, 0),
        instruction(code::MOVE, WAYS, KIND, 0, 0),
        instruction(code::AND, KIND, 0, 0, 0xffff),
        instruction(code::SHIFT_RIGHT, WAYS, 0, 0, 16),
        instruction(code::LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        instruction(code::LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    let mut decided = false;
    for rule in rules.iter().rev() {
        program.extend(block(rule));
        if rule.kind == Kind::Any
            && rule.major.is_none()
            && rule.minor.is_none()
            && rule.access == access::ALL
        {
            // Nothing comes past this one, and the kernel refuses code that can't be reached.
            decided = true;
            break;
        }
    }
    if !decided {
        program.push(instruction(code::SET, ANSWER, 0, 0, 0));
        program.push(instruction(code::EXIT, 0, 0, 0, 0));
    }
    program
}

/// The instructions for one rule; falls off its end when the rule does not decide.
fn block(rule: &Rule) -> Vec<Instruction> {
    let answer = i32::from(rule.allow);
    let end = [instruction(code::SET, ANSWER, 0, 0, answer), instruction(code::EXIT, 0, 0, 0, 0)];
    let mut body = Vec::with_capacity(8);
    if rule.access == access::ALL {
        body.extend(end);
    } else if rule.allow {
        // Ways that this rule allows are settled; if any are left, go on to the next rule.
        body.push(instruction(code::AND, WAYS, 0, 0, i32::from(access::ALL & !rule.access)));
        body.push(instruction(code::JUMP_NOT_EQUAL, WAYS, 0, 2, 0));
        body.extend(end);
    } else {
        body.push(instruction(code::MOVE, ANSWER, WAYS, 0, 0));
        body.push(instruction(code::AND, ANSWER, 0, 0, i32::from(rule.access)));
        body.push(instruction(code::JUMP_EQUAL, ANSWER, 0, 2, 0));
        body.extend(end);
    }
    // BPF_DEVCG_DEV_BLOCK is 1, BPF_DEVCG_DEV_CHAR 2.
    let kind = match rule.kind {
        Kind::Any => None,
        Kind::Block => Some(1),
        Kind::Character => Some(2),
    };
    let number = |number: Option<u32>| number.map(|number| number as i32);
    let tests = [(KIND, kind), (MAJOR, number(rule.major)), (MINOR, number(rule.minor))];
    let tests: Vec<(u8, i32)> =
        tests.into_iter().filter_map(|(register, wanted)| Some((register, wanted?))).collect();
    let length = tests.len() + body.len();
    let tests = tests.iter().enumerate().map(|(at, (register, wanted))| {
        // At most three tests and five more instructions.
        let past_the_block = (length - at - 1) as i16;
        instruction(code::JUMP_NOT_EQUAL, *register, 0, past_the_block, *wanted)
    });
    tests.chain(body).collect()
}

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_PROG_ATTACH: libc::c_long = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// The part of `union bpf_attr` that BPF_PROG_LOAD reads, up to where zeroes mean nothing.
#[repr(C)]
#[derive(Default)]
struct LoadAttributes {
    program_type: u32,
    instructions: u32,
    address: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// The part of `union bpf_attr` that BPF_PROG_ATTACH reads.
#[repr(C)]
#[derive(Default)]
struct AttachAttributes {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
}

/// Loads the program and attaches it to a group, beside those that are there (all must allow). It stays for as long
/// as the group does.
pub(super) fn attach(group: BorrowedFd<'_>, program: &[Instruction]) -> Result<(), Errno> {
    let loaded = load(program)?;
    let attributes = AttachAttributes {
        target: group.as_raw_fd() as u32,
        program: loaded.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    let size = size_of::<AttachAttributes>();
    // SAFETY: the kernel reads `size` bytes of attributes, which outlive the call.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, &raw const attributes, size) };
    if answer < 0 { Err(last_errno()) } else { Ok(()) }
}

fn load(program: &[Instruction]) -> Result<OwnedFd, Errno> {
    let attributes = LoadAttributes {
        program_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        instructions: program.len() as u32,
        address: program.as_ptr() as u64,
        // The program calls no helper that wants a licence.
        license: c"Apache-2.0".as_ptr() as u64,
        ..LoadAttributes::default()
    };
    let size = size_of::<LoadAttributes>();
    // SAFETY: the kernel reads `size` bytes of attributes, the program and the licence; all outlive the call.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const attributes, size) };
    if answer < 0 {
        return Err(last_errno());
    }
    // SAFETY: the answer is a new descriptor (close-on-exec) that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(answer as i32) })
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}
