//! Registries: the OCI distribution protocol, as a client of registries ([`client`]) and as one
//! ([`server`]).
//!
//! A client works on one repository for the time of one operation ([`Repository`]): it finds out how the registry is
//! reached, proves who it is where it is asked to, and keeps nothing afterwards. What it reads is bounded in length and
//! verified as it comes; nobody who answers is trusted.

pub mod client;
mod error;
pub mod server;

pub use client::{
    Access, Blob, BlobReader, Content, Document, Mounted, Place, Repository, SearchResult, Upload,
    config::{Limits, Mirror, RegistryConfig},
    credentials::Credentials,
    login, platform_text, search,
};
pub use error::{Error, Refusal, Result};
