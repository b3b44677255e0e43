//! Operations on containers, one file each.

mod attach;
mod create;
mod human;
mod inspect;
mod lifecycle;
mod list;
mod logs;
mod remove;
mod shape;
mod top;
mod update;
mod wait;

pub use attach::AttachSession;
pub(crate) use create::{familiar, merge, no_image};
pub(crate) use lifecycle::STOP_TIMEOUT;
pub(crate) use list::summary;
pub use logs::LogStream;
pub(crate) use remove::until;
pub use wait::Waiter;

use crate::{core::Core, error::Result, record::ContainerRecord};

/// Bytes of a container's writable layer, and of all its layers.
pub(crate) fn sizes(core: &Core, record: &ContainerRecord) -> Result<(i64, i64)> {
    let own = core.store.snapshot_usage(&record.id.to_string())?.bytes;
    let image = match &record.image {
        // The image may have been removed by force.
        Some(id) => core.store.image_get(id).map_or(0, |image| image.size),
        None => 0,
    };
    let whole = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    Ok((whole(own), whole(own.saturating_add(image))))
}
