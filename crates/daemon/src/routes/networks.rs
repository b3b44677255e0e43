//! `/networks`.

use super::{Api, compat, to_the_end};
use crate::http::{ApiError, Request, Router, response};
use http::{Method, StatusCode};
use std::sync::Arc;

pub(super) fn add(router: &mut Router<Api>) {
    router.add(Method::GET, "/networks", list);
    router.add(Method::POST, "/networks/create", create);
    router.add(Method::POST, "/networks/prune", prune);
    router.add(Method::GET, "/networks/{name}", inspect);
    router.add(Method::DELETE, "/networks/{name}", remove);
    router.add(Method::POST, "/networks/{name}/connect", connect);
    router.add(Method::POST, "/networks/{name}/disconnect", disconnect);
}

type Answer = Result<response::Response, ApiError>;

async fn list(api: Arc<Api>, request: Request) -> Answer {
    let networks = api.engine.network_list(&request.filters()?).await?;
    response::json(StatusCode::OK, &compat::networks(networks, request.version))
}

async fn inspect(api: Arc<Api>, request: Request) -> Answer {
    let query = request.query();
    let verbose = query.get("verbose");
    // Without effect on networks of one machine, but looked at.
    if !verbose.is_empty() && !is_bool(verbose) {
        return Err(ApiError::bad(format!(
            "invalid value for verbose: {verbose}: strconv.ParseBool: parsing {verbose:?}: invalid syntax"
        )));
    }
    let network = api.engine.network_inspect(request.name()).await?;
    let scope = query.get("scope");
    if !scope.is_empty() && scope != network.scope {
        return Err(ApiError::new(StatusCode::NOT_FOUND, format!("network {} not found", request.name())));
    }
    response::json(StatusCode::OK, &network)
}

/// What Go's `strconv.ParseBool` takes.
fn is_bool(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True" | "0" | "f" | "F" | "false" | "FALSE" | "False")
}

async fn create(api: Arc<Api>, mut request: Request) -> Answer {
    let body = request.json().await?;
    let created = to_the_end(async move { api.engine.network_create(body).await }).await?;
    response::json(StatusCode::CREATED, &created)
}

async fn remove(api: Arc<Api>, request: Request) -> Answer {
    to_the_end(async move { api.engine.network_remove(request.name()).await }).await?;
    Ok(response::empty(StatusCode::NO_CONTENT))
}

async fn connect(api: Arc<Api>, mut request: Request) -> Answer {
    let body = request.json().await?;
    to_the_end(async move { api.engine.network_connect(request.name(), body).await }).await?;
    Ok(response::empty(StatusCode::OK))
}

async fn disconnect(api: Arc<Api>, mut request: Request) -> Answer {
    let body = request.json().await?;
    to_the_end(async move { api.engine.network_disconnect(request.name(), body).await }).await?;
    Ok(response::empty(StatusCode::OK))
}

async fn prune(api: Arc<Api>, request: Request) -> Answer {
    let filters = request.filters()?;
    let pruned = to_the_end(async move { api.engine.networks_prune(&filters).await }).await?;
    response::json(StatusCode::OK, &pruned)
}
