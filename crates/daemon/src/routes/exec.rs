//! `/exec`, and making one under `/containers`.

use super::{Api, containers::terminal_size, to_the_end};
use crate::http::{Answer, ApiError, Request, Router, Takeover, response};
use brig_api::{ExecCreateRequest, ExecStartRequest};
use http::{Method, StatusCode};
use std::sync::Arc;

pub(super) fn add(router: &mut Router<Api>) {
    router.add(Method::POST, "/containers/{name}/exec", create);
    router.add(Method::POST, "/exec/{name}/start", start);
    router.add(Method::POST, "/exec/{name}/resize", resize);
    router.add(Method::GET, "/exec/{name}/json", inspect);
}

async fn create(api: Arc<Api>, mut request: Request) -> Result<response::Response, ApiError> {
    let mut body: ExecCreateRequest = request.json().await?;
    if body.cmd.as_ref().is_none_or(Vec::is_empty) {
        return Err(ApiError::bad("No exec command specified"));
    }
    if !request.version.at_least(42) {
        // It had no meaning before.
        body.console_size = None;
    }
    let created = to_the_end(async move { api.engine.exec_create(request.name(), body).await }).await?;
    response::json(StatusCode::CREATED, &created)
}

async fn start(api: Arc<Api>, mut request: Request) -> Result<Answer, ApiError> {
    let mut body: ExecStartRequest = request.json_or_default().await?;
    if !request.version.at_least(42) {
        body.console_size = None;
    }
    if body.console_size.is_some() && !body.tty {
        return Err(ApiError::bad("console size is only supported when tty is enabled"));
    }
    let detach = body.detach;
    let session = api.engine.exec_start(request.name(), body).await?;
    if detach {
        to_the_end(session.detach()).await?;
        return Ok(response::empty(StatusCode::OK).into());
    }
    let framed = !session.tty() && request.version.at_least(42);
    let id = request.name().to_owned();
    Ok(Answer::Takeover(Takeover::new(request.wants_upgrade(), framed, move |raw| async move {
        if let Err(error) = session.serve(raw).await {
            tracing::debug!(exec = id, %error, "exec ended");
        }
    })))
}

async fn resize(api: Arc<Api>, request: Request) -> Result<response::Response, ApiError> {
    let (height, width) = terminal_size(&request)?;
    api.engine.exec_resize(request.name(), height, width).await?;
    Ok(response::empty(StatusCode::OK))
}

async fn inspect(api: Arc<Api>, request: Request) -> Result<response::Response, ApiError> {
    response::json(StatusCode::OK, &api.engine.exec_inspect(request.name()).await?)
}
