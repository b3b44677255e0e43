//! `/containers/{name}/archive`, `/export` and `/changes`, and `/commit`: the files of containers.

use super::{Api, to_the_end};
use crate::http::{ApiError, Request, Router, response};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use brig_api::ContainerPathStat;
use brig_engine::options::{CommitOptions, ExtractOptions};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use std::sync::Arc;

pub(super) fn add(router: &mut Router<Api>) {
    router.add(Method::HEAD, "/containers/{name}/archive", stat);
    router.add(Method::GET, "/containers/{name}/archive", copy_out);
    router.add(Method::PUT, "/containers/{name}/archive", copy_in);
    router.add(Method::GET, "/containers/{name}/export", export);
    router.add(Method::GET, "/containers/{name}/changes", changes);
    router.add(Method::POST, "/commit", commit);
}

type Answer = Result<response::Response, ApiError>;

const PATH_STAT: HeaderName = HeaderName::from_static("x-docker-container-path-stat");

fn with_stat(mut response: response::Response, stat: &ContainerPathStat) -> Answer {
    let unwritable = |e: String| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, e);
    let json = brig_api::json::to_plain_line(stat).map_err(|e| unwritable(e.to_string()))?;
    let text = STANDARD.encode(json.trim_ascii_end());
    let value = HeaderValue::from_str(&text).map_err(|e| unwritable(e.to_string()))?;
    response.headers_mut().insert(PATH_STAT, value);
    Ok(response)
}

async fn stat(api: Arc<Api>, request: Request) -> Answer {
    let stat = api.engine.container_path_stat(request.name(), request.query().get("path")).await?;
    with_stat(response::empty(StatusCode::OK), &stat)
}

async fn copy_out(api: Arc<Api>, request: Request) -> Answer {
    let (stat, archive) = api.engine.container_archive(request.name(), request.query().get("path")).await?;
    with_stat(response::stream("application/x-tar", archive), &stat)
}

async fn copy_in(api: Arc<Api>, mut request: Request) -> Answer {
    let body = request.stream();
    let options = ExtractOptions {
        no_overwrite_dir_non_dir: request.query().flag("noOverwriteDirNonDir"),
        copy_uid_gid: request.query().flag("copyUIDGID"),
    };
    to_the_end(async move {
        api.engine.container_extract(request.name(), request.query().get("path"), options, body).await
    })
    .await?;
    Ok(response::empty(StatusCode::OK))
}

async fn export(api: Arc<Api>, request: Request) -> Answer {
    Ok(response::stream("application/octet-stream", api.engine.container_export(request.name()).await?))
}

async fn changes(api: Arc<Api>, request: Request) -> Answer {
    response::json(StatusCode::OK, &api.engine.container_changes(request.name()).await?)
}

async fn commit(api: Arc<Api>, mut request: Request) -> Answer {
    // What the official client sends is `null`.
    let config: Option<brig_api::ContainerConfig> = request.json_or_default().await?;
    let query = request.query();
    let options = CommitOptions {
        container: query.get("container").to_owned(),
        repository: query.get("repo").to_owned(),
        tag: query.get("tag").to_owned(),
        author: query.get("author").to_owned(),
        comment: query.get("comment").to_owned(),
        changes: query.all("changes"),
        config,
        pause: query.flag_or("pause", true),
    };
    let made = to_the_end(async move { api.engine.container_commit(options).await }).await?;
    response::json(StatusCode::CREATED, &made)
}
