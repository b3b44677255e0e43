//! `/exec`, and making one under `/containers`.

use super::{Api, containers::terminal_size, to_the_end};
use crate::http::{Answer, ApiError, Request, Router, Takeover, response};
use brig_api::{
    ExecCreateRequest, ExecStartRequest,
    client::Raw,
    stream::{self, StreamType},
};
use brig_core::{HasKind, Kind};
use http::{Method, StatusCode};
use std::sync::Arc;
use tokio::io::AsyncWriteExt;

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
    let (detach, tty) = (body.detach, body.tty);
    let framed = !tty && request.version.at_least(42);
    let session = match api.engine.exec_start(request.name(), body).await {
        Ok(session) => session,
        // Docker has taken the connection over by then, and says it there.
        Err(error) if error.kind() == Kind::Conflict && !detach && error.is_of_exec() => {
            let text = format!("{error}\r\n").into_bytes();
            return Ok(Answer::Takeover(Takeover::new(request.wants_upgrade(), framed, move |raw| {
                tell(raw, tty, text)
            })));
        }
        Err(error) => return Err(error.into()),
    };
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

/// Writes a text as if the program had, and hangs up.
async fn tell(mut raw: Raw, tty: bool, text: Vec<u8>) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let head = if tty { Vec::new() } else { stream::header(StreamType::Stdout, length).to_vec() };
    if let Err(error) = raw.write_all(&[head, text].concat()).await {
        tracing::debug!(%error, "exec refused");
    }
}

async fn resize(api: Arc<Api>, request: Request) -> Result<response::Response, ApiError> {
    let (height, width) = terminal_size(&request)?;
    api.engine.exec_resize(request.name(), height, width).await?;
    Ok(response::empty(StatusCode::OK))
}

async fn inspect(api: Arc<Api>, request: Request) -> Result<response::Response, ApiError> {
    response::json(StatusCode::OK, &api.engine.exec_inspect(request.name()).await?)
}
