//! Images as the API sees them.

mod config;

pub(crate) use config::container_config;

use crate::{
    engine::Engine,
    error::{Error, Result},
    filters::Filters,
    options::{ImageListOptions, ImportOptions},
    streams::{Body, ByteStream, ProgressStream},
};
use brig_api::{
    HistoryResponseItem, ImageDeleteResponseItem, ImageInspect, ImageSummary, ImagesPruneResponse,
};

impl Engine {
    /// The images that pass, newest first.
    ///
    /// # Errors
    /// When a filter is unknown or has an impossible value.
    pub async fn image_list(&self, _options: ImageListOptions) -> Result<Vec<ImageSummary>> {
        Err(Error::NotImplemented("image list"))
    }

    /// Everything about an image.
    ///
    /// # Errors
    /// When there is no such image.
    pub async fn image_inspect(&self, _name: &str) -> Result<ImageInspect> {
        Err(Error::NotImplemented("image inspect"))
    }

    /// The steps an image was made by, newest first.
    ///
    /// # Errors
    /// When there is no such image.
    pub async fn image_history(&self, _name: &str) -> Result<Vec<HistoryResponseItem>> {
        Err(Error::NotImplemented("image history"))
    }

    /// Gives an image another reference; an empty `tag` is `latest`.
    ///
    /// # Errors
    /// When there is no such image, or the reference is none.
    pub async fn image_tag(&self, _name: &str, _repository: &str, _tag: &str) -> Result<()> {
        Err(Error::NotImplemented("image tag"))
    }

    /// Removes a reference, and the image with its last one.
    ///
    /// # Errors
    /// When there is no such image, or a container uses it.
    pub async fn image_remove(
        &self,
        _name: &str,
        _force: bool,
        _no_prune: bool,
    ) -> Result<Vec<ImageDeleteResponseItem>> {
        Err(Error::NotImplemented("image remove"))
    }

    /// Removes images that nothing uses.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn images_prune(&self, _filters: &Filters) -> Result<ImagesPruneResponse> {
        Err(Error::NotImplemented("image prune"))
    }

    /// Loads the images of an archive (`docker save`, OCI layout; gzip, zstd or plain).
    ///
    /// # Errors
    /// None before the first byte is read; later ones are in the stream.
    pub async fn image_load(&self, _body: Body, _quiet: bool) -> Result<ProgressStream> {
        Err(Error::NotImplemented("image load"))
    }

    /// Writes images as an archive.
    ///
    /// # Errors
    /// When there is no such image.
    pub async fn image_save(&self, _names: &[String]) -> Result<ByteStream> {
        Err(Error::NotImplemented("image save"))
    }

    /// Makes an image of a root file system's archive.
    ///
    /// # Errors
    /// When the reference or a change is none; later errors are in the stream.
    pub async fn image_import(&self, _options: ImportOptions, _body: Body) -> Result<ProgressStream> {
        Err(Error::NotImplemented("image import"))
    }
}
