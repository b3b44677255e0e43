//! `/containers`: what goes on for a while. Attach, logs, wait.

use super::{Api, times};
use crate::http::{Answer, ApiError, Request, Router, Takeover, endless::endless, response};
use brig_api::stream::{MULTIPLEXED_STREAM, RAW_STREAM};
use brig_engine::options::{AttachOptions, LogOptions, StatsOptions, WaitCondition};
use bytes::Bytes;
use http::{Method, StatusCode};
use std::{io, sync::Arc};

pub(super) fn add(router: &mut Router<Api>) {
    router.add(Method::GET, "/containers/{name}/stats", stats);
    router.add(Method::POST, "/containers/{name}/attach", attach);
    router.add(Method::GET, "/containers/{name}/logs", logs);
    router.add(Method::POST, "/containers/{name}/wait", wait);
}

async fn stats(api: Arc<Api>, request: Request) -> Result<response::Response, ApiError> {
    let query = request.query();
    let options = StatsOptions {
        stream: query.flag_or("stream", true),
        // Older clients don't know of it.
        one_shot: request.version.at_least(41) && query.flag("one-shot"),
    };
    let samples = api.engine.container_stats(request.name(), options).await?;
    let answer = response::json_stream(samples, b"\n");
    Ok(if options.stream { endless(answer) } else { answer })
}

async fn attach(api: Arc<Api>, request: Request) -> Result<Answer, ApiError> {
    let query = request.query();
    let keys = query.get("detachKeys");
    let options = AttachOptions {
        stdin: query.flag("stdin"),
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        logs: query.flag("logs"),
        stream: query.flag("stream"),
        detach_keys: (!keys.is_empty()).then(|| keys.to_owned()),
    };
    let session = api.engine.container_attach(request.name(), options).await?;
    let framed = !session.tty() && request.version.at_least(42);
    let name = request.name().to_owned();
    Ok(Answer::Takeover(Takeover::new(request.wants_upgrade(), framed, move |raw| async move {
        if let Err(error) = session.serve(raw).await {
            tracing::debug!(container = name, %error, "attachment ended");
        }
    })))
}

async fn logs(api: Arc<Api>, request: Request) -> Result<response::Response, ApiError> {
    let query = request.query();
    let (stdout, stderr) = (query.flag("stdout"), query.flag("stderr"));
    if !stdout && !stderr {
        return Err(ApiError::bad("Bad parameters: you must choose at least one stream"));
    }
    let options = LogOptions {
        stdout,
        stderr,
        follow: query.flag("follow"),
        since: times::parse(query.get("since"))?,
        // Old clients send a zero for "none".
        until: times::parse(query.get("until"))?.filter(|until| until.as_nanosecond() != 0),
        timestamps: query.flag("timestamps"),
        details: query.flag("details"),
        // What is no number, `all` mostly, means all of them, and so does a negative one.
        tail: query.get("tail").parse().ok(),
    };
    let follow = options.follow;
    let log = api.engine.container_logs(request.name(), options).await?;
    let framed = !log.tty && request.version.at_least(42);
    let answer = response::stream(if framed { MULTIPLEXED_STREAM } else { RAW_STREAM }, log.bytes);
    Ok(if follow { endless(answer) } else { answer })
}

async fn wait(api: Arc<Api>, request: Request) -> Result<response::Response, ApiError> {
    // Conditions, and headers before the end, came with 1.30.
    let modern = request.version.at_least(30);
    let word = if modern { request.query().get("condition") } else { "" };
    let condition =
        WaitCondition::parse(word).ok_or_else(|| ApiError::bad(format!("invalid condition: {word:?}")))?;
    let waiter = api.engine.container_wait(request.name(), condition).await?;
    if !modern {
        return response::json(StatusCode::OK, &waiter.wait().await);
    }
    let result = async move {
        let result = waiter.wait().await;
        brig_api::json::to_line(&result).map(Bytes::from).map_err(io::Error::other)
    };
    Ok(endless(response::stream("application/json", futures_util::stream::once(result))))
}
