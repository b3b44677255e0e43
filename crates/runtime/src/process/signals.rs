//! A program starts with no signal blocked and none ignored, whatever its maker does with signals.

/// Unblocks all signals and gives each its default action.
pub(crate) fn reset() {
    // SAFETY: an all-zero sigaction is SIG_DFL with an empty mask, which is valid; it outlives the calls.
    // Numbers that the C library keeps for itself, and SIGKILL and SIGSTOP, are refused without harm.
    unsafe {
        let default: libc::sigaction = std::mem::zeroed();
        for signal in 1..=64 {
            libc::sigaction(signal, &raw const default, std::ptr::null_mut());
        }
    }
    set_mask(libc::SIG_SETMASK, &[]);
}

/// Blocks all signals, so that they queue until they are taken by [`wait`].
pub(super) fn block_all() {
    let every: Vec<i32> = (1..=64).collect();
    set_mask(libc::SIG_SETMASK, &every);
}

fn set_mask(how: i32, signals: &[i32]) {
    let set = set_of(signals);
    // SAFETY: set is initialised and outlives the call; no old mask is asked for.
    unsafe { libc::sigprocmask(how, &raw const set, std::ptr::null_mut()) };
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: sigemptyset initialises the whole set; sigaddset refuses numbers that are none.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        set
    }
}

/// Waits for the next blocked signal.
pub(super) fn wait() -> i32 {
    let every: Vec<i32> = (1..=64).collect();
    let set = set_of(&every);
    loop {
        // SAFETY: set is initialised and outlives the call; no details are asked for.
        let signal = unsafe { libc::sigwaitinfo(&raw const set, std::ptr::null_mut()) };
        if signal > 0 {
            return signal;
        }
    }
}
