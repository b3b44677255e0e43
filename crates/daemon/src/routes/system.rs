//! `/_ping`, `/version`, `/info`, `/system/df`.

use super::{Api, compat};
use crate::http::{ApiError, Request, Router, response};
use brig_engine::options::DfOptions;
use http::{Method, StatusCode, header};
use std::sync::Arc;

pub(super) fn add(router: &mut Router<Api>) {
    router.add(Method::GET, "/_ping", ping);
    router.add(Method::HEAD, "/_ping", ping);
    router.add(Method::GET, "/version", version);
    router.add(Method::GET, "/info", info);
    router.add(Method::GET, "/system/df", df);
    router.add(Method::POST, "/build/prune", build_prune);
}

async fn ping(_: Arc<Api>, request: Request) -> Result<response::Response, ApiError> {
    let body = if request.method == Method::HEAD { "" } else { "OK" };
    let mut answer = response::text(StatusCode::OK, body);
    for (name, value) in [
        (header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
        (header::PRAGMA, "no-cache"),
        (http::HeaderName::from_static("builder-version"), "2"),
        (http::HeaderName::from_static("swarm"), "inactive"),
    ] {
        answer = response::with(answer, name, value);
    }
    Ok(answer)
}

async fn version(api: Arc<Api>, _: Request) -> Result<response::Response, ApiError> {
    response::json(StatusCode::OK, &api.engine.system_version())
}

async fn info(api: Arc<Api>, request: Request) -> Result<response::Response, ApiError> {
    let info = api.engine.system_info().await?;
    response::json(StatusCode::OK, &compat::info(info, request.version)?)
}

async fn df(api: Arc<Api>, request: Request) -> Result<response::Response, ApiError> {
    let mut options = DfOptions::default();
    // Types are told since 1.42; none means all.
    let types = if request.version.at_least(42) { request.query().all("type") } else { Vec::new() };
    if !types.is_empty() {
        options = DfOptions { containers: false, images: false, volumes: false, build_cache: false };
        for kind in types {
            match kind.as_str() {
                "container" => options.containers = true,
                "image" => options.images = true,
                "volume" => options.volumes = true,
                "build-cache" => options.build_cache = true,
                other => return Err(ApiError::bad(format!("unknown object type: {other}"))),
            }
        }
    }
    let df = api.engine.system_df(options).await?;
    response::json(StatusCode::OK, &df)
}

/// Nothing is cached, since nothing is built.
async fn build_prune(_: Arc<Api>, _: Request) -> Result<response::Response, ApiError> {
    response::json(StatusCode::OK, &brig_api::BuildPruneResponse::default())
}
