//! The routes of the Engine API, one file a resource. They translate between HTTP and the engine and decide
//! nothing else.
mod archive;
mod compat;
mod container_create;
mod container_streams;
mod containers;
mod defaults;
mod events;
mod exec;
mod image_transfer;
mod images;
mod later;
mod networks;
mod registry;
mod swarm;
mod system;
mod times;
mod volumes;

pub use defaults::Defaults;

use crate::http::{ApiError, Router};
use brig_engine::Engine;
use std::{future::Future, sync::Arc};

/// What routes work on.
#[derive(Debug)]
pub struct Api {
    /// The engine.
    pub engine: Arc<Engine>,
    /// What containers get that don't say otherwise.
    pub defaults: Defaults,
}

/// All routes.
#[must_use]
pub fn all() -> Router<Api> {
    let mut router = Router::new();
    system::add(&mut router);
    events::add(&mut router);
    archive::add(&mut router);
    container_create::add(&mut router);
    container_streams::add(&mut router);
    containers::add(&mut router);
    exec::add(&mut router);
    image_transfer::add(&mut router);
    images::add(&mut router);
    networks::add(&mut router);
    registry::add(&mut router);
    volumes::add(&mut router);
    swarm::add(&mut router);
    later::add(&mut router);
    router
}

/// Does something to its end even if the client leaves meanwhile: what was begun is not to stay half-done.
async fn to_the_end<T: Send + 'static, E: Into<ApiError> + Send + 'static>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::spawn(work).await {
        Ok(done) => done.map_err(Into::into),
        Err(panic) => Err(ApiError::new(
            http::StatusCode::INTERNAL_SERVER_ERROR,
            format!("the request failed within brig: {panic}"),
        )),
    }
}
