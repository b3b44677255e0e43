//! `/networks`, read only so far.

use super::{Api, compat};
use crate::http::{ApiError, Request, Router, response};
use http::{Method, StatusCode};
use std::sync::Arc;

pub(super) fn add(router: &mut Router<Api>) {
    router.add(Method::GET, "/networks", list);
    router.add(Method::GET, "/networks/{name}", inspect);
}

async fn list(api: Arc<Api>, request: Request) -> Result<response::Response, ApiError> {
    let networks = api.engine.network_list(&request.filters()?).await?;
    response::json(StatusCode::OK, &compat::networks(networks, request.version))
}

async fn inspect(api: Arc<Api>, request: Request) -> Result<response::Response, ApiError> {
    let network = api.engine.network_inspect(request.name()).await?;
    response::json(StatusCode::OK, &network)
}
