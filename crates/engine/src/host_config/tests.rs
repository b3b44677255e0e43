use super::*;
use brig_api::{HealthConfig, PortBinding, RestartPolicy, ThrottleDevice, Ulimit, json::from_slice};

/// A machine that has everything.
fn machine() -> Machine {
    Machine {
        capabilities: brig_runtime::capabilities::CapabilitySet::ALL,
        kernel: (6, 1),
        cgroup_v2: false,
        memory_limit: true,
        swap_limit: true,
        memory_reservation: true,
        memory_swappiness: true,
        oom_kill_disable: true,
        cpu_shares: true,
        cpu_quota: true,
        cpu_realtime: true,
        cpuset: true,
        cpus: "0-3".to_owned(),
        mems: "0".to_owned(),
        cpu_count: 4,
        blkio_weight: true,
        blkio_weight_device: true,
        blkio_throttle: true,
        pids_limit: true,
        ipv4_forwarding: true,
        thermal_paths: Vec::new(),
        has_ping_group_range: true,
        has_unprivileged_port_start: true,
    }
}

/// What comes of a host configuration, written as clients do.
fn host(json: &str) -> Result<(HostConfig, Vec<String>), String> {
    let mut host: HostConfig = from_slice(json.as_bytes()).unwrap();
    let warnings =
        check(&mut ContainerConfig::default(), &mut host, &machine()).map_err(|e| e.to_string())?;
    Ok((host, warnings))
}

fn refused(json: &str) -> String {
    host(json).expect_err(json)
}

fn config(change: impl FnOnce(&mut ContainerConfig)) -> Result<ContainerConfig, String> {
    let mut config = ContainerConfig::default();
    change(&mut config);
    check(&mut config, &mut HostConfig::default(), &machine()).map_err(|e| e.to_string())?;
    Ok(config)
}

#[test]
fn nothing_asked_for_gets_docker_s_defaults() {
    let (host, warnings) = host("{}").unwrap();
    assert_eq!(warnings, [""; 0]);
    assert_eq!(host.network_mode, "bridge");
    assert_eq!(host.ipc_mode, "private");
    assert_eq!(host.cgroupns_mode, "host");
    assert_eq!(host.oom_kill_disable, Some(false));
    assert!(host.masked_paths.unwrap().contains(&"/proc/kcore".to_owned()));
    assert!(host.readonly_paths.unwrap().contains(&"/proc/sys".to_owned()));
    let mut unified = HostConfig::default();
    let v2 = Machine { cgroup_v2: true, ..machine() };
    check(&mut ContainerConfig::default(), &mut unified, &v2).unwrap();
    assert_eq!(unified.cgroupns_mode, "private");
}

#[test]
fn memory() {
    assert_eq!(refused(r#"{"Memory":1048576}"#), "Minimum memory limit allowed is 6MB");
    assert_eq!(refused(r#"{"Memory":-1}"#), "Minimum memory limit allowed is 6MB");
    assert_eq!(
        refused(r#"{"Memory":67108864,"MemorySwap":33554432}"#),
        "Minimum memoryswap limit should be larger than memory limit, see usage"
    );
    assert_eq!(
        refused(r#"{"MemorySwap":33554432}"#),
        "You should always set the Memory limit when using Memoryswap limit, see usage"
    );
    assert_eq!(
        refused(r#"{"MemorySwappiness":101}"#),
        "Invalid value: 101, valid memory swappiness range is 0-100"
    );
    assert_eq!(refused(r#"{"MemoryReservation":1}"#), "Minimum memory reservation allowed is 6MB");
    assert_eq!(
        refused(r#"{"Memory":8388608,"MemoryReservation":16777216}"#),
        "Minimum memory limit can not be less than memory reservation limit, see usage"
    );
    assert_eq!(host(r#"{"Memory":67108864}"#).unwrap().0.memory_swap, 134_217_728);
    assert_eq!(host(r#"{"Memory":67108864,"MemorySwap":-1}"#).unwrap().0.memory_swap, -1);
    assert_eq!(host(r#"{"MemorySwappiness":-1}"#).unwrap().0.memory_swappiness, None);
    let (_, warnings) = host(r#"{"OomKillDisable":true}"#).unwrap();
    assert!(warnings[0].starts_with("OOM killer is disabled for the container, but no memory limit is set"));
}

#[test]
fn cpu() {
    let conflict = "Conflicting options: Nano CPUs and CPU";
    assert_eq!(
        refused(r#"{"NanoCpus":1,"CpuPeriod":1000}"#),
        format!("{conflict} Period cannot both be set")
    );
    assert_eq!(refused(r#"{"NanoCpus":1,"CpuQuota":1000}"#), format!("{conflict} Quota cannot both be set"));
    for nano in ["-1", "4000000001"] {
        assert_eq!(
            refused(&format!(r#"{{"NanoCpus":{nano}}}"#)),
            "Range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available"
        );
    }
    assert_eq!(refused(r#"{"CpuShares":-1}"#), "shares: invalid argument");
    for period in ["1", "1000001", "-1"] {
        assert_eq!(
            refused(&format!(r#"{{"CpuPeriod":{period}}}"#)),
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        );
    }
    assert_eq!(refused(r#"{"CpuQuota":999}"#), "CPU cfs quota can not be less than 1ms (i.e. 1000)");
    assert_eq!(
        refused(r#"{"CpusetCpus":"0-4"}"#),
        "Requested CPUs are not available - requested 0-4, available: 0-3"
    );
    assert_eq!(
        refused(r#"{"CpusetMems":"1"}"#),
        "Requested memory nodes are not available - requested 1, available: 0"
    );
    assert_eq!(refused(r#"{"CpusetCpus":"x"}"#), "Invalid value x for cpuset cpus");
    assert_eq!(refused(r#"{"CpusetCpus":"3-1"}"#), "Invalid value 3-1 for cpuset cpus");
    assert_eq!(
        refused(r#"{"CpuRealtimePeriod":5,"CpuRealtimeRuntime":6}"#),
        "cpu real-time runtime cannot be higher than cpu real-time period"
    );
    assert_eq!(host(r#"{"CpuShares":1}"#).unwrap().0.cpu_shares, 2);
    assert_eq!(host(r#"{"CpuShares":999999}"#).unwrap().0.cpu_shares, 262_144);
}

#[test]
fn other_limits() {
    assert_eq!(refused(r#"{"BlkioWeight":9}"#), "Range of blkio weight is from 10 to 1000");
    assert_eq!(refused(r#"{"BlkioWeight":1001}"#), "Range of blkio weight is from 10 to 1000");
    assert_eq!(refused(r#"{"ShmSize":-1}"#), "SHM size can not be less than 0");
    assert_eq!(
        refused(r#"{"OomScoreAdj":1001}"#),
        "Invalid value 1001, range for oom score adj is [-1000, 1000]"
    );
    assert_eq!(
        refused(r#"{"IOMaximumBandwidth":1}"#),
        "invalid option: QoS maximum bandwidth configuration is not supported on linux"
    );
    assert_eq!(refused(r#"{"DeviceCgroupRules":["c 1:3"]}"#), "invalid device cgroup rule format: 'c 1:3'");
    assert_eq!(
        refused(r#"{"DeviceCgroupRules":["c 1:3 rwmr"]}"#),
        "invalid device cgroup rule format: 'c 1:3 rwmr'"
    );
    host(r#"{"DeviceCgroupRules":["c 1:3 mr","a *:* rwm"]}"#).unwrap();
    let bad = HostConfig {
        ulimits: Some(vec![Ulimit { name: "bogus".to_owned(), soft: 1, hard: 1 }]),
        ..HostConfig::default()
    };
    let error = check(&mut ContainerConfig::default(), &mut bad.clone(), &machine()).unwrap_err();
    assert_eq!(error.to_string(), "invalid ulimit type: bogus");
    assert_eq!(error.kind(), Kind::InvalidParameter);
}

#[test]
fn what_the_machine_lacks_is_left_out_with_a_warning() {
    let bare = Machine {
        memory_limit: false,
        memory_reservation: false,
        memory_swappiness: false,
        oom_kill_disable: false,
        cpu_shares: false,
        cpu_quota: false,
        cpuset: false,
        blkio_weight: false,
        blkio_weight_device: false,
        blkio_throttle: false,
        pids_limit: false,
        ipv4_forwarding: false,
        ..machine()
    };
    let throttle = || Some(vec![ThrottleDevice { path: "/dev/sda".to_owned(), rate: 1 }]);
    let mut host = HostConfig {
        memory: 64 << 20,
        memory_reservation: 32 << 20,
        memory_swappiness: Some(1),
        oom_kill_disable: Some(true),
        cpu_shares: 5,
        cpu_period: 1000,
        cpuset_cpus: "0".to_owned(),
        blkio_weight: 10,
        blkio_device_read_bps: throttle(),
        blkio_device_write_iops: throttle(),
        pids_limit: Some(5),
        ..HostConfig::default()
    };
    let warnings = check(&mut ContainerConfig::default(), &mut host, &bare).unwrap();
    assert_eq!(warnings.len(), 12, "{warnings:#?}");
    assert!(warnings.contains(
        &"Your kernel does not support IOPS Block write limit or the cgroup is not mounted. Block I/O IOPS write \
          limit discarded."
            .to_owned()
    ));
    assert!(warnings.contains(&"IPv4 forwarding is disabled. Networking will not work.".to_owned()));
    assert_eq!((host.memory, host.cpu_shares, host.pids_limit), (0, 0, None));
    assert_eq!(host.blkio_device_read_bps, Some(vec![]));
    let error = check(
        &mut ContainerConfig::default(),
        &mut HostConfig { nano_cpus: 1, ..HostConfig::default() },
        &bare,
    );
    assert!(error.unwrap_err().to_string().starts_with("NanoCPUs can not be set"));
}

#[test]
fn modes_of_namespaces() {
    for (json, words) in [
        (r#"{"IpcMode":"x"}"#, "invalid IPC mode: x"),
        (r#"{"IpcMode":"container:"}"#, "invalid IPC mode: container:"),
        (r#"{"PidMode":"private"}"#, "invalid PID mode: private"),
        (r#"{"UTSMode":"private"}"#, "invalid UTS mode: private"),
        (r#"{"CgroupnsMode":"x"}"#, "invalid cgroup namespace mode: x"),
        (r#"{"UsernsMode":"x"}"#, "invalid user namespace mode: x"),
        (r#"{"Isolation":"hyperv"}"#, "invalid isolation (hyperv): linux only supports 'default'"),
        (
            r#"{"NetworkMode":"container:"}"#,
            "invalid network mode: invalid container format container:<name|id>",
        ),
    ] {
        assert_eq!(refused(json), words);
    }
    host(r#"{"IpcMode":"container:x","PidMode":"host","UTSMode":"host","CgroupnsMode":"private"}"#).unwrap();
}

#[test]
fn what_excludes_each_other() {
    for (json, words) in [
        (
            r#"{"NetworkMode":"host","Links":["a:b"]}"#,
            "conflicting options: host type networking can't be used with links. This would result in undefined \
             behavior",
        ),
        (
            r#"{"NetworkMode":"container:x","Links":["a:b"]}"#,
            "conflicting options: container type network can't be used with links. This would result in undefined \
             behavior",
        ),
        (
            r#"{"NetworkMode":"container:x","Dns":["1.1.1.1"]}"#,
            "conflicting options: dns and the network mode",
        ),
        (
            r#"{"NetworkMode":"container:x","ExtraHosts":["a:1.1.1.1"]}"#,
            "conflicting options: custom host-to-IP mapping and the network mode",
        ),
        (
            r#"{"NetworkMode":"container:x","PublishAllPorts":true}"#,
            "conflicting options: port publishing and the container type network mode",
        ),
        (
            r#"{"AutoRemove":true,"RestartPolicy":{"Name":"always"}}"#,
            "can't create 'AutoRemove' container with restart policy",
        ),
    ] {
        assert_eq!(refused(json), words);
    }
    let mut config = ContainerConfig { hostname: "h".to_owned(), ..ContainerConfig::default() };
    let mut shared = HostConfig { network_mode: "container:x".to_owned(), ..HostConfig::default() };
    let error = check(&mut config, &mut shared, &machine()).unwrap_err();
    assert_eq!(error.to_string(), "conflicting options: hostname and the network mode");
    let mut uts = HostConfig { uts_mode: "host".to_owned(), ..HostConfig::default() };
    let error = check(&mut config, &mut uts, &machine()).unwrap_err();
    assert_eq!(error.to_string(), "conflicting options: hostname and the UTS mode");
}

#[test]
fn restart_policies() {
    let policy = |name: &str, count| {
        let policy = RestartPolicy { name: name.to_owned(), maximum_retry_count: count };
        let mut host = HostConfig { restart_policy: policy, ..HostConfig::default() };
        check(&mut ContainerConfig::default(), &mut host, &machine()).map(drop).map_err(|e| e.to_string())
    };
    for (name, count) in [("", 0), ("no", 0), ("always", 0), ("unless-stopped", 0), ("on-failure", 3)] {
        policy(name, count).unwrap();
    }
    let only = "invalid restart policy: maximum retry count can only be used with 'on-failure'";
    assert_eq!(policy("always", 1).unwrap_err(), only);
    assert_eq!(policy("", 5).unwrap_err(), only);
    assert_eq!(policy("no", -1).unwrap_err(), format!("{only} and cannot be negative"));
    assert_eq!(
        policy("on-failure", -1).unwrap_err(),
        "invalid restart policy: maximum retry count cannot be negative"
    );
    assert_eq!(
        policy("bogus", 0).unwrap_err(),
        "invalid restart policy: unknown policy 'bogus'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
    );
}

#[test]
fn names_and_ports() {
    assert_eq!(refused(r#"{"ExtraHosts":["bogus"]}"#), "bad format for add-host: \"bogus\"");
    assert_eq!(refused(r#"{"ExtraHosts":["a:bogus"]}"#), "invalid IP address in add-host: \"bogus\"");
    host(r#"{"ExtraHosts":["a:1.2.3.4","b:::1","c=[::1]","d:host-gateway"]}"#).unwrap();
    assert_eq!(refused(r#"{"PortBindings":{"x/tcp":[]}}"#), "invalid port specification: \"x\"");
    assert_eq!(refused(r#"{"PortBindings":{"70000/tcp":[]}}"#), "invalid port specification: \"70000\"");
    assert_eq!(
        refused(r#"{"PortBindings":{"80/tcp":[{"HostPort":"8000-7000"}]}}"#),
        "invalid port specification: \"8000-7000\""
    );
    host(r#"{"PortBindings":{"80/tcp":[{"HostPort":"8000-8010","HostIp":"::1"}],"53/udp":null,"9/SCTP":[{}]}}"#).unwrap();
    let (_, warnings) = host(r#"{"NetworkMode":"host","PortBindings":{"80/tcp":[{}]}}"#).unwrap();
    assert_eq!(warnings, ["Published ports are discarded when using host network mode"]);
    let exposed = config(|config| {
        config.exposed_ports = Some([("x/tcp".to_owned(), Default::default())].into());
    });
    assert_eq!(exposed.unwrap_err(), "invalid port specification: \"x/tcp\"");
    let binding = PortBinding { host_ip: "x".to_owned(), host_port: String::new() };
    let mut bad = HostConfig {
        port_bindings: Some([("80/tcp".to_owned(), Some(vec![binding]))].into()),
        ..HostConfig::default()
    };
    assert!(check(&mut ContainerConfig::default(), &mut bad, &machine()).is_err());
}

#[test]
fn no_text_brings_a_line_of_its_own() {
    use super::extra_host;
    for bad in ["a\nb", "a\rb", "a\0", "\u{1b}[2J", "a\tb"] {
        let text = serde_json::to_string(bad).unwrap();
        assert_eq!(
            refused(&format!(r#"{{"DnsSearch":[{text}]}}"#)),
            format!("{bad:?} is not a valid domain")
        );
        assert_eq!(refused(&format!(r#"{{"DnsOptions":[{text}]}}"#)), format!("invalid DNS option: {bad:?}"));
        assert!(refused(&format!(r#"{{"Dns":[{text}]}}"#)).starts_with("bad nameserver address: "));
        let hostname = config(|config| config.hostname = bad.to_owned()).unwrap_err();
        assert_eq!(hostname, format!("invalid hostname format: {bad:?}"));
        let domain = config(|config| config.domainname = bad.to_owned()).unwrap_err();
        assert_eq!(domain, format!("invalid hostname format: {bad:?}"));
    }
    for bad in ["a\nb:1.2.3.4", "a:1.2.3.4\n6.6.6.6 b", "x:\n6.6.6.6 b=1.2.3.4"] {
        let text = serde_json::to_string(bad).unwrap();
        let words = format!("bad format for add-host: {bad:?}");
        assert_eq!(refused(&format!(r#"{{"ExtraHosts":[{text}]}}"#)), words);
    }
    assert_eq!(extra_host("a:::1"), Some(("a", "::1")));
    assert_eq!(extra_host("a=[::1]"), Some(("a", "::1")));
    assert_eq!(extra_host("=1.2.3.4"), None);
    host(r#"{"DnsSearch":["."],"DnsOptions":["ndots:2"]}"#).unwrap();
}

#[test]
fn capabilities_by_name() {
    assert_eq!(refused(r#"{"CapAdd":["FOO"]}"#), r#"invalid CapAdd: unknown capability: "CAP_FOO""#);
    assert_eq!(refused(r#"{"CapDrop":["cap_bar"]}"#), r#"invalid CapDrop: unknown capability: "CAP_BAR""#);
    host(r#"{"CapAdd":["all","net_admin"],"CapDrop":"CHOWN"}"#).unwrap();
    let mut wants =
        HostConfig { cap_add: Some(vec!["SYS_RESOURCE".to_owned()].into()), ..HostConfig::default() };
    let without = brig_runtime::capabilities::CapabilitySet::DOCKER_DEFAULT;
    let bare = Machine { capabilities: without, ..machine() };
    let error = check(&mut ContainerConfig::default(), &mut wants, &bare).unwrap_err().to_string();
    assert_eq!(
        error,
        "invalid CapAdd: capability not supported by your kernel or not available in the current environment: \
         \"CAP_SYS_RESOURCE\""
    );
}

#[test]
fn security_options() {
    let parse = |options: &[&str]| {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        SecurityOptions::parse(Some(&options)).map_err(|e| e.to_string())
    };
    let all =
        parse(&["no-new-privileges", "seccomp={\"a\":1}", "apparmor:x", "label=disable", "disable"]).unwrap();
    assert!(all.no_new_privileges);
    assert_eq!(all.seccomp.unwrap(), "{\"a\":1}");
    assert_eq!(all.apparmor.unwrap(), "x");
    assert_eq!(all.labels, ["disable", "disable"]);
    assert!(!parse(&["no-new-privileges=false"]).unwrap().no_new_privileges);
    assert_eq!(parse(&["bogus"]).unwrap_err(), "invalid --security-opt 1: \"bogus\"");
    assert_eq!(parse(&["bogus=1"]).unwrap_err(), "invalid --security-opt 2: \"bogus=1\"");
    assert_eq!(
        parse(&["no-new-privileges=maybe"]).unwrap_err(),
        "invalid --security-opt 2: \"no-new-privileges=maybe\""
    );
    assert!(refused(r#"{"SecurityOpt":["bogus"]}"#).contains("invalid --security-opt 1"));
}

#[test]
fn the_container_itself() {
    assert_eq!(
        config(|config| config.working_dir = "relative".to_owned()).unwrap_err(),
        "the working directory 'relative' is invalid, it needs to be an absolute path"
    );
    assert_eq!(config(|config| config.working_dir = "/a//b/../c/".to_owned()).unwrap().working_dir, "/a/c");
    assert_eq!(
        config(|config| config.env = Some(vec!["=x".to_owned()])).unwrap_err(),
        "invalid environment variable: =x"
    );
    assert_eq!(
        config(|config| config.stop_signal = "BOGUS".to_owned()).unwrap_err(),
        "invalid signal: BOGUS"
    );
    let health = |health: HealthConfig| config(|config| config.healthcheck = Some(health)).map(drop);
    assert_eq!(
        health(HealthConfig { interval: 1, ..HealthConfig::default() }).unwrap_err(),
        "Interval in Healthcheck cannot be less than 1ms"
    );
    assert_eq!(
        health(HealthConfig { retries: -1, ..HealthConfig::default() }).unwrap_err(),
        "Retries in Healthcheck cannot be negative"
    );
    health(HealthConfig { timeout: 1_000_000, ..HealthConfig::default() }).unwrap();
    assert_eq!(
        refused(r#"{"Annotations":{"":"x"}}"#),
        "invalid Annotations: the empty string is not permitted as an annotation key"
    );
}

#[test]
fn what_would_be_left_out_is_refused() {
    for (json, text) in [
        (r#"{"Runtime":"runsc"}"#, "unknown or invalid runtime name: runsc"),
        (
            r#"{"StorageOpt":{"size":"1m"}}"#,
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
        ),
    ] {
        assert_eq!(host(json).unwrap_err(), text);
    }
    host(r#"{"Runtime":"runc","StorageOpt":{},"DeviceRequests":[],"VolumeDriver":"local"}"#).unwrap();
}
