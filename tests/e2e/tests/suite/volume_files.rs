//! `volume export`, `import` and `clone`.

use brig_e2e::{Client, Host, image};
use std::{
    fs,
    io::Write,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, symlink},
    path::Path,
    process::Stdio,
};

/// Files of all kinds, with what is easily lost.
fn fill(folder: &Path) {
    fs::create_dir_all(folder.join("deep/er")).unwrap();
    fs::write(folder.join("deep/er/file"), "words").unwrap();
    fs::hard_link(folder.join("deep/er/file"), folder.join("second")).unwrap();
    symlink("/etc/passwd", folder.join("link")).unwrap();
    let sparse = fs::File::create(folder.join("sparse")).unwrap();
    sparse.set_len(16 << 20).unwrap();
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, folder.join("pipe"), pipe, 0o640.into(), 0).unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(folder.join("second"), "user.note", b"kept", flags).unwrap();
    chown(folder.join("second"), Some(1000), Some(70_000)).unwrap();
    fs::set_permissions(folder.join("second"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::write(folder.join("ünï\n x"), "").unwrap();
    chown(folder, Some(999), Some(998)).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o2700)).unwrap();
}

fn check(folder: &Path) {
    let stat = |name: &str| fs::symlink_metadata(folder.join(name)).unwrap();
    assert_eq!(stat("deep/er/file").ino(), stat("second").ino());
    assert_eq!(fs::read_to_string(folder.join("second")).unwrap(), "words");
    let second = stat("second");
    assert_eq!((second.uid(), second.gid(), second.mode() & 0o7777), (1000, 70_000, 0o4751));
    let mut value = [0; 10];
    let length = rustix::fs::getxattr(folder.join("second"), "user.note", &mut value[..]).unwrap();
    assert_eq!(&value[..length], b"kept");
    assert_eq!(fs::read_link(folder.join("link")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(stat("sparse").len(), 16 << 20);
    assert!(stat("pipe").file_type().is_fifo());
    assert!(folder.join("ünï\n x").exists());
    let top = fs::metadata(folder).unwrap();
    assert_eq!((top.uid(), top.gid(), top.mode() & 0o7777), (999, 998, 0o2700));
}

#[test]
fn a_volume_goes_into_an_archive_out_of_one_and_into_a_copy() {
    let host = Host::start();
    host.import_busybox();
    let folder = |name: &str| host.path(&format!("data/volumes/{name}/_data"));
    host.brig(&["volume", "create", "data"]).ok();
    fill(&folder("data"));
    let file = host.path("data.tar");
    let tar = file.to_str().unwrap();
    host.brig(&["volume", "export", "-o", tar, "data"]).ok();
    assert_eq!(host.brig(&["volume", "import", "new", tar]).ok(), "new");
    check(&folder("new"));
    let archive = fs::read(&file).unwrap();
    host.brig(&["volume", "create", "empty"]).ok();
    assert_eq!(Client::Brig.run_with(&host, &["volume", "import", "empty"], &archive).ok(), "empty");
    check(&folder("empty"));
    assert_eq!(host.brig(&["volume", "clone", "--label", "of=data", "data", "copy"]).ok(), "copy");
    check(&folder("copy"));
    assert!(fs::metadata(folder("copy").join("sparse")).unwrap().blocks() < 1000, "holes stay holes");
    assert_eq!(host.brig(&["volume", "ls", "-q", "-f", "label=of=data"]).ok(), "copy");
    assert_eq!(host.brig(&["volume", "clone", "data"]).ok().len(), 64);
    // What is in a volume is not lost to an archive unless that is asked for.
    fs::write(folder("new").join("own"), "stays").unwrap();
    let refused = host.brig(&["volume", "import", "new", tar]);
    refused.fails(1, "import new: the volume is not empty");
    host.brig(&["volume", "import", "--merge", "new", tar]).ok();
    check(&folder("new"));
    assert!(folder("new").join("own").exists());
    host.brig(&["volume", "clone", "data", "new"]).fails(1, "a volume of that name is there already");
    for verb in ["export", "clone"] {
        let args = ["volume", verb, "nope"];
        host.brig(&args).fails(1, "get nope: no such volume");
    }
    host.brig(&["volume", "import", "../up", tar]).fails(1, "includes invalid characters");
    // A mounted volume is exported as its users see it.
    let memory = ["-o", "type=tmpfs", "-o", "device=tmpfs", "memory"];
    host.brig(&[&["volume", "create"], &memory[..]].concat()).ok();
    host.brig(&["volume", "import", "memory", tar]).ok();
    assert_eq!(host.brig(&["run", "--rm", "-v", "memory:/m", "busybox", "ls", "/m"]).ok(), "");
}

#[test]
fn an_archive_that_is_broken_or_means_harm_leaves_nothing() {
    let host = Host::start();
    let import =
        |name: &str, archive: &[u8]| Client::Brig.run_with(&host, &["volume", "import", name], archive);
    let mut tar = tar::Builder::new(Vec::new());
    image::entry(&mut tar, "good", tar::EntryType::Regular, 0o644, b"fine");
    let good = tar.into_inner().unwrap();
    let mut harm = tar::Builder::new(Vec::new());
    image::entry(&mut harm, "good", tar::EntryType::Regular, 0o644, b"fine");
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..10].copy_from_slice(b"../outside");
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    harm.append(&header, &[][..]).unwrap();
    let harm = harm.into_inner().unwrap();
    host.brig(&["volume", "create", "empty"]).ok();
    for broken in [&harm[..], &good[..600], b"no archive at all".repeat(99).as_slice()] {
        for name in ["new", "empty"] {
            assert_eq!(import(name, broken).code, 1);
        }
        assert_eq!(host.brig(&["volume", "ls", "-q"]).ok(), "empty");
        assert!(!host.path("data/volumes/new").exists());
        assert_eq!(fs::read_dir(host.path("data/volumes/empty/_data")).unwrap().count(), 0);
    }
    assert!(!host.path("data/volumes/empty/outside").exists());
    // Links in an archive lead nowhere out of the volume.
    let mut tar = tar::Builder::new(Vec::new());
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    tar.append_link(&mut link, "out", host.dir()).unwrap();
    image::entry(&mut tar, "out/planted", tar::EntryType::Regular, 0o644, b"x");
    import("linked", &tar.into_inner().unwrap());
    assert!(!host.path("planted").exists());
    // A client that goes away in the middle, and a daemon that is killed in the middle.
    for kill in [false, true] {
        let mut child =
            Client::Brig.command(&host, &["volume", "import", "half"]).stdin(Stdio::piped()).spawn().unwrap();
        let mut big = tar::Header::new_gnu();
        big.set_size(64 << 20);
        big.set_path("big").unwrap();
        big.set_cksum();
        let input = child.stdin.as_mut().unwrap();
        input.write_all(big.as_bytes()).unwrap();
        input.write_all(&vec![1; 8 << 20]).unwrap();
        if kill {
            host.kill_daemon();
            host.start_daemon(&[]);
            let _ = child.wait();
        } else {
            child.kill().unwrap();
            child.wait().unwrap();
            // Whoever makes it holds it until it is gone again.
            import("half", &good).ok();
            host.brig(&["volume", "rm", "half"]).ok();
        }
        assert!(!host.path("data/volumes/half").exists());
    }
}
