//! Volumes as the API sees them.

use crate::{
    engine::Engine,
    error::{Error, Result},
    filters::Filters,
};
use brig_api::{Volume, VolumeCreateRequest, VolumeListResponse};

impl Engine {
    /// The volumes that pass.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn volume_list(&self, _filters: &Filters) -> Result<VolumeListResponse> {
        Err(Error::NotImplemented("volume list"))
    }

    /// Everything about a volume.
    ///
    /// # Errors
    /// When there is no such volume.
    pub async fn volume_inspect(&self, _name: &str) -> Result<Volume> {
        Err(Error::NotImplemented("volume inspect"))
    }

    /// Makes a volume, or answers the one of that name.
    ///
    /// # Errors
    /// When the driver is not `local` or the name is none.
    pub async fn volume_create(&self, _request: VolumeCreateRequest) -> Result<Volume> {
        Err(Error::NotImplemented("volume create"))
    }

    /// Removes a volume.
    ///
    /// # Errors
    /// When there is no such volume, or a container uses it.
    pub async fn volume_remove(&self, _name: &str, _force: bool) -> Result<()> {
        Err(Error::NotImplemented("volume remove"))
    }
}
