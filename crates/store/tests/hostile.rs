//! Archives made to get out of their root, to fill the disk or to confuse: a clear error, nothing outside touched,
//! nothing left behind. And the strange but legitimate ones, which work.

mod support;

use brig_core::{HasKind, Kind};
use brig_store::Backend;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use support::*;

const BACKENDS: [Backend; 2] = [Backend::Overlay, Backend::Native];

/// Refused with a text that has `part` in it; nothing left behind.
fn refused(what: &str, archive: &[u8], part: &str) {
    for backend in BACKENDS {
        let f = Fixture::with(backend);
        let before = f.listing();
        let e = f.import("x", archive).expect_err(what);
        assert!(e.to_string().contains(part), "{what}: {e}");
        assert!(matches!(e.kind(), Kind::InvalidParameter | Kind::System), "{what}: {e}");
        assert_eq!(f.listing(), before, "{what}");
        assert!(f.store.image_list().unwrap().is_empty(), "{what}");
    }
}

/// Unpacked; `look` looks at the only layer's files.
fn accepted(what: &str, archive: &[u8], look: impl Fn(&std::path::Path)) {
    for backend in BACKENDS {
        let f = Fixture::with(backend);
        f.import("x", archive).unwrap_or_else(|e| panic!("{what}: {e}"));
        look(&f.snapshot_dirs()[0].join("fs"));
        let mut out = Vec::new();
        f.store.save(&["x"], &mut out).unwrap_or_else(|e| panic!("{what}: {e}"));
        let same = archive.is_empty() || out.windows(archive.len()).any(|w| w == archive);
        assert!(same, "{what}: not the same bytes out");
    }
}

#[test]
fn names_that_climb_out_are_refused() {
    for name in ["../evil", "a/../../evil", "/../evil", "./../evil", "a/b/../../../evil"] {
        refused(name, &tar(&[file(name, "x")]), "outside of the archive's root");
        refused(name, &tar(&[dir(name)]), "outside of the archive's root");
        refused(name, &tar(&[symlink(name, "/")]), "outside of the archive's root");
        refused(
            name,
            &tar(&[file("ok", "x"), file("y", "").pax("path", name)]),
            "outside of the archive's root",
        );
    }
    refused("hard link", &tar(&[hardlink("x", "../../etc/passwd")]), "outside of the archive's root");
    refused("root as file", &tar(&[file("./", "x")]), "root");
    refused("root as symlink", &tar(&[symlink("/", "/etc")]), "root");
}

#[test]
fn absolute_names_mean_the_layers_root() {
    accepted("absolute", &tar(&[file("/etc/passwd", "p"), hardlink("/etc/link", "/etc/passwd")]), |fs| {
        assert_eq!(std::fs::read(fs.join("etc/link")).unwrap(), b"p");
    });
    accepted("dots inside", &tar(&[file("a/../b/./c", "p")]), |fs| {
        assert_eq!(std::fs::read(fs.join("b/c")).unwrap(), b"p");
        assert!(!fs.join("a").exists());
    });
}

#[test]
fn symlinks_lead_nowhere_outside() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    // Through an absolute link the path is looked up inside the layer, where it does not exist.
    refused("absolute link", &tar(&[symlink("d", target), file("d/evil", "x")]), "d/evil");
    refused(
        "relative link",
        &tar(&[symlink("d", "../../../../../../../../tmp"), file("d/evil/x", "x")]),
        "d/evil",
    );
    refused("link to a link", &tar(&[symlink("a", target), symlink("b", "a"), dir("b/evil")]), "b/evil");
    refused(
        "hard link through a link",
        &tar(&[symlink("a", "/etc"), hardlink("x", "a/passwd")]),
        "not in this layer",
    );
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    // To a folder of the layer itself, links are followed, also absolute ones and those with too many `..`.
    for link in ["/real", "real", "../../../real", "/../real"] {
        accepted(link, &tar(&[dir("real/"), symlink("d", link), file("d/f", "inside")]), |fs| {
            assert_eq!(std::fs::read(fs.join("real/f")).unwrap(), b"inside");
            assert_eq!(std::fs::read_link(fs.join("d")).unwrap().to_str().unwrap(), link);
        });
    }
    // A file in place of a link replaces the link and not what it points to.
    std::fs::write(outside.path().join("f"), "untouched").unwrap();
    let link = format!("{target}/f");
    accepted("file over a link", &tar(&[symlink("f", &link), file("f", "mine")]), |fs| {
        assert_eq!(std::fs::read(fs.join("f")).unwrap(), b"mine");
    });
    accepted("folder over a link", &tar(&[symlink("f", target), dir("f"), file("f/f", "mine")]), |fs| {
        assert_eq!(std::fs::read(fs.join("f/f")).unwrap(), b"mine");
    });
    assert_eq!(std::fs::read(outside.path().join("f")).unwrap(), b"untouched");
    // A hard link to a symlink is the symlink, and chmod on it reaches nothing.
    accepted("hard link to a link", &tar(&[symlink("l", &link), hardlink("h", "l").mode(0o7777)]), |fs| {
        assert!(fs.join("h").is_symlink());
    });
    assert_eq!(std::fs::metadata(outside.path().join("f")).unwrap().mode() & 0o7777, 0o644);
}

#[test]
fn links_through_proc_stay_inside() {
    // Magic links would lead to the daemon's own descriptors if /proc were a part of the layer.
    refused("proc", &tar(&[symlink("d", "/proc/self/root"), file("d/evil", "x")]), "d/evil");
    refused("proc fd", &tar(&[symlink("d", "/proc/self/fd/3"), file("d/evil", "x")]), "d/evil");
    refused("proc cwd", &tar(&[symlink("d", "/proc/self/cwd"), file("d/evil", "x")]), "d/evil");
}

#[test]
fn circles_of_links_are_refused() {
    refused("circle", &tar(&[symlink("a", "b"), symlink("b", "a"), file("a/x", "x")]), "a/x");
}

#[test]
fn whiteouts_that_point_outside_are_refused() {
    for name in [".wh...", "d/.wh...", ".wh..", ".wh.", "d/.wh."] {
        refused(name, &tar(&[dir("d/"), file(name, "")]), "whiteout");
    }
    refused("climbing", &tar(&[file("../.wh.x", "")]), "outside");
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("f"), "untouched").unwrap();
    let target = outside.path().to_str().unwrap();
    refused("through a link", &tar(&[symlink("d", target), file("d/.wh.f", "")]), "d/.wh.f");
    refused(
        "opaque through a link",
        &tar(&[symlink("d", target), file("d/.wh..wh..opq", "")]),
        "d/.wh..wh..opq",
    );
    assert_eq!(std::fs::read(outside.path().join("f")).unwrap(), b"untouched");
}

#[test]
fn hard_links_to_nowhere_and_to_folders() {
    refused("missing", &tar(&[hardlink("a", "b")]), "not in this layer");
    refused("itself", &tar(&[hardlink("a", "a")]), "not in this layer");
    refused("folder", &tar(&[dir("d"), hardlink("a", "d")]), "link");
    refused("root", &tar(&[hardlink("a", "/")]), "root");
    refused("file as folder", &tar(&[file("a", ""), file("a/b", "")]), "a/b");
}

#[test]
fn device_nodes_are_made_as_devices() {
    let archive = tar(&[
        device(b'3', "null", 1, 3).mode(0o666),
        device(b'4', "loop", 7, 250),
        device(b'6', "pipe", 0, 0),
    ]);
    accepted("devices", &archive, |fs| {
        let null = fs.join("null").symlink_metadata().unwrap();
        assert!(null.file_type().is_char_device());
        assert_eq!((null.rdev(), null.mode() & 0o777), (rustix::fs::makedev(1, 3), 0o666));
        assert!(fs.join("loop").symlink_metadata().unwrap().file_type().is_block_device());
        assert!(fs.join("pipe").symlink_metadata().unwrap().file_type().is_fifo());
    });
    refused("unknown type", &tar(&[Entry::new(b'Z', "x")]), "unknown entry type");
}

#[test]
fn owners_modes_and_times_come_as_they_are() {
    let big = 4_294_967_294;
    let archive = tar(&[
        file("suid", "x").mode(0o6755).owner(1000, 1000),
        file("big", "x").owner(big, big - 1),
        file("pax", "x").pax("uid", "70000").pax("gid", "3000000000").pax("mtime", "1234567890.123456789"),
        dir("sticky").mode(0o1777),
        file("sticky/f", "x"),
        symlink("link", "nowhere").owner(12, 13),
        file("before", "x").pax("mtime", "-1.5"),
    ]);
    accepted("looks", &archive, |fs| {
        let meta = |name: &str| fs.join(name).symlink_metadata().unwrap();
        assert_eq!((meta("suid").mode() & 0o7777, meta("suid").uid()), (0o6755, 1000));
        assert_eq!((u64::from(meta("big").uid()), u64::from(meta("big").gid())), (big, big - 1));
        assert_eq!((meta("pax").uid(), meta("pax").gid()), (70_000, 3_000_000_000));
        assert_eq!((meta("pax").mtime(), meta("pax").mtime_nsec()), (1_234_567_890, 123_456_789));
        assert_eq!((meta("sticky").mode() & 0o7777, meta("sticky").mtime()), (0o1777, 1_000_000_000));
        assert_eq!((meta("link").uid(), meta("link").gid()), (12, 13));
        assert_eq!((meta("before").mtime(), meta("before").mtime_nsec()), (-2, 500_000_000));
    });
    refused("uid -1", &tar(&[file("x", "").owner(u64::from(u32::MAX), 0)]), "uid");
    refused("gid too large", &tar(&[file("x", "").pax("gid", "4294967296")]), "gid");
    refused("negative uid", &tar(&[file("x", "").pax("uid", "-5")]), "uid");
}

#[test]
fn attributes_are_kept_but_not_those_that_steer_overlay() {
    // A version 2 capability set with cap_net_bind_service.
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let archive = tar(&[
        file("ping", "x").owner(5, 5).mode(0o755).pax("SCHILY.xattr.security.capability", capability),
        file("user", "x").pax("SCHILY.xattr.user.note", "a=b\nc"),
        dir("d")
            .pax("SCHILY.xattr.trusted.overlay.opaque", "y")
            .pax("SCHILY.xattr.trusted.overlay.redirect", "/etc"),
        file("d/f", "x"),
        dir("e").pax("SCHILY.xattr.user.overlay.opaque", "y"),
    ]);
    accepted("attributes", &archive, |fs| {
        let get = |path: &str, name: &str| {
            let mut value = [0; 64];
            rustix::fs::lgetxattr(fs.join(path), name, &mut value).map(|n| value[..n].to_vec())
        };
        assert_eq!(get("ping", "security.capability").unwrap(), capability);
        assert_eq!(get("user", "user.note").unwrap(), b"a=b\nc");
        for (path, name) in
            [("d", "trusted.overlay.opaque"), ("d", "trusted.overlay.redirect"), ("e", "user.overlay.opaque")]
        {
            assert_eq!(get(path, name).unwrap_err(), rustix::io::Errno::NODATA);
        }
    });
}

#[test]
fn long_names_in_both_dialects() {
    let long = "d/".repeat(100) + &"n".repeat(200);
    let mut gnu = Vec::new();
    let name = [long.as_bytes(), b"\0"].concat();
    append(&mut gnu, &Entry { content: name, ..Entry::new(b'L', "././@LongLink") });
    append(&mut gnu, &file("short", "gnu"));
    gnu.extend_from_slice(&[0; 1024]);
    let look = |fs: &std::path::Path| assert!(fs.join(&long).is_file());
    accepted("gnu", &gnu, look);
    accepted("pax", &tar(&[file("short", "pax").pax("path", &long)]), look);
    let target = "t".repeat(3000);
    let mut gnu = Vec::new();
    append(&mut gnu, &Entry { content: target.clone().into_bytes(), ..Entry::new(b'K', "././@LongLink") });
    append(&mut gnu, &symlink("l", "cut"));
    gnu.extend_from_slice(&[0; 1024]);
    accepted("gnu link", &gnu, |fs| {
        assert_eq!(std::fs::read_link(fs.join("l")).unwrap().to_str().unwrap(), target)
    });
    accepted("strange", &tar(&[file(b"\xff\xfe\n x", "not utf-8")]), |fs| {
        assert_eq!(std::fs::read_dir(fs).unwrap().count(), 1);
    });
    refused("too long", &tar(&[file("x", "").pax("path", "a/".repeat(2100))]), "too long");
    refused("part too long", &tar(&[file("x", "").pax("path", "a".repeat(256))]), "255");
    refused("nul", &tar(&[file("x", "").pax("path", "a\0b")]), "NUL");
}

/// A path that no system call takes in one piece, made of links.
#[test]
fn folders_too_deep_for_any_path_are_refused() {
    let deep = "d/".repeat(1000);
    let mut entries =
        vec![dir("x").pax("path", &deep), symlink("l0", "x").pax("linkpath", deep.trim_end_matches('/'))];
    entries.push(dir("x").pax("path", format!("l0/{deep}")));
    entries.push(symlink("l1", "x").pax("linkpath", format!("l0/{}", deep.trim_end_matches('/'))));
    entries.push(dir("x").pax("path", format!("l1/{deep}")));
    refused("deep", &tar(&entries), "l1");
}

#[test]
fn truncated_and_corrupt_streams_are_refused() {
    let whole = rootfs();
    for cut in [1, 100, 511, 513, 600, 1024 + 600, whole.len() / 2 + 100] {
        refused(&format!("cut at {cut}"), &whole[..cut], "ends unexpectedly");
    }
    let mut zstd = zstd::encode_all(whole.as_slice(), 3).unwrap();
    zstd.truncate(zstd.len() - 3);
    refused("zstd cut off", &zstd, "");
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, &whole).unwrap();
    let gz = gz.finish().unwrap();
    refused("gzip cut off", &gz[..gz.len() - 8], "");
    let mut wrong = gz.clone();
    let crc = wrong.len() - 6;
    wrong[crc] ^= 1;
    refused("gzip checksum", &wrong, "");
    refused("bzip2", b"BZh91AY&SY", "bzip2");
    refused("xz", b"\xfd7zXZ\0\0\x04", "xz");
    refused("text", "no tar at all\n".repeat(100).as_bytes(), "invalid tar header");
    let mut bad = whole.clone();
    bad[600] ^= 0x40;
    refused("checksum", &bad, "checksum");
    let mut bad = tar(&[file("a", "")]);
    bad.splice(512..512, [0; 512]);
    bad.extend_from_slice(&header(&file("b", "")));
    accepted("data after the end", &bad, |fs| assert!(!fs.join("b").exists()));
    let mut bad = tar(&[file("a", "")]);
    bad.truncate(1024);
    bad.extend_from_slice(&header(&file("b", "")));
    refused("one empty block", &bad, "empty block");
}

#[test]
fn an_empty_archive_is_an_empty_layer() {
    accepted("nothing", &[], |fs| assert_eq!(std::fs::read_dir(fs).unwrap().count(), 0));
    accepted("end marker", &[0; 1024], |_| ());
    accepted("padding", &[0; 10240], |_| ());
}

#[test]
fn numbers_and_extensions_that_lie() {
    let edit = |at: std::ops::Range<usize>, bytes: &[u8]| {
        let mut block = header(&file("x", ""));
        block[at].copy_from_slice(bytes);
        seal(&mut block);
        let mut out = block.to_vec();
        out.extend_from_slice(&[0; 1024]);
        out
    };
    refused("size with letters", &edit(124..136, b"12345678abc\0"), "size");
    refused("negative size", &edit(124..136, &[0xff; 12]), "negative");
    refused("size beyond 64 bits", &edit(124..136, &[0xbf; 12]), "size");
    refused("size beyond the stream", &edit(124..136, b"77777777777\0"), "ends unexpectedly");
    let mut huge = Vec::new();
    let mut block = header(&Entry::new(b'x', "pax"));
    block[124..136].copy_from_slice(b"77777777777\0");
    seal(&mut block);
    huge.extend_from_slice(&block);
    refused("extension of 8 GiB", &huge, "too long");
    let mut many = Vec::new();
    for _ in 0..9 {
        append(&mut many, &Entry { content: vec![b'x'; 1 << 20], ..Entry::new(b'L', "l") });
    }
    refused("extensions without an entry", &many, "too long");
    let mut bad = Vec::new();
    append(&mut bad, &Entry { content: b"99999 path=x\n".to_vec(), ..Entry::new(b'x', "pax") });
    append(&mut bad, &file("a", ""));
    refused("pax length", &bad, "pax");
    refused("pax size", &tar(&[file("x", "").pax("size", "-1")]), "negative");
    refused("pax time", &tar(&[file("x", "").pax("mtime", "soon")]), "time");
    refused("symlink to nothing", &tar(&[symlink("l", "")]), "symlink");
    refused(
        "device numbers",
        &tar(&[Entry { device: (0xffff_ffff, 0), ..Entry::new(b'3', "d") }.pax("x", "y")]),
        "d",
    );
}

/// GNU's old sparse header: (offset, length) of four segments at most.
fn gnu_sparse(segments: &[(u64, u64)], size: u64, data: &[u8]) -> Vec<u8> {
    let mut block = header(&Entry { content: data.to_vec(), ..Entry::new(b'S', "sparse") });
    for (i, (offset, length)) in segments.iter().enumerate() {
        let at = 386 + 24 * i;
        block[at] = 0x80;
        block[at + 4..at + 12].copy_from_slice(&offset.to_be_bytes());
        block[at + 12] = 0x80;
        block[at + 16..at + 24].copy_from_slice(&length.to_be_bytes());
    }
    block[483..495].fill(0);
    block[487..495].copy_from_slice(&size.to_be_bytes());
    block[483] |= 0x80;
    seal(&mut block);
    let mut out = block.to_vec();
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(512), 0);
    out.extend_from_slice(&[0; 1024]);
    out
}

#[test]
fn sparse_files_in_every_form() {
    let data = [vec![1; 600], vec![2; 100]].concat();
    let mut expected = vec![0; 1 << 20];
    expected[4096..4696].fill(1);
    expected[900_000..900_100].fill(2);
    let look = |fs: &std::path::Path| {
        assert_eq!(std::fs::read(fs.join("sparse")).unwrap(), expected);
        assert!(fs.join("sparse").metadata().unwrap().blocks() < 100, "holes stay holes");
    };
    accepted("gnu", &gnu_sparse(&[(4096, 600), (900_000, 100)], 1 << 20, &data), look);
    let sparse = |name: &str| Entry { content: data.clone(), ..Entry::new(b'0', name) };
    let pax00 = sparse("sparse")
        .pax("GNU.sparse.size", "1048576")
        .pax("GNU.sparse.numblocks", "2")
        .pax("GNU.sparse.offset", "4096")
        .pax("GNU.sparse.numbytes", "600")
        .pax("GNU.sparse.offset", "900000")
        .pax("GNU.sparse.numbytes", "100");
    accepted("pax 0.0", &tar(&[pax00]), look);
    let pax01 = sparse("GNUSparseFile.0/sparse")
        .pax("GNU.sparse.size", "1048576")
        .pax("GNU.sparse.numblocks", "2")
        .pax("GNU.sparse.name", "sparse")
        .pax("GNU.sparse.map", "4096,600,900000,100");
    accepted("pax 0.1", &tar(&[pax01]), look);
    let mut content = b"2\n4096\n600\n900000\n100\n".to_vec();
    content.resize(512, 0);
    content.extend_from_slice(&data);
    let pax10 = Entry { content, ..Entry::new(b'0', "GNUSparseFile.0/sparse") }
        .pax("GNU.sparse.major", "1")
        .pax("GNU.sparse.minor", "0")
        .pax("GNU.sparse.name", "sparse")
        .pax("GNU.sparse.realsize", "1048576");
    accepted("pax 1.0", &tar(&[pax10]), look);
}

#[test]
fn sparse_bombs_and_broken_maps_are_refused() {
    for size in [1 << 50, 1 << 60, i64::MAX as u64] {
        refused("bomb", &gnu_sparse(&[(size - 512, 512)], size, &[1; 512]), "");
        refused("hollow bomb", &gnu_sparse(&[(size, 0)], size, &[]), "");
    }
    refused("overlap", &gnu_sparse(&[(0, 512), (100, 512)], 4096, &[1; 1024]), "overlap");
    refused("past the end", &gnu_sparse(&[(4000, 512)], 4096, &[1; 512]), "past the end");
    refused("too little data", &gnu_sparse(&[(0, 1024)], 4096, &[1; 512]), "does not match");
    refused("too much data", &gnu_sparse(&[(0, 100)], 4096, &[1; 512]), "does not match");
    let pax = |map: &str| tar(&[file("s", "").pax("GNU.sparse.size", "100").pax("GNU.sparse.map", map)]);
    refused("odd map", &pax("1,2,3"), "odd");
    refused("negative map", &pax("-1,2"), "negative");
    refused("no numbers", &pax("a,b"), "map");
    let map10 = |content: &[u8]| {
        let mut content = content.to_vec();
        content.resize(512, 0);
        tar(&[Entry { content, ..Entry::new(b'0', "s") }
            .pax("GNU.sparse.major", "1")
            .pax("GNU.sparse.minor", "0")
            .pax("GNU.sparse.realsize", "100")])
    };
    refused("map of a million", &map10(b"1000000\n0\n1\n"), "map");
    refused("map with a long number", &map10(&[b'1'; 512]), "map");
    refused("map with a negative count", &map10(b"-1\n"), "map");
}

#[test]
fn entries_that_replace_each_other_come_out_as_they_went_in() {
    let archive = tar(&[
        dir("d/"),
        file("d/f", "first"),
        file("d/f", "second"),
        dir("d/sub/"),
        file("d/sub/g", "third"),
        file("d/sub", "a file now"),
        symlink("d/f", "x"),
        file("d/f", "fourth"),
        hardlink("h", "d/f"),
        file("d/f", "fifth"),
        file("d", "all gone"),
        file("d", "really"),
    ]);
    accepted("replacing", &archive, |fs| {
        assert_eq!(std::fs::read(fs.join("d")).unwrap(), b"really");
        assert_eq!(std::fs::read(fs.join("h")).unwrap(), b"fourth");
    });
    // Over links into the same folder.
    let archive = tar(&[
        dir("real/"),
        symlink("link", "real"),
        file("real/f", "by its own name"),
        file("link/f", "through the link"),
        file("real/f", "again"),
    ]);
    accepted("replacing through a link", &archive, |fs| {
        assert_eq!(std::fs::read(fs.join("real/f")).unwrap(), b"again");
    });
}

#[test]
fn content_where_none_belongs_is_kept_for_the_way_out() {
    let mut with_size = header(&symlink("l", "t"));
    with_size[124..136].copy_from_slice(b"00000001000\0");
    seal(&mut with_size);
    let mut archive = with_size.to_vec();
    append(&mut archive, &Entry { content: b"whiteout with content".to_vec(), ..Entry::new(b'0', ".wh.x") });
    append(&mut archive, &Entry { content: vec![9; 5000], ..Entry::new(b'0', ".wh..wh.aufs") });
    append(
        &mut archive,
        &Entry { content: b"18 comment=global\n".to_vec(), ..Entry::new(b'g', "pax_global_header") },
    );
    archive.extend_from_slice(&[0; 1024]);
    archive.extend_from_slice(b"and something after the end");
    accepted("odd content", &archive, |_| ());
}

#[test]
fn the_same_entry_over_and_over_costs_neither_memory_nor_time() {
    let mut archive = Vec::new();
    for n in 0..200 {
        append(&mut archive, &file(format!("d/f{n}"), ""));
    }
    for _ in 0..20_000 {
        append(&mut archive, &dir("d/"));
        append(&mut archive, &file("d/.wh..wh..opq", ""));
    }
    archive.extend_from_slice(&[0; 1024]);
    accepted("repeated", &archive, |fs| assert_eq!(std::fs::read_dir(fs.join("d")).unwrap().count(), 200));
}
