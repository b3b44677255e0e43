//! `docker commit`: an image of what a container has changed.

use crate::{
    Store,
    archive::Packer,
    changes::{self, Change, ChangeKind},
    error::{At, Error, Result},
    image::{
        config::{ContainerConfig, HistoryEntry},
        record::{NewImage, parse_config},
    },
    instructions,
    layers::Lease,
    tree::walk,
};
use brig_core::{Digest, Reference};
use jiff::Timestamp;
use std::{
    ffi::OsStr,
    io::{self, BufWriter, Write},
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::Path,
};

/// How to make an image of a snapshot.
#[derive(Debug, Clone)]
pub struct CommitOptions {
    /// The image that the snapshot is on; `None` for none.
    pub image: Option<Digest>,
    /// The configuration.
    pub config: ContainerConfig,
    /// The new image's name; without one it is dangling.
    pub reference: Option<Reference>,
    /// Who makes it.
    pub author: String,
    /// The history's comment.
    pub comment: String,
    /// What the container ran.
    pub created_by: String,
}

impl ContainerConfig {
    /// Applies Dockerfile instructions (`CMD ["sh"]`) in order.
    ///
    /// # Errors
    /// [`Error::Invalid`] in the words of Docker's builder.
    pub fn change(&mut self, instructions: &[String]) -> Result<()> {
        instructions::apply(self, instructions).map_err(Error::Invalid)
    }
}

impl Store {
    /// Makes an image of the image that a snapshot is on and what the snapshot has changed; answers its id. Whoever writes
    /// to the snapshot meanwhile gets what they get.
    ///
    /// # Errors
    /// [`Error::NoSuchSnapshot`], [`Error::NoSuchImage`], [`Error::Invalid`]; nothing stays behind then.
    pub fn commit(&self, key: &str, options: CommitOptions) -> Result<Digest> {
        let reference = options.reference.map(Reference::with_default_tag);
        if reference.as_ref().is_some_and(|r| r.digest().is_some()) {
            return Err(Error::Invalid("refusing to create a tag with a digest reference".to_owned()));
        }
        let mut lease = Lease::new(&self.inner);
        let (mut config, chain) = match &options.image {
            Some(id) => {
                let image = self.image_get(id)?;
                if let Some(chain) = &image.chain
                    && !lease.hold(chain)?
                {
                    return Err(Error::NoSuchImage(id.to_string()));
                }
                (parse_config(&image.config_json)?, image.chain)
            }
            None => {
                let host = crate::Platform::host();
                let mut config = crate::ImageConfig::default();
                (config.architecture, config.os) = (host.architecture, host.os);
                (config, None)
            }
        };
        let changes = self.snapshot_changes(key)?;
        let top = self.snapshot_top(key)?;
        let empty = changes.is_empty();
        if !empty {
            config.rootfs.diff_ids.push(layer(&mut lease, chain.as_ref(), &top, &changes)?);
        }
        // Of one that was removed meanwhile, anything may be missing.
        self.snapshot_top(key)?;
        if !top.exists() {
            return Err(Error::NoSuchSnapshot(key.to_owned()));
        }
        let created = Some(Timestamp::now().to_string());
        config.history.push(HistoryEntry {
            created: created.clone(),
            created_by: options.created_by,
            author: options.author.clone(),
            comment: options.comment.clone(),
            empty_layer: empty,
        });
        config.config = options.config;
        (config.author, config.comment, config.created) = (options.author, options.comment, created);
        config.parent = None;
        let config_json = serde_json::to_vec(&config).map_err(|source| Error::Record {
            kind: "image".to_owned(),
            key: "configuration".to_owned(),
            source,
        })?;
        let id = Digest::of(&config_json);
        let image = NewImage {
            config_json,
            parent: options.image,
            references: reference.into_iter().collect(),
            ..NewImage::default()
        };
        self.inner.commit_images(&lease, vec![image])?;
        Ok(id)
    }
}

/// Makes a layer of changes: packed on one thread, unpacked on this one, with its digest computed on the way.
fn layer(lease: &mut Lease<'_>, parent: Option<&Digest>, top: &Path, changes: &[Change]) -> Result<Digest> {
    let (reader, writer) = io::pipe().at("make", "a pipe")?;
    std::thread::scope(|scope| {
        let packer = scope.spawn(move || {
            let mut out = BufWriter::with_capacity(1 << 16, writer);
            pack(top, changes, &mut out)?;
            out.flush().map_err(Error::Output)
        });
        let unpacked = lease.unpack(parent, reader, None);
        let packed = match packer.join() {
            Ok(packed) => packed,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        match (packed, unpacked) {
            // Whoever reads no more has said why.
            (Err(Error::Output(_)), Err(error)) | (Err(error), _) | (Ok(()), Err(error)) => Err(error),
            (Ok(()), Ok(diff)) => Ok(diff),
        }
    })
}

fn pack(top: &Path, changes: &[Change], out: &mut dyn Write) -> Result<()> {
    let folder = walk::open(top).at("open", top)?;
    let mut packer = Packer::new(b"", out);
    for Change { path, kind } in changes {
        let name = path.as_os_str().as_bytes();
        if *kind == ChangeKind::Deleted {
            let last = path.file_name().unwrap_or_default();
            let marker = [b".wh.", last.as_bytes()].concat();
            let marker = path.with_file_name(OsStr::from_bytes(&marker));
            packer.marker(marker.as_os_str().as_bytes(), Timestamp::now().as_second())?;
        } else if let Some(found) = changes::open_changed(&folder, path)? {
            packer.opened(found.as_fd(), name)?;
        }
    }
    packer.finish()
}
