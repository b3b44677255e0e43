//! A registry: the OCI distribution spec 1.1, on a folder.
//!
//! # On disk
//! - `blobs/sha256/HEX`: content, shared by all repositories.
//! - `repositories/NAME/_blobs/HEX`: the repository has this blob (an empty file).
//! - `repositories/NAME/_manifests/HEX`: it has this manifest; the file holds its media type.
//! - `repositories/NAME/_tags/TAG`: the digest that the tag leads to.
//! - `repositories/NAME/_referrers/HEX/HEX`: the second manifest is about the first.
//! - `uploads/ID`: what has come of an upload.
//!
//! Parts of names never begin with `_`, so nothing clashes. Content is moved into its place whole and verified, links
//! are written after what they lead to: a crash leaves orphans, which the garbage collection removes.
//!
//! # Locking
//! Who adds or removes links holds [`Registry::changes`] for reading, the garbage collection for writing: it sees no
//! half-made image and takes nothing from under one. Reading needs no lock.

mod access;
mod answer;
mod blobs;
mod command;
mod gc;
mod listen;
mod lists;
mod manifests;
mod metrics;
mod page;
mod proxy;
mod route;
mod storage;
mod uploads;

pub use access::Htpasswd;
pub use command::main;
pub use listen::{Listening, Tls, serve};
pub use storage::Storage;

use answer::{Answer, Failure};
use http::{Method, Request};
use hyper::body::Incoming;
use metrics::Metrics;
use route::Route;
use std::{sync::Arc, time::Duration};
use tokio::sync::RwLock;

/// How a registry behaves.
#[derive(Debug)]
pub struct Registry {
    storage: Storage,
    access: Option<Htpasswd>,
    mode: Mode,
    changes: RwLock<()>,
    sessions: uploads::Sessions,
    metrics: Metrics,
}

/// What a registry lets be done.
#[derive(Debug)]
pub enum Mode {
    /// Everything.
    ReadWrite,
    /// Reading alone.
    ReadOnly,
    /// Reading, of what another registry has, too.
    PullThrough(Box<proxy::Upstream>),
}

pub use proxy::Upstream;

impl Registry {
    /// A registry on a folder.
    #[must_use]
    pub fn new(storage: Storage, access: Option<Htpasswd>, mode: Mode) -> Arc<Self> {
        Arc::new(Self {
            storage,
            access,
            mode,
            changes: RwLock::new(()),
            sessions: uploads::Sessions::default(),
            metrics: Metrics::default(),
        })
    }

    /// Removes what nothing leads to and nobody has touched for `grace`.
    ///
    /// # Errors
    /// What the file system says.
    pub async fn collect_garbage(&self, grace: Duration) -> std::io::Result<gc::Collected> {
        let _alone = self.changes.write().await;
        let collected = tokio::task::block_in_place(|| gc::collect(&self.storage, grace))?;
        self.metrics.collected(&collected);
        Ok(collected)
    }

    /// Answers a request.
    async fn handle(self: Arc<Self>, request: Request<Incoming>) -> http::Response<answer::Body> {
        let method = request.method().clone();
        let answered = self.route(request).await;
        let mut response = answered.unwrap_or_else(Failure::into_response);
        response
            .headers_mut()
            .insert("docker-distribution-api-version", http::HeaderValue::from_static("registry/2.0"));
        self.metrics.answered(&method, response.status());
        response
    }

    async fn route(&self, request: Request<Incoming>) -> Answer {
        let method = request.method().clone();
        let route = Route::parse(request.uri().path())?;
        if let Some(access) = &self.access
            && !access.allows(request.headers())
        {
            return Err(Failure::unauthorized());
        }
        let query = route::Query::parse(request.uri().query().unwrap_or_default());
        let changes = !matches!(method, Method::GET | Method::HEAD);
        if changes && !matches!(self.mode, Mode::ReadWrite) {
            return Err(Failure::unsupported());
        }
        match (method, route) {
            (Method::GET | Method::HEAD, Route::Base) => Ok(answer::json(&serde_json::json!({}))),
            (Method::GET | Method::HEAD, Route::Page) => page::page(&self.storage),
            (Method::GET, Route::Metrics) => Ok(self.metrics.page()),
            (Method::GET, Route::Catalog) => lists::catalog(&self.storage, &query),
            (Method::GET, Route::Tags(name)) => lists::tags(&self.storage, &name, &query),
            (Method::GET, Route::Referrers(name, digest)) => {
                lists::referrers(&self.storage, &name, &digest, &query)
            }
            (Method::GET | Method::HEAD, Route::Manifest(name, reference)) => {
                self.get_manifest(&name, &reference).await
            }
            (Method::PUT, Route::Manifest(name, reference)) => {
                self.put_manifest(&name, &reference, request).await
            }
            (Method::DELETE, Route::Manifest(name, reference)) => {
                self.delete_manifest(&name, &reference).await
            }
            (method @ (Method::GET | Method::HEAD), Route::Blob(name, digest)) => {
                self.get_blob(&method, &name, &digest, request.headers()).await
            }
            (Method::DELETE, Route::Blob(name, digest)) => self.delete_blob(&name, &digest).await,
            (Method::POST, Route::Uploads(name)) => self.begin_upload(&name, &query, request).await,
            (Method::GET, Route::Upload(name, id)) => self.upload_status(&name, &id).await,
            (Method::PATCH, Route::Upload(name, id)) => self.upload_more(&name, &id, request).await,
            (Method::PUT, Route::Upload(name, id)) => self.finish_upload(&name, &id, &query, request).await,
            (Method::DELETE, Route::Upload(name, id)) => self.cancel_upload(&name, &id).await,
            _ => Err(Failure::not_allowed()),
        }
    }
}
