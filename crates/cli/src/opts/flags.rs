//! The flags that `run` and `create` share.

use super::{blkio, device, mount, network, text, ulimit};
use crate::flags::Flag;

/// The flags of a container's configuration.
pub const CONTAINER: &[Flag] = &[
    Flag::list("add-host", "Add a line to /etc/hosts, as host:ip").check(text::extra_host),
    Flag::list("annotation", "Hand metadata to the OCI runtime").label("map").default("", "map[]"),
    Flag::list("attach", "Attach to STDIN, STDOUT or STDERR").short('a').check(text::stream),
    Flag::string("blkio-weight", "Relative weight of block I/O, 10 to 1000, 0 for none")
        .label("uint16")
        .default("0", "0")
        .check(text::uint16),
    Flag::list("blkio-weight-device", "Relative weight of block I/O by device")
        .default("", "[]")
        .check(blkio::check_weight),
    Flag::list("cap-add", "Add Linux capabilities"),
    Flag::list("cap-drop", "Take Linux capabilities away"),
    Flag::string("cgroup-parent", "Cgroup to put the container's under"),
    Flag::string("cgroupns", "Cgroup namespace: host or private; the daemon's default unless given"),
    Flag::string("cidfile", "Write the container's ID to this file"),
    Flag::int("cpu-count", "Windows only").hide(),
    Flag::int("cpu-percent", "Windows only").hide(),
    Flag::int("cpu-period", "Length of a CFS period in microseconds"),
    Flag::int("cpu-quota", "CPU time within a CFS period in microseconds"),
    Flag::int("cpu-rt-period", "Length of a real-time period in microseconds"),
    Flag::int("cpu-rt-runtime", "Real-time CPU time within a period in microseconds"),
    Flag::int("cpu-shares", "Relative weight of CPU time").short('c'),
    Flag::string("cpus", "Number of CPUs, such as 1.5").label("decimal").check(text::cpus),
    Flag::string("cpuset-cpus", "CPUs that may be used (0-3, 0,1)"),
    Flag::string("cpuset-mems", "Memory nodes that may be used (0-3, 0,1)"),
    Flag::list("device", "Give a device of the host to the container"),
    Flag::list("device-cgroup-rule", "Add a rule to the cgroup's list of devices")
        .check(text::device_cgroup_rule),
    Flag::list("device-read-bps", "Bytes a second to read from a device")
        .default("", "[]")
        .check(blkio::check_bytes),
    Flag::list("device-read-iops", "Reads a second from a device")
        .default("", "[]")
        .check(blkio::check_operations),
    Flag::list("device-write-bps", "Bytes a second to write to a device")
        .default("", "[]")
        .check(blkio::check_bytes),
    Flag::list("device-write-iops", "Writes a second to a device")
        .default("", "[]")
        .check(blkio::check_operations),
    Flag::switch("disable-content-trust", "Accepted, without effect").default("true", "true").hide(),
    Flag::list("dns", "Set name servers").check(text::ip_address),
    Flag::list("dns-opt", "Set options of resolv.conf").hide(),
    Flag::list("dns-option", "Set options of resolv.conf"),
    Flag::list("dns-search", "Set search domains").check(text::dns_search),
    Flag::string("domainname", "NIS domain name of the container"),
    Flag::string("entrypoint", "Replace the image's ENTRYPOINT"),
    Flag::list("env", "Set environment variables").short('e').check(text::env),
    Flag::list("env-file", "Read environment variables from a file"),
    Flag::list("expose", "Expose a port or a range of ports"),
    Flag::string("gpus", "GPUs to give to the container, or all")
        .label("gpu-request")
        .check(device::check_gpus),
    Flag::list("group-add", "Join more groups"),
    Flag::string("health-cmd", "Command that checks the container's health"),
    Flag::string("health-http", "URL that a healthy container answers: a request without a process in it"),
    Flag::duration("health-interval", "Time between two checks (ms|s|m|h)"),
    Flag::int("health-retries", "Failures in a row that make it unhealthy"),
    Flag::duration("health-start-interval", "Time between two checks during the start (ms|s|m|h)"),
    Flag::duration("health-start-period", "Time to start in which failures don't count (ms|s|m|h)"),
    Flag::string("health-tcp", "Address where a healthy container takes connections, such as :5432"),
    Flag::duration("health-timeout", "Longest time that a check may take (ms|s|m|h)"),
    Flag::switch("help", "Print usage"),
    Flag::string("hostname", "Host name of the container").short('h'),
    Flag::switch("init", "Run an init in the container that forwards signals and reaps processes"),
    Flag::switch("interactive", "Keep STDIN open, attached or not").short('i'),
    Flag::bytes("io-maxbandwidth", "Windows only").hide(),
    Flag::string("io-maxiops", "Windows only").label("uint").default("0", "").check(text::uint).hide(),
    Flag::string("ip", "IPv4 address (e.g., 172.30.100.104)"),
    Flag::string("ip6", "IPv6 address (e.g., 2001:db8::33)"),
    Flag::string("ipc", "IPC mode to use"),
    Flag::string("isolation", "How the container is isolated"),
    Flag::bytes("kernel-memory", "Limit of kernel memory").hide(),
    Flag::list("label", "Set metadata on the container").short('l').check(text::label),
    Flag::list("label-file", "Read labels from a file"),
    Flag::list("link", "Link to another container").check(text::link),
    Flag::list("link-local-ip", "Link-local addresses of the container"),
    Flag::string("log-driver", "Log driver of the container"),
    Flag::list("log-opt", "Options of the log driver"),
    Flag::string("mac-address", "MAC address (e.g., 92:d0:c6:0a:29:33)"),
    Flag::bytes("memory", "Limit of memory").short('m'),
    Flag::bytes("memory-reservation", "Soft limit of memory"),
    Flag::bytes("memory-swap", "Limit of memory and swap together: '-1' for unlimited swap"),
    Flag::int("memory-swappiness", "How readily memory is swapped out (0 to 100)").default("-1", "-1"),
    Flag::list("mount", "Mount a file system into the container").label("mount").check(mount::check),
    Flag::string("name", "Name of the container"),
    Flag::list("net", "Connect the container to a network").label("network").check(network::check).hide(),
    Flag::list("net-alias", "Name of the container on the network").hide(),
    Flag::list("network", "Connect the container to a network").label("network").check(network::check),
    Flag::list("network-alias", "Name of the container on the network"),
    Flag::switch("no-healthcheck", "Switch the image's HEALTHCHECK off"),
    Flag::switch("oom-kill-disable", "Switch the OOM killer off"),
    Flag::int("oom-score-adj", "What the OOM killer thinks of it (-1000 to 1000)"),
    Flag::string("pid", "PID namespace to use"),
    Flag::int("pids-limit", "Limit of processes (-1 for none)"),
    Flag::switch("privileged", "Give all rights to the container"),
    Flag::list("publish", "Publish a port of the container on the host").short('p'),
    Flag::switch("publish-all", "Publish all exposed ports on free ports of the host").short('P'),
    Flag::switch("read-only", "Mount the container's root file system read-only"),
    Flag::string("restart", "What to do when the container exits").default("no", "no"),
    Flag::switch("rm", "Remove the container and its anonymous volumes when it exits"),
    Flag::string("runtime", "OCI runtime to use"),
    Flag::list("security-opt", "Security options"),
    Flag::bytes("shm-size", "Size of /dev/shm"),
    Flag::string("stop-signal", "Signal that stops the container"),
    Flag::int("stop-timeout", "Seconds until a stopping container is killed"),
    Flag::list("storage-opt", "Options of the storage driver"),
    Flag::list("sysctl", "Kernel parameters").label("map").default("", "map[]").check(text::sysctl),
    Flag::list("tmpfs", "Mount a tmpfs at a path"),
    Flag::switch("tty", "Give the container a terminal").short('t'),
    Flag::list("ulimit", "Resource limits").label("ulimit").default("", "[]").check(ulimit::check),
    Flag::string("user", "User, by name or UID (format: <name|uid>[:<group|gid>])").short('u'),
    Flag::string("userns", "User namespace to use"),
    Flag::string("uts", "UTS namespace to use"),
    Flag::list("volume", "Mount a path of the host or a volume").short('v'),
    Flag::string("volume-driver", "Driver of the container's volumes"),
    Flag::list("volumes-from", "Mount the volumes of other containers"),
    Flag::string("workdir", "Working directory in the container").short('w'),
];

/// The flags of making a container, beside its configuration.
pub const CREATE: &[Flag] = &[
    Flag::string("platform", "Platform, when the daemon has several"),
    Flag::string("pull", "When to pull the image (\"always\", \"missing\", \"never\")")
        .default("missing", "missing"),
    Flag::switch("quiet", "Don't show how the pull goes on").short('q'),
];
