//! `images` and `rmi`.

use super::{FILTER, FORMAT, filters, filters_json, size3};
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    entry,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
    format::{age, short_id, size, timestamp},
    list::{self, Headers},
    out,
    template::Object,
};
use brig_api::{ImageDeleteResponseItem, ImageSummary};
use std::{collections::BTreeMap, rc::Rc};

/// `brig images`
pub static IMAGES: Command = Command {
    paths: &["images", "image ls", "image list"],
    synopsis: "[REPOSITORY[:TAG]]",
    about: "List images",
    examples: &[("images --filter dangling=true -q", "The IDs of images without a name")],
    flags: &[&[
        Flag::switch("all", "Show images that others were built on too").short('a'),
        Flag::switch("digests", "Show digests"),
        FILTER,
        FORMAT,
        Flag::switch("no-trunc", "Don't shorten anything"),
        Flag::switch("quiet", "Show IDs only").short('q'),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::AtMost(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { images(cli, &flags).await }) },
};

/// `brig rmi`
pub static RMI: Command = Command {
    paths: &["rmi", "image rm", "image remove"],
    synopsis: "IMAGE [IMAGE...]",
    about: "Remove one or more images",
    examples: &[],
    flags: &[&[
        Flag::switch("force", "Remove the image though it is in use or has other names").short('f'),
        Flag::switch("no-prune", "Keep nameless images that it was built on"),
        Flag::list("platform", "Remove only this platform's variant (e.g., \"linux/amd64\")")
            .label("strings"),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { rmi(cli, &flags).await }) },
};

pub(super) const HEADERS: Headers = &[
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("Containers", "CONTAINERS"),
    ("VirtualSize", "SIZE"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
];

async fn images(cli: &Cli, flags: &Parsed) -> Result {
    let mut filters = filters(flags.all("filter"));
    if let Some(name) = flags.args.first() {
        filters.add("reference", name);
    }
    let images: Vec<ImageSummary> = cli
        .client()?
        .get("/images/json")
        .query_flag("all", flags.on("all"))
        .query_nonempty("filters", filters_json(&filters))
        .json()
        .await?;
    let quiet = flags.on("quiet");
    let format = match flags.non_empty("format") {
        Some(format) => format,
        None if quiet => String::new(),
        None => cli.config().images_format.clone().unwrap_or_default(),
    };
    let digests = flags.on("digests") || format.contains(".Digest");
    let table = match (quiet, flags.on("digests")) {
        (true, _) => "{{.ID}}",
        (false, true) => {
            "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{if .CreatedSince}}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}"
        }
        (false, false) => {
            "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{if .CreatedSince}}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}"
        }
    };
    let now = age::now();
    let entries = images.into_iter().flat_map(|i| entries(i, flags.on("no-trunc"), digests, now)).collect();
    list::print(&format, table, HEADERS, entries)
}

/// An image's lines: one a name, and a digest of that name when digests are shown.
pub(super) fn entries(image: ImageSummary, full: bool, digests: bool, now: i64) -> Vec<Rc<dyn Object>> {
    let none = || "<none>".to_owned();
    let mut tags: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in image.repo_tags.iter().filter(|n| *n != "<none>:<none>") {
        if let Some((repository, tag)) = name.rsplit_once(':') {
            tags.entry(repository.to_owned()).or_default().push(tag.to_owned());
        }
    }
    let mut by_digest: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in image.repo_digests.iter().filter(|n| *n != "<none>@<none>") {
        if let Some((repository, digest)) = name.split_once('@') {
            by_digest.entry(repository.to_owned()).or_default().push(digest.to_owned());
        }
    }
    let mut rows = Vec::new();
    for (repository, tags) in tags {
        let own = by_digest.remove(&repository).filter(|_| digests).unwrap_or_else(|| vec![none()]);
        for tag in tags {
            rows.extend(own.iter().map(|d| (repository.clone(), tag.clone(), d.clone())));
        }
    }
    for (repository, own) in by_digest {
        let own = if digests { own } else { vec![none()] };
        rows.extend(own.into_iter().map(|d| (repository.clone(), none(), d)));
    }
    if rows.is_empty() {
        rows.push((none(), none(), none()));
    }
    let image = Rc::new(image);
    let entry = |(repository, tag, digest)| {
        Rc::new(Entry { image: Rc::clone(&image), repository, tag, digest, full, now }) as Rc<dyn Object>
    };
    rows.into_iter().map(entry).collect()
}

/// One line of a list of images.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) image: Rc<ImageSummary>,
    pub(super) repository: String,
    pub(super) tag: String,
    pub(super) digest: String,
    pub(super) full: bool,
    pub(super) now: i64,
}

entry!(Entry as "*formatter.imageContext", this;
    "ID" => if this.full { this.image.id.as_str() } else { short_id(&this.image.id) },
    "Repository" => &this.repository,
    "Tag" => &this.tag,
    "Digest" => &this.digest,
    "CreatedSince" => if this.image.created == 0 { String::new() } else { age::ago(this.image.created, this.now) },
    "CreatedAt" => timestamp::local(this.image.created),
    "Size" => size3(this.image.size),
    "Containers" => counted(this.image.containers, |n| n.to_string()),
    "VirtualSize" => size::human(this.image.size as f64),
    "SharedSize" => counted(this.image.shared_size, |n| size::human(n as f64)),
    "UniqueSize" => counted(this.image.shared_size, |n| size::human((this.image.size - n) as f64)),
    ; label: None);

fn counted(number: i64, show: impl Fn(i64) -> String) -> String {
    if number == -1 { "N/A".to_owned() } else { show(number) }
}

async fn rmi(cli: &Cli, flags: &Parsed) -> Result {
    let client = cli.client()?;
    let mut failed = false;
    for name in &flags.args {
        let mut request = client
            .delete(&format!("/images/{name}"))
            .query_flag("force", flags.on("force"))
            .query_flag("noprune", flags.on("no-prune"));
        for platform in flags.all("platform") {
            request = request.query("platforms", platform_json(platform));
        }
        match request.json::<Vec<ImageDeleteResponseItem>>().await {
            Ok(removed) => {
                for item in removed {
                    if item.deleted.is_empty() {
                        out::line(&format!("Untagged: {}", item.untagged))?;
                    } else {
                        out::line(&format!("Deleted: {}", item.deleted))?;
                    }
                }
            }
            Err(e) => {
                let gone = e.status().is_some_and(|s| s.as_u16() == 404);
                failed |= !(gone && flags.on("force"));
                out::warn(&e.to_string());
            }
        }
    }
    if failed { Err(Error::Told) } else { Ok(()) }
}

/// `os/arch/variant` as the API takes platforms.
pub(super) fn platform_json(text: &str) -> String {
    let mut parts = text.splitn(3, '/');
    let mut next = || parts.next().unwrap_or_default().to_owned();
    let (os, architecture, variant) = (next(), next(), next());
    let mut json = serde_json::json!({ "os": os, "architecture": architecture });
    if !variant.is_empty() {
        json["variant"] = variant.into();
    }
    json.to_string()
}
