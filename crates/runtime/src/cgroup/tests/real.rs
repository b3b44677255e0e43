//! On the machine's own hierarchies, below a group of each test's own. What the machine does not have is not tested
//! here (a virtual machine runs these tests with version 2 alone).

use super::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;

/// A path of this test's own; dropping it kills and removes all below.
struct Place {
    hierarchies: Hierarchies,
    parent: String,
}

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let parent = format!("brig-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { hierarchies: Hierarchies::clone(&Hierarchies::get()), parent }
    }

    /// Only version 2, as if nothing else were mounted.
    fn unified_only() -> Option<Self> {
        let mut place = Self::new();
        place.hierarchies.all.retain(|hierarchy| hierarchy.version == Version::V2);
        (!place.hierarchies.all.is_empty()).then_some(place)
    }

    /// Only version 1.
    fn v1_only() -> Option<Self> {
        let mut place = Self::new();
        place.hierarchies.all.retain(|hierarchy| hierarchy.version == Version::V1);
        (!place.hierarchies.all.is_empty()).then_some(place)
    }

    fn path(&self) -> PathBuf {
        Path::new("/").join(&self.parent).join("x")
    }

    fn create(&self, resources: Option<&LinuxResources>) -> Cgroup {
        let mut warnings = Vec::new();
        let cgroup = Cgroup::create_in(&self.hierarchies, &self.path(), resources, &mut warnings).unwrap();
        assert_eq!(warnings, [""; 0]);
        cgroup
    }

    fn has(&self, controller: Controller) -> bool {
        self.hierarchies.version_of(controller).is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Ok(all) = Cgroup::open_in(&self.hierarchies, Path::new(&self.parent)) {
            let _ = all.kill_all();
            let _ = all.remove();
        }
    }
}

/// A process that waits until its standard input ends.
struct Waiter(Child);

impl Waiter {
    fn new() -> Self {
        Self(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }

    /// One that puts itself into version 1's groups.
    fn inside(cgroup: &Cgroup) -> Self {
        let entrance = cgroup.entrance().unwrap();
        let mut command = Command::new("cat");
        // SAFETY: the child has one thread; what it calls makes system calls, and allocates only when one fails.
        unsafe { command.pre_exec(move || entrance.enter().map_err(std::io::Error::other)) };
        Self(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        self.0.id() as i32
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn membership(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap()
}

fn life(place: &Place) {
    let cgroup = place.create(None);
    let waiter = Waiter::new();
    cgroup.add_pid(waiter.pid()).unwrap();
    assert_eq!(cgroup.pids().unwrap(), [waiter.pid()]);
    let path = format!("/{}/x", place.parent);
    let inside = membership(waiter.pid()).lines().filter(|line| line.ends_with(&path)).count();
    assert_eq!(inside, place.hierarchies.all.len(), "{}", membership(waiter.pid()));

    // Somebody in it: it is not made again, nor removed.
    let again = Cgroup::create_in(&place.hierarchies, &place.path(), None, &mut Vec::new());
    assert!(matches!(again, Err(CgroupError::InUse(_))));
    assert!(matches!(cgroup.wait_empty(Duration::ZERO), Err(CgroupError::Timeout { .. })));

    assert!(!cgroup.is_frozen());
    cgroup.freeze().unwrap();
    assert!(cgroup.is_frozen());
    cgroup.thaw().unwrap();
    assert!(!cgroup.is_frozen());

    // A second one by the ways that exec takes.
    let second = Waiter::inside(&cgroup);
    cgroup.add_exec_pid(second.pid(), waiter.pid()).unwrap();
    assert_eq!(cgroup.pids().unwrap().len(), 2);

    let reopened = Cgroup::open_in(&place.hierarchies, &place.path()).unwrap();
    reopened.kill_all().unwrap();
    reopened.wait_empty(Duration::from_secs(10)).unwrap();
    reopened.remove().unwrap();
    assert!(Cgroup::open_in(&place.hierarchies, &place.path()).is_err());
    // Gone is good.
    cgroup.remove().unwrap();
    drop((waiter, second));
}

#[test]
fn a_life_in_all_hierarchies() {
    life(&Place::new());
}

#[test]
fn a_life_in_version_2_alone() {
    Place::unified_only().iter().for_each(life);
}

#[test]
fn a_life_in_version_1_alone() {
    Place::v1_only().iter().for_each(life);
}

#[test]
fn a_frozen_group_can_be_killed() {
    for place in [Some(Place::new()), Place::unified_only(), Place::v1_only()].into_iter().flatten() {
        let cgroup = place.create(None);
        let waiter = Waiter::new();
        cgroup.add_pid(waiter.pid()).unwrap();
        cgroup.freeze().unwrap();
        cgroup.kill_all().unwrap();
        cgroup.remove().unwrap();
    }
}

#[test]
fn groups_inside_are_removed_too() {
    let place = Place::new();
    let cgroup = place.create(None);
    for hierarchy in place.hierarchies.iter() {
        let inner = hierarchy.mount.join(&place.parent).join("x/a/b/c");
        std::fs::create_dir_all(inner).unwrap();
    }
    let waiter = Waiter::new();
    let inner = Cgroup::open_in(&place.hierarchies, &place.path().join("a")).unwrap();
    // A fresh cpuset of version 1 takes nobody; all others do.
    let takes = |group: &&Group| group.is_v2() || !group.hierarchy.controllers.contains(Controller::Cpuset);
    for group in inner.groups.iter().filter(takes) {
        group.set("cgroup.procs", &waiter.pid().to_string()).unwrap();
    }
    assert_eq!(cgroup.pids().unwrap(), [waiter.pid()]);
    cgroup.kill_all().unwrap();
    cgroup.remove().unwrap();
    assert!(Cgroup::open_in(&place.hierarchies, &place.path()).is_err());
}

#[test]
fn a_leftover_without_processes_is_made_anew() {
    let place = Place::new();
    let pids = |limit| {
        let pids = LinuxPidsBuilder::default().limit(limit).build().unwrap();
        LinuxResourcesBuilder::default().pids(pids).build().unwrap()
    };
    if !place.has(Controller::Pids) {
        return;
    }
    drop(place.create(Some(&pids(5))));
    let cgroup = place.create(None);
    assert_eq!(cgroup.stats().pids.unwrap(), PidsStats { current: 0, limit: None });
}

#[test]
fn limits_hold_and_change() {
    let place = Place::new();
    if !place.has(Controller::Memory) || !place.has(Controller::Pids) || !place.has(Controller::Cpu) {
        return;
    }
    let limits = |memory: i64, pids: i64| {
        LinuxResourcesBuilder::default()
            .memory(LinuxMemoryBuilder::default().limit(memory).swap(memory * 2).build().unwrap())
            .pids(LinuxPidsBuilder::default().limit(pids).build().unwrap())
            .cpu(
                LinuxCpuBuilder::default().shares(512_u64).quota(50_000).period(100_000_u64).build().unwrap(),
            )
            .build()
            .unwrap()
    };
    let cgroup = place.create(Some(&limits(64 << 20, 10)));
    let read = || {
        let stats = cgroup.stats();
        (stats.memory.unwrap().limit, stats.pids.unwrap().limit)
    };
    assert_eq!(read(), (Some(64 << 20), Some(10)));
    for (memory, pids) in [(512 << 20, 20), (16 << 20, 5), (64 << 20, 0)] {
        let mut warnings = Vec::new();
        cgroup.update(&limits(memory, pids), &mut warnings).unwrap();
        assert_eq!(warnings, [""; 0]);
        assert_eq!(read(), (Some(memory as u64), u64::try_from(pids).ok().filter(|pids| *pids != 0)));
    }
    // A period that the present quota is too short for, and the other way round.
    for (quota, period) in [(200_000, 1_000_000_u64), (1000, 1000), (50_000, 100_000)] {
        let cpu = LinuxCpuBuilder::default().quota(quota).period(period).build().unwrap();
        cgroup.update(&LinuxResourcesBuilder::default().cpu(cpu).build().unwrap(), &mut Vec::new()).unwrap();
    }
    // What the kernel refuses is an error that names the file.
    let cpu = LinuxCpuBuilder::default().cpus("4000").build().unwrap();
    let error = cgroup.update(&LinuxResourcesBuilder::default().cpu(cpu).build().unwrap(), &mut Vec::new());
    if place.has(Controller::Cpuset) {
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with("failed to write \"4000\" to /sys/fs/cgroup/"), "{error}");
    }
    cgroup.remove().unwrap();
}

#[test]
fn running_out_of_memory_is_counted_and_told() {
    let place = Place::new();
    if !place.has(Controller::Memory) {
        return;
    }
    let memory = LinuxMemoryBuilder::default().limit(8 << 20).swap(8 << 20).build().unwrap();
    let cgroup = place.create(Some(&LinuxResourcesBuilder::default().memory(memory).build().unwrap()));
    let watch = cgroup.oom_watch().unwrap();
    assert_eq!(cgroup.oom_kills(), 0);
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    // SAFETY: the child runs only system calls and touches memory of its own.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: as above; it ends by _exit or by being killed.
        unsafe {
            let mut byte = 0_u8;
            libc::read(std::os::fd::AsRawFd::as_raw_fd(&reader), (&raw mut byte).cast(), 1);
            let size = 64 << 20;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let memory =
                libc::mmap(std::ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
            for page in (0..size).step_by(4096) {
                memory.cast::<u8>().add(page).write_volatile(1);
            }
            libc::_exit(0);
        }
    }
    cgroup.add_pid(child).unwrap();
    rustix::io::write(&writer, b"g").unwrap();
    let mut status = 0;
    // SAFETY: waits for our own child.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL, "{status:#x}");
    assert_eq!(cgroup.oom_kills(), 1);
    let mut polled = [PollFd::from_borrowed_fd(watch.as_fd(), PollFlags::IN)];
    let timeout = Timespec { tv_sec: 10, tv_nsec: 0 };
    assert_eq!(poll(&mut polled, Some(&timeout)).unwrap(), 1);
    watch.clear();
    cgroup.remove().unwrap();
}

#[test]
fn stats_count() {
    let place = Place::new();
    let cgroup = place.create(None);
    let waiter = Waiter::new();
    cgroup.add_pid(waiter.pid()).unwrap();
    let stats = cgroup.stats();
    if place.has(Controller::Pids) {
        assert_eq!(stats.pids.unwrap().current, 1);
    }
    if place.has(Controller::Memory) {
        let memory = stats.memory.unwrap();
        assert_eq!(memory.limit, None);
        assert!(!memory.stat.is_empty());
    }
    assert!(stats.cpu.is_some() || !place.has(Controller::Cpuacct));
    assert!(stats.block_io.is_some() || !place.has(Controller::Io));
    cgroup.kill_all().unwrap();
    cgroup.remove().unwrap();
}

/// What a forked child in the group gets when it opens these.
fn opens(cgroup: &Cgroup, paths: &[&std::ffi::CStr]) -> Vec<i32> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    // SAFETY: the child runs only system calls and leaves by _exit.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: as above.
        unsafe {
            let mut byte = 0_u8;
            libc::read(std::os::fd::AsRawFd::as_raw_fd(&reader), (&raw mut byte).cast(), 1);
            let mut failed = 0;
            for (at, path) in paths.iter().enumerate() {
                if libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_NONBLOCK) < 0 {
                    failed |= if *libc::__errno_location() == libc::EPERM { 1 << at } else { 128 };
                }
            }
            libc::_exit(failed);
        }
    }
    cgroup.add_pid(child).unwrap();
    rustix::io::write(&writer, b"g").unwrap();
    let mut status = 0;
    // SAFETY: waits for our own child.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFEXITED(status));
    let code = libc::WEXITSTATUS(status);
    assert!(code < 128, "an error other than EPERM");
    (0..paths.len()).map(|at| (code >> at) & 1).collect()
}

#[test]
fn devices_are_denied_in_both_versions() {
    let resources = LinuxResourcesBuilder::default().devices(device_program::docker()).build().unwrap();
    for place in [Some(Place::new()), Place::unified_only()].into_iter().flatten() {
        let cgroup = place.create(Some(&resources));
        // /dev/kmsg (1:11) is not in Docker's list.
        assert_eq!(
            opens(&cgroup, &[c"/dev/null", c"/dev/urandom", c"/dev/kmsg"]),
            [0, 0, 1],
            "{:?}",
            cgroup.groups
        );
        cgroup.remove().unwrap();
    }
}

/// How long a group takes; run by hand with `-- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn how_long_a_group_takes() {
    let place = Place::new();
    let memory = LinuxMemoryBuilder::default().limit(64 << 20).build().unwrap();
    let resources =
        LinuxResourcesBuilder::default().memory(memory).devices(device_program::docker()).build().unwrap();
    let rounds = 50;
    let mut times = [Duration::ZERO; 4];
    for _ in 0..rounds {
        let mut waiter = Waiter::new();
        let start = Instant::now();
        let cgroup = place.create(Some(&resources));
        times[0] += start.elapsed();
        let start = Instant::now();
        cgroup.add_pid(waiter.pid()).unwrap();
        times[1] += start.elapsed();
        let start = Instant::now();
        cgroup.kill_all().unwrap();
        times[2] += start.elapsed();
        waiter.0.wait().unwrap();
        let start = Instant::now();
        cgroup.remove().unwrap();
        times[3] += start.elapsed();
    }
    let [create, add, kill, remove] = times.map(|time| time / rounds);
    println!(
        "{} hierarchies: create {create:?}, add {add:?}, kill {kill:?}, remove {remove:?}",
        place.hierarchies.all.len()
    );
}
