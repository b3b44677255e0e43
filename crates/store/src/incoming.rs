//! An image that comes in layer by layer, several layers at once.
//!
//! Each layer is unpacked aside as soon as its bytes come. Only where it depends on the layers below (whiteouts,
//! folders that its archive leaves out), and before it is put into its place, it waits for the one below it: so the
//! unpacking of layers has to be begun from the bottom up, in any number of threads.

use crate::{
    Store, compression,
    error::{Error, Result},
    image::{
        config::ImageConfig,
        record::{LayerBlob, NewImage, parse_config},
    },
    layer::{self, root::Below},
    layers::Lease,
};
use brig_core::{Digest, Reference};
use std::{
    io::{self, Read},
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// An image under way. What has come of it goes when it is dropped without having been committed.
#[derive(Debug)]
pub struct Incoming {
    shared: Arc<Shared>,
    config_json: Vec<u8>,
    config: ImageConfig,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    chains: Vec<Digest>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    there: Vec<bool>,
    given_up: bool,
    /// For a lease.
    held: Vec<String>,
}

/// What an image that has come in is recorded with.
#[derive(Debug, Default)]
pub struct Arrived {
    /// Its manifest's bytes.
    pub manifest: Option<Vec<u8>>,
    /// The bytes of the index that led to the manifest.
    pub index: Option<Vec<u8>>,
    /// The names that it gets: tags and digests.
    pub references: Vec<Reference>,
    /// The layers' compressed forms, bottom first: digest, length, media type.
    pub blobs: Vec<(Digest, u64, String)>,
}

impl Store {
    /// Begins to take in the image of this configuration.
    ///
    /// # Errors
    /// [`Error::BadArchive`] when it is none; [`Error::Invalid`] when it is for another system.
    pub fn incoming(&self, config_json: Vec<u8>) -> Result<Incoming> {
        let config = parse_config(&config_json)?;
        if !matches!(config.os.as_str(), "" | "linux") {
            return Err(Error::Invalid(format!(
                "image operating system {:?} cannot be used on this platform",
                config.os
            )));
        }
        let mut chains: Vec<Digest> = Vec::new();
        for diff in &config.rootfs.diff_ids {
            chains.push(layer::chain_id(chains.last(), diff));
        }
        let state = State { there: vec![false; chains.len()], given_up: false, held: Vec::new() };
        let shared =
            Shared { store: self.clone(), chains, state: Mutex::new(state), changed: Condvar::new() };
        Ok(Incoming { shared: Arc::new(shared), config_json, config })
    }

    /// The id of what a reference names now, if anything.
    ///
    /// # Errors
    /// What the database says.
    pub fn named(&self, reference: &Reference) -> Result<Option<Digest>> {
        self.inner.db.read(|tx| crate::image::record::lookup(tx, reference))
    }
}

impl Incoming {
    /// The image's id.
    #[must_use]
    pub fn id(&self) -> Digest {
        Digest::of(&self.config_json)
    }

    /// Digests of the uncompressed layers, bottom first.
    #[must_use]
    pub fn layers(&self) -> &[Digest] {
        &self.config.rootfs.diff_ids
    }

    /// Names each layer together with all those below it.
    #[must_use]
    pub fn chains(&self) -> &[Digest] {
        &self.shared.chains
    }

    /// Holds a layer if it is there, and with it those below.
    ///
    /// # Errors
    /// What the database says.
    pub fn hold(&self, number: usize) -> Result<bool> {
        let chain = self.shared.chains[number].to_string();
        let there = self.shared.store.inner.hold_layer(&chain)?;
        if there {
            let mut state = self.shared.lock();
            state.held.push(chain);
            state.there[..=number].fill(true);
            self.shared.changed.notify_all();
        }
        Ok(there)
    }

    /// Unpacks a layer (plain, gzip or zstd) and puts it into its place, once the one below it is in its own. The
    /// archive is read to its end.
    ///
    /// # Errors
    /// [`Error::BadLayer`], [`Error::DigestMismatch`], [`Error::Input`]; nothing of the layer stays behind then, and
    /// whoever waits for it has to be told by [`Incoming::give_up`].
    pub fn unpack(&self, number: usize, archive: &mut dyn Read) -> Result<()> {
        let shared = &self.shared;
        let inner = &shared.store.inner;
        let below = {
            let shared = Arc::clone(shared);
            Below::awaited(move || shared.below(number))
        };
        let decompressed = compression::decompress(&mut *archive)?;
        let staged =
            inner.stage_layer(decompressed, below, Some(&self.layers()[number])).map_err(|e| match e {
                Error::DigestMismatch { expected, actual, .. } => {
                    Error::DigestMismatch { what: format!("layer {number}"), expected, actual }
                }
                e => e,
            })?;
        // Its reader tells at the end whether these are the right bytes.
        io::copy(archive, &mut io::sink()).map_err(Error::Input)?;
        let below = shared.below(number).map_err(Error::Input)?;
        let chain = inner.publish_layer(number.checked_sub(1).map(|n| &shared.chains[n]), &below, staged)?;
        brig_core::failpoint::hit("store.layer.recorded")?;
        let mut state = shared.lock();
        state.held.push(chain);
        state.there[number] = true;
        shared.changed.notify_all();
        Ok(())
    }

    /// Ends all waiting: a layer will not come.
    pub fn give_up(&self) {
        self.shared.lock().given_up = true;
        self.shared.changed.notify_all();
    }

    /// Records the image, all of whose layers are there; answers whether a tag or a digest came to name it that did
    /// not before.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a layer is missing; what the database or the file system says.
    pub fn commit(&self, arrived: Arrived) -> Result<bool> {
        if !self.shared.lock().there.iter().all(|there| *there) {
            return Err(Error::Invalid("a layer of the image is missing".to_owned()));
        }
        let inner = &self.shared.store.inner;
        let id = self.id();
        let mut new = false;
        for reference in &arrived.references {
            new |= self.shared.store.named(reference)? != Some(id);
        }
        let layer_blobs = arrived
            .blobs
            .into_iter()
            .zip(self.layers())
            .map(|((digest, size, media_type), diff)| LayerBlob { digest, diff: *diff, size, media_type })
            .collect();
        let image = NewImage {
            config_json: self.config_json.clone(),
            manifest: arrived.manifest,
            index: arrived.index,
            parent: None,
            references: arrived.references,
            layer_blobs,
        };
        // The layers stay held until this is dropped.
        let lease = Lease::of(inner, Vec::new());
        inner.commit_images(&lease, vec![image])?;
        Ok(new)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.give_up();
        let held = std::mem::take(&mut self.shared.lock().held);
        drop(Lease::of(&self.shared.store.inner, held));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the layers below one; answers their folders.
    fn below(&self, number: usize) -> io::Result<Vec<PathBuf>> {
        let Some(parent) = number.checked_sub(1) else { return Ok(Vec::new()) };
        let mut state = self.lock();
        while !state.there[parent] {
            if state.given_up {
                return Err(io::Error::new(
                    io::ErrorKind::ConnectionAborted,
                    "another layer of the image failed",
                ));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        self.store.inner.layers_below(Some(&self.chains[parent])).map_err(io::Error::other)
    }
}
