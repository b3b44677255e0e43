//! Giving memory back: there may be a thousand shims, each idle nearly all of its life.

use std::hint::black_box;

/// Stack looked at below the present depth. Making a container goes deepest; nothing of a shim goes deeper.
const STACK: usize = 512 << 10;
/// Left alone below the present depth: one system call is made from here on, which needs a few hundred bytes.
const MARGIN: usize = 4 << 10;
const PAGE: usize = 4 << 10;

/// Gives free heap and unused stack back to the kernel.
#[inline(never)]
pub(super) fn give_back() {
    // SAFETY: only gives free memory of the allocator back.
    unsafe { libc::malloc_trim(0) };
    let mark = 0u8;
    let here = std::ptr::from_ref(black_box(&mark)) as usize;
    let end = (here - MARGIN) & !(PAGE - 1);
    // SAFETY: the range lies below the frames of this thread, the only one, with a margin that is more than the
    // red zone and the call need; no signal handler is installed that could run there. Nothing lives in it: its
    // pages read as zeros from now on. The kernel keeps other mappings a megabyte away from the main thread's
    // stack, so that nothing else can be in the range; parts that are not mapped are skipped.
    unsafe { libc::madvise((end - STACK) as *mut libc::c_void, STACK, libc::MADV_DONTNEED) };
}
