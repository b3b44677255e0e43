//! `docker import`: an image of one layer from a root file system's archive.

use crate::{
    Store, compression,
    error::{Error, Result},
    image::{
        Platform,
        config::{ContainerConfig, HistoryEntry, ImageConfig, RootFsConfig},
        record::NewImage,
    },
    layers::Lease,
};
use brig_core::{Digest, Reference};
use jiff::Timestamp;
use std::io::Read;

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

impl Platform {
    /// The platform of this machine.
    #[must_use]
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", ""),
            "x86" => ("386", ""),
            "aarch64" => ("arm64", "v8"),
            "arm" => ("arm", "v7"),
            "powerpc64" => ("ppc64le", ""),
            "loongarch64" => ("loong64", ""),
            other => (other, ""),
        };
        Self { architecture: architecture.to_owned(), os: "linux".to_owned(), variant: variant.to_owned() }
    }
}

impl Store {
    /// Makes an image of one layer from a root file system's tar stream (plain, gzip or zstd); answers its id.
    ///
    /// # Errors
    /// [`Error::BadLayer`], [`Error::Input`], [`Error::Invalid`] for a bad change; nothing stays behind then.
    pub fn import(&self, archive: &mut dyn Read, options: &ImportOptions) -> Result<Digest> {
        let mut config = ContainerConfig::default();
        config.change(&options.changes)?;
        let reference = options.reference.clone().map(Reference::with_default_tag);
        if reference.as_ref().is_some_and(|r| r.digest().is_some()) {
            return Err(Error::Invalid("cannot import digest reference".to_owned()));
        }
        // An arm64 image has no variant in Docker's own imports; only a given platform brings one.
        let platform = options
            .platform
            .clone()
            .unwrap_or_else(|| Platform { variant: String::new(), ..Platform::host() });
        if platform.os != "linux" {
            return Err(Error::Invalid(format!("operating system {:?} is not supported", platform.os)));
        }

        let mut lease = Lease::new(&self.inner);
        let diff = lease.unpack(None, compression::decompress(archive)?, None)?;
        let created = Some(Timestamp::now().to_string());
        let config = ImageConfig {
            architecture: platform.architecture,
            comment: options.message.clone(),
            config,
            created: created.clone(),
            history: vec![HistoryEntry {
                created,
                comment: options.message.clone(),
                ..HistoryEntry::default()
            }],
            os: platform.os,
            variant: platform.variant,
            rootfs: RootFsConfig { diff_ids: vec![diff], ..RootFsConfig::default() },
            ..ImageConfig::default()
        };
        let config_json = serde_json::to_vec(&config).map_err(|source| Error::Record {
            kind: "image".to_owned(),
            key: "configuration".to_owned(),
            source,
        })?;
        let id = Digest::of(&config_json);
        let references = reference.into_iter().collect();
        self.inner
            .commit_images(&lease, vec![NewImage { config_json, references, ..NewImage::default() }])?;
        Ok(id)
    }
}
