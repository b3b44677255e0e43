//! Golden files in `snapshots/`: the whole configuration of typical containers.

use super::*;
use brig_api::{
    ContainerConfig, DeviceMapping, ExecCreateRequest, HostConfig, ThrottleDevice, Ulimit, WeightDevice,
};
use brig_core::Id;
use brig_runtime::{capabilities::CapabilitySet, seccomp::Abi};
use oci_spec::runtime::Spec;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Everything that a test may change.
struct Container {
    config: ContainerConfig,
    host_config: HostConfig,
    user: ResolvedUser,
    args: Vec<String>,
    mounts: Vec<SpecMount>,
    namespaces: SpecNamespaces,
    host: SpecHost,
}

impl Container {
    fn new() -> Self {
        Self {
            config: ContainerConfig { hostname: "0123456789ab".to_owned(), ..ContainerConfig::default() },
            host_config: HostConfig { network_mode: "bridge".to_owned(), ..HostConfig::default() },
            user: ResolvedUser { home: "/root".to_owned(), ..ResolvedUser::default() },
            args: strings(&["sh", "-c", "true"]),
            mounts: Vec::new(),
            namespaces: SpecNamespaces {
                network: NamespaceOf::Joined,
                cgroup: NamespaceOf::Host,
                ..SpecNamespaces::default()
            },
            host: SpecHost {
                shm_size: 64 << 20,
                devices: Vec::new(),
                block_devices: BTreeMap::new(),
                capabilities: CapabilitySet::ALL,
                abi: Some(Abi::X86_64),
                kernel: (6, 1),
                thermal_paths: Vec::new(),
                has_ping_group_range: true,
                has_unprivileged_port_start: true,
            },
        }
    }

    /// With the seccomp rules in it.
    fn build(&self) -> Result<Spec, SpecError> {
        let id = Id::random();
        let Built { mut spec, filter } = build(&SpecInput {
            id: &id,
            config: &self.config,
            host_config: &self.host_config,
            hostname: &self.config.hostname,
            linked: &[],
            args: &self.args,
            user: &self.user,
            mounts: &self.mounts,
            files: &SpecFiles {
                hosts: Some(Path::new("/c/hosts")),
                hostname: Some(Path::new("/c/hostname")),
                resolv_conf: Some(Path::new("/c/resolv.conf")),
            },
            namespaces: self.namespaces,
            cgroup_path: "/brig/0123",
            host: &self.host,
        })?;
        spec.linux_mut().as_mut().unwrap().set_seccomp(filter.rules()?);
        Ok(spec)
    }

    fn spec(&self) -> Spec {
        self.build().unwrap()
    }

    /// As text that is the same each time: sets sorted, the seccomp profile (tested elsewhere) cut short.
    fn golden(&self) -> String {
        let mut value = serde_json::to_value(self.spec()).unwrap();
        if let Some(sets) = value.pointer_mut("/process/capabilities").and_then(Value::as_object_mut) {
            for set in sets.values_mut().filter_map(Value::as_array_mut) {
                set.sort_by_key(ToString::to_string);
            }
        }
        if let Some(rules) = value.pointer_mut("/linux/seccomp/syscalls") {
            *rules = format!("{} rules", rules.as_array().unwrap().len()).into();
        }
        serde_json::to_string_pretty(&value).unwrap()
    }

    fn mount(&self, destination: &str) -> Option<Value> {
        let value = serde_json::to_value(self.spec()).unwrap();
        let mounts = value["mounts"].as_array().unwrap();
        mounts.iter().find(|mount| mount["destination"] == destination).cloned()
    }
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

fn bind(destination: &str, read_only: bool, propagation: &str) -> SpecMount {
    SpecMount {
        destination: destination.to_owned(),
        source: SpecSource::Bind {
            path: PathBuf::from("/src"),
            beneath: None,
            propagation: propagation.to_owned(),
            non_recursive: false,
            read_only_non_recursive: false,
        },
        read_only,
    }
}

fn fuse() -> HostDevice {
    HostDevice {
        path: PathBuf::from("/dev/fuse"),
        character: true,
        major: 10,
        minor: 229,
        mode: 0o666,
        uid: 0,
        gid: 0,
        permissions: "rw".to_owned(),
    }
}

#[test]
fn a_plain_container() {
    insta::assert_snapshot!(Container::new().golden());
}

#[test]
fn a_privileged_container() {
    let mut container = Container::new();
    container.host_config.privileged = true;
    container.host.devices = vec![HostDevice { permissions: "rwm".to_owned(), ..fuse() }];
    insta::assert_snapshot!(container.golden());
}

#[test]
fn a_container_with_everything() {
    let mut container = Container::new();
    container.config.tty = true;
    container.config.domainname = "example.org".to_owned();
    container.config.working_dir = "/work".to_owned();
    container.config.env = Some(strings(&["PATH=/bin", "A=1", "HOME=/tmp", "TERM"]));
    container.user =
        ResolvedUser { uid: 33, gid: 34, additional_gids: vec![10, 29], home: "/srv".to_owned() };
    container.namespaces.cgroup = NamespaceOf::New;
    container.mounts = vec![
        bind("/data/inner", true, ""),
        bind("/data", false, "rslave"),
        bind("/shared", false, "rshared"),
        SpecMount {
            destination: "/run".to_owned(),
            source: SpecSource::Tmpfs { options: strings(&["size=64m", "exec", "mode=700"]) },
            read_only: false,
        },
    ];
    container.host.devices = vec![fuse()];
    container.host.block_devices = BTreeMap::from([("/dev/sda".to_owned(), (8, 0))]);
    container.host.thermal_paths = strings(&["/sys/devices/system/cpu/cpu0/thermal_throttle"]);
    let throttle = |rate| Some(vec![ThrottleDevice { path: "/dev/sda".to_owned(), rate }]);
    container.host_config = HostConfig {
        network_mode: "bridge".to_owned(),
        cap_add: Some(strings(&["net_admin"]).into()),
        cap_drop: Some(strings(&["MKNOD"]).into()),
        security_opt: Some(strings(&["no-new-privileges"])),
        readonly_rootfs: true,
        shm_size: 1 << 20,
        oom_score_adj: 500,
        memory: 256 << 20,
        memory_swap: 512 << 20,
        memory_reservation: 128 << 20,
        memory_swappiness: Some(10),
        oom_kill_disable: Some(true),
        nano_cpus: 1_500_000_000,
        cpu_shares: 512,
        cpuset_cpus: "0-1".to_owned(),
        cpuset_mems: "0".to_owned(),
        pids_limit: Some(100),
        blkio_weight: 300,
        blkio_weight_device: Some(vec![WeightDevice { path: "/dev/sda".to_owned(), weight: 200 }]),
        blkio_device_read_bps: throttle(1),
        blkio_device_write_bps: throttle(2),
        blkio_device_read_iops: throttle(3),
        blkio_device_write_iops: throttle(4),
        ulimits: Some(vec![
            Ulimit { name: "nofile".to_owned(), soft: 1024, hard: 2048 },
            Ulimit { name: "core".to_owned(), soft: -1, hard: -1 },
        ]),
        device_cgroup_rules: Some(strings(&["c 13:* rw", "b *:* r"])),
        sysctls: Some(BTreeMap::from([(
            "net.ipv4.ip_unprivileged_port_start".to_owned(),
            "1024".to_owned(),
        )])),
        annotations: Some(BTreeMap::from([("org.example".to_owned(), "1".to_owned())])),
        ..HostConfig::default()
    };
    insta::assert_snapshot!(container.golden());
}

#[test]
fn the_host_s_namespaces() {
    let mut container = Container::new();
    let host = NamespaceOf::Host;
    container.namespaces = SpecNamespaces { network: host, pid: host, ipc: host, uts: host, cgroup: host };
    container.host_config.network_mode = "host".to_owned();
    let spec = container.spec();
    let namespaces = spec.linux().as_ref().unwrap().namespaces().clone().unwrap();
    assert_eq!(namespaces.len(), 1, "the mount namespace is always its own");
    assert_eq!(*spec.hostname(), None);
    assert!(spec.linux().as_ref().unwrap().sysctl().as_ref().unwrap().is_empty());
    assert_eq!(container.mount("/dev/shm").unwrap()["source"], "/dev/shm");
}

#[test]
fn another_container_s_network_keeps_its_settings() {
    let mut container = Container::new();
    container.host_config.network_mode = "container:0123".to_owned();
    assert!(container.spec().linux().as_ref().unwrap().sysctl().as_ref().unwrap().is_empty());
}

#[test]
fn mounts_of_the_user_replace_docker_s() {
    let mut container = Container::new();
    container.mounts = vec![bind("/dev/shm", false, "")];
    assert_eq!(container.mount("/dev/shm").unwrap()["type"], "bind");
    assert!(container.mount("/dev/mqueue").is_some());
    container.mounts = vec![bind("/dev", false, "")];
    for gone in ["/dev/pts", "/dev/mqueue", "/dev/shm"] {
        assert_eq!(container.mount(gone), None, "{gone}");
    }
    container.mounts = vec![bind("/etc", false, "")];
    let spec = container.spec();
    let order: Vec<_> =
        spec.mounts().iter().flatten().map(|mount| mount.destination().to_str().unwrap()).collect();
    let at = |path: &str| order.iter().position(|known| *known == path).unwrap();
    assert!(at("/etc") < at("/etc/hosts"), "{order:?}");
}

#[test]
fn ipc_none_has_no_shared_memory() {
    let mut container = Container::new();
    container.host_config.ipc_mode = "none".to_owned();
    assert_eq!(container.mount("/dev/shm"), None);
}

#[test]
fn propagation_of_volumes_makes_that_of_the_root() {
    let root = |propagations: &[&str]| {
        let mut container = Container::new();
        container.mounts = propagations.iter().map(|propagation| bind("/a", false, propagation)).collect();
        container.spec().linux().as_ref().unwrap().rootfs_propagation().clone()
    };
    assert_eq!(root(&["", "private"]), None);
    assert_eq!(root(&["slave"]).unwrap(), "rslave");
    assert_eq!(root(&["rshared", "rslave"]).unwrap(), "shared");
    assert_eq!(root(&["rslave", "shared"]).unwrap(), "shared");
}

#[test]
fn tmpfs_options_merge_and_are_checked() {
    let options = |given: &[&str]| tmpfs::options(&strings(given)).map(|merged| merged.join(","));
    assert_eq!(options(&[]).unwrap(), "noexec,nosuid,nodev,rprivate");
    assert_eq!(
        options(&["exec", "size=1m", "size=2m", "defaults"]).unwrap(),
        "nosuid,nodev,rprivate,exec,size=2m"
    );
    assert_eq!(options(&["ro", "rw"]).unwrap(), "noexec,nosuid,nodev,rprivate,rw");
    assert_eq!(options(&["bogus"]).unwrap_err().to_string(), "invalid tmpfs option \"bogus\"");
    assert_eq!(options(&["x=1"]).unwrap_err().to_string(), "invalid tmpfs option \"x\"");
}

#[test]
fn the_environment_as_docker_makes_it() {
    let env = |tty, own: &[&str]| process::environment(tty, "h", "/root", &[], &strings(own));
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(env(false, &[]), [path, "HOSTNAME=h", "HOME=/root"]);
    assert_eq!(env(true, &["A=1"]), [path, "HOSTNAME=h", "TERM=xterm", "A=1", "HOME=/root"]);
    assert_eq!(
        env(true, &["PATH=/x", "TERM=vt100", "HOSTNAME", "HOME=/h"]),
        ["PATH=/x", "TERM=vt100", "HOME=/h"]
    );
    assert_eq!(env(false, &["A=1", "A=2"]), [path, "HOSTNAME=h", "A=2", "HOME=/root"]);
}

#[test]
fn seccomp_as_asked_for() {
    let with = |options: &[&str], privileged: bool| {
        let mut container = Container::new();
        container.host_config.security_opt = Some(strings(options));
        container.host_config.privileged = privileged;
        container.build().map(|spec| spec.linux().as_ref().unwrap().seccomp().clone())
    };
    assert!(with(&[], false).unwrap().is_some());
    assert!(with(&["seccomp=builtin"], false).unwrap().is_some());
    assert!(with(&["seccomp=unconfined"], false).unwrap().is_none());
    assert!(with(&[], true).unwrap().is_none());
    let own = r#"seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO"}]}"#;
    for privileged in [false, true] {
        let filter = with(&[own], privileged).unwrap().unwrap();
        assert_eq!(filter.syscalls().as_ref().unwrap()[0].names(), &["mkdir".to_owned()]);
    }
    let error = with(&["seccomp={"], false).unwrap_err().to_string();
    assert!(error.starts_with("Decoding seccomp profile failed: "), "{error}");
}

#[test]
fn hidden_paths_as_asked_for() {
    let with = |masked: Option<Vec<String>>| {
        let mut container = Container::new();
        container.host_config.masked_paths = masked;
        container.spec().linux().as_ref().unwrap().masked_paths().clone()
    };
    assert!(with(None).unwrap().contains(&"/proc/kcore".to_owned()));
    assert_eq!(with(Some(Vec::new())), None);
    assert_eq!(with(Some(strings(&["/x"]))).unwrap(), ["/x"]);
}

#[test]
fn what_brig_lacks_is_left_out_unless_it_is_named() {
    let mut container = Container::new();
    container.host.capabilities = CapabilitySet::DOCKER_DEFAULT;
    container.host_config.cap_add = Some(strings(&["ALL"]).into());
    let bounding = |container: &Container| {
        let spec = container.spec();
        let process = spec.process().clone().unwrap();
        CapabilitySet::from_oci(process.capabilities().as_ref().unwrap().bounding().as_ref())
    };
    assert_eq!(bounding(&container), CapabilitySet::DOCKER_DEFAULT);
    container.host_config.cap_add = Some(strings(&["SYS_ADMIN"]).into());
    assert!(matches!(container.build(), Err(SpecError::Capability(_))));
}

#[test]
fn an_exec_has_the_container_s_rights() {
    let container = Container::new();
    let process = container.spec().process().clone().unwrap();
    let request = ExecCreateRequest {
        tty: true,
        cmd: Some(strings(&["ls"])),
        env: Some(strings(&["A=1", "PATH=/x"])),
        working_dir: "/tmp".to_owned(),
        ..ExecCreateRequest::default()
    };
    let runs_as = ResolvedUser { uid: 33, gid: 33, additional_gids: vec![], home: "/srv".to_owned() };
    let exec = exec_process(&process, &request, &runs_as).unwrap();
    assert_eq!(exec.args().as_ref().unwrap(), &["ls".to_owned()]);
    assert_eq!(
        exec.env().as_ref().unwrap(),
        &strings(&["PATH=/x", "HOSTNAME=0123456789ab", "HOME=/srv", "TERM=xterm", "A=1"])
    );
    assert_eq!(exec.cwd(), Path::new("/tmp"));
    assert_eq!((exec.user().uid(), exec.terminal()), (33, Some(true)));
    assert_eq!(exec.capabilities(), process.capabilities());
    let privileged = ExecCreateRequest { privileged: true, ..request };
    let exec = exec_process(&process, &privileged, &runs_as).unwrap();
    assert_ne!(exec.capabilities(), process.capabilities());
}

#[test]
fn devices_are_looked_up() {
    let mapping = |on_host: &str, inside: &str| {
        let devices = Some(vec![DeviceMapping {
            path_on_host: on_host.to_owned(),
            path_in_container: inside.to_owned(),
            cgroup_permissions: String::new(),
        }]);
        SpecHost::look_up(&HostConfig { devices, ..HostConfig::default() }, 1)
    };
    let found = mapping("/dev/null", "/dev/nothing").unwrap().devices;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, Path::new("/dev/nothing"));
    assert_eq!((found[0].major, found[0].minor, found[0].character), (1, 3, true));
    assert_eq!(found[0].permissions, "rwm");
    assert_eq!(
        mapping("/no/such/device", "").unwrap_err().to_string(),
        "error gathering device information while adding custom device \"/no/such/device\": no such file or directory"
    );
    assert_eq!(
        mapping("/etc/passwd", "").unwrap_err().to_string(),
        "error gathering device information while adding custom device \"/etc/passwd\": not a device node"
    );
    let all =
        SpecHost::look_up(&HostConfig { privileged: true, ..HostConfig::default() }, 1).unwrap().devices;
    assert!(all.iter().any(|device| device.path == Path::new("/dev/null")));
    assert!(!all.iter().any(|device| device.path.starts_with("/dev/pts") || device.path.ends_with("ptmx")));
    let weight = Some(vec![WeightDevice { path: "/no/such".to_owned(), weight: 10 }]);
    let error = SpecHost::look_up(&HostConfig { blkio_weight_device: weight, ..HostConfig::default() }, 1);
    assert_eq!(error.unwrap_err().to_string(), "stat /no/such: no such file or directory");
}

#[test]
fn a_machine_without_limits_gets_none() {
    let mut container = Container::new();
    container.host_config.memory_swap = -1;
    let spec = container.spec();
    let resources = spec.linux().as_ref().unwrap().resources().clone().unwrap();
    assert_eq!(*resources.memory(), None);
    assert_eq!(*resources.cpu(), None);
    assert_eq!(*resources.pids(), None);
    assert_eq!(*resources.block_io(), None);
}
