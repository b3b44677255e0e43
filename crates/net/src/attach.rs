//! An endpoint's veth pair.

use crate::{
    Endpoint, Error, MacAddr, UplinkMode, netns,
    rtnl::{Ipv6Watch, Rtnl, Veth},
    sysctl,
};
use ipnet::IpNet;
use std::{io, net::IpAddr, os::fd::BorrowedFd, time::Duration};

/// How long the kernel may take to make an IPv6 address usable: to join its multicast group, by which others find it, and
/// to make its route. It does that in the background, within a millisecond unless the machine is overloaded.
const IPV6_READY: Duration = Duration::from_secs(2);

/// Makes the pair, one end on the bridge, the other one configured inside `netns`. On failure nothing is left.
pub fn attach(
    rtnl: &mut Rtnl,
    home: BorrowedFd<'_>,
    netns: BorrowedFd<'_>,
    endpoint: &Endpoint,
    bridge: (&str, u32),
    mtu: Option<u32>,
) -> Result<(), Error> {
    let name = &endpoint.veth;
    let fail = |step| move |source| Error::Link { name: name.clone(), step, source };
    let veth = Veth {
        name,
        peer: &endpoint.interface,
        mac: endpoint.mac,
        netns,
        bridge: bridge.1,
        mtu,
        // With br_netfilter, what a container sends to a published port of its own is translated while it is still
        // being bridged, and goes back out of the port that it came from.
        hairpin: sysctl::bridges_filter(),
    };
    rtnl.create_veth(&veth).map_err(fail("make a veth pair"))?;
    let configured = netns::inside(home, netns, || configure(endpoint)).and_then(|()| {
        // The carrier came up with the other end, but the bridge's port, and with its first port the bridge, let
        // packets through only when the kernel has worked that off in the background. Asking completes it, in this
        // order: the first packet gets through.
        let port = rtnl.link(name).and_then(|l| l.ok_or_else(gone)).map_err(fail("look up"))?;
        // The namespace of an ended container lives for a moment after it: its interface, with the same addresses
        // when this endpoint got them anew, must not answer in this one's place.
        rtnl.pin(port.index, endpoint.mac).map_err(fail("pin to its port"))?;
        rtnl.link(bridge.0).map_err(fail("look up"))
    });
    match configured {
        Ok(_) => Ok(()),
        Err(e) => {
            rtnl.delete(name).map_err(fail("remove"))?;
            Err(e)
        }
    }
}

/// Makes an interface inside `netns` that shares one of the host's. On failure nothing is left.
pub fn share(
    rtnl: &mut Rtnl,
    home: BorrowedFd<'_>,
    netns: BorrowedFd<'_>,
    endpoint: &Endpoint,
    uplink: (UplinkMode, u32),
    mtu: Option<u32>,
) -> Result<(), Error> {
    let name = &endpoint.interface;
    let kind = match uplink.0 {
        UplinkMode::Macvlan(_) => "make a macvlan link",
        UplinkMode::Ipvlan(..) => "make an ipvlan link",
    };
    let fail = |source| Error::Link { name: name.clone(), step: kind, source };
    rtnl.create_shared(name, netns, uplink.1, uplink.0, endpoint.mac, mtu).map_err(fail)?;
    netns::inside(home, netns, || {
        let configured = configure(endpoint);
        if configured.is_err() {
            remove(name)?;
        }
        configured
    })
}

/// Removes the endpoint's interface from `netns`.
pub fn unshare(home: BorrowedFd<'_>, netns: BorrowedFd<'_>, endpoint: &Endpoint) -> Result<(), Error> {
    netns::inside(home, netns, || remove(&endpoint.interface))
}

/// Inside the container's namespace.
fn remove(name: &str) -> Result<(), Error> {
    let fail = |step| move |source| Error::Link { name: name.to_owned(), step, source };
    Rtnl::open().map_err(fail("open rtnetlink"))?.delete(name).map(drop).map_err(fail("remove"))
}

fn gone() -> io::Error {
    io::Error::from_raw_os_error(libc::ENODEV)
}

/// Adds the default routes, inside the container's namespace.
pub fn route(endpoint: &Endpoint) -> Result<(), Error> {
    let name = &endpoint.interface;
    let fail = |step| move |source| Error::Link { name: name.clone(), step, source };
    let mut rtnl = Rtnl::open().map_err(fail("open rtnetlink"))?;
    let link = rtnl.link(name).and_then(|l| l.ok_or_else(gone)).map_err(fail("look up"))?;
    rtnl.configure(link.index, &[], &gateways(endpoint)).map_err(fail("give routes"))?;
    lead(&mut rtnl, link.index, endpoint).map_err(fail("give routes"))
}

/// Where there is no next hop, whatever has no other route goes to the link.
fn lead(rtnl: &mut Rtnl, index: u32, endpoint: &Endpoint) -> io::Result<()> {
    if !endpoint.leads_everywhere {
        return Ok(());
    }
    for ipv6 in [endpoint.ipv4.map(|_| false), endpoint.ipv6.map(|_| true)].into_iter().flatten() {
        rtnl.lead_everywhere(index, ipv6)?;
    }
    Ok(())
}

fn gateways(endpoint: &Endpoint) -> Vec<IpAddr> {
    endpoint.gateway4.map(IpAddr::V4).into_iter().chain(endpoint.gateway6.map(IpAddr::V6)).collect()
}

/// Inside the container's namespace.
fn configure(endpoint: &Endpoint) -> Result<(), Error> {
    let name = &endpoint.interface;
    let fail = |step| move |source| Error::Link { name: name.clone(), step, source };
    let mut rtnl = Rtnl::open().map_err(fail("open rtnetlink"))?;
    let link = rtnl.link(name).and_then(|l| l.ok_or_else(gone)).map_err(fail("look up"))?;
    let disable_ipv6 = if endpoint.ipv6.is_some() { "0" } else { "1" };
    sysctl::set(&format!("ipv6/conf/{name}/disable_ipv6"), disable_ipv6)?;
    if endpoint.ipv4.is_some_and(|ip| MacAddr::from_ipv4(ip.addr()) != endpoint.mac) {
        // The pair of addresses may be new to those who knew the IP address with another hardware address: announce.
        sysctl::set(&format!("ipv4/conf/{name}/arp_notify"), "1")?;
    }
    let watch = endpoint.ipv6.map(|ip| Ipv6Watch::open(IPV6_READY).map(|watch| (watch, ip.addr())));
    let watch = watch.transpose().map_err(fail("watch addresses"))?;
    let addresses: Vec<IpNet> =
        endpoint.ipv4.map(IpNet::V4).into_iter().chain(endpoint.ipv6.map(IpNet::V6)).collect();
    rtnl.configure(link.index, &addresses, &gateways(endpoint)).map_err(fail("give addresses and routes"))?;
    if let Some((mut watch, ip)) = watch
        && !watch.wait_for(link.index, ip).map_err(fail("watch addresses"))?
    {
        tracing::warn!(%ip, interface = name, "the kernel is slow to make an IPv6 address usable");
    }
    lead(&mut rtnl, link.index, endpoint).map_err(fail("give routes"))?;
    // As in `attach`: the interface is seen as up. And the kernel is through with the IPv6 address, whose route it makes
    // after it has told of it, under the lock that this takes.
    rtnl.link(name).map(|_| ()).map_err(fail("look up"))
}
