//! Proving who asks: with each request, or by a token that somebody else gives.

use super::{
    challenge::{self, Challenge},
    config::Limits,
    credentials::Credentials,
    transport::{self, Body, Request, Transport, go_name},
};
use crate::error::{Error, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, Method, header};
use reqwest::Url;
use serde::Deserialize;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// Whom tokens are asked for, as Docker's client calls itself.
const CLIENT: &str = "docker";
/// How long a token lives that does not say.
const LIFE: Duration = Duration::from_secs(60);
/// So much before its end a token is asked for anew.
const EARLY: Duration = Duration::from_secs(5);

/// Answers the challenges of one registry.
#[derive(Debug)]
pub(super) struct Authorizer {
    credentials: Credentials,
    wants_identity: bool,
    /// What was asked for last; it is answered before it is asked again.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// A token in place of the password, where the server gave one.
    identity: String,
    challenge: Option<Challenge>,
    tokens: HashMap<(String, String), Token>,
}

#[derive(Debug, Clone)]
struct Token {
    text: String,
    until: Instant,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Given {
    token: String,
    access_token: String,
    refresh_token: String,
    expires_in: u64,
}

impl Authorizer {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials, wants_identity: false, state: Mutex::default() }
    }

    /// One that asks for a token in place of the password.
    pub(super) fn for_login(credentials: Credentials) -> Self {
        Self { wants_identity: true, ..Self::new(credentials) }
    }

    /// The token that was given in place of the password, if any.
    pub(super) async fn identity(&self) -> String {
        self.state.lock().await.identity.clone()
    }

    /// What a request of this scope is sent with, as far as it is known how.
    pub(super) async fn header(
        &self,
        transport: &Transport,
        scope: &str,
        limits: &Limits,
    ) -> Result<Option<String>> {
        if !self.credentials.registry_token.is_empty() {
            return Ok(Some(format!("Bearer {}", self.credentials.registry_token)));
        }
        let mut state = self.state.lock().await;
        match state.challenge.clone() {
            None => Ok(None),
            Some(Challenge::Basic) => Ok(self.basic()),
            Some(Challenge::Bearer { realm, service, .. }) => {
                let key = (realm.clone(), scope.to_owned());
                if let Some(token) = state.tokens.get(&key).filter(|t| t.until > Instant::now() + EARLY) {
                    return Ok(Some(format!("Bearer {}", token.text)));
                }
                let (token, identity) = self.fetch(transport, &realm, &service, scope, limits).await?;
                state.identity = identity;
                let header = format!("Bearer {}", token.text);
                state.tokens.insert(key, token);
                Ok(Some(header))
            }
        }
    }

    fn basic(&self) -> Option<String> {
        let Credentials { username, password, .. } = &self.credentials;
        self.credentials
            .is_basic()
            .then(|| format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))))
    }

    /// Learns from a `401` what is asked for.
    ///
    /// # Errors
    /// When it is known already, or there is nothing to answer it with: another try would be the same.
    pub(super) async fn learn(
        &self,
        headers: &HeaderMap,
        (method, url): (&Method, &Url),
        scope: &str,
        had: Option<&str>,
    ) -> Result<bool> {
        let asked: Vec<Challenge> = headers
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(challenge::parse)
            .collect();
        let bearer = asked.iter().find(|c| matches!(c, Challenge::Bearer { .. }));
        let Some(challenge) = bearer.or(asked.first()).cloned() else { return Ok(false) };
        if challenge == Challenge::Basic && self.basic().is_none() {
            return Err(Error::NoCredentials { method: go_name(method), url: url.to_string() });
        }
        let mut state = self.state.lock().await;
        if let Challenge::Bearer { realm, .. } = &challenge {
            // The token that was shown does not do.
            let key = (realm.clone(), scope.to_owned());
            let same = had.is_some_and(|had| {
                state.tokens.get(&key).is_some_and(|token| had.ends_with(token.text.as_str()))
            });
            if same {
                state.tokens.remove(&key);
            }
        }
        let known = state.challenge.as_ref() == Some(&challenge);
        state.challenge = Some(challenge);
        Ok(!(known && had.is_some()))
    }

    /// Gets a token; with it, one in place of the password, where the server gives such.
    async fn fetch(
        &self,
        transport: &Transport,
        realm: &str,
        service: &str,
        scope: &str,
        limits: &Limits,
    ) -> Result<(Token, String)> {
        let mut url: Url = realm
            .parse()
            .map_err(|_| Error::BadAnswer(format!("invalid token auth challenge realm: {realm}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::BadAnswer(format!("invalid token auth challenge realm: {realm}")));
        }
        let credentials = &self.credentials;
        let request = if credentials.identity_token.is_empty() {
            {
                let mut query = url.query_pairs_mut();
                if !service.is_empty() {
                    query.append_pair("service", service);
                }
                for scope in scope.split(' ').filter(|s| !s.is_empty()) {
                    query.append_pair("scope", scope);
                }
                if self.wants_identity {
                    query.append_pair("offline_token", "true").append_pair("client_id", CLIENT);
                }
                if credentials.is_basic() {
                    query.append_pair("account", &credentials.username);
                }
            }
            let request = Request::get(url.clone());
            match self.basic() {
                Some(basic) => request.header(header::AUTHORIZATION, &basic),
                None => request,
            }
        } else {
            let mut form = Url::parse("http://form").map_err(|e| Error::BadAnswer(e.to_string()))?;
            form.query_pairs_mut()
                .append_pair("client_id", CLIENT)
                .append_pair("grant_type", "refresh_token")
                .append_pair("refresh_token", &credentials.identity_token)
                .append_pair("scope", scope)
                .append_pair("service", service);
            let mut request = Request::new(Method::POST, url.clone())
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            request.body = Body::Bytes(form.query().unwrap_or_default().to_owned().into());
            request
        };
        let response = transport.send(request).await?;
        if !response.status().is_success() {
            return Err(transport::refusal(response, limits.answer).await.into());
        }
        let body = transport::read(response, "a token", limits.answer_bytes, limits.answer).await?;
        let given: Given = serde_json::from_slice(&body)
            .map_err(|e| Error::BadAnswer(format!("unable to decode token response: {e}")))?;
        let text = if given.token.is_empty() { given.access_token } else { given.token };
        if text.is_empty() {
            return Err(Error::BadAnswer(
                "authorization server did not include a token in the response".to_owned(),
            ));
        }
        let life = Duration::from_secs(given.expires_in.min(24 * 3600)).max(LIFE);
        Ok((Token { text, until: Instant::now() + life }, given.refresh_token))
    }
}
