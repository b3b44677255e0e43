//! A network namespace of a host's own, with its loopback up.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, OwnedFd},
};

/// Makes one, on a thread that then ends. It lives as long as the descriptor or a process in it.
pub fn create() -> io::Result<OwnedFd> {
    let thread = std::thread::spawn(|| {
        // SAFETY: only this thread's network namespace changes, and the thread ends below.
        unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }?;
        raise_loopback()?;
        File::open("/proc/thread-self/ns/net").map(OwnedFd::from)
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn raise_loopback() -> io::Result<()> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
    // SAFETY: an all-zero ifreq is a valid one: names and numbers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads the ifreq that the pointer leads to and writes nothing beyond it.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
