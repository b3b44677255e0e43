//! The zygote: a small single-threaded process that forks shims.
//!
//! The daemon has threads and must not fork without exec; a shim that is exec'd anew costs a millisecond and a
//! megabyte of relocated pages. So the daemon starts one zygote ([`spawn`]), which is this same binary executed
//! through a read-only mount of it that exists nowhere else, and asks it for a shim a container. Every process
//! that enters a container is a fork of that, so `/proc/self/exe` inside leads to a file that can't be opened for
//! writing (CVE-2019-5736).
//!
//! Between daemon and zygote lies a `SOCK_SEQPACKET` pair. One packet asks for one shim: a version byte and a
//! byte a descriptor, which are the shim's control connection, a lock to hold, and the namespaces to join. The zygote
//! answers nothing; the shim does, on its control connection. The zygote ends when the daemon's side is closed.

mod binary;
mod packet;
mod serve;
mod spawn;
mod title;

pub use serve::main;
pub use spawn::{Asked, Beginning, ShimFds, Spawned, WithoutNetwork, ZygoteClient, spawn};

/// The command line argument that makes the binary a zygote: `brig zygote`, with the socket as descriptor 3.
pub const ARGUMENT: &str = "zygote";
/// The descriptor at which the zygote finds its socket.
pub const SOCKET_FD: i32 = 3;
