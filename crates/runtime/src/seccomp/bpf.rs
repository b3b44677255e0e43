//! Classic BPF, as far as seccomp takes it: the instructions and an emitter that writes a program from its end to
//! its beginning. Every target then is known before the jump to it, so distances need no second pass; one that is
//! too far for the 8 bits of a conditional jump gets a long jump, or a copy of the return, in between.

/// One instruction: `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// How many instructions to skip when the condition holds.
    pub jt: u8,
    /// How many instructions to skip when it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// A = the 32-bit word at offset k of `struct seccomp_data` (BPF_LD | BPF_W | BPF_ABS).
pub(super) const LOAD: u16 = 0x20;
/// A &= k (BPF_ALU | BPF_AND | BPF_K).
pub(super) const AND: u16 = 0x54;
/// Skip k instructions (BPF_JMP | BPF_JA).
pub(super) const JUMP: u16 = 0x05;
/// A == k (BPF_JMP | BPF_JEQ | BPF_K).
pub(super) const JUMP_EQUAL: u16 = 0x15;
/// A > k (BPF_JMP | BPF_JGT | BPF_K).
pub(super) const JUMP_GREATER: u16 = 0x25;
/// A >= k (BPF_JMP | BPF_JGE | BPF_K).
pub(super) const JUMP_GREATER_EQUAL: u16 = 0x35;
/// The end, with k as the answer (BPF_RET | BPF_K).
pub(super) const RETURN: u16 = 0x06;

/// An instruction that was emitted, counted from the end of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

/// Writes a program backwards.
#[derive(Debug, Default)]
pub(super) struct Emitter {
    /// The program, last instruction first.
    reversed: Vec<Instruction>,
    /// The latest copy of each return.
    returns: Vec<(u32, Label)>,
}

/// The furthest that a conditional jump can skip.
const FURTHEST: usize = u8::MAX as usize;

impl Emitter {
    /// The program, first instruction first.
    pub(super) fn finish(mut self) -> Vec<Instruction> {
        self.reversed.reverse();
        self.reversed
    }

    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Label {
        self.reversed.push(Instruction { code, jt, jf, k });
        Label(self.reversed.len() - 1)
    }

    /// How many instructions lie between the one that is emitted `later` instructions from now and `target`.
    fn distance(&self, target: Label, later: usize) -> usize {
        self.reversed.len() + later - 1 - target.0
    }

    /// The end with this answer: an earlier copy if it can be reached, else a new one.
    pub(super) fn ret(&mut self, answer: u32) -> Label {
        // A margin, as what jumps there may come a few instructions later; `near` is what guarantees the reach.
        const MARGIN: usize = 64;
        let known = self.returns.iter().position(|(value, _)| *value == answer);
        if let Some(at) = known
            && self.distance(self.returns[at].1, 0) + MARGIN <= FURTHEST
        {
            return self.returns[at].1;
        }
        let label = self.push(RETURN, 0, 0, answer);
        match known {
            Some(at) => self.returns[at].1 = label,
            None => self.returns.push((answer, label)),
        }
        label
    }

    /// A label with the meaning of `target` that the instruction emitted `later` from now can reach.
    fn near(&mut self, target: Label, later: usize) -> Label {
        if self.distance(target, later) <= FURTHEST {
            return target;
        }
        let instruction = self.reversed[target.0];
        if instruction.code == RETURN {
            return self.ret(instruction.k);
        }
        let distance = self.distance(target, 0);
        // Programs are refused beyond 4096 instructions, so the distance fits by far.
        self.push(JUMP, 0, 0, distance as u32)
    }

    /// A conditional jump.
    pub(super) fn branch(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        // Each `near` may emit one instruction before the branch: `yes` allows for that of `no`.
        let yes = self.near(yes, 1);
        let no = self.near(no, 0);
        let (jt, jf) = (self.distance(yes, 0), self.distance(no, 0));
        debug_assert!(jt <= FURTHEST && jf <= FURTHEST);
        self.push(code, jt as u8, jf as u8, k)
    }

    /// An instruction after which `next` comes.
    pub(super) fn then(&mut self, code: u16, k: u32, next: Label) -> Label {
        let distance = self.distance(next, 0);
        if distance != 0 {
            self.push(JUMP, 0, 0, distance as u32);
        }
        self.push(code, 0, 0, k)
    }
}
