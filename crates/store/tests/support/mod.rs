//! Archives made byte by byte, and stores in folders of their own.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use brig_core::{Digest, StatePaths, atomic::Durability};
use brig_store::{Backend, ImportOptions, Store, StoreOptions};
use std::{
    collections::BTreeMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// A store in a temporary folder.
pub struct Fixture {
    pub dir: tempfile::TempDir,
    pub store: Store,
}

impl Fixture {
    pub fn new() -> Self {
        Self::with(Backend::Overlay)
    }

    pub fn with(backend: Backend) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), backend);
        Self { dir, store }
    }

    pub fn import(&self, name: &str, archive: &[u8]) -> brig_store::Result<brig_core::Digest> {
        let options = ImportOptions { reference: Some(name.parse().unwrap()), ..ImportOptions::default() };
        self.store.import(&mut &*archive, &options)
    }

    /// Closes the store and opens it again.
    pub fn reopen(self, backend: Backend) -> Self {
        let Self { dir, store } = self;
        drop(store);
        let store = open(dir.path(), backend);
        Self { dir, store }
    }

    /// Every file and folder under the data root but the database.
    pub fn listing(&self) -> Vec<PathBuf> {
        self.store.settle();
        listing(self.dir.path())
    }

    /// The folders under `snapshots`.
    pub fn snapshot_dirs(&self) -> Vec<PathBuf> {
        self.store.settle();
        let mut dirs: Vec<_> = std::fs::read_dir(self.dir.path().join("snapshots"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        dirs.sort();
        dirs
    }
}

pub fn options(backend: Backend) -> StoreOptions {
    StoreOptions { backend, durability: Durability::Process }
}

pub fn paths(dir: &Path) -> StatePaths {
    StatePaths::new(dir, dir.join("exec"))
}

pub fn open(dir: &Path, backend: Backend) -> Store {
    Store::open(&paths(dir), options(backend)).unwrap()
}

/// Every file and folder under `dir` but the database.
pub fn listing(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with("brig.db") {
                continue;
            }
            if path.symlink_metadata().unwrap().is_dir() {
                todo.push(path.clone());
            }
            out.push(path);
        }
    }
    out.sort();
    out
}

/// Path under `root` -> (mode, uid, gid, mtime, content or link target).
pub fn tree(root: &Path) -> BTreeMap<String, (u32, u32, u32, i64, Vec<u8>)> {
    let mut out = BTreeMap::new();
    for path in listing(root) {
        let meta = path.symlink_metadata().unwrap();
        let content = if meta.is_symlink() {
            std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
        } else if meta.is_file() {
            std::fs::read(&path).unwrap()
        } else {
            meta.rdev().to_string().into_bytes()
        };
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        out.insert(name, (meta.mode(), meta.uid(), meta.gid(), meta.mtime(), content));
    }
    out
}

/// One entry of an archive.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: Vec<u8>,
    pub kind: u8,
    pub link: Vec<u8>,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub mtime: u64,
    pub device: (u32, u32),
    pub content: Vec<u8>,
    pub pax: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    pub fn new(kind: u8, name: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            kind,
            link: Vec::new(),
            mode: if kind == b'5' { 0o755 } else { 0o644 },
            uid: 0,
            gid: 0,
            mtime: 1_000_000_000,
            device: (0, 0),
            content: Vec::new(),
            pax: Vec::new(),
        }
    }

    pub fn pax(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax.push((key.as_bytes().to_vec(), value.as_ref().to_vec()));
        self
    }

    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    pub fn owner(mut self, uid: u64, gid: u64) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }
}

pub fn file(name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Entry {
    Entry { content: content.as_ref().to_vec(), ..Entry::new(b'0', name) }
}

pub fn dir(name: impl AsRef<[u8]>) -> Entry {
    Entry::new(b'5', name)
}

pub fn symlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Entry {
    Entry { link: target.as_ref().to_vec(), mode: 0o777, ..Entry::new(b'2', name) }
}

pub fn hardlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Entry {
    Entry { link: target.as_ref().to_vec(), ..Entry::new(b'1', name) }
}

pub fn device(kind: u8, name: impl AsRef<[u8]>, major: u32, minor: u32) -> Entry {
    Entry { device: (major, minor), ..Entry::new(kind, name) }
}

/// An archive of entries with its end marker.
pub fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        append(&mut out, entry);
    }
    out.extend_from_slice(&[0; 1024]);
    out
}

pub fn append(out: &mut Vec<u8>, entry: &Entry) {
    if !entry.pax.is_empty() {
        let mut body = Vec::new();
        for (key, value) in &entry.pax {
            let bare = key.len() + value.len() + 3;
            let mut length = bare + 1;
            while length != bare + length.to_string().len() {
                length = bare + length.to_string().len();
            }
            body.extend_from_slice(format!("{length} ").as_bytes());
            body.extend_from_slice(key);
            body.push(b'=');
            body.extend_from_slice(value);
            body.push(b'\n');
        }
        let header = Entry { content: body, ..Entry::new(b'x', "PaxHeaders/x") };
        append(out, &header);
    }
    out.extend_from_slice(&header(entry));
    out.extend_from_slice(&entry.content);
    out.resize(out.len().next_multiple_of(512), 0);
}

pub fn header(entry: &Entry) -> [u8; 512] {
    let mut block = [0; 512];
    let put = |block: &mut [u8], bytes: &[u8]| {
        let n = bytes.len().min(block.len());
        block[..n].copy_from_slice(&bytes[..n]);
    };
    let number = |block: &mut [u8], n: u64| {
        let digits = block.len() - 1;
        if n < 1 << (3 * digits) {
            put(block, format!("{n:0digits$o}").as_bytes());
        } else {
            block.fill(0);
            let start = block.len() - 8;
            block[start..].copy_from_slice(&n.to_be_bytes());
            block[0] |= 0x80;
        }
    };
    put(&mut block[0..100], &entry.name);
    number(&mut block[100..108], u64::from(entry.mode));
    number(&mut block[108..116], entry.uid);
    number(&mut block[116..124], entry.gid);
    number(&mut block[124..136], entry.content.len() as u64);
    number(&mut block[136..148], entry.mtime);
    block[156] = entry.kind;
    put(&mut block[157..257], &entry.link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    if entry.kind == b'S' || entry.kind == b'L' || entry.kind == b'K' {
        block[257..265].copy_from_slice(b"ustar  \0");
    }
    number(&mut block[329..337], u64::from(entry.device.0));
    number(&mut block[337..345], u64::from(entry.device.1));
    seal(&mut block);
    block
}

/// Writes the checksum.
pub fn seal(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// A small root file system.
pub fn rootfs() -> Vec<u8> {
    tar(&[
        dir("./"),
        dir("bin/"),
        file("bin/sh", "#!binary").mode(0o755),
        dir("etc/"),
        file("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
        symlink("lib", "usr/lib"),
        dir("usr/"),
        dir("usr/lib/"),
        file("usr/lib/so", vec![7; 70_000]),
        hardlink("usr/lib/so.1", "usr/lib/so"),
        dir("tmp/").mode(0o1777),
    ])
}

/// Mounts a snapshot, attached nowhere, and reads it through the mount's descriptor.
pub fn with_mounted<T>(rootfs: &brig_core::RootFs, read: impl FnOnce(&Path) -> T) -> T {
    use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
    use std::os::fd::{AsFd, AsRawFd};
    match rootfs {
        brig_core::RootFs::Directory { path } => read(path),
        brig_core::RootFs::Overlay { lower, upper, work, .. } => {
            let fs = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
            for layer in lower {
                rustix::mount::fsconfig_set_string(fs.as_fd(), "lowerdir+", layer).unwrap();
            }
            rustix::mount::fsconfig_set_string(fs.as_fd(), "upperdir", upper).unwrap();
            rustix::mount::fsconfig_set_string(fs.as_fd(), "workdir", work).unwrap();
            rustix::mount::fsconfig_create(fs.as_fd()).unwrap();
            let mount =
                rustix::mount::fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
                    .unwrap();
            read(Path::new(&format!("/proc/self/fd/{}/", mount.as_raw_fd())))
        }
    }
}

/// An OCI layout with one image of these layers; answers it and the image's id.
pub fn image_of(layers: &[Vec<u8>]) -> (Vec<u8>, Digest) {
    let blob = |bytes: &[u8]| file(format!("blobs/sha256/{}", Digest::of(bytes).hex()), bytes);
    let diffs: Vec<_> = layers.iter().map(|l| Digest::of(l).to_string()).collect();
    let config = serde_json::json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diffs}});
    let config = config.to_string();
    let names: Vec<_> = layers.iter().map(|l| format!("blobs/sha256/{}", Digest::of(l).hex())).collect();
    let id = Digest::of(config.as_bytes());
    let manifest =
        serde_json::json!([{"Config": format!("blobs/sha256/{}", id.hex()), "Layers": names}]).to_string();
    let mut entries: Vec<_> = layers.iter().map(|l| blob(l)).collect();
    entries.push(blob(config.as_bytes()));
    entries.push(file("manifest.json", manifest));
    (tar(&entries), id)
}

/// Loads an image of these layers.
pub fn load(store: &Store, layers: &[Vec<u8>]) -> brig_store::Result<Digest> {
    let (archive, id) = image_of(layers);
    store.load(&mut archive.as_slice(), &mut |_| ())?;
    Ok(id)
}
