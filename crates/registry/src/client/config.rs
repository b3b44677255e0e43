//! What the client is told: which registries are trusted how, where mirrors are, and how long is too long.

use std::{net::IpAddr, path::PathBuf, time::Duration};

/// How registries are reached.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// Hosts (`host:port`) and networks (`10.0.0.0/8`) whose certificates need not be valid and that may speak plain
    /// HTTP. The loopback always may.
    pub insecure: Vec<String>,
    /// Where a registry's content is looked for first.
    pub mirrors: Vec<Mirror>,
    /// Folders with a folder for each registry, for its certificates.
    pub certs: Vec<PathBuf>,
    /// Bounds.
    pub limits: Limits,
    /// How the client names itself.
    pub user_agent: String,
}

/// A mirror of a registry, or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// What it mirrors: `docker.io`, or `docker.io/library`.
    pub of: String,
    /// Where it is: `https://mirror.example[:port]`, perhaps with a path, which is put before the repository's name.
    pub url: String,
}

/// How much and how long is too much and too long.
#[derive(Debug, Clone)]
pub struct Limits {
    /// For a connection to be made.
    pub connect: Duration,
    /// For an answer to begin.
    pub answer: Duration,
    /// Within this time…
    pub window: Duration,
    /// …at least so many bytes of a body must come.
    pub bytes_per_window: u64,
    /// How often something is tried.
    pub tries: u32,
    /// The pause before the second try; it doubles with each.
    pub pause: Duration,
    /// Longest manifest in bytes.
    pub manifest: u64,
    /// Longest list or other answer in bytes.
    pub answer_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            answer: Duration::from_secs(60),
            window: Duration::from_secs(30),
            bytes_per_window: 4 << 10,
            tries: 5,
            pause: Duration::from_millis(250),
            manifest: 4 << 20,
            answer_bytes: 4 << 20,
        }
    }
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            insecure: Vec::new(),
            mirrors: Vec::new(),
            certs: vec!["/etc/brig/certs.d".into(), "/etc/docker/certs.d".into()],
            limits: Limits::default(),
            user_agent: format!("brig/{}", env!("CARGO_PKG_VERSION")),
        }
    }
}

impl RegistryConfig {
    /// Whether a registry's certificate may be anything, and plain HTTP will do.
    #[must_use]
    pub fn is_insecure(&self, host: &str) -> bool {
        let name = host_name(host);
        let address = name.parse::<IpAddr>().ok();
        name == "localhost"
            || address.is_some_and(|ip| ip.is_loopback())
            || self.insecure.iter().any(|entry| match entry.parse::<Network>() {
                Ok(network) => address.is_some_and(|ip| network.holds(ip)),
                Err(()) => entry == host || entry == name,
            })
    }

    /// The mirrors of a repository, `docker.io/library/busybox`; the most special first.
    pub(crate) fn mirrors_of(&self, repository: &str) -> Vec<&Mirror> {
        let fits = |mirror: &&Mirror| {
            repository.strip_prefix(mirror.of.as_str()).is_some_and(|r| r.is_empty() || r.starts_with('/'))
        };
        let mut mirrors: Vec<&Mirror> = self.mirrors.iter().filter(fits).collect();
        mirrors.sort_by_key(|mirror| std::cmp::Reverse(mirror.of.len()));
        mirrors
    }
}

/// A host without its port and brackets.
pub(crate) fn host_name(host: &str) -> &str {
    if let Some(v6) = host.strip_prefix('[') {
        return v6.split(']').next().unwrap_or(v6);
    }
    host.split(':').next().unwrap_or(host)
}

struct Network {
    address: IpAddr,
    bits: u8,
}

impl std::str::FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = text.split_once('/').ok_or(())?;
        let address: IpAddr = address.parse().map_err(drop)?;
        let bits: u8 = bits.parse().map_err(drop)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        if bits > most { Err(()) } else { Ok(Self { address, bits }) }
    }
}

impl Network {
    fn holds(&self, ip: IpAddr) -> bool {
        let bits = |ip: IpAddr| match ip {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 4),
            IpAddr::V6(v6) => (v6.to_bits(), 6),
        };
        let ((a, family), (b, other)) = (bits(self.address), bits(ip));
        let mask = if self.bits == 0 { 0 } else { u128::MAX << (128 - u32::from(self.bits)) };
        family == other && a & mask == b & mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insecure_registries() {
        let config = RegistryConfig {
            insecure: vec!["reg.example:5000".to_owned(), "10.1.0.0/16".to_owned(), "plain".to_owned()],
            ..RegistryConfig::default()
        };
        for (host, insecure) in [
            ("localhost:5000", true),
            ("127.0.0.9", true),
            ("[::1]:5000", true),
            ("reg.example:5000", true),
            ("reg.example", false),
            ("plain:80", true),
            ("10.1.2.3:5000", true),
            ("10.2.2.3:5000", false),
            ("docker.io", false),
        ] {
            assert_eq!(config.is_insecure(host), insecure, "{host}");
        }
    }

    #[test]
    fn mirrors_are_found_by_whole_parts_of_names() {
        let mirror = |of: &str| Mirror { of: of.to_owned(), url: format!("https://{of}.example") };
        let config = RegistryConfig {
            mirrors: vec![mirror("docker.io"), mirror("docker.io/library"), mirror("quay.io/a")],
            ..RegistryConfig::default()
        };
        let found = |name: &str| config.mirrors_of(name).iter().map(|m| m.of.clone()).collect::<Vec<_>>();
        assert_eq!(found("docker.io/library/busybox"), ["docker.io/library", "docker.io"]);
        assert_eq!(found("docker.io/libraryx/busybox"), ["docker.io"]);
        assert!(found("quay.io/ab/c").is_empty());
    }
}
