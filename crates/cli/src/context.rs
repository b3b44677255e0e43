//! What all commands share: the program's name, the daemon's address, the client, the config file.

use crate::{autostart, config::Config, error::Result};
use brig_api::{
    client::{Client, Endpoint},
    version::ApiVersion,
};
use std::{cell::OnceCell, path::PathBuf};

/// The flags before the command.
#[derive(Debug, Default)]
pub struct Global {
    /// `-H`
    pub host: Option<String>,
    /// `-c`
    pub context: Option<String>,
    /// `--config`
    pub config: Option<PathBuf>,
    /// `-D`
    pub debug: bool,
}

/// Where a daemon's address came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A flag, a variable or a context: the daemon there may be any Docker.
    Chosen,
    /// brig's own socket: the daemon there is brig's, and may be started.
    Default,
}

/// What all commands share.
#[derive(Debug)]
pub struct Cli {
    /// The name by which the program was called: `brig`, or `docker` through a link.
    pub program: String,
    /// The flags before the command.
    pub global: Global,
    config: OnceCell<Config>,
    client: OnceCell<Client>,
}

impl Cli {
    /// Before any connection.
    #[must_use]
    pub fn new(program: String, global: Global) -> Self {
        Self { program, global, config: OnceCell::new(), client: OnceCell::new() }
    }

    /// The config file; an empty one when there is none.
    pub fn config(&self) -> &Config {
        self.config.get_or_init(|| Config::load(self.global.config.as_deref()))
    }

    /// The daemon's address: `-H`, `BRIG_HOST`, `DOCKER_HOST`, the context, brig's own socket.
    ///
    /// # Errors
    /// When the address can't be read, or the context is not there.
    pub fn endpoint(&self) -> Result<(Endpoint, Origin)> {
        let chosen = |text: &str| -> Result<(Endpoint, Origin)> { Ok((parse_host(text)?, Origin::Chosen)) };
        if let Some(host) = &self.global.host {
            return chosen(host);
        }
        if self.global.context.is_none() {
            for name in ["BRIG_HOST", "DOCKER_HOST"] {
                if let Some(host) = std::env::var(name).ok().filter(|v| !v.is_empty()) {
                    return chosen(&host);
                }
            }
        }
        let variable = std::env::var("DOCKER_CONTEXT").ok().filter(|v| !v.is_empty());
        let context =
            self.global.context.clone().or(variable).or_else(|| self.config().current_context.clone());
        if let Some(name) = context.filter(|n| n != "default" && !n.is_empty()) {
            return chosen(&self.config().context_host(&name)?);
        }
        Ok((Endpoint::Unix(autostart::socket()), Origin::Default))
    }

    /// The client. brig's own daemon is started when it is not there and may be.
    ///
    /// # Errors
    /// When the address can't be read, or the daemon can't be started.
    pub fn client(&self) -> Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let (endpoint, origin) = self.endpoint()?;
        let mut client = Client::new(endpoint).with_headers(self.config().headers());
        if origin == Origin::Default {
            autostart::ensure()?;
        }
        if let Some(version) = fixed_version()? {
            client = client.with_version(version);
        }
        Ok(self.client.get_or_init(|| client))
    }

    /// The `program command` of a hint.
    #[must_use]
    pub fn hint(&self, command: &str) -> String {
        format!("Run '{} {command} --help' for more information", self.program)
    }
}

/// `DOCKER_API_VERSION`, or `BRIG_API_VERSION`.
fn fixed_version() -> Result<Option<ApiVersion>> {
    let value = ["BRIG_API_VERSION", "DOCKER_API_VERSION"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    let Some(text) = value else { return Ok(None) };
    match ApiVersion::parse(&text) {
        Some(version) => Ok(Some(version)),
        None => Err(format!("invalid API version {text}").into()),
    }
}

/// An address as `-H` takes it: a bare `host:port` is TCP.
fn parse_host(text: &str) -> Result<Endpoint> {
    let text = text.trim();
    if text.contains("://") {
        return Ok(Endpoint::parse(text)?);
    }
    if text.starts_with('/') {
        return Ok(Endpoint::Unix(PathBuf::from(text)));
    }
    Ok(Endpoint::parse(&format!("tcp://{text}"))?)
}
