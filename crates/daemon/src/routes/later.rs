//! Routes that this version does not have yet: 501, and what it is that is missing.

use super::Api;
use crate::http::{ApiError, Request, Router, response};
use http::{Method, StatusCode};
use std::sync::Arc;

const LATER: &[(Method, &str, &str)] = &[
    (Method::GET, "/containers/{name}/attach/ws", "attaching by websocket"),
    (Method::GET, "/containers/{name}/checkpoints", "checkpoints"),
    (Method::POST, "/containers/{name}/checkpoints", "checkpoints"),
    (Method::POST, "/build", "building images"),
    (Method::POST, "/build/cancel", "building images"),
    (Method::POST, "/session", "building images"),
    (Method::POST, "/grpc", "building images"),
    (Method::GET, "/plugins/privileges", "plugins"),
    (Method::POST, "/plugins/{name}", "plugins"),
    (Method::DELETE, "/plugins/{name}", "plugins"),
];

pub(super) fn add(router: &mut Router<Api>) {
    router.add(Method::GET, "/plugins", no_plugins);
    router.add(Method::GET, "/plugins/{name}/json", no_such_plugin);
    for (method, pattern, what) in LATER {
        router.add(method.clone(), pattern, move |_, _: Request| async move {
            Err::<response::Response, _>(ApiError::later(what))
        });
    }
}

/// None are installed, which `docker inspect` and `docker plugin ls` want to know.
async fn no_plugins(_: Arc<Api>, _: Request) -> Result<response::Response, ApiError> {
    response::json::<[(); 0]>(StatusCode::OK, &[])
}

async fn no_such_plugin(_: Arc<Api>, request: Request) -> Result<response::Response, ApiError> {
    Err(ApiError::new(StatusCode::NOT_FOUND, format!("plugin {:?} not found", request.name())))
}
