//! Searching an index of images: Docker Hub's own address, or the same of another registry.

use super::{
    authorize::Authorizer,
    config::RegistryConfig,
    credentials::Credentials,
    repository::ask,
    transport::{self, Request, Transport},
};
use crate::error::{Error, Result};
use http::header;
use reqwest::Url;
use serde::{Deserialize, Serialize};

/// Docker Hub's index.
const HUB: &str = "index.docker.io";

/// An image that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Found {
    /// How many like it.
    pub star_count: i64,
    /// Whether Docker vouches for it.
    pub is_official: bool,
    /// Its name.
    pub name: String,
    /// Whether it was built by the registry (always false by now).
    pub is_automated: bool,
    /// What it is for.
    pub description: String,
}

/// Searches for a term; one that begins with a registry's name is looked for there.
///
/// # Errors
/// When the registry can't be reached, or knows no searching.
pub async fn search(
    config: &RegistryConfig,
    term: &str,
    limit: u32,
    credentials: &Credentials,
) -> Result<Vec<Found>> {
    #[derive(Deserialize)]
    struct Results {
        #[serde(default)]
        results: Vec<Found>,
    }
    if term.contains("://") {
        return Err(Error::Credentials(format!(
            "invalid repository name: repository name ({term}) should not have a scheme"
        )));
    }
    let (host, term) = match term.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
            (if first == "docker.io" { HUB } else { first }, rest)
        }
        _ => (HUB, term),
    };
    // Docker Hub's own images are looked for without their folder.
    let term = if host == HUB { term.strip_prefix("library/").unwrap_or(term) } else { term };
    let transport = Transport::new(config, host)?;
    let authorizer = Authorizer::new(credentials.clone());
    let url = |scheme: &str| {
        let mut url: Url = format!("{scheme}://{host}/v1/search")
            .parse()
            .map_err(|e| Error::Config(format!("{host}: {e}")))?;
        url.query_pairs_mut().append_pair("q", term).append_pair("n", &limit.to_string());
        Ok::<_, Error>(url)
    };
    let request = |url| Request::get(url).header(header::ACCEPT, "application/json");
    let limits = &config.limits;
    let asked = ask(&transport, &authorizer, request(url("https")?), "", limits).await;
    let response = match asked {
        Err(Error::Unreachable { .. }) if config.is_insecure(host) => {
            ask(&transport, &authorizer, request(url("http")?), "", limits).await?
        }
        asked => asked?,
    };
    if !response.status().is_success() {
        return Err(Error::BadAnswer(format!("Unexpected status code {}", response.status().as_u16())));
    }
    let body =
        transport::read(response, "the results of a search", limits.answer_bytes, limits.answer).await?;
    let found: Results = serde_json::from_slice(&body)
        .map_err(|e| Error::BadAnswer(format!("error decoding registry search results: {e}")))?;
    Ok(found.results)
}
