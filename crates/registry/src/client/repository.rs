//! One repository of a registry.

use super::{
    authorize::Authorizer,
    blob::Blob,
    config::{Limits, Mirror, RegistryConfig},
    credentials::Credentials,
    document::{ACCEPTED, Document},
    retry::Tries,
    transport::{self, Request, Transport},
};
use crate::error::{Error, Result};
use brig_core::{Digest, Reference};
use http::{Method, StatusCode, header};
use reqwest::{Response, Url};
use std::sync::Arc;

/// Docker Hub's registry has another name than its images.
pub(super) const HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// What is wanted of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To read.
    Pull,
    /// To read and write.
    Push,
}

/// Where a repository may be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// At a mirror, which is not told who asks.
    Mirror(Mirror),
    /// At the registry that its name says.
    Registry,
}

/// A repository that can be reached. Cheap to clone; its connections end with the last clone.
#[derive(Debug, Clone)]
pub struct Repository {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) transport: Transport,
    authorizer: Authorizer,
    /// `https://host:port/`, or a mirror's with its path.
    base: Url,
    /// The repository's name there.
    name: String,
    pub(super) limits: Limits,
    scope: String,
    is_mirror: bool,
}

impl Repository {
    /// Where the repository of a reference may be found for reading: mirrors first, then the registry itself.
    #[must_use]
    pub fn places(config: &RegistryConfig, reference: &Reference) -> Vec<Place> {
        let mirrors = config.mirrors_of(&reference.repository());
        mirrors.into_iter().cloned().map(Place::Mirror).chain([Place::Registry]).collect()
    }

    /// Opens the repository for reading at one of its places.
    ///
    /// # Errors
    /// As [`Repository::open`].
    pub async fn open_at(
        config: &RegistryConfig,
        place: &Place,
        reference: &Reference,
        credentials: &Credentials,
    ) -> Result<Self> {
        match place {
            Place::Mirror(mirror) => Self::at_mirror(config, mirror, reference).await,
            Place::Registry => Self::open(config, reference, credentials, Access::Pull).await,
        }
    }

    /// Opens the repository at its registry itself.
    ///
    /// # Errors
    /// When the registry can't be reached, or is none.
    pub async fn open(
        config: &RegistryConfig,
        reference: &Reference,
        credentials: &Credentials,
        access: Access,
    ) -> Result<Self> {
        let domain = reference.domain();
        let host = if domain == HUB.0 { HUB.1 } else { domain };
        let transport = Transport::new(config, host)?;
        let url = |scheme: &str| {
            format!("{scheme}://{host}/").parse::<Url>().map_err(|e| Error::Config(format!("{host}: {e}")))
        };
        let mut base = url("https")?;
        let authorizer = Authorizer::new(credentials.clone());
        if config.is_insecure(host) {
            let once = Limits { tries: 1, ..config.limits.clone() };
            if ping(&transport, &authorizer, &base, &once).await.is_err() {
                base = url("http")?;
                ping(&transport, &authorizer, &base, &config.limits).await?;
            }
        } else {
            ping(&transport, &authorizer, &base, &config.limits).await?;
        }
        let name = reference.path().to_owned();
        Ok(Self::at(transport, authorizer, base, name, access, config.limits.clone(), false))
    }

    async fn at_mirror(config: &RegistryConfig, mirror: &Mirror, reference: &Reference) -> Result<Self> {
        let bad = || Error::Config(format!("{:?} is no address of a mirror", mirror.url));
        let text =
            if mirror.url.contains("://") { mirror.url.clone() } else { format!("https://{}", mirror.url) };
        let mut base: Url = text.parse().map_err(|_| bad())?;
        let host = base.host_str().ok_or_else(bad)?.to_owned();
        let host = base.port().map_or(host.clone(), |port| format!("{host}:{port}"));
        let prefix = base.path().trim_matches('/').to_owned();
        base.set_path("/");
        let transport = Transport::new(config, &host)?;
        let authorizer = Authorizer::new(Credentials::default());
        ping(&transport, &authorizer, &base, &config.limits).await?;
        let name = if prefix.is_empty() {
            reference.path().to_owned()
        } else {
            format!("{prefix}/{}", reference.path())
        };
        Ok(Self::at(transport, authorizer, base, name, Access::Pull, config.limits.clone(), true))
    }

    fn at(
        transport: Transport,
        authorizer: Authorizer,
        base: Url,
        name: String,
        access: Access,
        limits: Limits,
        is_mirror: bool,
    ) -> Self {
        let actions = match access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        let scope = format!("repository:{name}:{actions}");
        Self { inner: Arc::new(Inner { transport, authorizer, base, name, limits, scope, is_mirror }) }
    }

    /// Whether it is a mirror's.
    #[must_use]
    pub fn is_mirror(&self) -> bool {
        self.inner.is_mirror
    }

    /// Gets a manifest or an index by its tag or digest, and verifies it.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is none, or the caller may not know.
    pub async fn document(&self, reference: &str) -> Result<Document> {
        let inner = &self.inner;
        let url = inner.url(&format!("manifests/{reference}"))?;
        let wanted: Option<Digest> = if reference.contains(':') {
            Some(reference.parse().map_err(|e| Error::Unsupported(format!("{reference}: {e}")))?)
        } else {
            None
        };
        let mut tries = Tries::new(&inner.limits);
        loop {
            let got = async {
                let mut request = Request::get(url.clone());
                for accepted in ACCEPTED {
                    request = request.header(header::ACCEPT, accepted);
                }
                let response = inner.succeed(request).await?;
                let media_type = content_type(&response);
                let said = header_digest(&response);
                let limits = &inner.limits;
                let bytes = transport::read(response, "a manifest", limits.manifest, limits.answer).await?;
                Ok((media_type, said, bytes))
            };
            match got.await {
                Ok((media_type, said, bytes)) => {
                    let digest = Digest::of(&bytes);
                    // The registry's own word of it is verified as well.
                    if let Some(expected) = wanted.or(said).filter(|expected| *expected != digest) {
                        return Err(Error::Unverified { what: "manifest", digest: expected });
                    }
                    let media_type = match media_type.as_str() {
                        "" | "application/json" | "text/plain" | "application/octet-stream" => {
                            Document::own_media_type(&bytes)
                        }
                        _ => media_type,
                    };
                    return Ok(Document { bytes, media_type, digest });
                }
                Err(error) => tries.again(error).await?,
            }
        }
    }

    /// The digest that a tag leads to, if the registry tells it without the manifest.
    ///
    /// # Errors
    /// As [`Repository::document`].
    pub async fn head(&self, reference: &str) -> Result<Option<(Digest, String)>> {
        let inner = &self.inner;
        let mut request = Request::new(Method::HEAD, inner.url(&format!("manifests/{reference}"))?);
        for accepted in ACCEPTED {
            request = request.header(header::ACCEPT, accepted);
        }
        let response = inner.succeed(request).await?;
        Ok(header_digest(&response).map(|digest| (digest, content_type(&response))))
    }

    /// All tags, page by page.
    ///
    /// # Errors
    /// When there is no such repository.
    pub async fn tags(&self) -> Result<Vec<String>> {
        #[derive(serde::Deserialize)]
        struct Page {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        /// Tags beyond this are a joke.
        const MOST: usize = 1 << 20;
        let inner = &self.inner;
        let mut tags = Vec::new();
        let mut next = Some(inner.url("tags/list")?);
        while let Some(url) = next.take() {
            let response = inner.succeed(Request::get(url.clone())).await?;
            next = next_page(&url, &response);
            let limits = &inner.limits;
            let body =
                transport::read(response, "a list of tags", limits.answer_bytes, limits.answer).await?;
            let page: Page = serde_json::from_slice(&body)
                .map_err(|e| Error::BadAnswer(format!("the list of tags: {e}")))?;
            let page = page.tags.unwrap_or_default();
            if page.is_empty() || tags.len() > MOST {
                break;
            }
            tags.extend(page);
        }
        Ok(tags)
    }

    /// A blob, to be read.
    #[must_use]
    pub fn blob(&self, digest: Digest, size: u64) -> Blob {
        Blob::new(self.clone(), digest, size)
    }
}

impl Inner {
    /// An address in this repository.
    pub(super) fn url(&self, rest: &str) -> Result<Url> {
        let joined = self.base.join(&format!("v2/{}/{rest}", self.name));
        joined.map_err(|e| Error::Config(format!("{}: {e}", self.name)))
    }

    /// Sends a request with what proves who asks, once more when the registry asks who; answers that say no are errors.
    pub(super) async fn succeed(&self, request: Request) -> Result<Response> {
        self.succeed_for(request, "").await
    }

    /// The same for what needs a further scope.
    pub(super) async fn succeed_for(&self, request: Request, more: &str) -> Result<Response> {
        let scope = if more.is_empty() { self.scope.clone() } else { format!("{} {more}", self.scope) };
        let response = ask(&self.transport, &self.authorizer, request, &scope, &self.limits).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(transport::refusal(response, self.limits.answer).await.into())
    }
}

/// Sends a request without a streaming body, with what proves who asks; once more when the registry asks who.
pub(super) async fn ask(
    transport: &Transport,
    authorizer: &Authorizer,
    request: Request,
    scope: &str,
    limits: &Limits,
) -> Result<Response> {
    let (method, url, headers) = (request.method.clone(), request.url.clone(), request.headers.clone());
    let body = match &request.body {
        transport::Body::Bytes(bytes) => Some(bytes.clone()),
        _ => None,
    };
    let shown = authorizer.header(transport, scope, limits).await?;
    let mut first = request;
    if let Some(shown) = &shown {
        first = first.header(header::AUTHORIZATION, shown);
    }
    let streams = matches!(first.body, transport::Body::Stream(_));
    let response = transport.send(first).await?;
    if response.status() != StatusCode::UNAUTHORIZED || streams {
        return Ok(response);
    }
    if !authorizer.learn(response.headers(), (&method, &url), scope, shown.as_deref()).await? {
        return Ok(response);
    }
    drop(response);
    let Some(shown) = authorizer.header(transport, scope, limits).await? else {
        return Err(Error::NoCredentials { method: transport::go_name(&method), url: url.to_string() });
    };
    let body = body.map_or(transport::Body::None, transport::Body::Bytes);
    let again = Request { method, url, headers, body }.header(header::AUTHORIZATION, &shown);
    transport.send(again).await
}

/// Finds out whether there is a registry, and what it asks for.
async fn ping(transport: &Transport, authorizer: &Authorizer, base: &Url, limits: &Limits) -> Result<()> {
    let url = base.join("v2/").map_err(|e| Error::Config(e.to_string()))?;
    let mut tries = Tries::new(limits);
    loop {
        let pinged = async {
            let response = transport.send(Request::get(url.clone())).await?;
            match response.status() {
                StatusCode::UNAUTHORIZED => {
                    match authorizer.learn(response.headers(), (&Method::GET, &url), "", None).await {
                        // Whether anything can be had without is seen with the first real request.
                        Ok(_) | Err(Error::NoCredentials { .. }) => Ok(()),
                        Err(error) => Err(error),
                    }
                }
                status if status.is_success() || status == StatusCode::NOT_FOUND => Ok(()),
                _ => Err(transport::refusal(response, limits.answer).await.into()),
            }
        };
        match pinged.await {
            Ok(()) => return Ok(()),
            Err(error) => tries.again(error).await?,
        }
    }
}

fn content_type(response: &Response) -> String {
    let value = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned()
}

fn header_digest(response: &Response) -> Option<Digest> {
    response.headers().get("docker-content-digest")?.to_str().ok()?.parse().ok()
}

/// `Link: </v2/x/tags/list?last=b>; rel="next"`, on the same host only.
fn next_page(url: &Url, response: &Response) -> Option<Url> {
    let link = response.headers().get(header::LINK)?.to_str().ok()?;
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let next = url.join(target).ok().filter(|_| parameters.contains("next"))?;
    (next.origin() == url.origin() && next != *url).then_some(next)
}
