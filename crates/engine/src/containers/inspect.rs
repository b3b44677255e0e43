//! `GET /containers/{id}/json`.

use super::shape;
use crate::{engine::Engine, error::Result};
use brig_api::ContainerInspectResponse;

impl Engine {
    /// Everything about a container; with `size`, also how much it takes on the disk.
    ///
    /// # Errors
    /// When there is no such container.
    pub async fn container_inspect(&self, name: &str, size: bool) -> Result<ContainerInspectResponse> {
        let core = self.core();
        let snapshot = core.registry.resolve(name)?.snapshot();
        let mut shown = shape::inspect(core, &snapshot);
        if size {
            let record = snapshot.record.clone();
            let (rw, all) = core.blocking(move |core| super::sizes(core, &record)).await?;
            (shown.size_rw, shown.size_root_fs) = (Some(rw), Some(all));
        }
        Ok(shown)
    }
}
