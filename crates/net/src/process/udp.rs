//! Datagrams with the address they were sent to, so that answers come from there.

use super::listen::last_errno;
use crate::PortBinding;
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, connect, socket_with},
};
use std::{
    collections::HashMap,
    mem::{MaybeUninit, zeroed},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsRawFd, OwnedFd},
    time::Duration,
};

use super::slab::Token;

/// A client that was silent this long is forgotten, as with Docker's proxy.
pub const IDLE: Duration = Duration::from_secs(90);

/// Who sent a datagram and where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The sender.
    pub client: SocketAddr,
    /// The address of this host that it sent to.
    pub local: IpAddr,
    /// The interface it came by, for link-local addresses.
    pub interface: u32,
}

/// A published UDP port.
#[derive(Debug)]
pub struct Listener {
    /// The port.
    pub port: PortBinding,
    /// Its socket.
    pub socket: OwnedFd,
    /// A socket to the container for each client, by which its answers are told apart.
    pub clients: HashMap<Flow, Token>,
}

/// A socket connected to the container's port.
pub fn to_container(port: &PortBinding) -> Result<OwnedFd, Errno> {
    let to = port.container();
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    connect(&socket, &to)?;
    Ok(socket)
}

/// Room for one `in_pktinfo` or `in6_pktinfo`, aligned as control messages have to be.
#[repr(C, align(8))]
struct Control([MaybeUninit<u8>; 64]);

/// Receives a datagram: its length and where it came from and went to.
pub fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Result<(usize, Flow), Errno> {
    let mut name: MaybeUninit<libc::sockaddr_storage> = MaybeUninit::zeroed();
    let mut control = Control([MaybeUninit::zeroed(); 64]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all zeroes is a valid msghdr.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_name = name.as_mut_ptr().cast();
    header.msg_namelen = libc::socklen_t::try_from(size_of_val(&name)).expect("128");
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control);
    // SAFETY: the header points to live buffers of the lengths that it gives.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, 0) };
    let length = usize::try_from(length).map_err(|_| last_errno())?;
    // SAFETY: it was zeroed, and the kernel wrote at most all of it.
    let client = read_address(unsafe { name.assume_init_ref() }).ok_or(Errno::AFNOSUPPORT)?;
    let (local, interface) = destination(&header).ok_or(Errno::INVAL)?;
    Ok((length, Flow { client, local, interface }))
}

/// The destination address in a received message's control data.
fn destination(header: &libc::msghdr) -> Option<(IpAddr, u32)> {
    // SAFETY: recvmsg left msg_control and msg_controllen describing the control buffer, which is alive.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR answer pointers to whole headers inside the buffer, or null.
        let (level, kind) = unsafe { ((*message).cmsg_level, (*message).cmsg_type) };
        // SAFETY: the same; the data follows the header.
        let data = unsafe { libc::CMSG_DATA(message) };
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                // SAFETY: a message of this kind carries an in_pktinfo, which may lie unaligned.
                let info = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
                let ip = Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr));
                return Some((ip.into(), info.ipi_ifindex.cast_unsigned()));
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                // SAFETY: a message of this kind carries an in6_pktinfo, which may lie unaligned.
                let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
                return Some((Ipv6Addr::from(info.ipi6_addr.s6_addr).into(), info.ipi6_ifindex));
            }
            _ => {}
        }
        // SAFETY: `message` lies in the buffer that the header describes.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    None
}

/// Sends an answer to a client, from the address that it had sent to.
pub fn answer(socket: &OwnedFd, bytes: &[u8], flow: &Flow) -> Result<(), Errno> {
    let mut control = Control([MaybeUninit::zeroed(); 64]);
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: all zeroes is a valid msghdr.
    let mut header: libc::msghdr = unsafe { zeroed() };
    let (name, name_length) = write_address(flow.client);
    header.msg_name = (&raw const name).cast_mut().cast();
    header.msg_namelen = name_length;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    match flow.local {
        IpAddr::V4(ip) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from(ip).to_be() },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            put_control(&mut header, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
        }
        IpAddr::V6(ip) => {
            let interface = if ip.is_unicast_link_local() { flow.interface } else { 0 };
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr { s6_addr: ip.octets() },
                ipi6_ifindex: interface,
            };
            put_control(&mut header, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
        }
    }
    // SAFETY: the header points to live buffers of the lengths that it gives; the kernel only reads them.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, 0) };
    if sent >= 0 { Ok(()) } else { Err(last_errno()) }
}

/// Writes one control message into the buffer that `header.msg_control` points to, which is a [`Control`].
fn put_control<T: Copy>(header: &mut libc::msghdr, level: libc::c_int, kind: libc::c_int, data: T) {
    let length = u32::try_from(size_of::<T>()).expect("a few bytes");
    // SAFETY: these are computations only.
    let (space, full) = unsafe { (libc::CMSG_SPACE(length) as usize, libc::CMSG_LEN(length) as usize) };
    debug_assert!(space <= size_of::<Control>());
    header.msg_controllen = space;
    // SAFETY: the buffer is 64 bytes, aligned for a header, and `space`, at most 40, was set as its length: the
    // first header is inside it, and its data too.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        (*message).cmsg_level = level;
        (*message).cmsg_type = kind;
        (*message).cmsg_len = full;
        libc::CMSG_DATA(message).cast::<T>().write_unaligned(data);
    }
}

fn read_address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is a sockaddr_in, which is smaller and less strictly aligned.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that it is a sockaddr_in6, which is smaller and less strictly aligned.
            let name = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(name.sin6_port), 0, name.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn write_address(address: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all zeroes is a valid sockaddr_storage.
    let mut storage: libc::sockaddr_storage = unsafe { zeroed() };
    let length = match address {
        SocketAddr::V4(a) => {
            let name = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: a.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*a.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: a sockaddr_storage is large enough and aligned for a sockaddr_in.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in>().write(name) };
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(a) => {
            let name = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: a.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: a.ip().octets() },
                sin6_scope_id: a.scope_id(),
            };
            // SAFETY: a sockaddr_storage is large enough and aligned for a sockaddr_in6.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in6>().write(name) };
            size_of::<libc::sockaddr_in6>()
        }
    };
    (storage, libc::socklen_t::try_from(length).expect("28 at most"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Protocol, process::listen};
    use std::net::UdpSocket;

    #[test]
    fn answers_come_from_the_address_that_was_asked() {
        let ask = |at: &str, to: &str| {
            let port = PortBinding {
                protocol: Protocol::Udp,
                host_ip: at.parse().unwrap(),
                host_port: 0,
                container_ip: at.parse().unwrap(),
                container_port: 0,
            };
            let socket = listen::open(&port).unwrap().unwrap();
            let std = UdpSocket::from(socket.try_clone().unwrap());
            std.set_nonblocking(false).unwrap();
            let to: SocketAddr = SocketAddr::new(to.parse().unwrap(), std.local_addr().unwrap().port());
            // The client sits at its family's first loopback address.
            let own = if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
            let client = UdpSocket::bind(own).unwrap();
            client.send_to(b"hello", to).unwrap();
            let mut buffer = [0; 16];
            let (length, flow) = receive(&socket, &mut buffer).unwrap();
            assert_eq!((&buffer[..length], flow.local), (&b"hello"[..], to.ip()));
            assert_eq!(flow.client, client.local_addr().unwrap());
            answer(&socket, b"hi", &flow).unwrap();
            let (length, from) = client.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..length], from), (&b"hi"[..], to));
        };
        ask("0.0.0.0", "127.0.0.2");
        ask("::", "::1");
    }
}
