//! Init layers: what every container of an image needs and the image lacks (see [`crate::layer::mount_points`]), made
//! when the first container of the image is, and shared by all. An init layer goes with the topmost layer of its image.

use crate::db::Transaction;
use crate::{
    Inner,
    error::{At, Result},
    layer::mount_points,
    layers::Lease,
};
use brig_core::atomic::Durability;
use rusqlite::{OptionalExtension, params};
use std::{
    fs::{DirBuilder, Permissions},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::PathBuf,
    sync::PoisonError,
};

impl Inner {
    /// The `fs` folder of a chain's init layer.
    pub(super) fn init_layer(&self, tx: &Transaction<'_>, chain: Option<&str>) -> Result<Option<PathBuf>> {
        let Some(chain) = chain else { return Ok(None) };
        let mut query = tx.prepare_cached("SELECT dir FROM init_layers WHERE chain = ?1")?;
        let dir: Option<u64> = query.query_row([chain], |row| row.get(0)).optional()?;
        Ok(dir.map(|dir| self.snapshot_dir(dir).join("fs")))
    }

    /// Makes the init layer of a chain, unless somebody else just has. `None` when the chain is not there any more. As
    /// with snapshots, nothing is synced: a folder that a power cut takes is made again (see [`Inner::repair`]).
    pub(super) fn make_init_layer(&self, chain: &str) -> Result<Option<PathBuf>> {
        let _maker = self.init_maker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = self.db.read(|tx| self.init_layer(tx, Some(chain)))? {
            return Ok(Some(made));
        }
        let mut lease = Lease::new(self);
        if !lease.hold(&crate::db::digest(chain)?)? {
            return Ok(None);
        }
        let layers = self.db.read(|tx| self.layer_folders(tx, Some(chain)))?;
        let staging = self.layout.stage()?;
        // Searchable for ids that a container's user maps to.
        std::fs::set_permissions(staging.path(), Permissions::from_mode(0o711))
            .at("chmod", staging.path())?;
        let fs = staging.path().join("fs");
        DirBuilder::new().mode(0o755).create(&fs).at("make", &fs)?;
        mount_points::make(&fs, &layers).at("make mount points in", &fs)?;
        brig_core::failpoint::hit("store.init.publish")?;
        let number = self.next_dir();
        let dir = self.snapshot_dir(number);
        let recorded = self.db.write(Durability::Process, |tx| {
            staging.publish(&dir)?;
            brig_core::failpoint::hit("store.init.record")?;
            tx.prepare_cached("INSERT INTO init_layers (chain, dir) VALUES (?1, ?2)")?
                .execute(params![chain, number])?;
            Ok(())
        });
        if recorded.is_err() {
            self.discard_logged(&dir);
        }
        recorded.map(|()| Some(dir.join("fs")))
    }
}
