//! The options, for flags, file and help alike.

/// What sort of value an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// On or off; the flag alone means on.
    Bool,
    /// A whole number.
    Number,
    /// Any text.
    Text,
    /// Texts, one a flag.
    List,
    /// `name=value`, one a flag.
    Map,
    /// As [`Sort::List`] on the command line, any JSON in the file.
    Structure,
}

/// What brig does with an option of dockerd's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Support {
    /// What dockerd does.
    Yes,
    /// It is taken and has no effect, for the reason given.
    NoEffect(&'static str),
    /// It is refused, since who gives it counts on it.
    Refused(&'static str),
}

/// An option.
#[derive(Debug)]
pub(super) struct Opt {
    /// The flag, without dashes.
    pub name: &'static str,
    /// The flag of one letter.
    pub short: Option<char>,
    /// Its key in the file.
    pub key: &'static str,
    pub sort: Sort,
    pub support: Support,
    /// What it is for, with its default.
    pub help: &'static str,
}

const fn opt(name: &'static str, sort: Sort, help: &'static str) -> Opt {
    Opt { name, short: None, key: name, sort, support: Support::Yes, help }
}

const fn no_effect(name: &'static str, sort: Sort, why: &'static str) -> Opt {
    Opt { name, short: None, key: name, sort, support: Support::NoEffect(why), help: "" }
}

const fn refused(name: &'static str, sort: Sort, why: &'static str) -> Opt {
    Opt { name, short: None, key: name, sort, support: Support::Refused(why), help: "" }
}

impl Opt {
    const fn short(self, short: char) -> Self {
        Self { short: Some(short), ..self }
    }

    const fn key(self, key: &'static str) -> Self {
        Self { key, ..self }
    }
}

const NO_CONTAINERD: &str = "brig runs containers itself, without containerd";
const NO_SWARM: &str = "brig has no swarm mode";
const NO_REGISTRY: &str = "this version of brig does not speak to registries";
const NO_TLS: &str =
    "this version of brig serves tcp without TLS only: use a unix socket, over ssh from afar";

use Sort::{Bool, List, Map, Number, Structure, Text};

/// All options.
pub(super) const OPTIONS: &[Opt] = &[
    opt("host", List, "Socket to serve on: unix://PATH or tcp://HOST:PORT; may be repeated (default unix://EXEC-ROOT/brig.sock, and unix:///var/run/docker.sock when that is free)").short('H').key("hosts"),
    opt("data-root", Text, "Folder of images, containers and volumes (default /var/lib/brig)").short('g'),
    opt("exec-root", Text, "Folder of sockets and of what runs (default /run/brig)"),
    opt("pidfile", Text, "File for the daemon's pid (default EXEC-ROOT/brig.pid)").short('p'),
    opt("config-file", Text, "Configuration file (default /etc/brig/daemon.json)"),
    opt("validate", Bool, "Check flags and configuration file, and exit"),
    opt("group", Text, "Group that may use unix sockets (default docker, where there is such a group)").short('G'),
    opt("debug", Bool, "Log what is being done").short('D'),
    opt("log-level", Text, "Least level to log: debug, info, warn, error or fatal (default info)").short('l'),
    opt("log-format", Text, "Form of the daemon's own log: text or json (default text)"),
    opt("raw-logs", Bool, "Log without colours"),
    opt("shutdown-timeout", Number, "Seconds that requests under way have when the daemon stops, at most (default 15)"),
    opt("label", List, "Label of the daemon, key=value; may be repeated").key("labels"),
    opt("bridge", Text, "Linux bridge of the default network (default brig0)").short('b'),
    opt("bip", Text, "Address of that bridge, with its network: 172.17.0.1/16"),
    opt("fixed-cidr", Text, "Part of that network to give addresses from"),
    opt("mtu", Number, "MTU of the default network (default 1500)"),
    opt("iptables", Bool, "Make firewall rules (default true)"),
    opt("ip-forward", Bool, "Switch forwarding on (default true)"),
    opt("ip-masq", Bool, "Give outgoing connections the host's address (default true)"),
    opt("icc", Bool, "Let containers of the default network reach one another (default true)"),
    opt("ip", Text, "Host address of ports that are published without one (default 0.0.0.0)"),
    opt("userland-proxy", Bool, "Proxy connections that can't be translated, such as to ::1 (default true)"),
    opt("ephemeral", Bool, "Remove bridge and firewall table at the end, when no container runs"),
    opt("dns", List, "Name server of containers; may be repeated"),
    opt("dns-opt", List, "Option of containers' resolv.conf; may be repeated").key("dns-opts"),
    opt("dns-search", List, "Search domain of containers; may be repeated"),
    opt("cgroup-parent", Text, "Cgroup under which those of containers are made (default /brig)"),
    opt("log-driver", Text, "Log driver of containers: json-file, local, journald, syslog, gelf, fluentd or none (default json-file)"),
    opt("log-opt", Map, "Option of that log driver: max-size=10m; may be repeated").key("log-opts"),
    opt("storage-driver", Text, "How layers are kept: overlay2 or vfs (default what the data root allows)").short('s'),
    opt("init", Bool, "Run an init as process 1 of containers"),
    opt("cdi-spec-dir", List, "Folder of CDI specifications; may be repeated (default /etc/cdi and /var/run/cdi)").key("cdi-spec-dirs"),
    opt("default-shm-size", Text, "Size of containers' /dev/shm (default 64m)"),
    opt("default-ulimit", Structure, "Resource limit of containers: nofile=1024:2048; may be repeated").key("default-ulimits"),
    opt("default-ipc-mode", Text, "IPC of containers: private or shareable (default private)"),
    opt("default-cgroupns-mode", Text, "Cgroup namespace of containers: private or host"),
    opt("no-new-privileges", Bool, "Containers gain no rights by setuid programs"),
    opt("seccomp-profile", Text, "Seccomp profile of containers: a file, builtin or unconfined (default builtin)"),
    no_effect("live-restore", Bool, "containers always live on without the daemon"),
    no_effect("ip6tables", Bool, "this version of brig makes no IPv6 networks"),
    no_effect("ip-forward-no-drop", Bool, "brig never sets the policy of others' chains"),
    no_effect("userland-proxy-path", Text, "brig is its own proxy"),
    no_effect("init-path", Text, "brig is its own init"),
    no_effect("firewall-backend", Text, "brig always uses nftables"),
    no_effect("containerd", Text, NO_CONTAINERD),
    no_effect("containerd-namespace", Text, NO_CONTAINERD),
    no_effect("containerd-plugins-namespace", Text, NO_CONTAINERD).key("containerd-plugin-namespace"),
    no_effect("cri-containerd", Bool, NO_CONTAINERD),
    no_effect("exec-opt", List, "cgroups are always made through the cgroup file system").key("exec-opts"),
    no_effect("experimental", Bool, "brig has no experimental features"),
    opt("max-concurrent-downloads", Number, "Layers that are downloaded at once (default 3)"),
    no_effect("max-concurrent-uploads", Number, NO_REGISTRY),
    opt("max-download-attempts", Number, "Tries of a download before it fails (default 5)"),
    opt("registry-mirror", List, "Mirror of Docker Hub, URL, or of another registry or a part of it, PREFIX=URL; may be repeated").key("registry-mirrors"),
    opt("insecure-registry", List, "Registry (host:port) or network that may speak plain HTTP and have any certificate; may be repeated").key("insecure-registries"),
    no_effect("http-proxy", Text, NO_REGISTRY),
    no_effect("https-proxy", Text, NO_REGISTRY),
    no_effect("no-proxy", Text, NO_REGISTRY),
    no_effect("swarm-default-advertise-addr", Text, NO_SWARM),
    no_effect("node-generic-resource", List, NO_SWARM).key("node-generic-resources"),
    no_effect("network-control-plane-mtu", Number, NO_SWARM),
    no_effect("storage-opt", List, "brig's storage has no options").key("storage-opts"),
    no_effect("default-address-pool", Structure, "this version of brig makes no further networks").key("default-address-pools"),
    no_effect("default-network-opt", Structure, "this version of brig makes no further networks").key("default-network-opts"),
    no_effect("host-gateway-ip", List, "the default bridge's address is used").key("host-gateway-ips"),
    no_effect("add-runtime", Structure, "this version of brig has its own runtime only").key("runtimes"),
    refused("default-runtime", Text, "this version of brig has its own runtime only"),
    refused("userns-remap", Text, "this version of brig has no user namespaces"),
    refused("rootless", Bool, "this version of brig runs as root only"),
    refused("selinux-enabled", Bool, "this version of brig does not set SELinux labels"),
    refused("authorization-plugin", List, "brig has no plugins").key("authorization-plugins"),
    refused("ipv6", Bool, "this version of brig makes no IPv6 networks"),
    refused("bip6", Text, "this version of brig makes no IPv6 networks"),
    refused("fixed-cidr-v6", Text, "this version of brig makes no IPv6 networks"),
    refused("default-gateway", Text, "the bridge's address is the gateway in this version of brig"),
    refused("default-gateway-v6", Text, "this version of brig makes no IPv6 networks"),
    refused("cpu-rt-period", Number, "this version of brig has no real-time budgets"),
    refused("cpu-rt-runtime", Number, "this version of brig has no real-time budgets"),
    refused("metrics-addr", Text, "this version of brig serves no metrics"),
    refused("tls", Bool, NO_TLS),
    refused("tlsverify", Bool, NO_TLS),
    refused("tlscacert", Text, NO_TLS),
    refused("tlscert", Text, NO_TLS),
    refused("tlskey", Text, NO_TLS),
];

/// Keys of the file that dockerd takes without a flag of that name; brig has no use for them.
pub(super) const FILE_ONLY: &[&str] =
    &["features", "builder", "deprecated-key-path", "allow-nondistributable-artifacts"];

/// Keys of the file whose objects are values; all other objects only group keys.
pub(super) const WHOLE_KEYS: &[&str] =
    &["default-network-opts", "log-opts", "runtimes", "default-ulimits", "features", "builder"];

/// Keys that may be in the file and on the command line at once.
pub(super) const MERGED_KEYS: &[&str] = &["runtimes"];

/// The option of a flag.
pub(super) fn by_name(name: &str) -> Option<&'static Opt> {
    // dockerd's old name of --data-root.
    let name = if name == "graph" { "data-root" } else { name };
    OPTIONS.iter().find(|o| o.name == name)
}

/// The option of a flag of one letter.
pub(super) fn by_short(short: char) -> Option<&'static Opt> {
    OPTIONS.iter().find(|o| o.short == Some(short))
}

/// The option of a key in the file.
pub(super) fn by_key(key: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|o| o.key == key && !matches!(o.name, "config-file" | "validate"))
}
