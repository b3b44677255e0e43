//! An image as the API shows it.

use super::config;
use crate::core::Core;
use brig_api::{
    DriverData, HistoryResponseItem, ImageInspect, ImageMetadata, ImageSummary, RootFsInfo, Time,
};
use brig_store::{HistoryLine, Image};
use std::{collections::BTreeMap, path::Path};

/// One image of the list.
pub(crate) fn summary(image: &Image) -> ImageSummary {
    let labels = config::container_config(image).and_then(|config| config.labels);
    ImageSummary {
        containers: -1,
        created: image.created.map_or(0, jiff::Timestamp::as_second),
        id: image.id.to_string(),
        labels,
        parent_id: image.parent.map(|id| id.to_string()).unwrap_or_default(),
        descriptor: None,
        manifests: None,
        repo_digests: familiar(&image.repo_digests),
        repo_tags: familiar(&image.references),
        shared_size: -1,
        size: whole(image.size),
        virtual_size: 0,
    }
}

fn familiar(references: &[brig_core::Reference]) -> Vec<String> {
    references.iter().map(brig_core::Reference::familiar).collect()
}

pub(super) fn whole(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The image of `inspect`.
pub(super) fn inspect(core: &Core, image: &Image) -> ImageInspect {
    let file = &image.config;
    ImageInspect {
        id: image.id.to_string(),
        repo_tags: familiar(&image.references),
        repo_digests: familiar(&image.repo_digests),
        parent: image.parent.map(|id| id.to_string()).unwrap_or_default(),
        comment: comment(image),
        created: image.created.map(Time),
        docker_version: file.docker_version.clone(),
        author: file.author.clone(),
        config: config::image_config(image),
        architecture: file.architecture.clone(),
        variant: file.variant.clone(),
        os: file.os.clone(),
        os_version: file.os_version.clone(),
        size: whole(image.size),
        graph_driver: driver(core, image),
        root_fs: RootFsInfo {
            kind: file.rootfs.kind.clone(),
            layers: (!image.layers().is_empty())
                .then(|| image.layers().iter().map(ToString::to_string).collect()),
        },
        metadata: ImageMetadata { last_tag_time: image.last_tagged.map(Time).unwrap_or_default() },
        ..ImageInspect::default()
    }
}

/// Where the image's layers are, as Docker's overlay2 tells it: the topmost as the upper folder.
fn driver(core: &Core, image: &Image) -> DriverData {
    if core.store.backend() != "overlay" {
        return DriverData { data: None, name: core.store.backend().to_owned() };
    }
    let layers = core.store.image_folders(&image.id).unwrap_or_else(|error| {
        tracing::warn!(image = %image.id, %error, "inspected without its layers");
        Vec::new()
    });
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let data = layers.split_first().map(|(upper, lower)| {
        let mut data = BTreeMap::from([
            ("MergedDir".to_owned(), text(&upper.with_file_name("merged"))),
            ("UpperDir".to_owned(), text(upper)),
            ("WorkDir".to_owned(), text(&upper.with_file_name("work"))),
        ]);
        if !lower.is_empty() {
            let lower: Vec<String> = lower.iter().map(|path| text(path)).collect();
            data.insert("LowerDir".to_owned(), lower.join(":"));
        }
        data
    });
    DriverData { data, name: "overlay2".to_owned() }
}

/// The message of the last step, as Docker tells it.
fn comment(image: &Image) -> String {
    if !image.config.comment.is_empty() {
        return image.config.comment.clone();
    }
    image.config.history.last().map(|step| step.comment.clone()).unwrap_or_default()
}

/// One step of the history.
pub(super) fn history(line: HistoryLine) -> HistoryResponseItem {
    HistoryResponseItem {
        comment: line.comment,
        created: line.created.map_or(0, jiff::Timestamp::as_second),
        created_by: line.created_by,
        id: line.id.map_or_else(|| "<missing>".to_owned(), |id| id.to_string()),
        size: whole(line.size),
        tags: (!line.tags.is_empty()).then(|| familiar(&line.tags)),
    }
}
