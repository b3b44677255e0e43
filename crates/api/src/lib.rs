//! Wire types of the Docker Engine API, its versions, stream framing and the client.
pub mod json;
pub mod types;

pub use types::*;
