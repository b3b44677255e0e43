//! `POST /containers/create`.

use super::{Api, compat, to_the_end};
use crate::http::{ApiError, Request, Router, response};
use brig_api::{ContainerConfig, ContainerCreateRequest};
use brig_engine::options::CreateOptions;
use http::{Method, StatusCode};
use std::sync::Arc;

pub(super) fn add(router: &mut Router<Api>) {
    router.add(Method::POST, "/containers/create", create);
}

async fn create(api: Arc<Api>, mut request: Request) -> Result<response::Response, ApiError> {
    let mut body: ContainerCreateRequest = request.json().await?;
    if body.config == ContainerConfig::default() {
        return Err(ApiError::bad("config cannot be empty in order to create a container"));
    }
    let mut warnings = compat::create_request(&mut body, request.version)?;
    if let Some(host) = &mut body.host_config {
        api.defaults.apply(host);
    }
    let text = |name| Some(request.query().get(name).to_owned()).filter(|text| !text.is_empty());
    let options = CreateOptions {
        name: text("name"),
        // Old clients did not mean it.
        platform: if request.version.at_least(41) { text("platform") } else { None },
        request: body,
    };
    let mut created = to_the_end(async move { api.engine.container_create(options).await }).await?;
    created.warnings.append(&mut warnings);
    response::json(StatusCode::CREATED, &created)
}
