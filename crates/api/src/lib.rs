//! Wire types of the Docker Engine API, its versions, stream framing and the client.
pub mod client;
pub mod filters;
pub mod json;
pub mod stream;
pub mod types;
pub mod version;

pub use filters::Filters;
pub use types::*;
pub use version::ApiVersion;
