//! `/containers`: what answers at once.

use super::{Api, compat, to_the_end};
use crate::http::{ApiError, Request, Router, request, response};
use brig_api::ContainerUpdateRequest;
use brig_engine::options::{ListOptions, RemoveOptions, StopOptions};
use http::{Method, StatusCode};
use std::sync::Arc;

pub(super) fn add(router: &mut Router<Api>) {
    router.add(Method::GET, "/containers/json", list);
    router.add(Method::POST, "/containers/prune", prune);
    router.add(Method::GET, "/containers/{name}/json", inspect);
    router.add(Method::GET, "/containers/{name}/top", top);
    router.add(Method::POST, "/containers/{name}/start", start);
    router.add(Method::POST, "/containers/{name}/stop", stop);
    router.add(Method::POST, "/containers/{name}/restart", restart);
    router.add(Method::POST, "/containers/{name}/kill", kill);
    router.add(Method::POST, "/containers/{name}/pause", pause);
    router.add(Method::POST, "/containers/{name}/unpause", unpause);
    router.add(Method::POST, "/containers/{name}/resize", resize);
    router.add(Method::POST, "/containers/{name}/rename", rename);
    router.add(Method::POST, "/containers/{name}/update", update);
    router.add(Method::DELETE, "/containers/{name}", remove);
}

type Answer = Result<response::Response, ApiError>;

fn done() -> Answer {
    Ok(response::empty(StatusCode::NO_CONTENT))
}

async fn list(api: Arc<Api>, request: Request) -> Answer {
    let query = request.query();
    let options = ListOptions {
        all: query.flag("all"),
        limit: query.number("limit")?,
        size: query.flag("size"),
        filters: request.filters()?,
    };
    let list = api.engine.container_list(options).await?;
    response::json(StatusCode::OK, &compat::container_list(list, request.version))
}

async fn inspect(api: Arc<Api>, request: Request) -> Answer {
    let container = api.engine.container_inspect(request.name(), request.query().flag("size")).await?;
    response::json(StatusCode::OK, &compat::container_inspect(container, request.version))
}

async fn top(api: Arc<Api>, request: Request) -> Answer {
    let top = api.engine.container_top(request.name(), request.query().get("ps_args")).await?;
    response::json(StatusCode::OK, &top)
}

async fn start(api: Arc<Api>, request: Request) -> Answer {
    // As dockerd: an empty JSON object is let pass, more is not.
    if request.announced().is_none_or(|bytes| bytes > 7) {
        return Err(ApiError::bad(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24",
        ));
    }
    if !request.query().get("checkpoint").is_empty() {
        return Err(ApiError::later("starting from a checkpoint"));
    }
    to_the_end(async move { api.engine.container_start(request.name()).await }).await?;
    done()
}

fn stop_options(request: &Request) -> Result<StopOptions, ApiError> {
    let signal = request.query().get("signal");
    Ok(StopOptions {
        // Old clients did not mean it.
        signal: (request.version.at_least(42) && !signal.is_empty()).then(|| signal.to_owned()),
        timeout: request.query().number("t")?,
    })
}

async fn stop(api: Arc<Api>, request: Request) -> Answer {
    let options = stop_options(&request)?;
    to_the_end(async move { api.engine.container_stop(request.name(), options).await }).await?;
    done()
}

async fn restart(api: Arc<Api>, request: Request) -> Answer {
    let options = stop_options(&request)?;
    to_the_end(async move { api.engine.container_restart(request.name(), options).await }).await?;
    done()
}

async fn kill(api: Arc<Api>, request: Request) -> Answer {
    to_the_end(async move { api.engine.container_kill(request.name(), request.query().get("signal")).await })
        .await?;
    done()
}

async fn pause(api: Arc<Api>, request: Request) -> Answer {
    to_the_end(async move { api.engine.container_pause(request.name()).await }).await?;
    done()
}

async fn unpause(api: Arc<Api>, request: Request) -> Answer {
    to_the_end(async move { api.engine.container_unpause(request.name()).await }).await?;
    done()
}

/// Height and width of a terminal, in characters.
pub(super) fn terminal_size(request: &Request) -> Result<(u32, u32), ApiError> {
    let read = |name| {
        let text = request.query().get(name);
        let number = request::integer(text).map_err(|e| ApiError::bad(e.message()))?;
        u32::try_from(number).map_err(|_| {
            ApiError::bad(format!(
                "invalid resize {name:?}: strconv.ParseUint: parsing {text:?}: value out of range"
            ))
        })
    };
    Ok((read("h")?, read("w")?))
}

async fn resize(api: Arc<Api>, request: Request) -> Answer {
    let (height, width) = terminal_size(&request)?;
    api.engine.container_resize(request.name(), height, width).await?;
    Ok(response::empty(StatusCode::OK))
}

async fn rename(api: Arc<Api>, request: Request) -> Answer {
    to_the_end(async move { api.engine.container_rename(request.name(), request.query().get("name")).await })
        .await?;
    done()
}

async fn update(api: Arc<Api>, mut request: Request) -> Answer {
    let body: ContainerUpdateRequest = request.json().await?;
    let updated = to_the_end(async move { api.engine.container_update(request.name(), body).await }).await?;
    response::json(StatusCode::OK, &updated)
}

async fn remove(api: Arc<Api>, request: Request) -> Answer {
    let query = request.query();
    let options =
        RemoveOptions { force: query.flag("force"), volumes: query.flag("v"), link: query.flag("link") };
    to_the_end(async move { api.engine.container_remove(request.name(), options).await }).await?;
    done()
}

async fn prune(api: Arc<Api>, request: Request) -> Answer {
    let filters = request.filters()?;
    let pruned = to_the_end(async move { api.engine.containers_prune(&filters).await }).await?;
    response::json(StatusCode::OK, &pruned)
}
