//! An image's configuration as containers take it over, and as the API shows it.

use brig_api::{ContainerConfig, ImageConfig};
use brig_store::Image;
use serde::de::DeserializeOwned;

/// What containers take over from an image; `None` for a configuration that can't be read as one.
pub(crate) fn container_config(image: &Image) -> Option<ContainerConfig> {
    read(image)
}

/// The same as `inspect` shows it.
pub(super) fn image_config(image: &Image) -> Option<ImageConfig> {
    read(image)
}

fn read<T: DeserializeOwned>(image: &Image) -> Option<T> {
    #[derive(serde::Deserialize)]
    struct File<'a> {
        #[serde(default, borrow)]
        config: Option<&'a serde_json::value::RawValue>,
    }
    let file: File<'_> = serde_json::from_slice(&image.config_json).ok()?;
    brig_api::json::from_slice(file.config?.get().as_bytes()).ok()
}
