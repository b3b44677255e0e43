//! What is pushed: blobs and manifests.

use super::{
    repository::Repository,
    retry::Tries,
    transport::{Body, Request},
};
use crate::error::{Error, Result};
use brig_core::Digest;
use bytes::Bytes;
use futures_util::Stream;
use http::{Method, StatusCode, header};
use reqwest::{Response, Url};
use std::io;

/// An upload that was begun. One that is not finished is forgotten by the registry some day.
#[derive(Debug)]
pub struct Upload {
    repository: Repository,
    location: Url,
}

/// What came of asking for a blob of another repository.
#[derive(Debug)]
pub enum Mounted {
    /// It is there now.
    Yes,
    /// It has to be uploaded.
    No(Upload),
}

impl Repository {
    /// Whether the repository has a blob.
    ///
    /// # Errors
    /// When the registry refuses for other reasons than that it has not.
    pub async fn has_blob(&self, digest: &Digest) -> Result<bool> {
        let inner = &self.inner;
        let url = inner.url(&format!("blobs/{digest}"))?;
        let mut tries = Tries::new(&inner.limits);
        loop {
            match inner.succeed(Request::new(Method::HEAD, url.clone())).await {
                Ok(_) => return Ok(true),
                Err(error) if error.status() == Some(404) => return Ok(false),
                Err(error) => tries.again(error).await?,
            }
        }
    }

    /// Begins to upload a blob.
    ///
    /// # Errors
    /// When the caller may not.
    pub async fn begin_upload(&self) -> Result<Upload> {
        let inner = &self.inner;
        let url = inner.url("blobs/uploads/")?;
        let mut tries = Tries::new(&inner.limits);
        loop {
            match inner.succeed(empty_post(url.clone())).await {
                Ok(response) => return self.upload(&url, &response),
                Err(error) => tries.again(error).await?,
            }
        }
    }

    /// Asks for a blob that another repository of the registry has.
    ///
    /// # Errors
    /// When the caller may not upload at all.
    pub async fn mount(&self, digest: &Digest, from: &str) -> Result<Mounted> {
        let inner = &self.inner;
        let mut url = inner.url("blobs/uploads/")?;
        url.query_pairs_mut().append_pair("mount", &digest.to_string()).append_pair("from", from);
        let response = inner.succeed_for(empty_post(url.clone()), &format!("repository:{from}:pull")).await?;
        if response.status() == StatusCode::CREATED {
            return Ok(Mounted::Yes);
        }
        Ok(Mounted::No(self.upload(&url, &response)?))
    }

    /// Uploads a small blob.
    ///
    /// # Errors
    /// When the registry refuses.
    pub async fn put_blob(&self, bytes: Bytes) -> Result<Digest> {
        let digest = Digest::of(&bytes);
        let mut tries = Tries::new(&self.inner.limits);
        loop {
            let put = async {
                let upload = self.begin_upload().await?;
                upload.finish_with(&digest, bytes.clone()).await
            };
            match put.await {
                Ok(()) => return Ok(digest),
                Err(error) => tries.again(error).await?,
            }
        }
    }

    /// Puts a manifest or an index, under a tag or its digest.
    ///
    /// # Errors
    /// When the registry refuses, or takes it for another.
    pub async fn put_document(&self, reference: &str, media_type: &str, bytes: Bytes) -> Result<Digest> {
        let inner = &self.inner;
        let digest = Digest::of(&bytes);
        let url = inner.url(&format!("manifests/{reference}"))?;
        let mut tries = Tries::new(&inner.limits);
        loop {
            let mut request = Request::new(Method::PUT, url.clone()).header(header::CONTENT_TYPE, media_type);
            request.body = Body::Bytes(bytes.clone());
            match inner.succeed(request).await {
                Ok(_) => return Ok(digest),
                Err(error) => tries.again(error).await?,
            }
        }
    }

    /// The session that a registry answers with. It has to be at the registry itself: credentials go there.
    fn upload(&self, asked: &Url, response: &Response) -> Result<Upload> {
        let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let bad = |why: &str| Error::BadAnswer(format!("{asked}: {why}"));
        let location = asked
            .join(location.ok_or_else(|| bad("the registry does not say where to upload to"))?)
            .map_err(|_| bad("the registry does not say where to upload to"))?;
        if location.origin() != asked.origin() {
            return Err(bad("the registry wants the upload elsewhere"));
        }
        Ok(Upload { repository: self.clone(), location })
    }
}

fn empty_post(url: Url) -> Request {
    let mut request = Request::new(Method::POST, url);
    request.body = Body::Bytes(Bytes::new());
    request
}

impl Upload {
    /// Sends bytes as they come, with nothing said of how many there will be.
    ///
    /// # Errors
    /// When the registry refuses, or `bytes` fails.
    pub async fn send(self, bytes: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Result<Self> {
        let mut request = Request::new(Method::PATCH, self.location.clone())
            .header(header::CONTENT_TYPE, "application/octet-stream");
        request.body = Body::Stream(reqwest::Body::wrap_stream(bytes));
        let response = self.repository.inner.succeed(request).await?;
        self.repository.upload(&self.location, &response)
    }

    /// All has been sent.
    ///
    /// # Errors
    /// When the registry got something else.
    pub async fn finish(self, digest: &Digest) -> Result<()> {
        self.finish_with(digest, Bytes::new()).await
    }

    async fn finish_with(self, digest: &Digest, bytes: Bytes) -> Result<()> {
        let mut url = self.location;
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let mut request =
            Request::new(Method::PUT, url).header(header::CONTENT_TYPE, "application/octet-stream");
        request.body = Body::Bytes(bytes);
        self.repository.inner.succeed(request).await.map(drop)
    }

    /// Gives it up.
    pub async fn cancel(self) {
        if let Err(error) = self.repository.inner.succeed(Request::new(Method::DELETE, self.location)).await {
            tracing::debug!(%error, "an upload could not be given up; the registry forgets it");
        }
    }
}
