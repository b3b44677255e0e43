//! Volumes of the driver `local` that are mounted: shared by all who use them, gone from the host with the last.

use brig_e2e::{Client, Host, with_both};
use std::{fs, path::Path};

/// A volume is unmounted a moment after its last container has ended for all others.
fn is_mounted(folder: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    mounts.lines().any(|line| line.split(' ').nth(4) == folder.to_str())
}

fn make(host: &Host, client: Client, name: &str, options: &[&str]) {
    let flags = options.iter().flat_map(|option| ["-o", option]);
    let args: Vec<&str> = ["volume", "create"].into_iter().chain(flags).chain([name]).collect();
    client.run(host, &args).ok();
}

const MEMORY: [&str; 3] = ["type=tmpfs", "device=tmpfs", "o=size=1m,uid=7"];

#[test]
fn who_uses_a_mounted_volume_shares_it_and_the_last_one_ends_it() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        make(host, client, "memory", &MEMORY);
        let folder = host.path("data/volumes/memory/_data");
        run(&["run", "-d", "--name", "one", "-v", "memory:/m", "busybox", "sleep", "1000"]).ok();
        assert!(is_mounted(&folder));
        run(&["run", "--rm", "-v", "memory:/x", "busybox", "sh", "-c", "echo shared > /x/f"]).ok();
        assert_eq!(run(&["exec", "one", "cat", "/m/f"]).ok(), "shared");
        assert_eq!(run(&["exec", "one", "stat", "-c", "%u %a", "/m"]).ok(), "7 1777");
        assert_eq!(fs::read_to_string(folder.join("f")).unwrap(), "shared\n");
        // One that does not run shows it, too.
        run(&["create", "--name", "two", "-v", "memory:/m:ro", "busybox", "true"]).ok();
        let copied = host.path("copied");
        run(&["cp", "two:/m/f", copied.to_str().unwrap()]).ok();
        assert_eq!(fs::read_to_string(copied).unwrap(), "shared\n");
        let in_use = run(&["volume", "rm", "memory"]).fails(1, "remove memory: volume is in use - [");
        assert_eq!(in_use.stderr.matches(", ").count(), 1, "{}", in_use.stderr);
        // The next daemon knows who uses it.
        host.kill_daemon();
        host.start_daemon(&[]);
        assert!(is_mounted(&folder));
        run(&["run", "--rm", "-v", "memory:/m", "busybox", "cat", "/m/f"]).ok();
        assert!(is_mounted(&folder));
        run(&["rm", "-f", "one", "two"]).ok();
        assert!(!is_mounted(&folder));
        assert_eq!(run(&["run", "--rm", "-v", "memory:/m", "busybox", "ls", "/m"]).ok(), "");
        // What a crash leaves mounted is unmounted; what is mounted is no volume's to remove.
        let outside = host.path("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("f"), "stays").unwrap();
        make(host, client, "bound", &["type=none", "o=bind", &format!("device={}", outside.display())]);
        run(&["run", "-d", "--name", "one", "-v", "bound:/b", "busybox", "sleep", "1000"]).ok();
        let pid = run(&["inspect", "-f", "{{.State.Pid}}", "one"]).ok();
        host.kill_daemon();
        let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        host.start_daemon(&[]);
        assert!(!is_mounted(&host.path("data/volumes/bound/_data")));
        run(&["rm", "one"]).ok();
        run(&["volume", "rm", "bound", "memory"]).ok();
        assert_eq!(fs::read_to_string(outside.join("f")).unwrap(), "stays");
    });
}

#[test]
fn a_bound_volume_is_filled_from_the_image_and_keeps_its_options() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        let outside = host.path("outside");
        fs::create_dir(&outside).unwrap();
        let device = format!("device={}", outside.display());
        make(host, client, "bound", &["type=none", "o=bind", &device]);
        run(&["create", "--name", "filled", "-v", "bound:/etc", "busybox", "true"]).ok();
        assert!(outside.join("passwd").exists());
        assert!(!is_mounted(&host.path("data/volumes/bound/_data")));
        make(host, client, "read-only", &["type=none", "o=bind,ro", &device]);
        let wrote = run(&["run", "--rm", "-v", "read-only:/x", "busybox", "touch", "/x/new"]);
        wrote.fails(1, "Read-only file system");
        // Neither has a size: what they hold is elsewhere.
        let sizes = run(&["system", "df", "-v", "--format", "{{json .Volumes}}"]).ok();
        assert_eq!(sizes, "[]");
        run(&["rm", "filled"]).ok();
        run(&["volume", "rm", "bound", "read-only"]).ok();
    });
}

#[test]
fn what_can_not_be_mounted_is_told_in_dockers_words_and_leaves_nothing() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        let missing = host.path("missing");
        let bind = format!("device={}", missing.display());
        let cifs = "o=addr=127.0.0.1,username=x,password=secret";
        let cases: [(&str, &[&str], String); 4] = [
            ("bind", &["type=none", "o=bind,ro", &bind], format!(
                "failed to mount local volume: mount {}:{{}}, flags: 0x1001: no such file or directory",
                missing.display()
            )),
            ("odd", &["type=tmpfs", "device=tmpfs", "o=foo=bar,nosuid"],
                "failed to mount local volume: mount tmpfs:{}, flags: 0x2, data: foo=bar: invalid argument".to_owned()),
            ("kind", &["type=foofs", "device=x"],
                "failed to mount local volume: mount x:{}: no such device".to_owned()),
            ("secret", &["type=foofs", "device=//127.0.0.1/x", cifs],
                "failed to mount local volume: mount //127.0.0.1/x:{}, data: addr=127.0.0.1,username=x,password=********: \
                 no such device".to_owned()),
        ];
        for (name, options, why) in cases {
            make(host, client, name, options);
            let folder = host.path(&format!("data/volumes/{name}/_data")).display().to_string();
            // As Docker's own client has it.
            let code = if why.ends_with("no such file or directory") { 127 } else { 125 };
            let why = format!("error while mounting volume '{folder}': {}", why.replace("{}", &folder));
            run(&["run", "--rm", "-v", &format!("{name}:/x"), "busybox", "true"]).fails(code, &why);
            run(&["volume", "rm", name]).ok();
        }
        assert_eq!(run(&["ps", "-aq"]).ok(), "");
    });
}
