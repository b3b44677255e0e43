//! `/events`.

use super::{Api, times};
use crate::http::{ApiError, Request, Router, endless::endless, response};
use brig_engine::options::EventsOptions;
use http::Method;
use std::sync::Arc;

pub(super) fn add(router: &mut Router<Api>) {
    router.add(Method::GET, "/events", events);
}

async fn events(api: Arc<Api>, request: Request) -> Result<response::Response, ApiError> {
    let query = request.query();
    let options = EventsOptions {
        since: times::parse(query.get("since"))?,
        until: times::parse(query.get("until"))?,
        filters: request.filters()?,
    };
    if let (Some(since), Some(until)) = (options.since, options.until)
        && until < since
    {
        return Err(ApiError::bad(format!(
            "`since` time ({}) cannot be after `until` time ({})",
            query.get("since"),
            query.get("until")
        )));
    }
    let events = api.engine.events(options).await?;
    Ok(endless(response::json_stream(events, b"\n")))
}
