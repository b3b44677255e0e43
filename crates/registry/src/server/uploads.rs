//! Blobs on their way in. What an upload has so far is hashed as it comes; one that this process did not begin is
//! hashed from its file.

use super::{
    Registry,
    answer::{self, Answer, Failure, digest_header},
    route::{Name, Query, UploadId},
    storage::Kind,
};
use brig_core::{Digest, digest::Hashing};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{sync::OwnedMutexGuard, task::block_in_place};

/// The uploads under way.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<UploadId, Arc<tokio::sync::Mutex<Session>>>>);

/// An upload: its file, open at its end, and the hash of what is in it.
#[derive(Debug)]
pub(super) struct Session {
    file: File,
    hash: Hashing<io::Sink>,
    at: u64,
}

impl Sessions {
    fn insert(&self, id: &UploadId, session: Session) {
        let session = Arc::new(tokio::sync::Mutex::new(session));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), session);
    }

    fn get(&self, id: &UploadId) -> Option<Arc<tokio::sync::Mutex<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn remove(&self, id: &UploadId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

impl Session {
    fn new(file: File) -> Self {
        Self { file, hash: Hashing::new(io::sink()), at: 0 }
    }

    /// Goes on with a file from before this process.
    fn resume(file: File) -> io::Result<Self> {
        let mut session = Self::new(file);
        session.file.seek(SeekFrom::Start(0))?;
        let mut buffer = vec![0; 1 << 17];
        // Reading leaves the file at its end.
        loop {
            let n = session.file.read(&mut buffer)?;
            if n == 0 {
                return Ok(session);
            }
            session.hash.write_all(&buffer[..n])?;
            session.at += n as u64;
        }
    }

    async fn take(&mut self, body: Incoming, registry: &Registry) -> Result<(), Failure> {
        let mut body = body;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| Failure::bad_upload(&e.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            registry.metrics.received(data.len());
            let written = block_in_place(|| {
                self.file.write_all(&data)?;
                self.hash.write_all(&data)
            });
            if let Err(error) = written {
                // What is half there is of no use: the file goes back to what was hashed.
                self.file.set_len(self.at)?;
                self.file.seek(SeekFrom::Start(self.at))?;
                return Err(error.into());
            }
            self.at += data.len() as u64;
        }
        Ok(())
    }
}

impl Registry {
    /// `POST blobs/uploads/`: mounts, takes a whole blob at once, or begins a session.
    pub(super) async fn begin_upload(
        &self,
        name: &Name,
        query: &Query,
        request: Request<Incoming>,
    ) -> Answer {
        if let Some(digest) = query.get("mount") {
            let digest: Digest = digest.parse().map_err(|_| Failure::bad_digest())?;
            if self.mount(name, &digest, query.get("from")).await? {
                return Ok(created(name, &digest));
            }
        }
        let id = UploadId::new()?;
        let file = File::options().read(true).write(true).create_new(true).open(self.storage.upload(&id))?;
        self.sessions.insert(&id, Session::new(file));
        match query.get("digest") {
            Some(_) => self.finish_upload(name, &id, query, request).await,
            None => Ok(accepted(name, &id, 0)),
        }
    }

    async fn mount(&self, name: &Name, digest: &Digest, from: Option<&str>) -> Result<bool, Failure> {
        let _here = self.changes.read().await;
        let Some(from) = from.and_then(Name::parse) else { return Ok(false) };
        if !self.storage.has_blob(&from, digest)? {
            return Ok(false);
        }
        self.storage.add_link(name, Kind::Blobs, digest, "")?;
        Ok(true)
    }

    /// The session, for this request alone.
    async fn session(&self, id: &UploadId) -> Result<OwnedMutexGuard<Session>, Failure> {
        let session = match self.sessions.get(id) {
            Some(session) => session,
            None => {
                let opened = File::options().read(true).write(true).open(self.storage.upload(id));
                let file = match opened {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(Failure::no_upload()),
                    file => file?,
                };
                let session = block_in_place(|| Session::resume(file))?;
                self.sessions.insert(id, session);
                self.sessions.get(id).ok_or_else(Failure::no_upload)?
            }
        };
        session.try_lock_owned().map_err(|_| Failure::bad_upload("another request works on this upload"))
    }

    /// `GET blobs/uploads/ID`
    pub(super) async fn upload_status(&self, name: &Name, id: &UploadId) -> Answer {
        let at = self.session(id).await?.at;
        let mut response = accepted(name, id, at);
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(response)
    }

    /// `PATCH blobs/uploads/ID`
    pub(super) async fn upload_more(&self, name: &Name, id: &UploadId, request: Request<Incoming>) -> Answer {
        let mut session = self.session(id).await?;
        check_range(request.headers(), session.at)?;
        session.take(request.into_body(), self).await?;
        Ok(accepted(name, id, session.at))
    }

    /// `PUT blobs/uploads/ID`: perhaps the last piece, and the digest of the whole.
    pub(super) async fn finish_upload(
        &self,
        name: &Name,
        id: &UploadId,
        query: &Query,
        request: Request<Incoming>,
    ) -> Answer {
        let wanted: Digest =
            query.get("digest").and_then(|text| text.parse().ok()).ok_or_else(Failure::bad_digest)?;
        let mut session = self.session(id).await?;
        check_range(request.headers(), session.at)?;
        session.take(request.into_body(), self).await?;
        let path = self.storage.upload(id);
        let hash = std::mem::replace(&mut session.hash, Hashing::new(io::sink()));
        let (_, digest, _) = hash.finish();
        if digest != wanted {
            self.sessions.remove(id);
            std::fs::remove_file(&path)?;
            return Err(Failure::bad_digest());
        }
        let _here = self.changes.read().await;
        block_in_place(|| {
            session.file.sync_data()?;
            std::fs::rename(&path, self.storage.blob(&digest))?;
            self.storage.add_link(name, Kind::Blobs, &digest, "")
        })?;
        self.sessions.remove(id);
        Ok(created(name, &digest))
    }

    /// `DELETE blobs/uploads/ID`
    pub(super) async fn cancel_upload(&self, _name: &Name, id: &UploadId) -> Answer {
        let session = self.session(id).await?;
        self.sessions.remove(id);
        drop(session);
        std::fs::remove_file(self.storage.upload(id))?;
        Ok(answer::empty(StatusCode::NO_CONTENT))
    }
}

fn accepted(name: &Name, id: &UploadId, at: u64) -> http::Response<answer::Body> {
    let location = format!("/v2/{name}/blobs/uploads/{}", id.as_str());
    let range = format!("0-{}", at.saturating_sub(1));
    let response = answer::with(answer::empty(StatusCode::ACCEPTED), header::LOCATION, &location);
    let response = answer::with(response, header::RANGE, &range);
    answer::with(response, HeaderName::from_static("docker-upload-uuid"), id.as_str())
}

fn created(name: &Name, digest: &Digest) -> http::Response<answer::Body> {
    let location = format!("/v2/{name}/blobs/{digest}");
    let response = answer::with(answer::empty(StatusCode::CREATED), header::LOCATION, &location);
    answer::with(response, digest_header(), &digest.to_string())
}

/// A piece that says where it belongs has to belong to the end of what is there.
fn check_range(headers: &HeaderMap, at: u64) -> Result<(), Failure> {
    let Some(range) = headers.get(header::CONTENT_RANGE) else { return Ok(()) };
    let text = range.to_str().map_err(|_| Failure::bad_range())?;
    let text = text.trim().trim_start_matches("bytes").trim();
    let start: Option<u64> = text.split('-').next().and_then(|start| start.trim().parse().ok());
    if start == Some(at) { Ok(()) } else { Err(Failure::bad_range()) }
}

/// Reads a whole body up to a limit.
pub(super) async fn read_body(body: Incoming, limit: u64) -> Result<Bytes, Failure> {
    let mut body = body;
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Failure::bad_upload(&e.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if all.len() as u64 + data.len() as u64 > limit {
            return Err(Failure::too_large());
        }
        all.extend_from_slice(&data);
    }
    Ok(all.into())
}
