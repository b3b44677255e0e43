//! An image's configuration as containers take it over.

use brig_api::ContainerConfig;
use brig_store::Image;

/// What containers take over from an image; `None` for a configuration that can't be read as one.
pub(crate) fn container_config(image: &Image) -> Option<ContainerConfig> {
    #[derive(serde::Deserialize)]
    struct File {
        #[serde(default)]
        config: Option<serde_json::Value>,
    }
    let file: File = serde_json::from_slice(&image.config_json).ok()?;
    let config = file.config?;
    let text = serde_json::to_vec(&config).ok()?;
    brig_api::json::from_slice(&text).ok()
}
