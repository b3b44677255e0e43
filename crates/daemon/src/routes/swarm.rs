//! Swarm's routes, answered as a node that is not part of a swarm does.

use super::Api;
use crate::http::{ApiError, Request, Router, response};
use http::{Method, StatusCode};
use std::sync::Arc;

const NO_MANAGER: &str = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.";

pub(super) fn add(router: &mut Router<Api>) {
    for pattern in [
        "/swarm",
        "/swarm/unlockkey",
        "/nodes",
        "/nodes/{id}",
        "/services",
        "/services/{id}/logs",
        "/services/{id}",
        "/tasks",
        "/tasks/{id}/logs",
        "/tasks/{id}",
        "/secrets",
        "/secrets/{id}",
        "/configs",
        "/configs/{id}",
    ] {
        router.add(Method::GET, pattern, no_manager);
    }
    for pattern in [
        "/swarm/update",
        "/nodes/{id}/update",
        "/services/create",
        "/services/{id}/update",
        "/secrets/create",
        "/secrets/{id}/update",
        "/configs/create",
        "/configs/{id}/update",
    ] {
        router.add(Method::POST, pattern, no_manager);
    }
    for pattern in ["/nodes/{id}", "/services/{id}", "/secrets/{id}", "/configs/{id}"] {
        router.add(Method::DELETE, pattern, no_manager);
    }
    for pattern in ["/swarm/leave", "/swarm/unlock"] {
        router.add(Method::POST, pattern, no_swarm);
    }
    for pattern in ["/swarm/init", "/swarm/join"] {
        router.add(Method::POST, pattern, never);
    }
}

async fn no_manager(_: Arc<Api>, _: Request) -> Result<response::Response, ApiError> {
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, NO_MANAGER))
}

async fn no_swarm(_: Arc<Api>, _: Request) -> Result<response::Response, ApiError> {
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "This node is not part of a swarm"))
}

async fn never(_: Arc<Api>, _: Request) -> Result<response::Response, ApiError> {
    Err(ApiError::new(StatusCode::NOT_IMPLEMENTED, "brig has no swarm mode"))
}
