//! The files that brig writes for a container: hosts, hostname, and where `resolv_conf` says what is in it.

use super::{
    NetworkMode,
    links::{self, Linked},
    names,
    resolv_conf::{self, Place},
};
use crate::{
    core::Core,
    error::{Error, Result},
    host_config,
    record::{ContainerRecord, SandboxRecord},
};
use brig_net::Endpoint;
use std::{
    fmt::Write as _,
    fs,
    io::Read as _,
    net::IpAddr,
    path::{Path, PathBuf},
};

/// What every hosts file begins with.
const HOSTS: &str = "127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

/// Where a container's files are.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) hosts: PathBuf,
    pub(crate) hostname: PathBuf,
    pub(crate) resolv_conf: PathBuf,
}

impl Paths {
    /// In the container's folder.
    pub(crate) fn of(core: &Core, record: &ContainerRecord) -> Self {
        let dir = core.config.paths.container(&record.id);
        Self {
            hosts: dir.join("hosts"),
            hostname: dir.join("hostname"),
            resolv_conf: dir.join("resolv.conf"),
        }
    }
}

/// The name inside a container: as configured, else that of the host in its namespaces, else the short id.
pub(crate) fn hostname(record: &ContainerRecord) -> String {
    if record.config.hostname.is_empty() { record.id.short() } else { record.config.hostname.clone() }
}

/// Writes the files of a container and says where they are. One that shares another's network has that one's.
pub(crate) fn container_files(
    core: &Core,
    record: &ContainerRecord,
    sandbox: Option<&SandboxRecord>,
) -> Result<Paths> {
    if let NetworkMode::Container(other) = NetworkMode::of(record) {
        let other = core.registry.resolve(&other)?.snapshot();
        return Ok(Paths::of(core, &other.record));
    }
    let paths = Paths::of(core, record);
    let host_network = NetworkMode::of(record) == NetworkMode::Host;
    let name = hostname(record);
    let full = match record.config.domainname.as_str() {
        "" => name,
        domain => format!("{name}.{domain}"),
    };
    write(&paths.hostname, &format!("{full}\n"))?;
    let base = if host_network { read_or_empty("/etc/hosts")? } else { HOSTS.to_owned() };
    write(&paths.hosts, &hosts(core, record, sandbox, base)?)?;
    let place = match sandbox {
        _ if host_network => Place::Host,
        Some(sandbox) if names::answered(core, sandbox) => Place::Named,
        _ => Place::Alone,
    };
    write(&paths.resolv_conf, &resolv_conf::of(core, record, place)?)?;
    Ok(paths)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|e| Error::file("write", path, e))
}

pub(super) fn read_or_empty(path: &'static str) -> Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(Error::file("read", path, e)),
    }
}

fn hosts(
    core: &Core,
    record: &ContainerRecord,
    sandbox: Option<&SandboxRecord>,
    base: String,
) -> Result<String> {
    let mut text = base;
    for entry in record.host_config.extra_hosts.iter().flatten() {
        let (name, address) = host_config::extra_host(entry)
            .ok_or_else(|| Error::Invalid(format!("bad format for add-host: {entry:?}")))?;
        let address = match address {
            "host-gateway" => host_gateway(core)?,
            address => address.to_owned(),
        };
        let _ = writeln!(text, "{address}\t{name}");
    }
    for (ip, names) in links::resolve(core, record)?.iter().flat_map(Linked::hosts) {
        let _ = writeln!(text, "{ip}\t{names}");
    }
    let names = names(record);
    for ip in sandbox.iter().flat_map(|s| s.endpoints.values()).flat_map(addresses) {
        let _ = writeln!(text, "{ip}\t{names}");
    }
    Ok(text)
}

/// A file that is longer was not written by brig, and is left alone.
const LONGEST: u64 = 1 << 20;

/// Adds a running container's new address to its hosts file.
pub(super) fn add_address(core: &Core, record: &ContainerRecord, endpoint: &Endpoint) -> Result<()> {
    change_hosts(core, record, |text| {
        let names = names(record);
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        for ip in addresses(endpoint) {
            let _ = writeln!(text, "{ip}\t{names}");
        }
    })
}

/// Takes an address that a running container has lost out of its hosts file.
pub(super) fn remove_address(core: &Core, record: &ContainerRecord, endpoint: &Endpoint) -> Result<()> {
    let gone: Vec<String> = addresses(endpoint).map(|ip| ip.to_string()).collect();
    change_hosts(core, record, |text| {
        let stays =
            |line: &&str| !line.split_whitespace().next().is_some_and(|ip| gone.iter().any(|g| g == ip));
        *text = text.split_inclusive('\n').filter(stays).collect();
    })
}

/// Gives a name in a running container's hosts file other addresses.
pub(super) fn move_name(
    core: &Core,
    record: &ContainerRecord,
    alias: &str,
    addresses: &[IpAddr],
) -> Result<()> {
    change_hosts(core, record, |text| *text = with_address(text, alias, addresses))
}

/// A hosts file's text in which lines whose first name is `alias` have other addresses, by family.
fn with_address(text: &str, alias: &str, addresses: &[IpAddr]) -> String {
    let line = |line: &str| {
        let Some((old, names)) = line.split_once('\t') else { return line.to_owned() };
        let (true, Ok(old)) = (names.split_whitespace().next() == Some(alias), old.parse::<IpAddr>()) else {
            return line.to_owned();
        };
        match addresses.iter().find(|ip| ip.is_ipv4() == old.is_ipv4()) {
            Some(ip) => format!("{ip}\t{names}"),
            None => line.to_owned(),
        }
    };
    text.split_inclusive('\n').map(line).collect()
}

/// Leads a running container that came to its first network with names to its resolver. A file that the container has
/// changed is left alone.
pub(super) fn ask_resolver(core: &Core, record: &ContainerRecord) -> Result<()> {
    let before = resolv_conf::of(core, record, Place::Alone)?;
    let now = resolv_conf::of(core, record, Place::Named)?;
    rewrite(&Paths::of(core, record).resolv_conf, |text| {
        if *text == before {
            *text = now;
        }
    })
}

fn change_hosts(core: &Core, record: &ContainerRecord, change: impl FnOnce(&mut String)) -> Result<()> {
    rewrite(&Paths::of(core, record).hosts, change)
}

/// Changes a file that is mounted in a container: the file itself, which the container may have changed too.
pub(super) fn rewrite(path: &Path, change: impl FnOnce(&mut String)) -> Result<()> {
    let file = fs::File::open(path).map_err(|e| Error::file("open", path, e))?;
    let mut bytes = Vec::new();
    // The container may be writing to it.
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|e| Error::file("read", path, e))?;
    if bytes.len() as u64 > LONGEST {
        return Ok(());
    }
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    change(&mut text);
    write(path, &text)
}

pub(super) fn addresses(endpoint: &Endpoint) -> impl Iterator<Item = IpAddr> {
    let v4 = endpoint.ipv4.map(|ip| IpAddr::V4(ip.addr()));
    v4.into_iter().chain(endpoint.ipv6.map(|ip| IpAddr::V6(ip.addr())))
}

/// The names of a container in its own hosts file.
fn names(record: &ContainerRecord) -> String {
    match (hostname(record), record.config.domainname.as_str()) {
        (name, "") => name,
        (name, domain) => format!("{name}.{domain} {name}"),
    }
}

/// The address under which a container reaches its host: the default bridge's.
pub(super) fn host_gateway(core: &Core) -> Result<String> {
    let bridge = core.networks.resolve("bridge")?;
    let gateway = bridge.pools.iter().find_map(|pool| pool.gateway).map(|ip| ip.to_string());
    gateway.ok_or_else(|| Error::Invalid("unable to derive the IP value for host-gateway".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_moves_to_another_address() {
        let text = "127.0.0.1\tlocalhost\n172.17.0.2\tstore db\n172.17.0.2\tdb\n::1\tstore\nstore\tstore";
        let moved = with_address(text, "store", &["172.17.0.9".parse().unwrap()]);
        assert_eq!(
            moved,
            "127.0.0.1\tlocalhost\n172.17.0.9\tstore db\n172.17.0.2\tdb\n::1\tstore\nstore\tstore"
        );
    }
}
