//! The files of containers: copied in and out, exported, compared.

mod bytes;
mod copy;
mod stat;
mod view;

pub(crate) use bytes::{BodyReader, CHUNK, CHUNKS, ChunkWriter};
