//! `/images`: what answers at once.

use super::{Api, compat, to_the_end};
use crate::http::{ApiError, Request, Router, response};
use brig_engine::options::ImageListOptions;
use http::{Method, StatusCode};
use std::sync::Arc;

pub(super) fn add(router: &mut Router<Api>) {
    router.add(Method::GET, "/images/json", list);
    router.add(Method::POST, "/images/prune", prune);
    router.add(Method::GET, "/images/{name}/json", inspect);
    router.add(Method::GET, "/images/{name}/history", history);
    router.add(Method::POST, "/images/{name}/tag", tag);
    router.add(Method::DELETE, "/images/{name}", remove);
}

type Answer = Result<response::Response, ApiError>;

async fn list(api: Arc<Api>, request: Request) -> Answer {
    let query = request.query();
    let mut filters = request.filters()?;
    if !request.version.at_least(41) && !query.get("filter").is_empty() {
        filters.add("reference", query.get("filter"));
    }
    let options = ImageListOptions {
        all: query.flag("all"),
        filters,
        shared_size: request.version.at_least(42) && query.flag("shared-size"),
        manifests: request.version.at_least(47) && query.flag("manifests"),
    };
    let list = api.engine.image_list(options).await?;
    response::json(StatusCode::OK, &compat::image_list(list, request.version))
}

async fn inspect(api: Arc<Api>, request: Request) -> Answer {
    let image = api.engine.image_inspect(request.name()).await?;
    response::json(StatusCode::OK, &compat::image_inspect(image, request.version))
}

async fn history(api: Arc<Api>, request: Request) -> Answer {
    response::json(StatusCode::OK, &api.engine.image_history(request.name()).await?)
}

async fn tag(api: Arc<Api>, request: Request) -> Answer {
    to_the_end(async move {
        let query = request.query();
        api.engine.image_tag(request.name(), query.get("repo"), query.get("tag")).await
    })
    .await?;
    Ok(response::empty(StatusCode::CREATED))
}

async fn remove(api: Arc<Api>, request: Request) -> Answer {
    if request.name().trim().is_empty() {
        return Err(ApiError::bad("image name cannot be blank"));
    }
    let removed = to_the_end(async move {
        let query = request.query();
        api.engine.image_remove(request.name(), query.flag("force"), query.flag("noprune")).await
    })
    .await?;
    response::json(StatusCode::OK, &removed)
}

async fn prune(api: Arc<Api>, request: Request) -> Answer {
    let filters = request.filters()?;
    let pruned = to_the_end(async move { api.engine.images_prune(&filters).await }).await?;
    response::json(StatusCode::OK, &pruned)
}
