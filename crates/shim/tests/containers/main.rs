//! Shims with real containers, as root, from the machine's static busybox.
//!
//! Each test has a zygote of its own, which is this test binary executed again: [`become_zygote`] runs before
//! the test harness and before any thread.

mod attaching;
mod execing;
mod exiting;
mod fixture;
mod many;
mod requests;
mod terminals;

/// Runs before `main`.
#[used]
// SAFETY: the section holds pointers to functions that the C library calls with the program's arguments.
#[unsafe(link_section = ".init_array")]
static BECOME_ZYGOTE: extern "C" fn() = become_zygote;

extern "C" fn become_zygote() {
    let arguments = std::fs::read("/proc/self/cmdline").unwrap_or_default();
    if arguments.split(|b| *b == 0).nth(1) == Some(brig_shim::zygote::ARGUMENT.as_bytes()) {
        brig_shim::zygote::main()
    }
}
