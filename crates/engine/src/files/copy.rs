//! `GET`, `HEAD` and `PUT /containers/{name}/archive`.

use super::{
    bytes::{BodyReader, CHUNK, CHUNKS, ChunkWriter},
    stat::{self, AskedPath},
    view::Looking,
};
use crate::{
    engine::Engine,
    error::{Error, Result},
    options::ExtractOptions,
    start,
    streams::{Body, ByteStream},
};
use brig_api::ContainerPathStat;
use brig_runtime::Scope;
use brig_store::archive::{Extraction, Packing, extract, pack};
use rustix::fs::{AtFlags, FileType, OFlags, StatVfsMountFlags, StatxFlags};
use std::{
    collections::BTreeMap,
    io::{self, BufWriter, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

impl Engine {
    /// What is at a path of a container.
    ///
    /// # Errors
    /// When there is no such container, or nothing at the path.
    pub async fn container_path_stat(&self, name: &str, path: &str) -> Result<ContainerPathStat> {
        let handle = self.core().registry.resolve(name)?;
        let path = AskedPath::parse(path)?;
        let looking = Looking::at(self.core(), &handle, Scope::Everything).await?;
        let name = name.to_owned();
        self.core()
            .blocking(move |_| {
                looking.enter(|root| {
                    let found = path.open(root, &name)?;
                    stat::describe(root, &path, &found)
                })
            })
            .await
    }

    /// What is at a path of a container, and all of it as an archive.
    ///
    /// # Errors
    /// When there is no such container, or nothing at the path; later ones are in the stream.
    pub async fn container_archive(&self, name: &str, path: &str) -> Result<(ContainerPathStat, ByteStream)> {
        let handle = self.core().registry.resolve(name)?;
        let path = AskedPath::parse(path)?;
        let looking = Looking::at(self.core(), &handle, Scope::Everything).await?;
        let name = name.to_owned();
        let (looking, path, stat, found) = self
            .core()
            .blocking(move |_| {
                let (stat, found) = looking.enter(|root| {
                    let found = path.open(root, &name)?;
                    Ok((stat::describe(root, &path, &found)?, found))
                })?;
                Ok((looking, path, stat, found))
            })
            .await?;
        self.core().tell_container(&looking.snapshot.record, "archive-path", BTreeMap::new());
        let (chunks, stream) = ByteStream::channel(CHUNKS);
        let core = self.core().clone();
        tokio::spawn(async move {
            let last = chunks.clone();
            let done = core.blocking(move |_| {
                looking.enter(|_| {
                    let mut out = BufWriter::with_capacity(CHUNK, ChunkWriter(chunks));
                    let how = Packing { name: path.base().as_bytes(), skip_kernel: true };
                    pack(found.as_fd(), how, &mut out)?;
                    out.flush().map_err(|e| brig_store::Error::Output(e).into())
                })
            });
            if let Err(error) = done.await {
                // A client that went away needs no explanation.
                let _ = last.send(Err(io::Error::other(error.to_string()))).await;
            }
        });
        Ok((stat, stream))
    }

    /// Puts the files of an archive into a folder of a container.
    ///
    /// # Errors
    /// When there is no such container or folder, it is read-only, or the archive is broken or means harm.
    pub async fn container_extract(
        &self,
        name: &str,
        path: &str,
        options: ExtractOptions,
        body: Body,
    ) -> Result<()> {
        let handle = self.core().registry.resolve(name)?;
        let path = AskedPath::parse(path)?;
        let looking = Looking::at(self.core(), &handle, Scope::Everything).await?;
        let name = name.to_owned();
        let mut archive = BodyReader::new(body);
        self.core()
            .blocking(move |core| {
                let record = &looking.snapshot.record;
                let owner = if options.copy_uid_gid && !record.config.user.is_empty() {
                    let rootfs = core.store.snapshot_mount(&record.id.to_string())?;
                    let user = start::user_of(record, &rootfs, &record.config.user)?;
                    Some((user.uid, user.gid))
                } else {
                    None
                };
                looking.enter(|root| {
                    let folder = open_folder(root, &path, &name)?;
                    check_writable(root, &folder)?;
                    let how = Extraction {
                        root,
                        folder: path.whole.trim_end_matches('.').trim_end_matches('/'),
                        keep_kinds: options.no_overwrite_dir_non_dir,
                        owner,
                        top: false,
                    };
                    extract(&mut archive, how).map_err(|error| match error {
                        brig_store::Error::Entry { source, .. }
                            if source.kind() == io::ErrorKind::NotFound =>
                        {
                            path.missing(&name)
                        }
                        other => other.into(),
                    })
                })?;
                core.tell_container(record, "extract-to-dir", BTreeMap::new());
                Ok(())
            })
            .await
    }
}

/// Opens the folder that an archive goes to; links on the way and at the end are followed inside the root.
fn open_folder(root: BorrowedFd<'_>, path: &AskedPath, container: &str) -> Result<OwnedFd> {
    let folder = brig_store::archive::open_in_root(root, path.whole.as_bytes(), OFlags::PATH)
        .map_err(|e| path.failed("stat", &e, container))?;
    let stat = rustix::fs::fstat(&folder).map_err(|e| path.failed("stat", &e.into(), container))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(Error::System("extraction point is not a directory".to_owned()));
    }
    Ok(folder)
}

/// Refuses what is mounted read-only, in Docker's words.
fn check_writable(root: BorrowedFd<'_>, folder: &OwnedFd) -> Result<()> {
    let failed = |e: rustix::io::Errno| Error::file("statfs", "/", e.into());
    let mount = rustix::fs::fstatvfs(folder).map_err(failed)?;
    if !mount.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(());
    }
    let mount_id = |fd: BorrowedFd<'_>| {
        rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).map(|stat| stat.stx_mnt_id)
    };
    let is_root = mount_id(root).map_err(failed)? == mount_id(folder.as_fd()).map_err(failed)?;
    let what = if is_root { "container rootfs" } else { "mounted volume" };
    Err(Error::System(format!("{what} is marked read-only")))
}
