//! The files that brig writes for a container: hosts, hostname, resolv.conf.

use super::NetworkMode;
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

/// Name servers of a container on a host that has only loopback ones, as in Docker.
const FALLBACK_DNS: [&str; 2] = ["8.8.8.8", "8.8.4.4"];
/// The host's name servers.
const HOST_RESOLV_CONF: &str = "/etc/resolv.conf";
/// Those behind systemd's stub on 127.0.0.53.
const SYSTEMD_RESOLV_CONF: &str = "/run/systemd/resolve/resolv.conf";

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
    write(&paths.resolv_conf, &resolv_conf(core, record, host_network)?)?;
    Ok(paths)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|e| Error::file("write", path, e))
}

fn read_or_empty(path: &'static str) -> Result<String> {
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
    let names = names(record);
    for ip in sandbox.iter().flat_map(|s| s.endpoints.values()).flat_map(addresses) {
        let _ = writeln!(text, "{ip}\t{names}");
    }
    Ok(text)
}

/// A hosts file that is longer was not written by brig, and is left alone.
const LONGEST_HOSTS: u64 = 1 << 20;

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

/// Changes a hosts file that is mounted in a container: the file itself, which the container may have changed too.
fn change_hosts(core: &Core, record: &ContainerRecord, change: impl FnOnce(&mut String)) -> Result<()> {
    let path = Paths::of(core, record).hosts;
    let length = fs::metadata(&path).map_err(|e| Error::file("look at", &path, e))?.len();
    if length > LONGEST_HOSTS {
        return Ok(());
    }
    let bytes = fs::read(&path).map_err(|e| Error::file("read", &path, e))?;
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    change(&mut text);
    write(&path, &text)
}

fn addresses(endpoint: &Endpoint) -> impl Iterator<Item = IpAddr> {
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
fn host_gateway(core: &Core) -> Result<String> {
    let bridge = core.networks.resolve("bridge")?;
    let gateway = bridge.pools.first().map(|pool| pool.gateway.to_string());
    gateway.ok_or_else(|| Error::Invalid("unable to derive the IP value for host-gateway".to_owned()))
}

fn resolv_conf(core: &Core, record: &ContainerRecord, host_network: bool) -> Result<String> {
    let host = &record.host_config;
    let own = |given: &Option<Vec<String>>, default: &[String]| match given {
        Some(list) if !list.is_empty() => Some(list.clone()),
        _ if !default.is_empty() => Some(default.to_vec()),
        _ => None,
    };
    let daemon_dns: Vec<String> = core.config.dns.iter().map(ToString::to_string).collect();
    let wanted = Wanted {
        servers: own(&host.dns, &daemon_dns),
        search: own(&host.dns_search, &core.config.dns_search),
        options: own(&host.dns_options, &core.config.dns_options),
    };
    let mut base = read_or_empty(HOST_RESOLV_CONF)?;
    let servers = Parsed::of(&base).servers;
    if !host_network && servers == ["127.0.0.53"] {
        base = read_or_empty(SYSTEMD_RESOLV_CONF)?;
    }
    Ok(if host_network && wanted == Wanted::default() { base } else { compose(&base, &wanted, host_network) })
}

/// What container or daemon ask for; `None` takes the host's.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    servers: Option<Vec<String>>,
    search: Option<Vec<String>>,
    options: Option<Vec<String>>,
}

#[derive(Debug, Default)]
struct Parsed {
    servers: Vec<String>,
    search: Vec<String>,
    options: Vec<String>,
}

impl Parsed {
    fn of(text: &str) -> Self {
        let mut parsed = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let key = words.next();
            let rest = words.map(str::to_owned);
            match key {
                Some("nameserver") => parsed.servers.extend(rest.take(1)),
                // The last one counts, as for resolvers.
                Some("search" | "domain") => parsed.search = rest.collect(),
                Some("options") => parsed.options.extend(rest),
                _ => {}
            }
        }
        parsed
    }
}

/// A resolv.conf from the host's and what is wanted. The host's loopback servers can't be reached from a namespace
/// of its own, and are left out there.
fn compose(base: &str, wanted: &Wanted, host_network: bool) -> String {
    let parsed = Parsed::of(base);
    let reachable = |server: &String| {
        let address = server.split('%').next().unwrap_or_default();
        host_network || !address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    };
    let mut servers = match &wanted.servers {
        Some(servers) => servers.clone(),
        None => parsed.servers.into_iter().filter(reachable).collect(),
    };
    if servers.is_empty() && !host_network {
        servers = FALLBACK_DNS.map(str::to_owned).to_vec();
    }
    let search = wanted.search.clone().unwrap_or(parsed.search);
    let options = wanted.options.clone().unwrap_or(parsed.options);
    let mut text = String::from("# Written by brig at each start of the container.\n");
    for server in servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    // `--dns-search .` stands for no search domain.
    if !search.is_empty() && search != ["."] {
        let _ = writeln!(text, "search {}", search.join(" "));
    }
    if !options.is_empty() {
        let _ = writeln!(text, "options {}", options.join(" "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Option<Vec<String>> {
        Some(list.iter().map(|s| (*s).to_owned()).collect())
    }

    fn lines(text: &str) -> Vec<&str> {
        text.lines().filter(|l| !l.starts_with('#')).collect()
    }

    const BASE: &str =
        "# c\nnameserver 127.0.0.53\nnameserver 10.0.0.1\nnameserver ::1\nsearch a b\noptions edns0\n";

    #[test]
    fn loopback_servers_are_left_out() {
        let text = compose(BASE, &Wanted::default(), false);
        assert_eq!(lines(&text), ["nameserver 10.0.0.1", "search a b", "options edns0"]);
        let host = compose(BASE, &Wanted::default(), true);
        assert_eq!(lines(&host).len(), 5);
    }

    #[test]
    fn a_host_without_a_reachable_server_gives_public_ones() {
        let text = compose("nameserver 127.0.0.1\n", &Wanted::default(), false);
        assert_eq!(lines(&text), ["nameserver 8.8.8.8", "nameserver 8.8.4.4"]);
    }

    #[test]
    fn wishes_replace_the_hosts() {
        let wanted = Wanted {
            servers: strings(&["1.1.1.1", "127.0.0.1"]),
            search: strings(&["."]),
            options: strings(&["ndots:2"]),
        };
        let text = compose(BASE, &wanted, false);
        assert_eq!(lines(&text), ["nameserver 1.1.1.1", "nameserver 127.0.0.1", "options ndots:2"]);
    }
}
