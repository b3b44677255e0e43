//! Layers that several images have in common, for telling how much room each takes.

use crate::{Store, error::Result};
use brig_core::Digest;
use rusqlite::params;
use std::collections::{BTreeMap, HashMap};

/// How much room images take together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sharing {
    /// Bytes of all images' layers, each counted once.
    pub total: u64,
    /// Of each image, the bytes of layers that another one has too.
    pub shared: BTreeMap<Digest, u64>,
}

impl Store {
    /// Bytes of all layers that are kept, those of removed images that containers still need too.
    ///
    /// # Errors
    /// What the database says.
    pub fn layer_bytes(&self) -> Result<u64> {
        self.inner.db.read(|tx| {
            let mut query = tx.prepare_cached("SELECT coalesce(sum(size), 0) FROM layers")?;
            Ok(query.query_row(params![], |row| row.get(0))?)
        })
    }

    /// How much room images take together.
    ///
    /// # Errors
    /// What the database says.
    pub fn image_sharing(&self) -> Result<Sharing> {
        self.inner.db.read(|tx| {
            let mut query = tx.prepare_cached("SELECT chain, parent, size FROM layers")?;
            let layers: HashMap<String, (Option<String>, u64)> = query
                .query_map(params![], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?
                .collect::<rusqlite::Result<_>>()?;
            let mut query = tx.prepare_cached("SELECT id, chain FROM images")?;
            let images: Vec<(String, Option<String>)> = query
                .query_map(params![], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            let stack = |top: &Option<String>| {
                let mut next = top.clone();
                std::iter::from_fn(|| {
                    let chain = next.take()?;
                    let (parent, size) = layers.get(&chain)?;
                    next.clone_from(parent);
                    Some((chain, *size))
                })
                .collect::<Vec<_>>()
            };
            let mut uses: HashMap<String, usize> = HashMap::new();
            let mut sharing = Sharing::default();
            for (_, top) in &images {
                for (chain, size) in stack(top) {
                    let count = uses.entry(chain).or_default();
                    *count += 1;
                    if *count == 1 {
                        sharing.total = sharing.total.saturating_add(size);
                    }
                }
            }
            for (id, top) in &images {
                let shared =
                    stack(top).iter().filter(|(chain, _)| uses[chain] > 1).map(|(_, size)| size).sum();
                sharing.shared.insert(crate::db::digest(id)?, shared);
            }
            Ok(sharing)
        })
    }
}
