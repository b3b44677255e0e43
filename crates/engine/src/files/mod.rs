//! The files of containers: copied in and out, exported, compared.

pub(crate) mod bytes;
mod commit;
mod copy;
mod export;
mod stat;
mod view;

pub(crate) use bytes::{BodyReader, CHUNK, CHUNKS, ChunkWriter};
