//! `cp`, both ways, and what tries to get out of a container by it.

use brig_e2e::{Client, Host, Output, host::follow_until, with_both};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::Stdio,
};

fn cp(host: &Host, client: Client, from: &str, to: &str) -> Output {
    client.run(host, &["cp", from, to])
}

/// Writes files on this machine: `(name, content)`, a name that ends in a slash is a folder.
fn files(top: &Path, files: &[(&str, &str)]) {
    for (name, content) in files {
        let path = top.join(name);
        if name.ends_with('/') {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }
}

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()))
}

#[test]
fn files_and_folders_go_in_and_come_out_as_dockers_rules_say() {
    with_both(|host, client| {
        let here = host.path("here");
        files(&here, &[("f", "file"), ("d/a", "a"), ("d/sub/b", "b"), ("out/", "")]);
        symlink("f", here.join("link")).unwrap();
        fs::set_permissions(here.join("f"), fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::chown(here.join("f"), Some(1000), Some(1001)).unwrap();
        let at = |name: &str| here.join(name).to_str().unwrap().to_owned();
        client.run(host, &["create", "--name", "still", "-v", "vol:/data", "busybox", "true"]).ok();
        let runs =
            ["run", "-d", "--name", "runs", "-v", "vol:/data", "--tmpfs", "/mem", "busybox", "sleep", "1000"];
        client.run(host, &runs).ok();
        for c in ["still", "runs"] {
            let inside = |path: &str| format!("{c}:{path}");
            let back = |path: &str| {
                let copy = at("out/back");
                cp(host, client, &inside(path), &copy).ok();
                let content = text(&copy);
                fs::remove_file(&copy).unwrap();
                content
            };
            cp(host, client, &at("f"), &inside("/tmp")).ok();
            cp(host, client, &at("f"), &inside("/tmp/new")).ok();
            cp(host, client, &at("d"), &inside("/tmp")).ok();
            cp(host, client, &at("d"), &inside("/tmp/renamed")).ok();
            cp(host, client, &at("d/."), &inside("/tmp/content")).ok();
            cp(host, client, &at("link"), &inside("/tmp")).ok();
            client.run(host, &["cp", "-L", &at("link"), &inside("/tmp/followed")]).ok();
            let said = client.run(host, &["cp", "--quiet=false", &at("f"), &inside("/data/f")]);
            assert_eq!(said.stderr, format!("Successfully copied 2.05kB to {c}:/data/f\n"));
            for (path, content) in [
                ("/tmp/f", "file"),
                ("tmp/new", "file"),
                ("/tmp/d/sub/b", "b"),
                ("/tmp/renamed/a", "a"),
                ("/tmp/content/sub/b", "b"),
                ("/tmp/followed", "file"),
                ("/data/f", "file"),
            ] {
                assert_eq!(back(path), content, "{c}:{path}");
            }
            cp(host, client, &inside("/tmp/link"), &at("out/link")).ok();
            assert_eq!(fs::read_link(here.join("out/link")).unwrap(), Path::new("f"));
            client.run(host, &["cp", "-L", &inside("/tmp/link"), &at("out/file")]).ok();
            assert_eq!(text(here.join("out/file")), "file");
            assert_eq!(fs::metadata(here.join("out/file")).unwrap().mode() & 0o777, 0o640);
            cp(host, client, &inside("/tmp/renamed/."), &at("out")).ok();
            assert_eq!(text(here.join("out/sub/b")), "b");
            fs::remove_dir_all(here.join("out")).unwrap();
            fs::create_dir(here.join("out")).unwrap();
        }
        cp(host, client, &at("f"), "runs:/mem/f").ok();
        let seen = ["exec", "runs", "sh", "-c", "cat /mem/f /data/f; stat -c ' %u %g %a' /mem/f"];
        assert_eq!(client.run(host, &seen).ok(), "filefile 1000 1001 640");
        // What was put into one that did not run is there when it does.
        client.run(host, &["start", "still"]).ok();
        cp(host, client, "still:/tmp/new", &at("out/again")).ok();
        assert_eq!(text(here.join("out/again")), "file");
    });
}

#[test]
fn archives_go_through_standard_streams() {
    with_both(|host, client| {
        client.run(host, &["create", "--name", "c1", "--user", "3:4", "busybox", "true"]).ok();
        let mut tar = tar::Builder::new(Vec::new());
        brig_e2e::image::entry(&mut tar, "x/y", tar::EntryType::Regular, 0o600, b"piped");
        let tar = tar.into_inner().unwrap();
        client.run_with(host, &["cp", "-", "c1:/tmp"], &tar).ok();
        client.run_with(host, &["cp", "-a", "-", "c1:/var"], &tar).ok();
        for (folder, owner) in [("/tmp", (0, 0)), ("/var", (3, 4))] {
            let out = host.path("out.tar");
            let file = fs::File::create(&out).unwrap();
            let from = format!("c1:{folder}/x");
            assert!(client.command(host, &["cp", &from, "-"]).stdout(file).status().unwrap().success());
            let bytes = fs::read(&out).unwrap();
            let mut archive = tar::Archive::new(bytes.as_slice());
            let entries: Vec<_> = archive
                .entries()
                .unwrap()
                .map(|entry| {
                    let entry = entry.unwrap();
                    let ids = (entry.header().uid().unwrap(), entry.header().gid().unwrap());
                    (String::from_utf8(entry.path_bytes().into_owned()).unwrap(), ids)
                })
                .collect();
            assert_eq!(entries, [("x/".to_owned(), (0, 0)), ("x/y".to_owned(), owner)]);
        }
    });
}

#[test]
fn what_can_not_be_copied_is_refused_in_dockers_words() {
    with_both(|host, client| {
        let here = host.path("here");
        files(&here, &[("f", "file"), ("d/a", "a")]);
        let at = |name: &str| here.join(name).to_str().unwrap().to_owned();
        client.run(host, &["create", "--name", "c1", "busybox", "true"]).ok();
        client.run(host, &["create", "--name", "ro", "--read-only", "busybox", "true"]).ok();
        let run = [
            "run",
            "-d",
            "--name",
            "vol",
            "-v",
            "vol1:/ro:ro",
            "--read-only",
            "--tmpfs",
            "/mem",
            "busybox",
            "sleep",
            "1000",
        ];
        client.run(host, &run).ok();
        let missing = at("nowhere");
        for (from, to, why) in [
            ("c1:/nope", at("x"), "Could not find the file /nope in container c1".to_owned()),
            ("c1:/etc/passwd/", at("x"), "lstat /etc/passwd/: not a directory".to_owned()),
            ("c1:/etc", at("f"), "cannot copy directory".to_owned()),
            (
                "c1:/etc/passwd",
                at("nowhere/x"),
                format!("invalid output path: directory \"{missing}\" does not exist"),
            ),
            ("no:/x", at("x"), "No such container: no".to_owned()),
            ("c1:", at("x"), "bad parameter: pathcannot be empty".to_owned()),
            ("c1:/a", "c1:/b".to_owned(), "copying between containers is not supported".to_owned()),
            ("a", "b".to_owned(), "must specify at least one container source".to_owned()),
        ] {
            cp(host, client, from, &to).fails(1, &why);
        }
        for (from, to, why) in [
            ("f", "c1:/nodir/x", "Could not find the file /nodir in container c1".to_owned()),
            ("f", "c1:/nodir/", "no such directory".to_owned()),
            ("d", "c1:/etc/passwd", "cannot copy directory".to_owned()),
            ("f", "no:/x", "No such container: no".to_owned()),
            ("f", "ro:/tmp/x", "container rootfs is marked read-only".to_owned()),
            ("f", "vol:/tmp/x", "container rootfs is marked read-only".to_owned()),
            ("f", "vol:/ro/x", "mounted volume is marked read-only".to_owned()),
            ("f", "vol:/etc/hosts", "read-only".to_owned()),
            ("nowhere", "c1:/tmp", format!("lstat {missing}: no such file or directory")),
        ] {
            cp(host, client, &at(from), to).fails(1, &why);
        }
        cp(host, client, &at("f"), "vol:/mem/x").ok();
        client.run_with(host, &["cp", "-", "c1:/tmp"], b"no tar").fails(1, "unexpected EOF");
        client
            .run_with(host, &["cp", "-", "c1:/tmp"], &[7; 2048])
            .fails(1, "archive/tar: invalid tar header");
        client
            .run_with(host, &["cp", "-", "c1:/etc/passwd"], b"")
            .fails(1, "destination \"c1:/etc/passwd\" must be a directory");
        // A file that is mounted can't be replaced, neither from inside nor from here.
        client.run(host, &["run", "-d", "--name", "runs", "busybox", "sleep", "1000"]).ok();
        cp(host, client, &at("f"), "runs:/etc/hosts")
            .fails(1, "unlinkat /etc/hosts: device or resource busy");
        assert!(client.run(host, &["exec", "runs", "cat", "/etc/hosts"]).ok().contains("localhost"));
    });
}

/// An archive of `(name, kind, link)`.
fn archive(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, link) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(*kind);
        header.set_mode(0o666);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        let data: &[u8] = if *kind == tar::EntryType::Regular { b"evil" } else { b"" };
        header.set_size(data.len() as u64);
        header.set_cksum();
        builder.append(&header, data).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn archives_that_mean_harm_stay_in_the_container() {
    use tar::EntryType::{Link, Regular, Symlink};
    let host = Host::start();
    host.import_busybox();
    files(&host.path("victim"), &[("secret", "secret")]);
    let victim = host.path("victim").to_str().unwrap().to_owned();
    let secret = format!("{victim}/secret");
    let refused = host.brig(&["create", "--name", "c1", "busybox", "true"]).ok();
    let put = |entries: &[(&str, tar::EntryType, &str)]| {
        Client::Brig.run_with(&host, &["cp", "-", &format!("{refused}:/tmp")], &archive(entries))
    };
    put(&[("../../evil", Regular, "")]).fails(1, "is outside of \"/tmp\"");
    put(&[("a", Link, "../../etc/shadow")]).fails(1, "invalid hardlink");
    put(&[("a", Link, &secret)]).fails(1, "Could not find the file");
    // Links lead about in the container's own root.
    put(&[("l", Symlink, &victim), ("l/evil", Regular, "")]).fails(1, "");
    put(&[("up", Symlink, "../../../../../../../etc"), ("up/evil", Regular, "")]).ok();
    put(&[("abs", Symlink, "/etc"), ("abs/evil2", Regular, "")]).ok();
    let out = host.path("evil");
    host.brig(&["cp", "c1:/etc/evil2", out.to_str().unwrap()]).ok();
    assert!(!Path::new("/etc/evil").exists() && !Path::new("/etc/evil2").exists());
    assert_eq!(fs::read_dir(host.path("victim")).unwrap().count(), 1);
}

/// A path that is checked and used later is a link to the host's files by then.
#[test]
fn cve_2018_15664_a_path_that_changes_under_the_copy_stays_in_the_root() {
    let host = Host::start();
    host.import_busybox();
    files(&host.path("victim"), &[("secret", "of the host")]);
    let victim = host.path("victim").to_str().unwrap().to_owned();
    let program = format!(
        "mkdir -p /race/real; echo own > /race/real/secret; ln -s {victim} /race/link; cd /race; echo ready; \
         while :; do mv real tmp; mv link real; mv real link; mv tmp real; done"
    );
    host.brig(&["run", "-d", "--name", "c1", "busybox", "sh", "-c", &program]).ok();
    follow_until(&host, Client::Brig, "c1", "ready");
    let out = host.path("out");
    for round in 0..60 {
        files(&host.path("in"), &[("evil", "evil")]);
        let from = host.path("in/evil");
        // Whatever comes of it: the container decides what is there.
        let _ = host.brig(&["cp", from.to_str().unwrap(), "c1:/race/real/evil"]);
        let read = host.brig(&["cp", "c1:/race/real/secret", out.to_str().unwrap()]);
        if read.code == 0 && out.is_file() {
            assert_eq!(text(&out), "own\n", "round {round}");
        }
    }
    let left: Vec<_> = fs::read_dir(&victim).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["secret"]);
    assert_eq!(text(format!("{victim}/secret")), "of the host");
}

/// Podman's twin of it: a link that is there from the beginning.
#[test]
fn cve_2019_10152_a_link_in_the_container_leads_to_its_own_files() {
    let host = Host::start();
    host.import_busybox();
    files(&host.path("victim"), &[("secret", "of the host")]);
    let victim = host.path("victim").to_str().unwrap().to_owned();
    let program =
        format!("ln -s {victim} /d; ln -s {victim}/secret /f; ln -s / /root/r; echo done; sleep 1000");
    host.brig(&["run", "-d", "--name", "c1", "busybox", "sh", "-c", &program]).ok();
    follow_until(&host, Client::Brig, "c1", "done");
    let out = host.path("out").to_str().unwrap().to_owned();
    for stop in [true, false] {
        host.brig(&["cp", "-L", "c1:/f", &out]).fails(1, "Could not find the file");
        host.brig(&["cp", "c1:/d/secret", &out]).fails(1, "Could not find the file");
        host.brig(&["cp", &format!("c1:/root/r{victim}/secret"), &out]).fails(1, "Could not find the file");
        host.brig(&["cp", "Cargo.toml", "c1:/d/evil"]).fails(1, "");
        // The same while it does not run.
        if stop {
            host.brig(&["kill", "c1"]).ok();
            host.brig(&["wait", "c1"]).ok();
        }
    }
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 1);
}

/// What copies must not take libraries, nor anything else, from the container: here, what it shows as `/proc`.
#[test]
fn cve_2019_14271_the_copying_side_uses_nothing_of_the_container() {
    use tar::EntryType::{Directory, Fifo, Regular};
    let host = Host::start();
    host.import_busybox();
    files(&host.path("victim"), &[("secret", "of the host")]);
    let victim = host.path("victim").to_str().unwrap().to_owned();
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o711)).unwrap();
    // Every descriptor that the copying side could name leads to the victim in here.
    let program = format!(
        "mount -t tmpfs none /proc && mkdir -p /proc/self/fd /proc/thread-self/fd {victim} && \
         for n in $(seq 0 200); do ln -s {victim} /proc/self/fd/$n; ln -s {victim} /proc/thread-self/fd/$n; done; \
         chmod 700 {victim}; echo done; sleep 1000"
    );
    host.brig(&["run", "-d", "--privileged", "--name", "c1", "busybox", "sh", "-c", &program]).ok();
    follow_until(&host, Client::Brig, "c1", "done");
    let entries = [("d", Directory, ""), ("d/pipe", Fifo, ""), ("d/file", Regular, "")];
    Client::Brig.run_with(&host, &["cp", "-", "c1:/tmp"], &archive(&entries)).ok();
    let inside = host.brig(&["exec", "c1", "stat", "-c", "%a %F", &victim, "/tmp/d/pipe"]).ok();
    assert_eq!(inside, "700 directory\n666 fifo");
    assert_eq!(fs::metadata(&victim).unwrap().mode() & 0o777, 0o711);
}

#[test]
fn a_copy_that_is_cut_off_holds_nothing() {
    let host = Host::start();
    host.import_busybox();
    host.brig(&["create", "--name", "c1", "busybox", "true"]).ok();
    // A client that takes nothing holds the container still, until it goes.
    let mut reader =
        Client::Brig.command(&host, &["cp", "c1:/", "-"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 512];
    std::io::Read::read_exact(reader.stdout.as_mut().unwrap(), &mut first).unwrap();
    reader.kill().unwrap();
    reader.wait().unwrap();
    // One that goes in the middle of sending.
    let mut writer = Client::Brig
        .command(&host, &["cp", "-", "c1:/tmp"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut tar = archive(&[("half", tar::EntryType::Regular, "")]);
    tar[124..135].copy_from_slice(b"00010000000");
    let mut header = tar::Header::from_byte_slice(&tar[..512]).clone();
    header.set_cksum();
    std::io::Write::write_all(writer.stdin.as_mut().unwrap(), header.as_bytes()).unwrap();
    std::io::Write::write_all(writer.stdin.as_mut().unwrap(), &[1; 4096]).unwrap();
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert_eq!(host.brig(&["start", "c1"]).ok(), "c1");
    host.brig(&["wait", "c1"]).ok();
    host.brig(&["rm", "c1"]).ok();
}

#[test]
fn two_copies_and_a_start_at_once() {
    let host = Host::start();
    host.import_busybox();
    host.brig(&["create", "--name", "c1", "busybox", "cat", "/tmp/0/a", "/tmp/3/a"]).ok();
    files(&host.path("in"), &[("a", "a"), ("b/c", "c")]);
    let from = host.path("in").to_str().unwrap().to_owned();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let (host, from) = (&host, &from);
            scope.spawn(move || host.brig(&["cp", from, &format!("c1:/tmp/{n}")]).ok());
        }
    });
    assert_eq!(host.brig(&["start", "-a", "c1"]).ok(), "aa");
}
