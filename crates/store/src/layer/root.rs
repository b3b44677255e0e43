//! A layer's root folder, inside which every path is resolved by the kernel: no symlink, absolute path or `..` leads
//! out of it, whatever an archive has put there before.

use super::name::{CleanPath, PATH_MAX};
use crate::tree::{self, meta};
use rustix::{
    fs::{FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
};
use std::{
    cell::OnceCell,
    ffi::OsStr,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::PathBuf,
    rc::Rc,
};

/// The root of a layer that is being unpacked or read.
pub(crate) struct Root {
    fd: OwnedFd,
    /// The root's own path, as the kernel has it.
    real: Vec<u8>,
    /// Where a folder that the archive leaves out gets its looks from.
    below: Below,
    /// The root hides all that is below. overlayfs does not look for the mark there.
    opaque: bool,
    /// The folder that was resolved last; archives come folder by folder.
    last: Option<(Vec<u8>, Folder)>,
}

/// The folders of the layers below, topmost first.
pub(crate) enum Below {
    /// They are there.
    Known(Vec<PathBuf>),
    /// They may still be on their way: whoever needs them waits for them.
    Awaited {
        /// Waits.
        find: Box<dyn Fn() -> io::Result<Vec<PathBuf>> + Send>,
        /// What was found.
        found: OnceCell<Vec<PathBuf>>,
    },
}

impl Below {
    /// No layer is below.
    pub(crate) const NOTHING: Self = Self::Known(Vec::new());

    /// Layers that may still be on their way.
    pub(crate) fn awaited(find: impl Fn() -> io::Result<Vec<PathBuf>> + Send + 'static) -> Self {
        Self::Awaited { find: Box::new(find), found: OnceCell::new() }
    }

    /// The folders.
    pub(crate) fn folders(&self) -> io::Result<&[PathBuf]> {
        match self {
            Self::Known(folders) => Ok(folders),
            Self::Awaited { find, found } => match found.get() {
                Some(folders) => Ok(folders),
                None => {
                    let folders = find()?;
                    Ok(found.get_or_init(|| folders))
                }
            },
        }
    }
}

/// An open folder under the root.
#[derive(Clone)]
pub(crate) struct Folder {
    pub(crate) fd: Rc<OwnedFd>,
    /// Its path under the root with all symlinks resolved.
    pub(crate) real: Rc<[u8]>,
}

impl Folder {
    /// The resolved path of a name in this folder.
    pub(crate) fn join(&self, name: &[u8]) -> Vec<u8> {
        if self.real.is_empty() { name.to_vec() } else { [&self.real, &b"/"[..], name].concat() }
    }
}

pub(super) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Root {
    pub(crate) fn new(fd: OwnedFd, below: Below) -> io::Result<Self> {
        let real = tree::real_path(&fd)?;
        Ok(Self { fd, real, below, opaque: false, last: None })
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    pub(crate) fn below(&self) -> io::Result<&[PathBuf]> {
        self.below.folders()
    }

    pub(crate) fn is_opaque(&self) -> bool {
        self.opaque
    }

    pub(crate) fn set_opaque(&mut self) {
        self.opaque = true;
    }

    /// Forgets the last folder: something that may be on its path has been replaced.
    pub(crate) fn forget(&mut self) {
        self.last = None;
    }

    /// Opens the folder `path`, making what is missing of it.
    pub(crate) fn make_folder(&mut self, path: &[u8]) -> io::Result<Folder> {
        if let Some((last, folder)) = &self.last
            && last == path
        {
            return Ok(folder.clone());
        }
        let folder = match self.folder(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.make_missing(path)?,
            result => result?,
        };
        self.last = Some((path.to_vec(), folder.clone()));
        Ok(folder)
    }

    /// Opens a folder that is there.
    pub(crate) fn folder(&self, path: &[u8]) -> io::Result<Folder> {
        if path.is_empty() {
            return Ok(Folder { fd: Rc::new(self.fd.try_clone()?), real: Rc::from(&b""[..]) });
        }
        let plain = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match open2(&self.fd, path, DIRECTORY, plain) {
            Ok(fd) => Ok(Folder { fd: Rc::new(fd), real: Rc::from(path) }),
            Err(Errno::LOOP) => {
                let fd =
                    open2(&self.fd, path, DIRECTORY, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)?;
                let real = self.real_of(&fd)?;
                Ok(Folder { fd: Rc::new(fd), real: Rc::from(real) })
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Opens a file by its resolved path.
    pub(crate) fn file(&self, real: &[u8]) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(open2(&self.fd, real, flags, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)?)
    }

    /// Where an open folder is under the root. A path too long for the kernel to tell is refused there.
    fn real_of(&self, fd: &OwnedFd) -> io::Result<Vec<u8>> {
        let path = tree::real_path(fd)?;
        match path.strip_prefix(self.real.as_slice()) {
            Some(b"") => Ok(Vec::new()),
            Some([b'/', rest @ ..]) => Ok(rest.to_vec()),
            _ => Err(io::Error::other("a folder lies outside of the layer's root")),
        }
    }

    fn make_missing(&self, path: &[u8]) -> io::Result<Folder> {
        let mut here = self.folder(b"")?;
        let mut end = 0;
        while end < path.len() {
            let start = if end == 0 { 0 } else { end + 1 };
            end = path[start..].iter().position(|b| *b == b'/').map_or(path.len(), |n| start + n);
            here = match self.folder(&path[..end]) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    let name = OsStr::from_bytes(&path[start..end]);
                    let real = here.join(name.as_bytes());
                    if real.len() > PATH_MAX {
                        return Err(Errno::NAMETOOLONG.into());
                    }
                    // A dangling symlink is in the way as much as a file is.
                    rustix::fs::mkdirat(&here.fd, name, Mode::from(0o755))?;
                    let made =
                        Folder { fd: Rc::new(tree::open_child(&here.fd, name)?), real: Rc::from(real) };
                    self.look_like_below(&made)?;
                    made
                }
                result => result?,
            };
        }
        Ok(here)
    }

    /// Gives a folder that the archive left out the owner, mode, attributes and times of the one below, which it
    /// would otherwise hide.
    pub(crate) fn look_like_below(&self, folder: &Folder) -> io::Result<()> {
        rustix::fs::fchown(&folder.fd, Some(rustix::fs::Uid::ROOT), Some(rustix::fs::Gid::ROOT))?;
        rustix::fs::fchmod(&folder.fd, Mode::from(0o755))?;
        let shown = if folder.real.is_empty() {
            self.below()?.first().map(|top| tree::walk::open(top)).transpose()?
        } else {
            super::hide::visible(self.below()?, &folder.real)?
        };
        let Some(shown) = shown else { return Ok(()) };
        let stat = rustix::fs::fstat(&shown)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let shown = rustix::fs::openat(&shown, ".", DIRECTORY, Mode::empty())?;
            meta::apply(&folder.fd, &stat, &super::whiteout::public_xattrs(&shown)?)?;
        }
        Ok(())
    }
}

pub(super) fn open2(
    root: &OwnedFd,
    path: &[u8],
    flags: OFlags,
    resolve: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    loop {
        match rustix::fs::openat2(root, tree::path_of(path), flags, Mode::empty(), resolve) {
            // A rename elsewhere on the file system; nobody renames in here.
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
}

/// Splits a name of an archive into its folder, made if it is missing, and its last part.
pub(crate) fn parent_of(root: &mut Root, path: &CleanPath) -> io::Result<Folder> {
    root.make_folder(path.split().0)
}
