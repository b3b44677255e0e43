//! Who asks: the `X-Registry-Auth` of the Engine API.

use crate::error::{Error, Result};
use base64::{
    Engine as _,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;
use std::fmt;

/// What proves who asks. All of it may be empty: nobody in particular.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Credentials {
    /// A user's name.
    pub username: String,
    /// The user's password.
    pub password: String,
    /// A token in place of both, by which others are got.
    #[serde(rename = "identitytoken")]
    pub identity_token: String,
    /// A token to be shown to the registry as it is.
    #[serde(rename = "registrytoken")]
    pub registry_token: String,
    /// Whom they are for.
    #[serde(rename = "serveraddress")]
    pub server_address: String,
    /// `user:password` in base64, in old files.
    pub auth: String,
}

/// What proves something is not to be seen in logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

const PADDING_OR_NOT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl Credentials {
    /// Reads `X-Registry-Auth`: JSON in URL-safe base64.
    ///
    /// # Errors
    /// [`Error::Credentials`] for what is none. Docker takes that for nobody in particular; its own clients send `{}`.
    pub fn from_header(value: &str) -> Result<Self> {
        let value = value.trim();
        if value.is_empty() {
            return Ok(Self::default());
        }
        // Some clients use the other alphabet.
        let value = value.replace('+', "-").replace('/', "_");
        let bad = |why: String| Error::Credentials(format!("invalid X-Registry-Auth header: {why}"));
        let json = PADDING_OR_NOT.decode(value).map_err(|e| bad(e.to_string()))?;
        let found: Option<Self> = serde_json::from_slice(&json).map_err(|e| bad(e.to_string()))?;
        Ok(found.unwrap_or_default().unfolded())
    }

    /// The same with `auth` taken apart.
    #[must_use]
    pub fn unfolded(mut self) -> Self {
        if self.username.is_empty() && !self.auth.is_empty() {
            let decoded = base64::engine::general_purpose::STANDARD.decode(self.auth.trim());
            let text = decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
            if let Some((user, password)) = text.split_once(':') {
                (self.username, self.password) =
                    (user.to_owned(), password.trim_end_matches('\0').to_owned());
            }
        }
        self
    }

    /// Whether there is a name and a password.
    #[must_use]
    pub fn is_basic(&self) -> bool {
        !self.username.is_empty() && !self.password.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_all_clients() {
        let read = |text: &str| Credentials::from_header(text).map(|c| (c.username, c.password));
        let pair = Ok(("u".to_owned(), "p>?".to_owned()));
        let json = br#"{"username":"u","password":"p>?"}"#;
        let (url, standard) =
            (base64::engine::general_purpose::URL_SAFE, base64::engine::general_purpose::STANDARD_NO_PAD);
        assert_eq!(read(&url.encode(json)).map_err(drop), pair);
        assert_eq!(read(&standard.encode(json)).map_err(drop), pair);
        assert_eq!(read(&url.encode(br#"{"auth":"dTpwPj8="}"#)).map_err(drop), pair);
        assert_eq!(read("").map_err(drop), Ok(Default::default()));
        assert_eq!(read(&url.encode(b"null")).map_err(drop), Ok(Default::default()));
        assert!(read("%%").is_err() && read(&url.encode(b"{")).is_err());
        assert!(!format!("{:?}", Credentials::from_header(&url.encode(json)).unwrap()).contains("p>?"));
    }
}
