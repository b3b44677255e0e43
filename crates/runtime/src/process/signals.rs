//! A program starts with no signal blocked and none ignored, whatever its maker does with signals.

/// Highest signal number.
const SIGNALS: i32 = 64;
/// Size of the kernel's signal set.
const SIGSET_BYTES: usize = 8;

/// Unblocks all signals and gives each its default action.
pub(crate) fn reset() {
    // Handler, flags, restorer and mask of the kernel's `struct sigaction`, all zero: SIG_DFL. Not through the C
    // library, which keeps two signals for itself and would leave them ignored.
    let default = [0u64; 4];
    for signal in 1..=SIGNALS {
        // SAFETY: default is at least as large as the kernel's struct and outlives the call; no old action is asked
        // for. SIGKILL and SIGSTOP are refused without harm.
        unsafe {
            let none = std::ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), none, SIGSET_BYTES);
        }
    }
    set_mask(libc::SIG_SETMASK, &[]);
}

/// Lets signals that end a program end this process although it is the first of its pid namespace, to which the kernel
/// delivers none that it has no handler for. `execve` takes the handlers away.
pub(crate) fn end_by_them() {
    extern "C" fn end(signal: libc::c_int) {
        // SAFETY: async-signal-safe; runs nothing that belongs to the maker.
        unsafe { libc::_exit(128 + signal) }
    }
    let handler = end as extern "C" fn(libc::c_int);
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2] {
        // SAFETY: the handler is async-signal-safe and lives as long as the program does.
        unsafe { libc::signal(signal, handler as libc::sighandler_t) };
    }
}

/// Blocks all signals, so that they queue until they are taken by [`wait`].
pub(super) fn block_all() {
    let every: Vec<i32> = (1..=SIGNALS).collect();
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
    let every: Vec<i32> = (1..=SIGNALS).collect();
    let set = set_of(&every);
    loop {
        // SAFETY: set is initialised and outlives the call; no details are asked for.
        let signal = unsafe { libc::sigwaitinfo(&raw const set, std::ptr::null_mut()) };
        if signal > 0 {
            return signal;
        }
    }
}
