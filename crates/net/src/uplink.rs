//! The interface of the host's that the containers of a macvlan or ipvlan network share.

use crate::{Error, NetworkRecord, rtnl::Rtnl};
use brig_core::Id;
use serde::{Deserialize, Serialize};
use std::io;

/// An interface, and how it is shared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uplink {
    /// Its name.
    pub interface: String,
    /// How it is shared.
    pub mode: UplinkMode,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a shared interface comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// It was there.
    Host,
    /// brig makes it: one that carries the VLAN of its name, `eth0.10`.
    Vlan,
    /// brig makes it: one that leads nowhere, so that the network is an internal one.
    Dummy,
}

/// How an interface is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UplinkMode {
    /// Each container has a hardware address.
    Macvlan(MacvlanMode),
    /// All have the interface's hardware address.
    Ipvlan(IpvlanMode, IpvlanFlag),
}

/// `macvlan_mode`; the numbers are the kernel's (`if_link.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MacvlanMode {
    /// Containers don't reach one another.
    Private = 1,
    /// They reach one another by the switch outside.
    Vepa = 2,
    /// They reach one another directly.
    #[default]
    Bridge = 4,
    /// There is one only, which has the interface to itself.
    Passthru = 8,
}

/// `ipvlan_mode`; the numbers are the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpvlanMode {
    /// The interface's link is the containers'.
    #[default]
    L2 = 0,
    /// The interface routes for the containers, which have no neighbours.
    L3 = 1,
    /// The same with connections tracked.
    L3s = 2,
}

/// `ipvlan_flag`; the numbers are the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpvlanFlag {
    /// Containers reach one another directly.
    #[default]
    Bridge = 0,
    /// They don't reach one another.
    Private = 1,
    /// They reach one another by the switch outside.
    Vepa = 2,
}

impl MacvlanMode {
    /// Reads the option's value; nothing is the default.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "" | "bridge" => Self::Bridge,
            "private" => Self::Private,
            "vepa" => Self::Vepa,
            "passthru" => Self::Passthru,
            _ => return None,
        })
    }
}

impl IpvlanMode {
    /// Reads the option's value; nothing is the default.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "" | "l2" => Self::L2,
            "l3" => Self::L3,
            "l3s" => Self::L3s,
            _ => return None,
        })
    }
}

impl IpvlanFlag {
    /// Reads the option's value; nothing is the default.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "" | "bridge" => Self::Bridge,
            "private" => Self::Private,
            "vepa" => Self::Vepa,
            _ => return None,
        })
    }
}

impl UplinkMode {
    /// Whether containers send to their own link's interface whatever has no route, and have no next hop.
    #[must_use]
    pub fn routes(self) -> bool {
        matches!(self, Self::Ipvlan(IpvlanMode::L3 | IpvlanMode::L3s, _))
    }
}

/// The name of the interface that is made where none is given, as Docker has it.
pub fn dummy_name(prefix: &str, id: &Id) -> String {
    format!("{prefix}-{}", &id.to_string()[..12])
}

/// Reads `eth0.10`: the interface and the VLAN's number. Docker's words.
pub fn parse_vlan(name: &str) -> Result<(&str, u16), Error> {
    let wrong = |words: String| Err(Error::InvalidOption(words));
    let Some((parent, number)) = name.split_once('.') else {
        return wrong(format!("invalid subinterface vlan name {name}, example formatting is eth0.10"));
    };
    if number.contains('.') {
        return wrong(format!(
            "required interface name format is: name.vlan_id, ex. eth0.10 for vlan 10, instead received {name}"
        ));
    }
    match number.parse::<i64>() {
        Err(_) => wrong(format!("unable to parse a valid vlan id from: {number} (ex. eth0.10 for vlan 10)")),
        Ok(id) => match u16::try_from(id) {
            Ok(id @ 1..=4094) => Ok((parent, id)),
            _ => wrong(format!("vlan id must be between 1-4094, received: {id}")),
        },
    }
}

/// Makes the interface where brig makes it and it is not there, and answers its index.
pub fn ensure(rtnl: &mut Rtnl, network: &NetworkRecord, uplink: &Uplink) -> Result<u32, Error> {
    let name = &uplink.interface;
    let fail = |step| move |source| Error::Link { name: name.clone(), step, source };
    if let Some(link) = rtnl.link(name).map_err(fail("look up"))? {
        if uplink.origin != Origin::Host && !link.up {
            rtnl.set_up(link.index).map_err(fail("switch on"))?;
        }
        return Ok(link.index);
    }
    match uplink.origin {
        Origin::Host => {
            return Err(Error::InvalidOption(format!(
                "the requested parent interface {name} was not found on the Docker host"
            )));
        }
        Origin::Dummy => match rtnl.create_dummy(name, network.mtu) {
            // A kernel without them: a cable whose other end nobody has leads nowhere either.
            Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                rtnl.create_loose_cable(name, network.mtu).map_err(fail("make a veth pair"))?;
            }
            made => made.map_err(fail("make a dummy link"))?,
        },
        Origin::Vlan => {
            let (parent, id) = parse_vlan(name)?;
            let Some(parent) = rtnl.link(parent).map_err(fail("look up"))? else {
                return Err(Error::InvalidOption(format!(
                    "-o parent interface was not found on the host: {parent}"
                )));
            };
            rtnl.create_vlan(name, parent.index, id).map_err(fail("make a VLAN's link"))?;
        }
    }
    let gone = || io::Error::from_raw_os_error(libc::ENODEV);
    let link = rtnl.link(name).and_then(|l| l.ok_or_else(gone)).map_err(fail("look up"))?;
    rtnl.set_up(link.index).map_err(fail("switch on"))?;
    Ok(link.index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlans_are_read_and_refused_in_dockers_words() {
        assert_eq!(parse_vlan("eth0.10").unwrap(), ("eth0", 10));
        for (name, words) in [
            ("eth0", "invalid subinterface vlan name eth0, example formatting is eth0.10"),
            ("eth0.x", "unable to parse a valid vlan id from: x (ex. eth0.10 for vlan 10)"),
            ("eth0.4095", "vlan id must be between 1-4094, received: 4095"),
            ("eth0.0", "vlan id must be between 1-4094, received: 0"),
        ] {
            assert_eq!(parse_vlan(name).unwrap_err().to_string(), words);
        }
    }
}
