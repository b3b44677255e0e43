//! Links, addresses and routes by rtnetlink: just what bridges and veth pairs need.

use crate::{
    MacAddr, UplinkMode,
    netlink::{
        NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, Refused, Socket, Writer, attributes, find,
        read_text, read_u32,
    },
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsRawFd, BorrowedFd},
    time::Duration,
};

const VETH_INFO_PEER: u16 = 1;
const IFLA_BRPORT_MODE: u16 = 4;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const AF_BRIDGE: u8 = 7;
const IFF_UP: u32 = 1;
const NDA_LLADDR: u16 = 2;
const NUD_NOARP: u16 = 0x40;
const NTF_MASTER: u8 = 0x04;
const NTF_STICKY: u8 = 0x40;
/// The group of links that brig's veth ends on the host belong to: "brig". It tells them from others on a bridge.
pub const GROUP: u32 = 0x6272_6967;

/// A link as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its index in its network namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// `bridge`, `veth`, …; none for hardware.
    pub kind: Option<String>,
    /// Whether it was switched on.
    pub up: bool,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The bridge it is a port of.
    pub master: Option<u32>,
    /// The group that its maker put it in.
    pub group: u32,
}

/// A veth pair to make.
#[derive(Debug)]
pub struct Veth<'a> {
    /// The name of the end that stays.
    pub name: &'a str,
    /// The name of the end inside `netns`.
    pub peer: &'a str,
    /// The hardware address of the end inside.
    pub mac: MacAddr,
    /// Where the other end goes.
    pub netns: BorrowedFd<'a>,
    /// The bridge that the end that stays becomes a port of.
    pub bridge: u32,
    /// Both ends' MTU; none: the kernel's default.
    pub mtu: Option<u32>,
    /// Whether the bridge may send a frame back out of the port that it came from.
    pub hairpin: bool,
}

/// A way to rtnetlink in one network namespace.
#[derive(Debug)]
pub struct Rtnl(Socket);

impl Rtnl {
    /// Opens it in the calling thread's network namespace.
    pub fn open() -> io::Result<Self> {
        Socket::route().map(Self)
    }

    /// The link of this name, or none. Where the kernel knows how to (since 6.10 or so), a change of its carrier
    /// that is still under way is completed first.
    pub fn link(&mut self, name: &str) -> io::Result<Option<Link>> {
        let mut request = Writer::default();
        request.message(libc::RTM_GETLINK, NLM_F_ACK, |w| {
            w.raw(&ifinfo(0, 0, 0));
            w.text(libc::IFLA_IFNAME, name);
        });
        let mut found = None;
        match self.0.query(&request, |_, body| found = parse_link(body)) {
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(e) => Err(e),
            Ok(()) => Ok(found),
        }
    }

    /// All ports of a bridge.
    pub fn ports(&mut self, bridge: u32) -> io::Result<Vec<Link>> {
        let mut request = Writer::default();
        request.message(libc::RTM_GETLINK, NLM_F_DUMP, |w| {
            w.raw(&ifinfo(0, 0, 0));
            w.number(libc::IFLA_MASTER, bridge);
        });
        let mut found = Vec::new();
        self.0.query(&request, |_, body| {
            // Older kernels don't filter.
            found.extend(parse_link(body).filter(|l| l.master == Some(bridge)));
        })?;
        Ok(found)
    }

    /// Makes a bridge, switched off. Its hardware address is fixed: else it would follow its ports', and go out of
    /// date in the containers' caches.
    pub fn create_bridge(&mut self, name: &str, mac: MacAddr, mtu: Option<u32>) -> io::Result<()> {
        let mut batch = Writer::default();
        batch.message(libc::RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, |w| {
            w.raw(&ifinfo(0, 0, 0));
            w.text(libc::IFLA_IFNAME, name);
            w.attr(libc::IFLA_ADDRESS, &mac.0);
            if let Some(mtu) = mtu {
                w.number(libc::IFLA_MTU, mtu);
            }
            w.nest(libc::IFLA_LINKINFO, |w| w.text(libc::IFLA_INFO_KIND, "bridge"));
        });
        Ok(self.0.transact(&batch)?)
    }

    /// Makes a veth pair: one end a port of the bridge and up, the other in the namespace and down.
    pub fn create_veth(&mut self, veth: &Veth<'_>) -> io::Result<()> {
        let mut batch = Writer::default();
        let mtu = |w: &mut Writer| {
            if let Some(mtu) = veth.mtu {
                w.number(libc::IFLA_MTU, mtu);
            }
        };
        batch.message(libc::RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, |w| {
            w.raw(&ifinfo(0, IFF_UP, IFF_UP));
            w.text(libc::IFLA_IFNAME, veth.name);
            w.number(libc::IFLA_MASTER, veth.bridge);
            w.number(libc::IFLA_GROUP, GROUP);
            mtu(w);
            w.nest(libc::IFLA_LINKINFO, |w| {
                w.text(libc::IFLA_INFO_KIND, "veth");
                w.nest(libc::IFLA_INFO_DATA, |w| {
                    w.nest(VETH_INFO_PEER, |w| {
                        w.raw(&ifinfo(0, 0, 0));
                        w.text(libc::IFLA_IFNAME, veth.peer);
                        w.attr(libc::IFLA_ADDRESS, &veth.mac.0);
                        w.number(libc::IFLA_NET_NS_FD, veth.netns.as_raw_fd().cast_unsigned());
                        mtu(w);
                    });
                });
            });
        });
        if veth.hairpin {
            batch.message(libc::RTM_NEWLINK, NLM_F_ACK, |w| {
                w.raw(&ifinfo(0, 0, 0));
                w.text(libc::IFLA_IFNAME, veth.name);
                w.nest(libc::IFLA_LINKINFO, |w| {
                    w.text(libc::IFLA_INFO_SLAVE_KIND, "bridge");
                    w.nest(libc::IFLA_INFO_SLAVE_DATA, |w| w.attr(IFLA_BRPORT_MODE, &[1]));
                });
            });
        }
        match self.0.transact(&batch) {
            Ok(()) => Ok(()),
            Err(Refused { index: 0, source }) => Err(source),
            Err(Refused { source, .. }) => {
                self.delete(veth.name)?;
                Err(source)
            }
        }
    }

    /// Makes an interface that leads nowhere.
    pub fn create_dummy(&mut self, name: &str, mtu: Option<u32>) -> io::Result<()> {
        self.create(name, |w| {
            if let Some(mtu) = mtu {
                w.number(libc::IFLA_MTU, mtu);
            }
            w.nest(libc::IFLA_LINKINFO, |w| w.text(libc::IFLA_INFO_KIND, "dummy"));
        })
    }

    /// Makes a veth pair of which both ends stay; the other one, which is up, is called by the name and `p`.
    pub fn create_loose_cable(&mut self, name: &str, mtu: Option<u32>) -> io::Result<()> {
        // The kernel counts fifteen letters.
        let peer = format!("{}p", &name[..name.len().min(14)]);
        self.create(name, |w| {
            if let Some(mtu) = mtu {
                w.number(libc::IFLA_MTU, mtu);
            }
            w.nest(libc::IFLA_LINKINFO, |w| {
                w.text(libc::IFLA_INFO_KIND, "veth");
                w.nest(libc::IFLA_INFO_DATA, |w| {
                    w.nest(VETH_INFO_PEER, |w| {
                        w.raw(&ifinfo(0, 0, 0));
                        w.text(libc::IFLA_IFNAME, &peer);
                    });
                });
            });
        })?;
        let mut batch = Writer::default();
        batch.message(libc::RTM_NEWLINK, NLM_F_ACK, |w| {
            w.raw(&ifinfo(0, IFF_UP, IFF_UP));
            w.text(libc::IFLA_IFNAME, &peer);
        });
        Ok(self.0.transact(&batch)?)
    }

    /// Makes an interface that carries a VLAN of another one's.
    pub fn create_vlan(&mut self, name: &str, parent: u32, id: u16) -> io::Result<()> {
        const VLAN_ID: u16 = 1;
        self.create(name, |w| {
            w.number(libc::IFLA_LINK, parent);
            w.nest(libc::IFLA_LINKINFO, |w| {
                w.text(libc::IFLA_INFO_KIND, "vlan");
                w.nest(libc::IFLA_INFO_DATA, |w| w.attr(VLAN_ID, &id.to_ne_bytes()));
            });
        })
    }

    /// Makes an interface in the namespace that shares one of this namespace's.
    pub fn create_shared(
        &mut self,
        name: &str,
        netns: BorrowedFd<'_>,
        parent: u32,
        mode: UplinkMode,
        mac: MacAddr,
        mtu: Option<u32>,
    ) -> io::Result<()> {
        const MODE: u16 = 1;
        const FLAGS: u16 = 2;
        self.create(name, |w| {
            w.number(libc::IFLA_LINK, parent);
            w.number(libc::IFLA_NET_NS_FD, netns.as_raw_fd().cast_unsigned());
            if let Some(mtu) = mtu {
                w.number(libc::IFLA_MTU, mtu);
            }
            if let UplinkMode::Macvlan(_) = mode {
                w.attr(libc::IFLA_ADDRESS, &mac.0);
            }
            w.nest(libc::IFLA_LINKINFO, |w| match mode {
                UplinkMode::Macvlan(mode) => {
                    w.text(libc::IFLA_INFO_KIND, "macvlan");
                    w.nest(libc::IFLA_INFO_DATA, |w| w.number(MODE, mode as u32));
                }
                UplinkMode::Ipvlan(mode, flag) => {
                    w.text(libc::IFLA_INFO_KIND, "ipvlan");
                    w.nest(libc::IFLA_INFO_DATA, |w| {
                        w.attr(MODE, &(mode as u16).to_ne_bytes());
                        w.attr(FLAGS, &(flag as u16).to_ne_bytes());
                    });
                }
            });
        })
    }

    fn create(&mut self, name: &str, attributes: impl FnOnce(&mut Writer)) -> io::Result<()> {
        let mut batch = Writer::default();
        batch.message(libc::RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, |w| {
            w.raw(&ifinfo(0, 0, 0));
            w.text(libc::IFLA_IFNAME, name);
            attributes(w);
        });
        Ok(self.0.transact(&batch)?)
    }

    /// Tells the bridge that frames for `mac` go to its port `index` and to no other, whoever sends from that
    /// address: an entry of the forwarding database that neither ages nor moves (`NTF_STICKY`, bridge(8)).
    pub fn pin(&mut self, index: u32, mac: MacAddr) -> io::Result<()> {
        let mut batch = Writer::default();
        batch.message(libc::RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE, |w| {
            // struct ndmsg: family, two of padding, index, state, flags, type.
            w.raw(&[AF_BRIDGE, 0, 0, 0]);
            w.raw(&index.to_ne_bytes());
            w.raw(&NUD_NOARP.to_ne_bytes());
            w.raw(&[NTF_MASTER | NTF_STICKY, 0]);
            w.attr(NDA_LLADDR, &mac.0);
        });
        Ok(self.0.transact(&batch)?)
    }

    /// Switches a link on.
    pub fn set_up(&mut self, index: u32) -> io::Result<()> {
        let mut batch = Writer::default();
        up(&mut batch, index);
        Ok(self.0.transact(&batch)?)
    }

    /// Sets a link's MTU.
    pub fn set_mtu(&mut self, index: u32, mtu: u32) -> io::Result<()> {
        let mut batch = Writer::default();
        batch.message(libc::RTM_NEWLINK, NLM_F_ACK, |w| {
            w.raw(&ifinfo(index, 0, 0));
            w.number(libc::IFLA_MTU, mtu);
        });
        Ok(self.0.transact(&batch)?)
    }

    /// Removes a link; `false` when there was none.
    pub fn delete(&mut self, name: &str) -> io::Result<bool> {
        let mut batch = Writer::default();
        batch.message(libc::RTM_DELLINK, NLM_F_ACK, |w| {
            w.raw(&ifinfo(0, 0, 0));
            w.text(libc::IFLA_IFNAME, name);
        });
        match self.0.transact(&batch) {
            Err(r) if r.source.raw_os_error() == Some(libc::ENODEV) => Ok(false),
            Err(r) => Err(r.source),
            Ok(()) => Ok(true),
        }
    }

    /// A link's addresses with their prefix lengths.
    pub fn addresses(&mut self, index: u32) -> io::Result<Vec<IpNet>> {
        let mut request = Writer::default();
        request.message(libc::RTM_GETADDR, NLM_F_DUMP, |w| w.raw(&[0; 8]));
        let mut found = Vec::new();
        self.0.query(&request, |_, body| {
            let (Some(fixed), Some(attrs)) = (body.get(..8), body.get(8..)) else { return };
            if read_u32(&fixed[4..]) == Some(index)
                && let Some(ip) = find(attrs, libc::IFA_LOCAL).or_else(|| find(attrs, libc::IFA_ADDRESS))
                && let Some(net) = read_net(ip, fixed[1])
            {
                found.push(net);
            }
        })?;
        Ok(found)
    }

    /// Gives a link an address.
    pub fn add_address(&mut self, index: u32, address: IpNet) -> io::Result<()> {
        let mut batch = Writer::default();
        write_address(&mut batch, libc::RTM_NEWADDR, index, address);
        Ok(self.0.transact(&batch)?)
    }

    /// Takes an address from a link.
    pub fn delete_address(&mut self, index: u32, address: IpNet) -> io::Result<()> {
        let mut batch = Writer::default();
        write_address(&mut batch, libc::RTM_DELADDR, index, address);
        Ok(self.0.transact(&batch)?)
    }

    /// The destinations of the main table's routes and the links they lead to; default routes are left out.
    pub fn routes(&mut self) -> io::Result<Vec<(IpNet, Option<u32>)>> {
        let mut request = Writer::default();
        request.message(libc::RTM_GETROUTE, NLM_F_DUMP, |w| w.raw(&[0; 12]));
        let mut found = Vec::new();
        self.0.query(&request, |_, body| {
            let (Some(fixed), Some(attrs)) = (body.get(..12), body.get(12..)) else { return };
            let (prefix, table, kind) = (fixed[1], fixed[4], fixed[7]);
            if table == libc::RT_TABLE_MAIN
                && kind == libc::RTN_UNICAST
                && let Some(net) = find(attrs, libc::RTA_DST).and_then(|ip| read_net(ip, prefix))
                && prefix > 0
            {
                found.push((net, find(attrs, libc::RTA_OIF).and_then(read_u32)));
            }
        })?;
        Ok(found)
    }

    /// Makes a link the way to everywhere, without a next hop.
    pub fn lead_everywhere(&mut self, index: u32, ipv6: bool) -> io::Result<()> {
        let mut batch = Writer::default();
        batch.message(libc::RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, |w| {
            let (family, scope) =
                if ipv6 { (AF_INET6, libc::RT_SCOPE_UNIVERSE) } else { (AF_INET, libc::RT_SCOPE_LINK) };
            w.raw(&[family, 0, 0, 0, libc::RT_TABLE_MAIN, libc::RTPROT_BOOT]);
            w.raw(&[scope, libc::RTN_UNICAST, 0, 0, 0, 0]);
            w.number(libc::RTA_OIF, index);
        });
        Ok(self.0.transact(&batch)?)
    }

    /// Gives a link its addresses, switches it on and makes it the way to the gateways, in one go.
    pub fn configure(&mut self, index: u32, addresses: &[IpNet], gateways: &[IpAddr]) -> io::Result<()> {
        let mut batch = Writer::default();
        for address in addresses {
            write_address(&mut batch, libc::RTM_NEWADDR, index, *address);
        }
        up(&mut batch, index);
        for gateway in gateways {
            batch.message(libc::RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, |w| {
                let family = if gateway.is_ipv4() { AF_INET } else { AF_INET6 };
                w.raw(&[family, 0, 0, 0, libc::RT_TABLE_MAIN, libc::RTPROT_BOOT]);
                w.raw(&[libc::RT_SCOPE_UNIVERSE, libc::RTN_UNICAST, 0, 0, 0, 0]);
                write_ip(w, libc::RTA_GATEWAY, *gateway);
                w.number(libc::RTA_OIF, index);
            });
        }
        Ok(self.0.transact(&batch)?)
    }
}

/// Is told when the kernel has made IPv6 addresses usable, in the namespace that it was opened in.
#[derive(Debug)]
pub struct Ipv6Watch(Socket);

impl Ipv6Watch {
    /// Begins to listen; waits for at most `patience` for an address.
    pub fn open(patience: Duration) -> io::Result<Self> {
        const IPV6_ADDRESSES: u32 = 9;
        Socket::listen(IPV6_ADDRESSES, patience).map(Self)
    }

    /// Waits until `address` of the link is usable; `false` when that takes too long.
    pub fn wait_for(&mut self, index: u32, address: Ipv6Addr) -> io::Result<bool> {
        self.0.wait_for(|kind, body| {
            let (Some(fixed), Some(attrs)) = (body.get(..8), body.get(8..)) else { return false };
            let same = || find(attrs, libc::IFA_ADDRESS) == Some(&address.octets()[..]);
            kind == libc::RTM_NEWADDR && read_u32(&fixed[4..]) == Some(index) && same()
        })
    }
}

fn up(batch: &mut Writer, index: u32) {
    batch.message(libc::RTM_NEWLINK, NLM_F_ACK, |w| w.raw(&ifinfo(index, IFF_UP, IFF_UP)));
}

/// `struct ifinfomsg`.
fn ifinfo(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut info = [0; 16];
    info[4..8].copy_from_slice(&index.to_ne_bytes());
    info[8..12].copy_from_slice(&flags.to_ne_bytes());
    info[12..16].copy_from_slice(&change.to_ne_bytes());
    info
}

fn write_address(batch: &mut Writer, kind: u16, index: u32, address: IpNet) {
    let flags = if kind == libc::RTM_NEWADDR { NLM_F_CREATE | NLM_F_EXCL } else { 0 };
    batch.message(kind, NLM_F_ACK | flags, |w| {
        let (family, ifa_flags) = match address {
            IpNet::V4(_) => (AF_INET, 0),
            // Nobody else can have it: brig gave it out. Without detection it works at once.
            IpNet::V6(_) => (AF_INET6, libc::IFA_F_NODAD as u8),
        };
        w.raw(&[family, address.prefix_len(), ifa_flags, libc::RT_SCOPE_UNIVERSE]);
        w.raw(&index.to_ne_bytes());
        write_ip(w, libc::IFA_LOCAL, address.addr());
        write_ip(w, libc::IFA_ADDRESS, address.addr());
        if let IpNet::V4(net) = address
            && net.prefix_len() < 31
        {
            write_ip(w, libc::IFA_BROADCAST, net.broadcast().into());
        }
    });
}

fn write_ip(w: &mut Writer, kind: u16, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => w.attr(kind, &ip.octets()),
        IpAddr::V6(ip) => w.attr(kind, &ip.octets()),
    }
}

fn read_net(bytes: &[u8], prefix: u8) -> Option<IpNet> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        Ipv4Net::new(Ipv4Addr::from(v4), prefix).ok().map(IpNet::V4)
    } else {
        let v6 = <[u8; 16]>::try_from(bytes).ok()?;
        Ipv6Net::new(Ipv6Addr::from(v6), prefix).ok().map(IpNet::V6)
    }
}

fn parse_link(body: &[u8]) -> Option<Link> {
    let (fixed, attrs) = (body.get(..16)?, body.get(16..)?);
    let mut link = Link {
        index: read_u32(&fixed[4..])?,
        name: String::new(),
        kind: None,
        up: read_u32(&fixed[8..])? & IFF_UP != 0,
        mtu: 0,
        master: None,
        group: 0,
    };
    for (kind, payload) in attributes(attrs) {
        match kind {
            libc::IFLA_IFNAME => link.name = read_text(payload),
            libc::IFLA_MTU => link.mtu = read_u32(payload)?,
            libc::IFLA_MASTER => link.master = read_u32(payload),
            libc::IFLA_GROUP => link.group = read_u32(payload)?,
            libc::IFLA_LINKINFO => link.kind = find(payload, libc::IFLA_INFO_KIND).map(read_text),
            _ => {}
        }
    }
    Some(link)
}
