//! Parity with Docker. A corpus of exchanges, by the docker command line and by requests to the API, is run against a
//! dockerd and written down with ids, times and other facts of the moment replaced; brig has to answer the same.
//!
//! The corpus lies in `corpus/`, a file a topic, each with the exchanges and what dockerd answered ([`corpus`]). The
//! tests replay it against brig alone; `cargo xtask parity` records it anew from a dockerd.

pub mod body;
pub mod corpus;
pub mod diff;
pub mod http;
pub mod image;
pub mod json;
pub mod judge;
pub mod known;
pub mod normalise;
pub mod peer;
pub mod replay;
pub mod run;
pub mod versions;

use std::path::PathBuf;

/// The folder of the corpus.
#[must_use]
pub fn corpus_folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))
}
