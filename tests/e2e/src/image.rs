//! Images made from the machine's static busybox.

use std::sync::OnceLock;

/// The name that [`crate::Host::import_busybox`] gives the image.
pub const BUSYBOX: &str = "busybox:latest";

/// A root file system with busybox and its applet links, as an uncompressed tar.
pub fn busybox_tar() -> &'static [u8] {
    static TAR: OnceLock<Vec<u8>> = OnceLock::new();
    TAR.get_or_init(|| {
        let program = ["/usr/bin/busybox", "/bin/busybox"]
            .iter()
            .find_map(|p| std::fs::read(p).ok())
            .expect("no busybox: `cargo xtask test` installs Debian's busybox-static");
        let list = std::process::Command::new("busybox").arg("--list").output().expect("busybox --list");
        let applets = String::from_utf8(list.stdout).expect("applet names");
        let mut tar = tar::Builder::new(Vec::new());
        for (name, mode) in
            [("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777), ("root", 0o700), ("var", 0o755), ("www", 0o755)]
        {
            entry(&mut tar, name, tar::EntryType::Directory, mode, b"");
        }
        entry(&mut tar, "bin/busybox", tar::EntryType::Regular, 0o755, &program);
        for applet in applets.split_whitespace().filter(|a| *a != "busybox") {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            header.set_mode(0o777);
            tar.append_link(&mut header, format!("bin/{applet}"), "busybox").expect("in memory");
        }
        entry(
            &mut tar,
            "etc/passwd",
            tar::EntryType::Regular,
            0o644,
            b"root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1001::/home/alice:/bin/sh\n",
        );
        entry(
            &mut tar,
            "etc/group",
            tar::EntryType::Regular,
            0o644,
            b"root:x:0:\nalice:x:1001:\nstaff:x:50:alice\n",
        );
        entry(&mut tar, "www/index.html", tar::EntryType::Regular, 0o644, b"hello from brig\n");
        entry(&mut tar, "bin/not-executable", tar::EntryType::Regular, 0o644, b"text\n");
        tar.into_inner().expect("in memory")
    })
}

/// Appends one entry owned by root.
pub fn entry(tar: &mut tar::Builder<Vec<u8>>, path: &str, kind: tar::EntryType, mode: u32, data: &[u8]) {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(data.len() as u64);
    header.set_mtime(1_700_000_000);
    tar.append_data(&mut header, path, data).expect("in memory");
}
