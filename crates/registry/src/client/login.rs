//! Whether a registry takes somebody's credentials.

use super::{
    authorize::Authorizer,
    config::{Limits, RegistryConfig},
    credentials::Credentials,
    repository::{HUB, ask},
    transport::{self, Request, Transport},
};
use crate::error::{Error, Result};
use reqwest::Url;

/// How Docker Hub is called where credentials are kept.
const HUB_KEY: &str = "index.docker.io";

/// Shows credentials to a registry; answers a token in their place, where the registry gives one.
///
/// # Errors
/// When the registry does not take them, or can't be reached.
pub async fn login(config: &RegistryConfig, credentials: &Credentials) -> Result<String> {
    let server = credentials.server_address.trim();
    let server = server.strip_prefix("https://").or_else(|| server.strip_prefix("http://")).unwrap_or(server);
    let host = match server.split('/').next().unwrap_or_default() {
        "" | HUB_KEY | "docker.io" => HUB.1,
        host => host,
    };
    let transport = Transport::new(config, host)?;
    let url = |scheme: &str| {
        format!("{scheme}://{host}/v2/").parse::<Url>().map_err(|e| Error::Config(format!("{host}: {e}")))
    };
    let insecure = config.is_insecure(host);
    let tried = attempt(&transport, &url("https")?, credentials, &config.limits).await;
    match tried {
        Err(Error::Unreachable { .. }) if insecure => {
            attempt(&transport, &url("http")?, credentials, &config.limits).await
        }
        tried => tried,
    }
}

async fn attempt(
    transport: &Transport,
    url: &Url,
    credentials: &Credentials,
    limits: &Limits,
) -> Result<String> {
    let authorizer = Authorizer::for_login(credentials.clone());
    let response = ask(transport, &authorizer, Request::get(url.clone()), "", limits).await?;
    if response.status().is_success() {
        return Ok(authorizer.identity().await);
    }
    let status = response.status();
    let refusal = transport::refusal(response, limits.answer).await;
    if refusal.errors.is_empty() || status.as_u16() == 401 {
        let reason = status.canonical_reason().unwrap_or_default();
        let told = format!("login attempt to {url} failed with status: {} {reason}", status.as_u16());
        return Err(Error::LoginFailed(told));
    }
    Err(refusal.into())
}
