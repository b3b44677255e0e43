//! The Linux bridge of a network: made or adopted, with its addresses and settings.

use crate::{
    Error, GatewayMode, MacAddr, NetworkRecord,
    rtnl::Rtnl,
    sysctl::{self, Outcome},
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::{io, net::IpAddr};

/// Makes the network's bridge what the record says and answers its index. What is right already is left alone.
pub fn ensure(rtnl: &mut Rtnl, network: &NetworkRecord) -> Result<u32, Error> {
    let name = &network.bridge;
    let fail = |step| move |source| Error::Link { name: name.clone(), step, source };
    let found = rtnl.link(name).map_err(fail("look up"))?;
    let link = match found {
        Some(link) => link,
        None => {
            match rtnl.create_bridge(name, MacAddr::random(), network.mtu) {
                // Another daemon was faster; it is a bridge as good as ours.
                Err(e) if e.raw_os_error() == Some(libc::EEXIST) => {}
                made => made.map_err(fail("make a bridge"))?,
            }
            let gone = || io::Error::from_raw_os_error(libc::ENODEV);
            rtnl.link(name).and_then(|l| l.ok_or_else(gone)).map_err(fail("look up"))?
        }
    };
    if link.kind.as_deref() != Some("bridge") {
        return Err(Error::NotABridge { name: name.clone() });
    }
    if let Some(mtu) = network.mtu.filter(|m| *m != link.mtu) {
        rtnl.set_mtu(link.index, mtu).map_err(fail("set the MTU"))?;
    }
    settings(network)?;
    addresses(rtnl, link.index, network)?;
    if !link.up {
        rtnl.set_up(link.index).map_err(fail("switch on"))?;
    }
    Ok(link.index)
}

fn settings(network: &NetworkRecord) -> Result<(), Error> {
    let (name, ipv6) = (&network.bridge, if network.ipv6 { "0" } else { "1" });
    // 127.0.0.1:PORT is translated to a container's address; the firewall keeps containers off the host's 127/8.
    sysctl::set(&format!("ipv4/conf/{name}/route_localnet"), "1")?;
    sysctl::set(&format!("ipv6/conf/{name}/disable_ipv6"), ipv6)?;
    if network.ipv6 {
        // brig gives the addresses out: none from advertisements, and no advertisement of a container's is believed.
        sysctl::set(&format!("ipv6/conf/{name}/accept_ra"), "0")?;
    }
    Ok(())
}

/// Gives the bridge its gateway addresses. Others of the same family are left from an earlier configuration: they
/// go when the right one is missing.
fn addresses(rtnl: &mut Rtnl, index: u32, network: &NetworkRecord) -> Result<(), Error> {
    let fail = |step| move |source| Error::Link { name: network.bridge.clone(), step, source };
    let present = rtnl.addresses(index).map_err(fail("list addresses"))?;
    for pool in &network.pools {
        let Some(gateway) = pool.gateway else { continue };
        if network.gateway_modes.of(gateway) == GatewayMode::Isolated {
            continue;
        }
        let wanted = with_prefix(gateway, pool.subnet.prefix_len())?;
        if present.contains(&wanted) {
            continue;
        }
        let stale = |a: &&IpNet| a.addr().is_ipv4() == wanted.addr().is_ipv4() && !is_link_local(a.addr());
        for address in present.iter().filter(stale) {
            rtnl.delete_address(index, *address).map_err(fail("take an address away"))?;
        }
        rtnl.add_address(index, wanted).map_err(fail("give an address"))?;
    }
    Ok(())
}

/// Switches forwarding on and says whether it was off.
pub fn forward(ipv6: bool) -> Result<Outcome, Error> {
    if ipv6 {
        sysctl::set("ipv6/conf/default/forwarding", "1")?;
        sysctl::set("ipv6/conf/all/forwarding", "1")?;
    }
    sysctl::set("ipv4/ip_forward", "1")
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn with_prefix(ip: IpAddr, prefix: u8) -> Result<IpNet, Error> {
    let net = match ip {
        IpAddr::V4(ip) => Ipv4Net::new(ip, prefix).map(IpNet::V4),
        IpAddr::V6(ip) => Ipv6Net::new(ip, prefix).map(IpNet::V6),
    };
    net.map_err(|_| Error::InvalidPool(format!("invalid gateway {ip}/{prefix}")))
}
