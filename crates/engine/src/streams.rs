//! Streams that operations give back. Each is the receiving end of a bounded channel: who reads slowly slows
//! the source down, and who drops it ends the source.

use brig_api::{ContainerStatsResponse, EventMessage, JsonMessage};
use bytes::Bytes;
use futures_util::Stream;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::sync::mpsc;

/// What a client sends, such as a tar to load.
pub type Body = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

macro_rules! stream {
    ($(#[$doc:meta])* $name:ident, $item:ty) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(mpsc::Receiver<$item>);

        impl $name {
            /// A bounded channel and the stream that reads from it.
            #[must_use]
            pub fn channel(capacity: usize) -> (mpsc::Sender<$item>, Self) {
                let (sender, receiver) = mpsc::channel(capacity);
                (sender, Self(receiver))
            }

            /// The next item; `None` at the end.
            pub async fn next(&mut self) -> Option<$item> {
                self.0.recv().await
            }
        }

        impl Stream for $name {
            type Item = $item;

            fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<$item>> {
                self.0.poll_recv(cx)
            }
        }
    };
}

stream! {
    /// Bytes of a log or of an archive; an error ends it.
    ByteStream, io::Result<Bytes>
}
stream! {
    /// Lines of progress; a failure is the last line.
    ProgressStream, JsonMessage
}
stream! {
    /// Events.
    EventStream, EventMessage
}
stream! {
    /// What a container uses, time and again.
    StatsStream, ContainerStatsResponse
}
