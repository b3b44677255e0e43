//! What a load reports.

use crate::{Error, Result, Store};
use brig_core::{Digest, Reference};
use std::io::{Read, Write};

/// One image that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loaded {
    /// `Loaded image: NAME`
    Named {
        /// The name.
        reference: Reference,
        /// The image.
        id: Digest,
        /// The image that had this name before, now without it.
        replaced: Option<Digest>,
    },
    /// `Loaded image ID: sha256:…`, an image without a name in the archive.
    Unnamed {
        /// The image.
        id: Digest,
    },
}

/// How a load goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A layer's bytes come in.
    Layer {
        /// The layer's digest in the archive, or of its content.
        layer: Digest,
        /// Bytes of the layer read so far.
        current: u64,
        /// All bytes of the layer as stored in the archive.
        total: u64,
    },
    /// A layer is in place.
    LayerDone {
        /// The layer, as above.
        layer: Digest,
    },
}

impl Store {
    /// Loads all images of an archive made by `docker save` or of an OCI layout (plain, gzip or zstd).
    ///
    /// # Errors
    /// [`Error::BadArchive`], [`Error::DigestMismatch`], [`Error::BadLayer`], [`Error::Input`]; nothing of the archive stays
    /// behind then.
    pub fn load(&self, _archive: &mut dyn Read, _progress: &mut dyn FnMut(Progress)) -> Result<Vec<Loaded>> {
        Err(Error::Invalid("load comes with the next commit".to_owned()))
    }

    /// Writes images into one tar stream that is a `docker save` archive and an OCI layout at once. The bytes depend
    /// on the images and `names` alone.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`], [`Error::Output`].
    pub fn save(&self, _names: &[&str], _out: &mut dyn Write) -> Result<()> {
        Err(Error::Invalid("save comes with the next commit".to_owned()))
    }
}
