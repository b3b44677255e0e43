//! `/images`: archives in and out.

use super::Api;
use crate::http::{ApiError, Request, Router, response};
use brig_engine::{
    options::{ImportOptions, PullOptions},
    streams::ProgressStream,
};
use futures_util::StreamExt;
use http::Method;
use std::sync::Arc;

pub(super) fn add(router: &mut Router<Api>) {
    router.add(Method::POST, "/images/create", create);
    router.add(Method::POST, "/images/load", load);
    router.add(Method::GET, "/images/get", save_many);
    router.add(Method::GET, "/images/{name}/get", save);
}

type Answer = Result<response::Response, ApiError>;

/// Sends progress. Its first line is awaited, so that a failure before anything was done gets a status of its
/// own instead of a line.
async fn progress(mut lines: ProgressStream) -> Answer {
    let first = lines.next().await;
    if let Some(failure) = first.as_ref().and_then(|line| line.error_detail.as_ref()) {
        return Err(ApiError::new(http::StatusCode::INTERNAL_SERVER_ERROR, failure.message.clone()));
    }
    let all = futures_util::stream::iter(first).chain(lines);
    Ok(response::json_stream(all, b"\r\n"))
}

async fn create(api: Arc<Api>, mut request: Request) -> Answer {
    let query = request.query();
    let image = query.get("fromImage");
    if !image.is_empty() {
        let tag = query.get("tag");
        let separator = if tag.contains(':') { "@" } else { ":" };
        let name = if tag.is_empty() { image.to_owned() } else { format!("{image}{separator}{tag}") };
        let options = PullOptions {
            image: name,
            platform: if request.version.at_least(32) {
                Some(query.get("platform").to_owned()).filter(|text| !text.is_empty())
            } else {
                None
            },
            credentials: request.credentials().to_owned(),
        };
        return Ok(response::json_stream(api.engine.image_pull(options).await?, b"\r\n"));
    }
    match query.get("fromSrc") {
        "-" => {}
        "" => return Err(ApiError::bad("fromSrc or fromImage must be given")),
        url => return Err(ApiError::later(&format!("importing from {url}, an address,"))),
    }
    let text = |name| Some(query.get(name).to_owned()).filter(|text| !text.is_empty());
    let options = ImportOptions {
        repository: text("repo"),
        tag: text("tag"),
        message: query.get("message").to_owned(),
        changes: query.all("changes"),
        platform: if request.version.at_least(32) { text("platform") } else { None },
    };
    let body = request.stream();
    progress(api.engine.image_import(options, body).await?).await
}

async fn load(api: Arc<Api>, mut request: Request) -> Answer {
    let quiet = request.query().flag_or("quiet", true);
    let body = request.stream();
    // dockerd answers 200 whatever comes, with a failure as the last line.
    Ok(response::json_stream(api.engine.image_load(body, quiet).await?, b"\r\n"))
}

async fn save(api: Arc<Api>, request: Request) -> Answer {
    send(&api, vec![request.name().to_owned()]).await
}

async fn save_many(api: Arc<Api>, request: Request) -> Answer {
    send(&api, request.query().all("names")).await
}

async fn send(api: &Api, names: Vec<String>) -> Answer {
    Ok(response::stream("application/x-tar", api.engine.image_save(&names).await?))
}
