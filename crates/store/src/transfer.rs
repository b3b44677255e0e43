//! Images coming in and going out.

use crate::image::Platform;
use brig_core::{Digest, Reference};

/// How to import.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The new image's name; without one it is dangling.
    pub reference: Option<Reference>,
    /// The history's comment, e.g. `Imported from -`.
    pub message: String,
    /// Dockerfile instructions (`CMD ["sh"]`) that set the configuration.
    pub changes: Vec<String>,
    /// What it runs on; this machine when absent.
    pub platform: Option<Platform>,
}

/// One image that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loaded {
    /// `Loaded image: NAME`
    Named {
        /// The name.
        reference: Reference,
        /// The image.
        id: Digest,
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
        /// The layer's digest in the archive or its diff id.
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
