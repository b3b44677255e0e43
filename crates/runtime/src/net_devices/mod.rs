//! Network interfaces of the machine that become the container's (`linux.netDevices`).
//!
//! Moving one takes its addresses from it, so those that say nothing of where it was are given to it again. What was
//! moved when a later one can't be goes back. When the container's network namespace ends, the kernel hands hardware
//! back to the machine by itself, and removes interfaces that are made of software.

mod rtnl;

use crate::clone::set_namespace;
use crate::error::{Errno, Error};
use crate::plan::namespaces::{Namespaces, check_type};
use oci_spec::runtime::{Linux, LinuxNamespaceType};
use rtnl::{Address, Rtnl};
use rustix::fs::{Mode, OFlags, open};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// An interface to move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetDevice {
    /// Its name in the caller's namespace.
    outside: String,
    /// Its name in the container.
    inside: String,
}

/// What a name ends in that stands for the next one that is free.
const TEMPLATE: &str = "%d";

/// The longest name of an interface; one byte of `IFNAMSIZ` ends it.
const LONGEST: usize = libc::IFNAMSIZ - 1;

/// Whether the kernel takes it for the name of one interface: `%` would ask for the next free number.
fn is_name(name: &str) -> bool {
    let is_bad = |c: char| c.is_ascii_control() || c.is_whitespace() || matches!(c, '/' | ':' | '%');
    !name.is_empty() && name.len() <= LONGEST && name != "." && name != ".." && !name.contains(is_bad)
}

/// Checks what a spec says of interfaces, in the order of their names.
pub(crate) fn plan(linux: Option<&Linux>, namespaces: &Namespaces) -> Result<Vec<NetDevice>, Error> {
    let mut all: Vec<NetDevice> = Vec::new();
    for (outside, device) in linux.and_then(|l| l.net_devices().as_ref()).into_iter().flatten() {
        let inside = device.name().as_ref().filter(|name| !name.is_empty()).unwrap_or(outside);
        // A template, of the next free number.
        let stem = inside.strip_suffix(TEMPLATE).unwrap_or(inside);
        if let Some(bad) = [outside.as_str(), stem].into_iter().find(|name| !is_name(name)) {
            return Err(Error::Spec(format!("invalid network device name {bad:?} in linux.netDevices")));
        }
        if stem == inside && all.iter().any(|other| other.inside == *inside) {
            return Err(Error::Spec(format!(
                "linux.netDevices gives two devices the name {inside} in the container"
            )));
        }
        all.push(NetDevice { outside: outside.clone(), inside: inside.clone() });
    }
    if !all.is_empty() && !namespaces.is_apart(LinuxNamespaceType::Network) {
        return Err(Error::Spec(
            "unable to move network devices without a private NET namespace: add {\"type\": \"network\"} to \
             linux.namespaces"
                .into(),
        ));
    }
    all.sort_by(|a, b| a.outside.cmp(&b.outside));
    Ok(all)
}

/// The network namespace of a child, which is not reaped yet.
pub(crate) fn namespace_of(pid: i32) -> Result<OwnedFd, Error> {
    let path = format!("/proc/{pid}/ns/net");
    let namespace = open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| Error::path("open the network namespace", &path, e))?;
    check_type(LinuxNamespaceType::Network, &namespace)?;
    Ok(namespace)
}

/// A network namespace and a way to its interfaces.
#[derive(Debug)]
struct Place {
    namespace: OwnedFd,
    rtnl: Rtnl,
}

/// Interfaces that were moved. Dropping it brings them back, as long as the container is not made.
#[derive(Debug)]
pub(crate) struct Given {
    moved: Vec<Moved>,
    outside: Place,
    inside: Place,
}

/// An interface that was moved, and whether it was switched on before.
#[derive(Debug)]
struct Moved {
    device: NetDevice,
    was_up: bool,
}

/// Moves interfaces from the caller's network namespace into a container's. All or none.
pub(crate) fn give(devices: Vec<NetDevice>, into: OwnedFd) -> Result<Given, Error> {
    let own = open("/proc/thread-self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|e| Error::step("open the own network namespace", e))?;
    let socket = |e: Errno| Error::step("open a netlink socket", e);
    let inside = open_inside(own.as_fd(), into.as_fd())?.map_err(socket)?;
    let mut given = Given {
        moved: Vec::new(),
        outside: Place { namespace: own, rtnl: Rtnl::open().map_err(socket)? },
        inside: Place { namespace: into, rtnl: inside },
    };
    for device in devices {
        if let Err(error) = given.take_in(device) {
            return Err(match given.bring_back() {
                Ok(()) => error,
                Err(lost) => {
                    Error::Spec(format!("{error}; and what was moved can't be brought back: {lost}"))
                }
            });
        }
    }
    Ok(given)
}

/// A socket that belongs to another network namespace.
fn open_inside(own: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<Result<Rtnl, Errno>, Error> {
    set_namespace(other, libc::CLONE_NEWNET).map_err(|e| Error::step("enter the network namespace", e))?;
    let rtnl = Rtnl::open();
    if set_namespace(own, libc::CLONE_NEWNET).is_err() {
        // Whatever this process did next, it would do to the container's network.
        std::process::abort();
    }
    Ok(rtnl)
}

impl Given {
    /// They are the container's from now on.
    pub(crate) fn keep(mut self) {
        self.moved.clear();
    }

    fn take_in(&mut self, device: NetDevice) -> Result<(), Error> {
        let name = device.outside.clone();
        let failed = |step: &str| {
            let step = format!("{step} network device {name}");
            move |errno: Errno| Error::step(step, errno)
        };
        let link = self.outside.rtnl.link(&device.outside).map_err(failed("find"))?;
        let addresses = self.outside.rtnl.addresses(link.index).map_err(failed("read the addresses of"))?;
        let inside = self.name_inside(&device.inside);
        let inside = inside.map_err(failed(&format!("name {}, in the container, the", device.inside)))?;
        let device = NetDevice { inside, ..device };
        relocate(&mut self.outside, link.index, &self.inside, &device.inside)
            .map_err(failed("move to the container"))?;
        let settled = settle(&mut self.inside, &device.inside, &addresses, true);
        let settled = settled.map_err(failed("set up in the container"));
        self.moved.push(Moved { device, was_up: link.is_up });
        settled
    }

    /// A name that is free, and that a template stands for if it is one.
    fn name_inside(&mut self, wanted: &str) -> Result<String, Errno> {
        let Some(stem) = wanted.strip_suffix(TEMPLATE) else {
            // The kernel sees it only when the move is done.
            return match self.inside.rtnl.link(wanted) {
                Ok(_) => Err(Errno(libc::EEXIST)),
                Err(Errno(libc::ENODEV)) => Ok(wanted.to_owned()),
                Err(e) => Err(e),
            };
        };
        for number in 0.. {
            let name = format!("{stem}{number}");
            if name.len() > LONGEST {
                break;
            }
            match self.inside.rtnl.link(&name) {
                Ok(_) => {}
                Err(Errno(libc::ENODEV)) => return Ok(name),
                Err(e) => return Err(e),
            }
        }
        Err(Errno(libc::ENFILE))
    }

    fn bring_back(&mut self) -> Result<(), String> {
        let mut lost = Vec::new();
        while let Some(Moved { device, was_up }) = self.moved.pop() {
            let mut back = || {
                let index = self.inside.rtnl.link(&device.inside)?.index;
                let addresses = self.inside.rtnl.addresses(index)?;
                relocate(&mut self.inside, index, &self.outside, &device.outside)?;
                settle(&mut self.outside, &device.outside, &addresses, was_up)
            };
            lost.extend(back().err().map(|e: Errno| format!("network device {}: {e}", device.outside)));
        }
        if lost.is_empty() { Ok(()) } else { Err(lost.join("; ")) }
    }
}

fn relocate(from: &mut Place, index: u32, to: &Place, name: &str) -> Result<(), Errno> {
    from.rtnl.send_away(index, to.namespace.as_fd(), name)
}

/// Gives an interface that was moved its addresses again.
fn settle(place: &mut Place, name: &str, addresses: &[Address], up: bool) -> Result<(), Errno> {
    let index = place.rtnl.link(name)?.index;
    for address in addresses.iter().filter(|address| address.goes_along()) {
        place.rtnl.add_address(index, address)?;
    }
    if up { place.rtnl.switch_on(index) } else { Ok(()) }
}

impl Drop for Given {
    fn drop(&mut self) {
        // This undoes a failure, which is what the caller hears of.
        let _ = self.bring_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(json: &str) -> Result<Vec<NetDevice>, Error> {
        let linux: Linux = serde_json::from_str(json).unwrap();
        plan(Some(&linux), &Namespaces::new(Some(&linux), vec![], false).unwrap())
    }

    const NETWORK: &str = r#""namespaces":[{"type":"mount"},{"type":"network"}]"#;

    #[test]
    fn names_inside_are_those_outside_unless_said() {
        let devices =
            planned(&format!(r#"{{{NETWORK},"netDevices":{{"eth1":{{"name":"lan"}},"eth0":{{}}}}}}"#))
                .unwrap();
        let names: Vec<_> = devices.iter().map(|d| (d.outside.as_str(), d.inside.as_str())).collect();
        assert_eq!(names, [("eth0", "eth0"), ("eth1", "lan")]);
    }

    #[test]
    fn nonsense_is_refused() {
        for (devices, expected) in [
            (r#"{"a b":{}}"#, "invalid network device name"),
            (r#"{"":{}}"#, "invalid network device name"),
            (r#"{"..":{}}"#, "invalid network device name"),
            (r#"{"sixteen-letters-":{}}"#, "invalid network device name"),
            (r#"{"eth0":{"name":"e%dth%d"}}"#, "invalid network device name"),
            (r#"{"eth0":{"name":"a/b"}}"#, "invalid network device name"),
            (r#"{"eth0":{"name":"x"},"eth1":{"name":"x"}}"#, "two devices"),
        ] {
            let error = planned(&format!(r#"{{{NETWORK},"netDevices":{devices}}}"#)).unwrap_err().to_string();
            assert!(error.contains(expected), "{devices}: {error}");
        }
        for namespaces in
            [r#"[{"type":"mount"}]"#, r#"[{"type":"mount"},{"type":"network","path":"/proc/self/ns/net"}]"#]
        {
            let error = planned(&format!(r#"{{"namespaces":{namespaces},"netDevices":{{"eth0":{{}}}}}}"#));
            assert!(
                error.unwrap_err().to_string().contains("without a private NET namespace"),
                "{namespaces}"
            );
        }
    }
}
