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
