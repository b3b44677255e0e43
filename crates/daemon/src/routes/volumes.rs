//! `/volumes`.

use super::{Api, to_the_end};
use crate::http::{ApiError, Request, Router, response};
use http::{Method, StatusCode};
use std::sync::Arc;

pub(super) fn add(router: &mut Router<Api>) {
    router.add(Method::GET, "/volumes", list);
    router.add(Method::POST, "/volumes/create", create);
    router.add(Method::POST, "/volumes/prune", prune);
    // brig's own; a name may be any path for the others.
    router.add(Method::GET, "/volumes/{name}/archive", export);
    router.add(Method::PUT, "/volumes/{name}/archive", import);
    router.add(Method::POST, "/volumes/{name}/clone", clone);
    router.add(Method::GET, "/volumes/{name}", inspect);
    router.add(Method::PUT, "/volumes/{name}", update);
    router.add(Method::DELETE, "/volumes/{name}", remove);
}

type Answer = Result<response::Response, ApiError>;

async fn list(api: Arc<Api>, request: Request) -> Answer {
    response::json(StatusCode::OK, &api.engine.volume_list(&request.filters()?).await?)
}

async fn inspect(api: Arc<Api>, request: Request) -> Answer {
    response::json(StatusCode::OK, &api.engine.volume_inspect(request.name()).await?)
}

async fn create(api: Arc<Api>, mut request: Request) -> Answer {
    let body = request.json_or_default().await?;
    let volume = to_the_end(async move { api.engine.volume_create(body).await }).await?;
    response::json(StatusCode::CREATED, &volume)
}

async fn remove(api: Arc<Api>, request: Request) -> Answer {
    to_the_end(async move { api.engine.volume_remove(request.name(), request.query().flag("force")).await })
        .await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

async fn prune(api: Arc<Api>, request: Request) -> Answer {
    let mut filters = request.filters()?;
    // Old clients meant all of them.
    if !request.version.at_least(42) {
        filters.add("all", "true");
    }
    let pruned = to_the_end(async move { api.engine.volumes_prune(&filters).await }).await?;
    response::json(StatusCode::OK, &pruned)
}

async fn export(api: Arc<Api>, request: Request) -> Answer {
    Ok(response::stream("application/x-tar", api.engine.volume_export(request.name()).await?))
}

async fn import(api: Arc<Api>, mut request: Request) -> Answer {
    let body = request.stream();
    let merge = request.query().flag("merge");
    let volume =
        to_the_end(async move { api.engine.volume_import(request.name(), merge, body).await }).await?;
    response::json(StatusCode::OK, &volume)
}

async fn clone(api: Arc<Api>, mut request: Request) -> Answer {
    let body = request.json_or_default().await?;
    let volume = to_the_end(async move { api.engine.volume_clone(request.name(), body).await }).await?;
    response::json(StatusCode::CREATED, &volume)
}

/// Only a swarm's volumes can be changed.
async fn update(_: Arc<Api>, _: Request) -> Answer {
    let why = "volume update only valid for cluster volumes, but swarm is unavailable";
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, why))
}
