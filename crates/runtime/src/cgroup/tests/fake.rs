//! Folders with the kernel's files in them: every written text is looked at.

use super::*;
use std::collections::BTreeMap;

/// What a fresh group has, in both versions.
const V1_FILES: &[&str] = &[
    "cgroup.procs",
    "cpu.shares",
    "cpu.cfs_period_us",
    "cpu.cfs_quota_us",
    "cpu.cfs_burst_us",
    "cpu.rt_period_us",
    "cpu.rt_runtime_us",
    "cpu.idle",
    "cpuset.cpus",
    "cpuset.mems",
    "memory.limit_in_bytes",
    "memory.memsw.limit_in_bytes",
    "memory.soft_limit_in_bytes",
    "memory.swappiness",
    "memory.oom_control",
    "pids.max",
    "blkio.bfq.weight",
    "blkio.bfq.weight_device",
    "blkio.throttle.read_bps_device",
    "blkio.throttle.write_bps_device",
    "blkio.throttle.read_iops_device",
    "blkio.throttle.write_iops_device",
    "hugetlb.2MB.limit_in_bytes",
    "devices.allow",
    "devices.deny",
    "freezer.state",
    "net_cls.classid",
    "net_prio.ifpriomap",
];
const V2_FILES: &[&str] = &[
    "cgroup.procs",
    "cgroup.controllers",
    "cgroup.subtree_control",
    "cgroup.events",
    "cgroup.freeze",
    "cgroup.kill",
    "cpu.weight",
    "cpu.max",
    "cpu.max.burst",
    "cpu.idle",
    "cpuset.cpus",
    "cpuset.mems",
    "memory.max",
    "memory.swap.max",
    "memory.low",
    "memory.high",
    "pids.max",
    "io.weight",
    "io.max",
    "hugetlb.2MB.max",
    "hugetlb.2MB.rsvd.max",
];

const V1_CONTROLLERS: &[&str] = &[
    "cpu,cpuacct",
    "cpuset",
    "memory",
    "devices",
    "freezer",
    "blkio",
    "pids",
    "hugetlb",
    "net_cls,net_prio",
];

struct Fake {
    root: tempfile::TempDir,
    hierarchies: Hierarchies,
}

impl Fake {
    /// Mounts of version 1, one for each of `v1`, and version 2 with these controllers if there are any.
    fn new(v1: &[&str], v2: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut mountinfo = String::new();
        let mut mount = |name: &str, kind: &str, files: &[&str]| {
            let path = root.path().join(name);
            for group in ["", "brig", "brig/x"] {
                std::fs::create_dir_all(path.join(group)).unwrap();
                for file in files {
                    std::fs::write(path.join(group).join(file), "").unwrap();
                }
            }
            mountinfo += &format!("1 1 0:1 / {} rw - {kind} {kind} rw,{name}\n", path.display());
        };
        for name in v1 {
            mount(name, "cgroup", V1_FILES);
        }
        if !v2.is_empty() {
            mount("unified", "cgroup2", V2_FILES);
        }
        let hierarchies = Hierarchies::parse(&mountinfo, |_| v2.to_owned());
        // The container's own group has none before its parents hand them down.
        for group in ["", "brig"].iter().filter(|_| !v2.is_empty()) {
            std::fs::write(root.path().join("unified").join(group).join("cgroup.controllers"), v2).unwrap();
        }
        for (file, value) in [("cpuset.cpus", "0-3\n"), ("cpuset.mems", "0\n")] {
            let path = root.path().join("cpuset").join(file);
            if path.exists() {
                std::fs::write(path, value).unwrap();
            }
        }
        Self { root, hierarchies }
    }

    fn create(&self, resources: &LinuxResources) -> (Result<Cgroup, CgroupError>, Vec<String>) {
        let mut warnings = Vec::new();
        (Cgroup::create_in(&self.hierarchies, Path::new("/brig/x"), Some(resources), &mut warnings), warnings)
    }

    /// Everything that is in the container's groups' files, less `devices.*`, which hold only the last line.
    fn written(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for hierarchy in self.hierarchies.iter() {
            for entry in std::fs::read_dir(hierarchy.mount.join("brig/x")).unwrap() {
                let entry = entry.unwrap();
                let text = std::fs::read_to_string(entry.path()).unwrap();
                let name = entry.file_name().into_string().unwrap();
                if !text.is_empty() && name != "cgroup.controllers" && !name.starts_with("devices.") {
                    let mount = hierarchy.mount.strip_prefix(self.root.path()).unwrap().display().to_string();
                    all.insert(format!("{mount}/{name}"), text);
                }
            }
        }
        all
    }
}

fn everything() -> LinuxResources {
    let throttle = |rate: u64| {
        vec![LinuxThrottleDeviceBuilder::default().major(8).minor(16).rate(rate).build().unwrap()]
    };
    LinuxResourcesBuilder::default()
        .cpu(
            LinuxCpuBuilder::default()
                .shares(512_u64)
                .quota(150_000)
                .period(50_000_u64)
                .cpus("0-1")
                .mems("0")
                .build()
                .unwrap(),
        )
        .memory(
            LinuxMemoryBuilder::default()
                .limit(64 << 20)
                .swap(96 << 20)
                .reservation(32 << 20)
                .swappiness(10_u64)
                .disable_oom_killer(true)
                .build()
                .unwrap(),
        )
        .pids(LinuxPidsBuilder::default().limit(77).build().unwrap())
        .block_io(
            LinuxBlockIoBuilder::default()
                .weight(300_u16)
                .weight_device(vec![
                    LinuxWeightDeviceBuilder::default()
                        .major(254)
                        .minor(10)
                        .weight(1000_u16)
                        .build()
                        .unwrap(),
                ])
                .throttle_read_bps_device(throttle(1))
                .throttle_write_bps_device(throttle(2))
                .throttle_read_iops_device(throttle(3))
                .throttle_write_iops_device(throttle(0))
                .build()
                .unwrap(),
        )
        .hugepage_limits(vec![
            LinuxHugepageLimitBuilder::default().page_size("2MB").limit(4096).build().unwrap(),
        ])
        .build()
        .unwrap()
}

fn lines(written: &BTreeMap<String, String>) -> Vec<String> {
    written.iter().map(|(file, text)| format!("{file} = {text}")).collect()
}

#[test]
fn every_limit_in_version_1() {
    let fake = Fake::new(V1_CONTROLLERS, "");
    let (cgroup, warnings) = fake.create(&everything());
    cgroup.unwrap();
    assert_eq!(warnings, [""; 0]);
    assert_eq!(
        lines(&fake.written()),
        [
            "blkio/blkio.bfq.weight = 300",
            "blkio/blkio.bfq.weight_device = 254:10 1000",
            "blkio/blkio.throttle.read_bps_device = 8:16 1",
            "blkio/blkio.throttle.read_iops_device = 8:16 3",
            "blkio/blkio.throttle.write_bps_device = 8:16 2",
            "blkio/blkio.throttle.write_iops_device = 8:16 0",
            "cpu,cpuacct/cpu.cfs_period_us = 50000",
            "cpu,cpuacct/cpu.cfs_quota_us = 150000",
            "cpu,cpuacct/cpu.shares = 512",
            "cpuset/cpuset.cpus = 0-1",
            "cpuset/cpuset.mems = 0",
            "hugetlb/hugetlb.2MB.limit_in_bytes = 4096",
            "memory/memory.limit_in_bytes = 67108864",
            "memory/memory.memsw.limit_in_bytes = 100663296",
            "memory/memory.oom_control = 1",
            "memory/memory.soft_limit_in_bytes = 33554432",
            "memory/memory.swappiness = 10",
            "pids/pids.max = 77",
        ]
    );
}

#[test]
fn every_limit_in_version_2() {
    let fake = Fake::new(&[], "cpuset cpu io memory hugetlb pids rdma misc");
    let (cgroup, warnings) = fake.create(&everything());
    cgroup.unwrap();
    assert_eq!(
        warnings,
        [
            "disabling the OOM killer was left out: cgroup v2 can't",
            "memory swappiness was left out: cgroup v2 has none"
        ]
    );
    assert_eq!(
        lines(&fake.written()),
        [
            "unified/cpu.max = 150000 50000",
            "unified/cpu.weight = 20",
            "unified/cpuset.cpus = 0-1",
            "unified/cpuset.mems = 0",
            "unified/hugetlb.2MB.max = 4096",
            "unified/hugetlb.2MB.rsvd.max = 4096",
            // A real file takes several lines; of a fake one, the last is seen.
            "unified/io.max = 8:16 wiops=max",
            "unified/io.weight = 254:10 10000",
            "unified/memory.low = 33554432",
            "unified/memory.max = 67108864",
            "unified/memory.swap.max = 33554432",
            "unified/pids.max = 77",
        ]
    );
    // Parents hand everything down.
    for group in ["", "brig"] {
        let path = fake.root.path().join("unified").join(group).join("cgroup.subtree_control");
        let expected = "+cpuset +cpu +io +memory +hugetlb +pids +rdma +misc";
        assert_eq!(std::fs::read_to_string(path).unwrap(), expected);
    }
}

#[test]
fn hybrid_machines_use_each_controller_where_it_is() {
    let fake = Fake::new(&["memory", "pids"], "cpu hugetlb");
    let resources = LinuxResourcesBuilder::default()
        .cpu(LinuxCpuBuilder::default().shares(2_u64).build().unwrap())
        .pids(LinuxPidsBuilder::default().limit(-1).build().unwrap())
        .build()
        .unwrap();
    fake.create(&resources).0.unwrap();
    assert_eq!(lines(&fake.written()), ["pids/pids.max = max", "unified/cpu.weight = 1"]);
}

#[test]
fn a_limit_without_its_controller_is_an_error_by_name() {
    let fake = Fake::new(&["memory"], "");
    let pids = LinuxPidsBuilder::default().limit(1).build().unwrap();
    let error = fake.create(&LinuxResourcesBuilder::default().pids(pids).build().unwrap()).0.unwrap_err();
    assert_eq!(error.to_string(), "pids controller is not mounted: can't set pids.max");
}

#[test]
fn a_limit_without_its_file_is_an_error_by_name() {
    let fake = Fake::new(&["memory"], "");
    let file = fake.root.path().join("memory/brig/x/memory.memsw.limit_in_bytes");
    std::fs::remove_file(&file).unwrap();
    let limits = |swap: i64| {
        let memory = LinuxMemoryBuilder::default().limit(64 << 20).swap(swap).build().unwrap();
        LinuxResourcesBuilder::default().memory(memory).build().unwrap()
    };
    let error = fake.create(&limits(128 << 20)).0.unwrap_err().to_string();
    assert!(error.contains("memory.memsw.limit_in_bytes: no such file or directory"), "{error}");
    // Unlimited swap is what a kernel without swap accounting gives anyway.
    let (cgroup, warnings) = fake.create(&limits(-1));
    cgroup.unwrap();
    assert_eq!(warnings, [""; 0]);
}

#[test]
fn a_cpuset_starts_with_its_parent_s() {
    let fake = Fake::new(&["cpuset"], "");
    fake.create(&LinuxResources::default()).0.unwrap();
    let read = |file: &str| std::fs::read_to_string(fake.root.path().join("cpuset").join(file)).unwrap();
    assert_eq!(read("brig/cpuset.cpus"), "0-3");
    assert_eq!(read("brig/x/cpuset.cpus"), "0-3");
    assert_eq!(read("brig/x/cpuset.mems"), "0");
}

#[test]
fn devices_go_unrestricted_only_with_a_warning() {
    let fake = Fake::new(&["memory"], "");
    let resources = LinuxResourcesBuilder::default().devices(device_program::docker()).build().unwrap();
    let (cgroup, warnings) = fake.create(&resources);
    cgroup.unwrap();
    assert_eq!(warnings, ["access to devices is not restricted: no devices controller"]);
    let fake = Fake::new(&["devices"], "");
    fake.create(&resources).0.unwrap();
    let deny = std::fs::read_to_string(fake.root.path().join("devices/brig/x/devices.deny")).unwrap();
    // "a" first, then the rest of the later and longer line over it.
    assert_eq!(deny, "c 10:229 rwm");
}

#[test]
fn a_group_in_use_is_left_alone() {
    let fake = Fake::new(&["memory"], "");
    std::fs::write(fake.root.path().join("memory/brig/x/cgroup.procs"), "1\n").unwrap();
    let error = fake.create(&everything()).0.unwrap_err();
    assert!(matches!(error, CgroupError::InUse(_)), "{error}");
}

#[test]
fn nothing_mounted_is_an_error() {
    let error =
        Cgroup::create_in(&Hierarchies::default(), Path::new("/brig/x"), None, &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "no cgroup hierarchy is mounted");
    assert!(Cgroup::open_in(&Hierarchies::default(), Path::new("/brig/x")).is_err());
}

#[test]
fn memory_and_swap_grow_and_shrink_in_the_right_order() {
    let limit =
        |limit: i64, swap: i64| LinuxMemoryBuilder::default().limit(limit).swap(swap).build().unwrap();
    let order = |memory, both: Option<u64>| {
        let mut writes = Vec::new();
        plan_v1::memory(&memory, Present { memory_and_swap: both, memory: None }, &mut writes);
        writes.into_iter().map(|write| format!("{}={}", write.files[0], write.values[0])).collect::<Vec<_>>()
    };
    let (memory, both) = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes");
    assert_eq!(order(limit(100, 200), None), [format!("{memory}=100"), format!("{both}=200")]);
    assert_eq!(order(limit(100, 200), Some(50)), [format!("{both}=200"), format!("{memory}=100")]);
    assert_eq!(order(limit(100, 200), Some(150)), [format!("{memory}=100"), format!("{both}=200")]);
    assert_eq!(order(limit(-1, 0), Some(150)), [format!("{both}=-1"), format!("{memory}=-1")]);
}

#[test]
fn version_1_s_units_as_version_2_s() {
    for (shares, weight) in [(0, 1), (2, 1), (1024, 39), (262_144, 10_000), (u64::MAX, 10_000)] {
        assert_eq!(plan_v2::cpu_weight(shares), weight, "{shares}");
    }
    for (from, to) in [(10, 1), (500, 4950), (1000, 10_000)] {
        assert_eq!(plan_v2::io_weight(from), to, "{from}");
    }
}

#[test]
fn unified_files_are_written_as_they_are() {
    let fake = Fake::new(&[], "memory");
    let files =
        [("memory.high", "1000"), ("../cgroup.procs", "1"), ("memory.x/../../y", "1"), ("nonsense", "1")];
    let files = files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect();
    let mut resources = LinuxResources::default();
    resources.set_unified(Some(files));
    let (cgroup, warnings) = fake.create(&resources);
    cgroup.unwrap();
    assert_eq!(lines(&fake.written()), ["unified/memory.high = 1000"]);
    assert_eq!(warnings.len(), 3);
}
