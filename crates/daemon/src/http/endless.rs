//! Answers that end only when the client leaves, such as events: they are cut when the daemon stops.

use super::response::{Body, Response};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::watch;

/// Marks an answer as one without an end of its own.
#[derive(Debug, Clone, Copy)]
pub struct Endless;

/// Marks an answer as [`Endless`].
#[must_use]
pub fn endless(mut response: Response) -> Response {
    response.extensions_mut().insert(Endless);
    response
}

/// A body that breaks off when the daemon stops, so that nobody takes it for complete.
pub(super) struct UntilStop {
    body: Body,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl UntilStop {
    pub(super) fn new(body: Body, mut stop: watch::Receiver<bool>) -> Self {
        let stopped = async move {
            // An error means that the server is gone, which is a stop as well.
            let _ = stop.wait_for(|stop| *stop).await;
        };
        Self { body, stopped: Box::pin(stopped) }
    }
}

impl hyper::body::Body for UntilStop {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        if this.stopped.as_mut().poll(cx).is_ready() {
            let stopped = io::Error::new(io::ErrorKind::ConnectionAborted, "the daemon stops");
            return Poll::Ready(Some(Err(stopped)));
        }
        Pin::new(&mut this.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
