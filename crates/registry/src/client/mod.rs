//! A client of registries.
//!
//! From the outside in: [`Repository`] speaks about one repository; a [`transport::Transport`] carries its requests to
//! one host; [`authorize::Authorizer`] answers challenges.

mod authorize;
mod blob;
mod challenge;
pub mod config;
pub mod credentials;
mod document;
mod login;
mod names;
mod repository;
mod retry;
mod search;
mod tls;
mod transport;
mod upload;

pub use blob::{Blob, BlobReader};
pub use document::{Content, Document, platform_text};
pub use login::login;
pub use repository::{Access, Place, Repository};
pub use search::{Found as SearchResult, search};
pub use upload::{Mounted, Upload};
