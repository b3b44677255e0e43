//! Filling an empty volume from the image: the seam. Content of a layered root file system is copied once the
//! runtime offers its detached mount to others.

use super::resolve::Fill;
use crate::error::Result;
use brig_core::RootFs;

/// Copies what the image has at the volumes' paths into those that are empty.
pub(crate) fn fill(_rootfs: &RootFs, _volumes: &[Fill]) -> Result<()> {
    Ok(())
}
