//! A small interpreter of classic BPF as the kernel runs it for seccomp, to test the compiler against.

use super::Instruction;
use super::bpf::{AND, JUMP, JUMP_EQUAL, JUMP_GREATER, JUMP_GREATER_EQUAL, LOAD, RETURN};

/// `struct seccomp_data`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub(super) number: u32,
    pub(super) arch: u32,
    pub(super) arguments: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> u32 {
        assert_eq!(offset % 4, 0, "unaligned load at {offset}");
        match offset {
            0 => self.number,
            4 => self.arch,
            16..64 => {
                let argument = self.arguments[(offset as usize - 16) / 8];
                if offset.is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
            }
            _ => panic!("load at {offset}"),
        }
    }
}

/// The answer for a call, and how many instructions it took. Panics where the kernel would have refused the program.
pub(super) fn run(program: &[Instruction], call: &Call) -> (u32, usize) {
    let (mut accumulator, mut at, mut steps) = (0, 0, 0);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        at += 1;
        steps += 1;
        let mut jump = |condition: bool| at += usize::from(if condition { jt } else { jf });
        match code {
            LOAD => accumulator = call.word(k),
            AND => accumulator &= k,
            JUMP => at += k as usize,
            JUMP_EQUAL => jump(accumulator == k),
            JUMP_GREATER => jump(accumulator > k),
            JUMP_GREATER_EQUAL => jump(accumulator >= k),
            RETURN => return (k, steps),
            other => panic!("unknown instruction {other:#x}"),
        }
    }
}

/// What the kernel checks when a filter is loaded: it ends in a return, no jump leaves it.
pub(super) fn verify(program: &[Instruction]) {
    assert!(!program.is_empty() && program.len() <= 4096);
    assert_eq!(program[program.len() - 1].code, RETURN);
    for (at, instruction) in program.iter().enumerate() {
        let furthest = match instruction.code {
            JUMP => instruction.k as usize,
            JUMP_EQUAL | JUMP_GREATER | JUMP_GREATER_EQUAL => usize::from(instruction.jt.max(instruction.jf)),
            _ => 0,
        };
        assert!(
            at + 1 + furthest < program.len() || instruction.code == RETURN,
            "jump out of the program at {at}"
        );
    }
}
