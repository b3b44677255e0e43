//! What has to do with registries, but for pulls: pushes, logins, questions.

use super::Api;
use crate::http::{ApiError, Request, Router, response};
use brig_engine::options::PushOptions;
use http::{Method, StatusCode};
use serde::Serialize;
use std::sync::Arc;

pub(super) fn add(router: &mut Router<Api>) {
    router.add(Method::POST, "/auth", auth);
    router.add(Method::POST, "/images/{name}/push", push);
    router.add(Method::GET, "/images/search", search);
    router.add(Method::GET, "/distribution/{name}/json", distribution);
}

type Answer = Result<response::Response, ApiError>;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Authenticated {
    identity_token: String,
    status: &'static str,
}

async fn auth(api: Arc<Api>, mut request: Request) -> Answer {
    if request.announced() == Some(0) {
        // As dockerd, which reads this body in another way than all others.
        return Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "EOF"));
    }
    let credentials: brig_registry::Credentials = request.json().await?;
    let identity_token = api.engine.registry_login(credentials.unfolded()).await?;
    response::json(StatusCode::OK, &Authenticated { identity_token, status: "Login Succeeded" })
}

async fn push(api: Arc<Api>, request: Request) -> Answer {
    let options = PushOptions {
        name: request.name().to_owned(),
        tag: request.query().get("tag").to_owned(),
        credentials: request.credentials().to_owned(),
    };
    Ok(response::json_stream(api.engine.image_push(options).await?, b"\r\n"))
}

async fn search(api: Arc<Api>, request: Request) -> Answer {
    let query = request.query();
    let (limit, filters) = (query.number("limit")?, request.filters()?);
    let found = api.engine.images_search(query.get("term"), limit, &filters, request.credentials()).await?;
    response::json(StatusCode::OK, &found)
}

async fn distribution(api: Arc<Api>, request: Request) -> Answer {
    let found = api.engine.distribution_inspect(request.name(), request.credentials()).await?;
    response::json(StatusCode::OK, &found)
}
