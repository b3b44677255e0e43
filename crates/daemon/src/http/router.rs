//! From method and path to a route. Patterns are literal but for one `{name}`, which may contain slashes, as
//! names of images do.

use super::{Answer, ApiError, Request, body::RequestBody, request};
use brig_api::{ApiVersion, version};
use http::{HeaderMap, Method};
use std::{future::Future, pin::Pin, sync::Arc};

/// A route at work.
pub type Handling = Pin<Box<dyn Future<Output = Result<Answer, ApiError>> + Send>>;
type Handler<S> = Box<dyn Fn(Arc<S>, Request) -> Handling + Send + Sync>;

struct Route<S> {
    method: Method,
    before: &'static str,
    /// What follows the variable; `None` when there is none.
    after: Option<&'static str>,
    handler: Handler<S>,
}

/// All routes, tried in the order in which they were added.
pub struct Router<S> {
    routes: Vec<Route<S>>,
}

impl<S> std::fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").field("routes", &self.routes.len()).finish()
    }
}

impl<S> Default for Router<S> {
    fn default() -> Self {
        Self { routes: Vec::new() }
    }
}

impl<S: Send + Sync + 'static> Router<S> {
    /// Without routes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route.
    pub fn add<F, R, A>(&mut self, method: Method, pattern: &'static str, handler: F)
    where
        F: Fn(Arc<S>, Request) -> R + Send + Sync + 'static,
        R: Future<Output = Result<A, ApiError>> + Send + 'static,
        A: Into<Answer>,
    {
        let (before, after) = match pattern.split_once('{') {
            Some((before, rest)) => (before, rest.split_once('}').map(|(_, after)| after)),
            None => (pattern, None),
        };
        let handler: Handler<S> = Box::new(move |state, request| {
            let handling = handler(state, request);
            Box::pin(async move { handling.await.map(Into::into) })
        });
        self.routes.push(Route { method, before, after, handler });
    }

    /// Finds the route of a request and starts it.
    ///
    /// # Errors
    /// When there is none, or the version can't be spoken.
    pub fn route(
        &self,
        state: Arc<S>,
        method: Method,
        uri: &http::Uri,
        headers: HeaderMap,
        body: Option<RequestBody>,
    ) -> Result<Handling, ApiError> {
        let (requested, path) = split_version(uri.path());
        let path = request::decode(path);
        let (route, variables) = self
            .routes
            .iter()
            .filter(|route| route.method == method)
            .find_map(|route| Some((route, route.matches(&path)?)))
            .ok_or_else(ApiError::page_not_found)?;
        let version = match requested {
            Some(text) => ApiVersion::requested(text)?,
            None => version::MAX,
        };
        let query = request::Query::parse(uri.query().unwrap_or_default());
        let request = Request { method, path, version, headers, variables, query, body };
        Ok((route.handler)(state, request))
    }
}

impl<S> Route<S> {
    fn matches(&self, path: &str) -> Option<Vec<String>> {
        let Some(after) = self.after else { return (path == self.before).then(Vec::new) };
        let variable = path.strip_prefix(self.before)?.strip_suffix(after)?;
        (!variable.is_empty()).then(|| vec![variable.to_owned()])
    }
}

/// Takes `/v1.51` off a path.
fn split_version(path: &str) -> (Option<&str>, &str) {
    let versioned = path.strip_prefix("/v").and_then(|rest| {
        let end = rest.find('/')?;
        let (version, path) = rest.split_at(end);
        let is_version = !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        is_version.then_some((version, path))
    });
    match versioned {
        Some((version, path)) => (Some(version), path),
        None => (None, path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::response;
    use http::StatusCode;

    fn router() -> Router<()> {
        let mut router = Router::new();
        router.add(Method::GET, "/containers/json", |_, r: Request| async move { answer("list", &r) });
        router.add(Method::GET, "/containers/{name}/json", |_, r: Request| async move { answer("one", &r) });
        router.add(Method::DELETE, "/images/{name}", |_, r: Request| async move { answer("rmi", &r) });
        router
    }

    fn answer(what: &str, request: &Request) -> Result<response::Response, ApiError> {
        Err(ApiError::new(StatusCode::IM_A_TEAPOT, format!("{what} {} {}", request.name(), request.version)))
    }

    fn ask(method: Method, uri: &str) -> (u16, String) {
        let handling = router().route(Arc::new(()), method, &uri.parse().unwrap(), HeaderMap::new(), None);
        let error = match handling {
            Ok(handling) => futures_util::FutureExt::now_or_never(handling).unwrap().unwrap_err(),
            Err(error) => error,
        };
        (error.status().as_u16(), error.message().to_owned())
    }

    #[test]
    fn paths_are_found_with_and_without_a_version() {
        for (method, uri, expected) in [
            (Method::GET, "/containers/json", "list  1.51"),
            (Method::GET, "/v1.30/containers/json?all=1", "list  1.30"),
            (Method::GET, "/v1.24/containers/c/json", "one c 1.24"),
            (Method::GET, "/containers/%2Fc/json", "one /c 1.51"),
            (Method::DELETE, "/images/localhost:5000/a/b:c", "rmi localhost:5000/a/b:c 1.51"),
        ] {
            assert_eq!(ask(method, uri), (418, expected.to_owned()), "{uri}");
        }
    }

    #[test]
    fn pages_that_are_not_there_and_versions_that_are_not_spoken() {
        for (method, uri) in [
            (Method::POST, "/containers/json"),
            (Method::GET, "/"),
            (Method::GET, "/vx/containers/json"),
            (Method::GET, "/v1.51"),
            (Method::DELETE, "/images/"),
            // The page comes before the version.
            (Method::GET, "/v1.10/nope"),
        ] {
            assert_eq!(ask(method, uri), (404, "page not found".to_owned()), "{uri}");
        }
        let (status, message) = ask(Method::GET, "/v1.10/containers/json");
        assert_eq!(status, 400);
        assert!(message.starts_with("client version 1.10 is too old"), "{message}");
        assert!(
            ask(Method::GET, "/v1.52/containers/json").1.ends_with("Maximum supported API version is 1.51")
        );
    }
}
