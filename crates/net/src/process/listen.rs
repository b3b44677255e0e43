//! The sockets of published ports.

use crate::{PortBinding, Protocol};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with, sockopt},
};
use std::os::fd::{AsRawFd, OwnedFd};

/// Connections that wait to be accepted, at most.
const BACKLOG: i32 = 1024;

/// Binds the host's side of a port. `None` where the kernel knows the protocol in the firewall only (SCTP
/// without its module): there is nobody to clash with.
pub fn open(port: &PortBinding) -> Result<Option<OwnedFd>, Errno> {
    let family = if port.host_ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let (kind, protocol) = match port.protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let socket = match socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, Some(protocol))
    {
        Err(Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT) if port.protocol == Protocol::Sctp => {
            return Ok(None);
        }
        other => other?,
    };
    if port.protocol == Protocol::Tcp {
        // Connections of an earlier holder that linger in TIME_WAIT are no obstacle.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    if port.host_ip.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if port.protocol == Protocol::Udp {
        // Where a datagram was sent to: the answer has to come from there.
        packet_info(&socket, port.host_ip.is_ipv4())?;
    }
    bind(&socket, &port.host())?;
    if port.protocol == Protocol::Tcp {
        // Without a proxy nobody accepts, but only a listening socket clashes with others' despite the reuse.
        listen(&socket, BACKLOG)?;
    }
    Ok(Some(socket))
}

fn packet_info(socket: &OwnedFd, ipv4: bool) -> Result<(), Errno> {
    let (level, option) = if ipv4 {
        (libc::IPPROTO_IP, libc::IP_PKTINFO)
    } else {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
    };
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&on)).expect("four");
    // SAFETY: the descriptor is open, and `on` is a readable int of the length given.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), length) };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

/// The calling thread's errno.
pub fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
