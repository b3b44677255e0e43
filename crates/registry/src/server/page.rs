//! A plain page that lists repositories, tags and sizes.

use super::{
    answer::{self, Answer},
    manifests::Manifest,
    route::Name,
    storage::Storage,
};
use brig_core::Digest;
use std::fmt::Write;

const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Registry</title>\
<meta name=\"viewport\" content=\"width=device-width\"><style>\
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#222;background:#fff}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #ddd}\
td.n{text-align:right;white-space:nowrap}code{font-size:.85em}@media(prefers-color-scheme:dark){body{color:#ddd;\
background:#181818}td,th{border-color:#444}}</style></head><body><h1>Registry</h1>\n";

/// `GET /`
pub(super) fn page(storage: &Storage) -> Answer {
    let mut text = String::from(HEAD);
    let catalog = storage.catalog()?;
    if catalog.is_empty() {
        text.push_str("<p>There is nothing here yet.</p>\n");
    }
    for name in catalog {
        // Names and tags have no characters that mean anything to HTML; writing into a text can't fail.
        let _ = writeln!(
            text,
            "<h2>{name}</h2>\n<table><thead><tr><th>Tag</th><th>Digest</th><th>Size</th></tr></thead><tbody>"
        );
        for tag in storage.tags(&name)? {
            let Some(digest) = storage.tag(&name, &tag)? else { continue };
            let size = human(size(storage, &name, &digest, 3)?);
            let short = digest.short();
            let _ = writeln!(
                text,
                "<tr><td>{}</td><td><code title=\"{digest}\">{short}</code></td><td class=\"n\">{size}</td></tr>",
                tag.as_str()
            );
        }
        text.push_str("</tbody></table>\n");
    }
    text.push_str("</body></html>\n");
    Ok(answer::bytes("text/html; charset=utf-8", text))
}

/// The bytes of an image, or of all that an index lists.
fn size(storage: &Storage, name: &Name, digest: &Digest, depth: u32) -> std::io::Result<u64> {
    let Some((_, bytes)) = storage.manifest(name, digest)? else { return Ok(0) };
    let Ok(manifest) = Manifest::parse(&bytes) else { return Ok(0) };
    let mut sum = manifest.blobs().fold(0u64, |sum, part| sum.saturating_add(part.size));
    if depth > 0 {
        for part in &manifest.manifests {
            sum = sum.saturating_add(size(storage, name, &part.digest, depth - 1)?);
        }
    }
    Ok(sum)
}

fn human(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}
