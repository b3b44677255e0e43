//! `volume-subpath`, and volumes of other containers.

use brig_e2e::{Host, with_both};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::{
    fs,
    os::unix::fs::symlink,
    sync::atomic::{AtomicBool, Ordering},
};

fn part(volume: &str, target: &str, subpath: &str) -> String {
    format!("type=volume,src={volume},dst={target},volume-subpath={subpath}")
}

#[test]
fn a_part_of_a_volume_is_mounted_and_nothing_outside_of_it() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        run(&["volume", "create", "data"]).ok();
        let folder = host.path("data/volumes/data/_data");
        fs::create_dir_all(folder.join("a/b")).unwrap();
        fs::create_dir(folder.join("empty")).unwrap();
        fs::write(folder.join("a/b/f"), "inside").unwrap();
        for (to, name) in [("a", "in"), ("/etc", "absolute"), ("../../..", "up"), ("up/..", "twice")] {
            symlink(to, folder.join(name)).unwrap();
        }
        let show = |subpath: &str| {
            run(&["run", "--rm", "--mount", &part("data", "/x", subpath), "busybox", "ls", "/x"])
        };
        for subpath in ["a/b", "in/b", "a/../a/./b"] {
            assert_eq!(show(subpath).ok(), "f", "{subpath}");
        }
        let file = part("data", "/x", "a/b/f");
        assert_eq!(run(&["run", "--rm", "--mount", &file, "busybox", "cat", "/x"]).ok(), "inside");
        let base = folder.display();
        for subpath in ["absolute", "up", "twice", "in/../up"] {
            let clean = if subpath == "in/../up" { "up" } else { subpath };
            let why =
                format!("path concatenation escapes the base directory, base: {base}, subpath: {clean}");
            show(subpath).fails(125, &why);
        }
        show("nope")
            .fails(127, &format!("cannot access path {base}/nope: lstat {base}/nope: no such file or"));
        for subpath in ["../x", "/a", "a/../../x"] {
            show(subpath)
                .fails(125, "invalid mount config for type \"volume\": subpath must be a relative path");
        }
        let anonymous = "type=volume,dst=/x,volume-subpath=a";
        run(&["run", "--rm", "--mount", anonymous, "busybox", "true"])
            .fails(125, "must not set Subpath when using anonymous volumes");
        // A part is filled from the image as a whole volume is; one that is not there yet may be by the start.
        run(&["run", "--rm", "--mount", &part("data", "/etc", "empty"), "busybox", "true"]).ok();
        assert!(folder.join("empty/passwd").exists());
        run(&["create", "--name", "late", "--mount", &part("data", "/etc", "later"), "busybox", "true"]).ok();
        run(&["start", "late"]).fails(1, "cannot access path");
        fs::create_dir(folder.join("later")).unwrap();
        run(&["start", "-a", "late"]).ok();
        // Copying sees the part alone, and others get it as it is.
        run(&["create", "--name", "part", "--mount", &part("data", "/x", "a"), "busybox", "true"]).ok();
        let copied = host.path("copied");
        run(&["cp", "part:/x/b/f", copied.to_str().unwrap()]).ok();
        assert_eq!(fs::read_to_string(&copied).unwrap(), "inside");
        let from =
            run(&["run", "--rm", "--volumes-from", "part:ro", "busybox", "sh", "-c", "ls /x; touch /x/n"]);
        assert_eq!(from.fails(1, "Read-only file system").stdout, "b\n");
        // What was a folder when the container was made may lead elsewhere at its start.
        fs::rename(folder.join("a"), folder.join("away")).unwrap();
        symlink("/etc", folder.join("a")).unwrap();
        run(&["start", "part"]).fails(1, "path concatenation escapes the base directory");
        run(&["cp", "part:/x/passwd", "-"]).fails(1, "path concatenation escapes the base directory");
        run(&["rm", "part", "late"]).ok();
    });
}

/// CVE-2023-3676's kind and kubernetes' CVE-2021-25741: a container that shares the volume exchanges the part for a link
/// while another is started.
#[test]
fn a_part_that_is_exchanged_for_a_link_all_the_time_never_shows_the_host() {
    let host = Host::start();
    host.import_busybox();
    host.brig(&["volume", "create", "data"]).ok();
    let folder = host.path("data/volumes/data/_data");
    fs::create_dir(folder.join("part")).unwrap();
    symlink("/", folder.join("link")).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let (one, other) = (folder.join("part"), folder.join("link"));
                renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
            }
        });
        for _ in 0..40 {
            let mount = part("data", "/x", "part");
            let shown = host.brig(&["run", "--rm", "--mount", &mount, "busybox", "ls", "-A", "/x"]);
            assert_eq!(shown.stdout, "", "{shown:?}");
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn volumes_of_others_come_with_their_modes() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        run(&[
            "create",
            "--name",
            "owner",
            "-v",
            "named:/n",
            "-v",
            "/anonymous",
            "-v",
            "named:/ro:ro",
            "busybox",
            "true",
        ])
        .ok();
        for (mode, rw) in
            [("", "true"), (":ro", "false"), (":rw", "true"), (":z", "true"), (":ro,z", "false")]
        {
            let from = format!("owner{mode}");
            run(&["create", "--name", "other", "--volumes-from", &from, "busybox", "true"]).ok();
            let format = "{{range .Mounts}}{{.Destination}} {{.RW}} {{.Mode}};{{end}}";
            let shown = run(&["inspect", "-f", format, "other"]).ok();
            let mut shown: Vec<&str> = shown.split_terminator(';').collect();
            shown.sort_unstable();
            let expected = [format!("/anonymous {rw} "), format!("/n {rw} "), "/ro false ".to_owned()];
            assert_eq!(shown, expected, "{mode}");
            // Its anonymous volumes are the owner's.
            run(&["rm", "-v", "other"]).ok();
        }
        assert_eq!(run(&["volume", "ls", "-q"]).ok().lines().count(), 2);
        for bad in ["nocopy", "shared", "x", "ro,rw"] {
            let why = format!("invalid mode: {bad}");
            run(&["create", "--volumes-from", &format!("owner:{bad}"), "busybox", "true"]).fails(1, &why);
        }
        run(&["create", "--volumes-from", "nope", "busybox", "true"]).fails(1, "No such container: nope");
        run(&["rm", "-v", "owner"]).ok();
        assert_eq!(run(&["volume", "ls", "-q"]).ok(), "named");
    });
}
