//! `DELETE /images/{name}` and pruning.

use super::{not_found, tell};
use crate::{
    containers::until, core::Core, engine::Engine, error::Result, filters::Filters, system::events::About,
};
use brig_api::{ImageDeleteResponseItem, ImagesPruneResponse};
use brig_store::{Activity, ImageUser, RemoveOptions, Removed};

impl Engine {
    /// Removes a reference, and the image with its last one.
    ///
    /// # Errors
    /// When there is no such image, or a container uses it.
    pub async fn image_remove(
        &self,
        name: &str,
        force: bool,
        no_prune: bool,
    ) -> Result<Vec<ImageDeleteResponseItem>> {
        let name = name.to_owned();
        let options = RemoveOptions { force, no_prune };
        self.core().blocking(move |core| remove(core, &name, options)).await
    }

    /// Removes images that nothing uses: those without a name, or with `dangling=false` all.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn images_prune(&self, filters: &Filters) -> Result<ImagesPruneResponse> {
        filters.validate(&["dangling", "label", "label!", "until"])?;
        let dangling_only = filters.flag("dangling")?.unwrap_or(true);
        let until = until(filters)?;
        let filters = filters.clone();
        self.core().blocking(move |core| prune(core, &filters, dangling_only, until)).await
    }
}

/// All containers with their images.
fn users(core: &Core) -> Vec<ImageUser> {
    let users = |handle: &crate::actor::Handle| {
        let snapshot = handle.snapshot();
        let record = &snapshot.record;
        let activity = if record.state.is_running() { Activity::Running } else { Activity::Stopped };
        let mounted = record.mounts.iter().filter_map(|mount| mount.image);
        let all = record.image.into_iter().chain(mounted);
        all.map(|image| ImageUser { container: record.id, image, activity }).collect::<Vec<_>>()
    };
    core.registry.all().iter().flat_map(users).collect()
}

fn remove(core: &Core, name: &str, options: RemoveOptions) -> Result<Vec<ImageDeleteResponseItem>> {
    let removed = core.store.image_remove(name, options, &users(core)).map_err(|e| not_found(e, name))?;
    let mut items = Vec::with_capacity(removed.len());
    for one in removed {
        let (untagged, deleted) = match one {
            Removed::Untagged { reference, image } => {
                tell(core, "untag", &image, &image.to_string());
                (reference.familiar(), String::new())
            }
            Removed::Image(id) => {
                tell(core, "delete", &id, &id.to_string());
                (String::new(), id.to_string())
            }
            Removed::Layer { chain } => (String::new(), chain.to_string()),
        };
        items.push(ImageDeleteResponseItem { deleted, untagged });
    }
    Ok(items)
}

fn prune(
    core: &Core,
    filters: &Filters,
    dangling_only: bool,
    until: Option<jiff::Timestamp>,
) -> Result<ImagesPruneResponse> {
    let mut deleted = Vec::new();
    let before = core.store.layer_bytes()?;
    let used: Vec<_> = users(core).into_iter().map(|user| user.image).collect();
    for image in core.store.image_list()? {
        let config = super::container_config(&image);
        let labels = config.as_ref().and_then(|config| config.labels.as_ref());
        let passes = (image.is_dangling() || !dangling_only)
            && !used.contains(&image.id)
            && until.is_none_or(|until| image.created.is_none_or(|created| created < until))
            && filters.labels("label", labels)
            && (!filters.contains("label!") || !filters.labels("label!", labels));
        if !passes {
            continue;
        }
        // By its names as by hand; an image without one by its id.
        let names: Vec<String> = match image.references.iter().chain(&image.repo_digests).collect::<Vec<_>>()
        {
            names if names.is_empty() => vec![image.id.to_string()],
            names => names.into_iter().map(|name| name.familiar()).collect(),
        };
        for name in names {
            match remove(core, &name, RemoveOptions { force: false, no_prune: false }) {
                Ok(items) => {
                    deleted.extend(items);
                }
                // Used by somebody since: not ours to prune.
                Err(error) => tracing::info!(name, %error, "not pruned"),
            }
        }
    }
    // Layers that others still need are no room won.
    let reclaimed = before.saturating_sub(core.store.layer_bytes()?);
    core.tell_pruned(About::Image, reclaimed);
    Ok(ImagesPruneResponse {
        images_deleted: (!deleted.is_empty()).then_some(deleted),
        space_reclaimed: reclaimed,
    })
}
