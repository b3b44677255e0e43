//! `system df`.

mod verbose;

use super::FORMAT;
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    entry,
    error::Result,
    flags::{Flag, Mode, Parsed},
    format::size,
    list::{self, Headers},
    template::Object,
};
use brig_api::SystemDf;
use std::rc::Rc;

/// `brig system df`
pub static DF: Command = Command {
    paths: &["system df"],
    synopsis: "",
    about: "Show how much room images, containers and volumes take",
    examples: &[],
    flags: &[&[FORMAT, Flag::switch("verbose", "List each image, container and volume").short('v')]],
    mode: Mode::Interspersed,
    operands: Operands::None,
    run: |cli, flags| -> Running<'_> { Box::pin(async move { df(cli, &flags).await }) },
};

const HEADERS: Headers = &[
    ("Type", "TYPE"),
    ("TotalCount", "TOTAL"),
    ("Active", "ACTIVE"),
    ("Size", "SIZE"),
    ("Reclaimable", "RECLAIMABLE"),
];

async fn df(cli: &Cli, flags: &Parsed) -> Result {
    let usage: SystemDf = cli.client()?.get("/system/df").json().await?;
    if flags.on("verbose") {
        return verbose::print(usage, flags.get("format"));
    }
    let entries = rows(&usage).into_iter().map(|e| Rc::new(e) as Rc<dyn Object>).collect();
    let table = "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
    list::print(flags.get("format"), table, HEADERS, entries)
}

fn rows(usage: &SystemDf) -> Vec<Entry> {
    let images = usage.images.as_deref().unwrap_or_default();
    let containers = usage.containers.as_deref().unwrap_or_default();
    let volumes = usage.volumes.as_deref().unwrap_or_default();
    let used: i64 = images
        .iter()
        .filter(|i| i.containers > 0)
        .filter(|i| i.size != -1 && i.shared_size != -1)
        .map(|i| i.size - i.shared_size)
        .sum();
    let live = |state: &str| matches!(state, "running" | "paused" | "restarting");
    let volume_size = |v: &&brig_api::Volume| v.usage_data.as_ref().map_or(0, |u| u.size.max(0));
    let volume_used = |v: &brig_api::Volume| v.usage_data.as_ref().is_some_and(|u| u.ref_count > 0);
    let caches = usage.build_cache.as_deref().unwrap_or_default();
    let cache_size = |c: &serde_json::Value| c["Size"].as_i64().unwrap_or(0);
    let flag = |c: &serde_json::Value, name: &str| c[name].as_bool().unwrap_or(false);
    vec![
        Entry {
            kind: "Images",
            total: images.len(),
            active: images.iter().filter(|i| i.containers > 0).count(),
            size: usage.layers_size,
            reclaimable: usage.layers_size - used,
            share: true,
        },
        Entry {
            kind: "Containers",
            total: containers.len(),
            active: containers.iter().filter(|c| live(&c.state)).count(),
            size: containers.iter().map(|c| c.size_rw).sum(),
            reclaimable: containers.iter().filter(|c| !live(&c.state)).map(|c| c.size_rw).sum(),
            share: true,
        },
        Entry {
            kind: "Local Volumes",
            total: volumes.len(),
            active: volumes.iter().filter(|v| volume_used(v)).count(),
            size: volumes.iter().map(|v| volume_size(&v)).sum(),
            reclaimable: volumes.iter().filter(|v| !volume_used(v)).map(|v| volume_size(&v)).sum(),
            share: true,
        },
        Entry {
            kind: "Build Cache",
            total: caches.len(),
            active: caches.iter().filter(|c| flag(c, "InUse")).count(),
            size: caches.iter().filter(|c| !flag(c, "Shared")).map(cache_size).sum(),
            reclaimable: caches
                .iter()
                .filter(|c| !flag(c, "InUse") && !flag(c, "Shared"))
                .map(cache_size)
                .sum(),
            share: false,
        },
    ]
}

#[derive(Debug)]
struct Entry {
    kind: &'static str,
    total: usize,
    active: usize,
    size: i64,
    reclaimable: i64,
    share: bool,
}

entry!(Entry as "*formatter.diskUsageContext", this;
    "Type" => this.kind,
    "TotalCount" => this.total.to_string(),
    "Active" => this.active.to_string(),
    "Size" => size::human(this.size as f64),
    "Reclaimable" => this.reclaimable(),
    ; label: None);

impl Entry {
    fn reclaimable(&self) -> String {
        let bytes = size::human(self.reclaimable as f64);
        if self.share && self.size > 0 {
            return format!("{bytes} ({}%)", self.reclaimable * 100 / self.size);
        }
        bytes
    }
}
