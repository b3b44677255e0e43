//! HTTP/1.1 of the API: connections, routing, bodies, errors. It knows nothing of containers.
pub mod body;
pub mod endless;
pub mod error;
pub mod hijack;
pub mod request;
pub mod response;
pub mod router;
pub mod server;

pub use error::ApiError;
pub use hijack::Takeover;
pub use request::Request;
pub use response::{Answer, Response};
pub use router::Router;
