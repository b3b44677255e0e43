//! What a container may not do by default, and what it may when asked for. Escapes are tested by their number.

use brig_e2e::with_both;

#[test]
fn capabilities_are_dockers() {
    with_both(|host, client| {
        let caps = |flags: &[&str]| {
            client
                .run(
                    host,
                    &[&["run", "--rm"], flags, &["busybox", "grep", "CapEff", "/proc/self/status"]].concat(),
                )
                .ok()
        };
        assert_eq!(caps(&[]), "CapEff:\t00000000a80425fb");
        assert_eq!(caps(&["--cap-drop", "ALL"]), "CapEff:\t0000000000000000");
        assert_eq!(caps(&["--cap-drop", "ALL", "--cap-add", "NET_RAW"]), "CapEff:\t0000000000002000");
        assert_eq!(caps(&["-u", "1000"]), "CapEff:\t0000000000000000");
        client
            .run(host, &["run", "--rm", "--cap-add", "FOO", "busybox", "true"])
            .fails(125, "invalid CapAdd: unknown capability: \"CAP_FOO\"");
    });
}

#[test]
fn seccomp_is_on_unless_it_is_unconfined() {
    with_both(|host, client| {
        let mode = |flags: &[&str]| {
            client
                .run(
                    host,
                    &[&["run", "--rm"], flags, &["busybox", "grep", "Seccomp:", "/proc/self/status"]]
                        .concat(),
                )
                .ok()
        };
        assert_eq!(mode(&[]), "Seccomp:\t2");
        assert_eq!(mode(&["--security-opt", "seccomp=unconfined"]), "Seccomp:\t0");
        client
            .run(host, &["run", "--rm", "busybox", "unshare", "-U", "true"])
            .fails(1, "Operation not permitted");
        let profile = host.path("profile.json");
        std::fs::write(&profile, r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}"#).unwrap();
        client
            .run(
                host,
                &[
                    "run",
                    "--rm",
                    "--security-opt",
                    &format!("seccomp={}", profile.display()),
                    "busybox",
                    "mkdir",
                    "/x",
                ],
            )
            .fails(1, "Operation not permitted");
    });
}

#[test]
fn no_new_privileges_is_set_when_asked_for() {
    with_both(|host, client| {
        let flag = |flags: &[&str]| {
            client
                .run(
                    host,
                    &[&["run", "--rm"], flags, &["busybox", "grep", "NoNewPrivs", "/proc/self/status"]]
                        .concat(),
                )
                .ok()
        };
        assert_eq!(flag(&[]), "NoNewPrivs:\t0");
        assert_eq!(flag(&["--security-opt", "no-new-privileges"]), "NoNewPrivs:\t1");
    });
}

#[test]
fn masked_and_read_only_paths_are() {
    with_both(|host, client| {
        let run = |script: &str| client.run(host, &["run", "--rm", "busybox", "sh", "-c", script]);
        assert_eq!(run("cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | wc -c").ok(), "0");
        run("echo 1 > /proc/sys/kernel/panic").fails(1, "Read-only file system");
        run("echo 1 > /proc/irq/default_smp_affinity").fails(1, "Read-only file system");
        run("mkdir /sys/fs/cgroup/x").fails(1, "Read-only file system");
        run("mount -t tmpfs t /tmp").fails(1, "denied");
    });
}

#[test]
fn devices_are_the_few_that_docker_gives() {
    with_both(|host, client| {
        let out = client.run(host, &["run", "--rm", "busybox", "ls", "/dev"]).ok();
        // As runc does it, /dev/core is there where the kernel has /proc/kcore.
        let given: Vec<&str> = out.split_whitespace().filter(|name| *name != "core").collect();
        assert_eq!(
            given,
            [
                "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout",
                "tty", "urandom", "zero"
            ]
        );
        client
            .run(host, &["run", "--rm", "busybox", "sh", "-c", "mknod /d b 254 0 && head -c 1 /d"])
            .fails(1, "Operation not permitted");
    });
}

#[test]
fn privileged_has_it_all() {
    with_both(|host, client| {
        let out = client
            .run(
                host,
                &[
                    "run",
                    "--rm",
                    "--privileged",
                    "busybox",
                    "sh",
                    "-c",
                    "mount -t tmpfs t /tmp && grep Seccomp: /proc/self/status && ls /dev | wc -l",
                ],
            )
            .ok();
        let mut lines = out.lines();
        assert_eq!(lines.next(), Some("Seccomp:\t0"));
        assert!(lines.next().unwrap().parse::<u32>().unwrap() > 15, "{out}");
    });
}

#[test]
fn no_descriptor_leaks_in_cve_2024_21626() {
    with_both(|host, client| {
        // ls itself opens the folder as one more descriptor.
        let fds = "ls -l /proc/self/fd | grep -c -v -e total";
        assert_eq!(client.run(host, &["run", "--rm", "busybox", "sh", "-c", fds]).ok(), "4");
        client.run(host, &["run", "-d", "--name", "c1", "busybox", "sleep", "1000"]).ok();
        assert_eq!(client.run(host, &["exec", "c1", "sh", "-c", fds]).ok(), "4");
        for fd in 3..12 {
            let out =
                client.run(host, &["run", "--rm", "-w", &format!("/proc/self/fd/{fd}"), "busybox", "pwd"]);
            assert_ne!(out.code, 0, "{fd}: {out:?}");
        }
    });
}

#[test]
fn the_binary_can_not_be_written_from_inside_cve_2019_5736() {
    let host = brig_e2e::Host::start();
    host.import_busybox();
    // With --init, pid 1 is brig itself: what /proc/1/exe names must not be writable even for root with all rights.
    host.brig(&["run", "-d", "--privileged", "--init", "--name", "c1", "busybox", "sleep", "1000"]).ok();
    let before = std::fs::metadata(host.binary()).unwrap().modified().unwrap();
    host.brig(&["exec", "--privileged", "c1", "sh", "-c", "echo x > /proc/1/exe"]).fails(1, "");
    assert_eq!(std::fs::metadata(host.binary()).unwrap().modified().unwrap(), before);
}

#[test]
fn links_in_the_image_lead_nowhere_outside() {
    let host = brig_e2e::Host::start();
    let outside = host.path("outside");
    std::fs::create_dir(&outside).unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    let mut archive = tar::Archive::new(brig_e2e::image::busybox_tar());
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let mut header = entry.header().clone();
        let path = entry.path().unwrap().into_owned();
        match entry.link_name().unwrap().map(|l| l.into_owned()) {
            Some(link) => tar.append_link(&mut header, path, link).unwrap(),
            None => tar.append_data(&mut header, path, entry).unwrap(),
        }
    }
    for name in ["mnt", "sys", "dev"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, name, &outside).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    brig_e2e::Client::Brig.run_with(&host, &["import", "-", "links"], &tar).ok();
    let volume = host.path("volume");
    std::fs::create_dir(&volume).unwrap();
    // Whether it runs inside its root or is refused: nothing may appear outside.
    host.brig(&["run", "--rm", "-v", &format!("{}:/mnt/x", volume.display()), "links", "true"]);
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}
