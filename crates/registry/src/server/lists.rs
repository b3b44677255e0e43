//! Lists: repositories, tags, referrers; page by page.

use super::{
    answer::{self, Answer, Failure},
    manifests::Manifest,
    route::{Name, Query},
    storage::Storage,
};
use brig_core::Digest;
use brig_store::manifest;
use http::{HeaderName, header};
use serde_json::json;

/// Entries of a page, at most.
const PAGE: usize = 1000;

/// `GET /v2/_catalog`
pub(super) fn catalog(storage: &Storage, query: &Query) -> Answer {
    let all: Vec<String> = storage.catalog()?.iter().map(ToString::to_string).collect();
    let (page, next) = page(&all, query, "/v2/_catalog", "")?;
    Ok(linked(answer::json(&json!({ "repositories": page })), next))
}

/// `GET /v2/NAME/tags/list`
pub(super) fn tags(storage: &Storage, name: &Name, query: &Query) -> Answer {
    if !storage.has_repository(name) {
        return Err(Failure::name_unknown(name.as_str()));
    }
    let all: Vec<String> = storage.tags(name)?.iter().map(|tag| tag.as_str().to_owned()).collect();
    let (page, next) = page(&all, query, &format!("/v2/{name}/tags/list"), "")?;
    Ok(linked(answer::json(&json!({ "name": name.as_str(), "tags": page })), next))
}

/// `GET /v2/NAME/referrers/DIGEST`
pub(super) fn referrers(storage: &Storage, name: &Name, subject: &Digest, query: &Query) -> Answer {
    let wanted = query.get("artifactType").filter(|wanted| !wanted.is_empty());
    let mut descriptors = Vec::new();
    for digest in storage.referrers(name, subject)? {
        let Some((media_type, bytes)) = storage.manifest(name, &digest)? else { continue };
        let Ok(found) = Manifest::parse(&bytes) else { continue };
        let of_config = found.config.map(|config| config.media_type).unwrap_or_default();
        let artifact_type = if found.artifact_type.is_empty() { of_config } else { found.artifact_type };
        if wanted.is_some_and(|wanted| wanted != artifact_type) {
            continue;
        }
        let mut descriptor =
            json!({ "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len() });
        if !artifact_type.is_empty() {
            descriptor["artifactType"] = artifact_type.into();
        }
        if !found.annotations.is_empty() {
            descriptor["annotations"] = json!(found.annotations);
        }
        descriptors.push(descriptor);
    }
    let index = json!({ "schemaVersion": 2, "mediaType": manifest::INDEX, "manifests": descriptors });
    let text = serde_json::to_vec(&index).map_err(std::io::Error::other)?;
    let response = answer::bytes(manifest::INDEX, text);
    Ok(match wanted {
        Some(_) => answer::with(response, HeaderName::from_static("oci-filters-applied"), "artifactType"),
        None => response,
    })
}

/// A page of sorted entries, and the address of the next.
fn page<'a>(
    all: &'a [String],
    query: &Query,
    path: &str,
    more: &str,
) -> Result<(&'a [String], Option<String>), Failure> {
    let last = query.get("last").unwrap_or_default();
    let from = if last.is_empty() { 0 } else { all.partition_point(|entry| entry.as_str() <= last) };
    let size = match query.get("n").map(str::parse::<usize>) {
        None => PAGE,
        Some(Ok(n)) => n.min(PAGE),
        Some(Err(_)) => return Err(Failure::bad_manifest("n is no number")),
    };
    let rest = &all[from..];
    let page = &rest[..size.min(rest.len())];
    let next = match page.last() {
        Some(last) if rest.len() > page.len() => {
            Some(format!("<{path}?n={size}&last={last}{more}>; rel=\"next\""))
        }
        _ => None,
    };
    Ok((page, next))
}

fn linked(response: http::Response<answer::Body>, next: Option<String>) -> http::Response<answer::Body> {
    match next {
        Some(next) => answer::with(response, header::LINK, &next),
        None => response,
    }
}
