//! What every record that is sent on says of its container.

use crate::{error::Result, record::ContainerRecord, start};
use brig_logs::remote::Facts;

pub(super) fn of(record: &ContainerRecord) -> Result<Facts> {
    let mut extra = start::log_attributes(record)?;
    let tag = extra.remove("tag").unwrap_or_else(|| record.id.to_string().chars().take(12).collect());
    Ok(Facts {
        id: record.id.to_string(),
        name: record.name.clone(),
        image_id: record.image.as_ref().map_or_else(String::new, ToString::to_string),
        image: record.config.image.clone(),
        command: record.command().join(" "),
        created: record.created.to_string(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        pid: std::process::id(),
        tag,
        extra,
    })
}
