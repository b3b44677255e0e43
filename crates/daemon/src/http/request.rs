//! Requests as routes see them.

use super::{
    ApiError,
    body::{self, RequestBody},
};
use brig_api::ApiVersion;
use brig_engine::filters::Filters;
use http::{HeaderMap, Method, header};

use hyper::body::Body as _;
use serde::de::DeserializeOwned;

/// A request that a route was found for.
#[derive(Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Its path without the version, decoded.
    pub path: String,
    /// The version of the API that it speaks.
    pub version: ApiVersion,
    /// Its headers.
    pub headers: HeaderMap,
    pub(super) variables: Vec<String>,
    pub(super) query: Query,
    pub(super) body: Option<RequestBody>,
}

/// Parameters of a query: names may come more than once.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=1&b=2`, with `+` and `%20` for spaces. What can't be decoded stays as it is.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        };
        Self(text.split('&').filter(|p| !p.is_empty()).map(pair).collect())
    }

    /// The first value of a name; empty when it is not there.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }

    /// Whether a name is there, with or without a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(n, _)| n == name)
    }

    /// All values of a name.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect()
    }

    /// Whether a name is switched on: anything but empty, 0, no, false and none.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        !matches!(self.get(name).trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
    }

    /// The same with a default for names that are not there.
    #[must_use]
    pub fn flag_or(&self, name: &str, default: bool) -> bool {
        if self.has(name) { self.flag(name) } else { default }
    }

    /// A number; `None` when it is not there or empty.
    ///
    /// # Errors
    /// Go's text for what is no number.
    pub fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.get(name) {
            "" => Ok(None),
            text => integer(text).map(Some),
        }
    }
}

/// Go's `strconv.Atoi` with its errors.
///
/// # Errors
/// Go's text for what is no number.
pub fn integer(text: &str) -> Result<i64, ApiError> {
    text.parse().map_err(|e: std::num::ParseIntError| {
        use std::num::IntErrorKind as K;
        let why = match e.kind() {
            K::PosOverflow | K::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        // Docker takes it for a failure of its own.
        ApiError::new(
            http::StatusCode::INTERNAL_SERVER_ERROR,
            format!("strconv.Atoi: parsing {text:?}: {why}"),
        )
    })
}

/// Decodes `%XX`. What is no UTF-8 then, or no such pair, stays as it is.
#[must_use]
pub fn decode(text: &str) -> String {
    let hex = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
    let raw = text.as_bytes();
    let mut bytes = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        match (raw[at], hex(raw.get(at + 1)), hex(raw.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                // Two hexadecimal digits fit into a byte.
                bytes.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

impl Request {
    /// The variable of the route's pattern, `{name}` mostly.
    #[must_use]
    pub fn name(&self) -> &str {
        self.variables.first().map_or("", String::as_str)
    }

    /// `X-Registry-Auth`, as it came; empty when there is none.
    #[must_use]
    pub fn credentials(&self) -> &str {
        self.headers.get("x-registry-auth").and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The query.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The `filters` of the query.
    ///
    /// # Errors
    /// When they are none.
    pub fn filters(&self) -> Result<Filters, ApiError> {
        Ok(Filters::parse(self.query.get("filters"))?)
    }

    /// Whether the client asks to have the connection handed over with `101`.
    #[must_use]
    pub fn wants_upgrade(&self) -> bool {
        self.headers.contains_key(header::UPGRADE)
    }

    /// The body as JSON; an empty one is an error.
    ///
    /// # Errors
    /// dockerd's texts for other media types and for what is no JSON.
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, ApiError> {
        self.check_media_type()?;
        match self.body.take() {
            Some(body) => body::read_json(body).await,
            None => Ok(brig_api::json::from_body(b"")?),
        }
    }

    /// The body as JSON; an empty one is the default.
    ///
    /// # Errors
    /// As [`Request::json`].
    pub async fn json_or_default<T: DeserializeOwned + Default>(&mut self) -> Result<T, ApiError> {
        if self.body.as_ref().is_none_or(RequestBody::is_end_stream) {
            self.check_media_type()?;
            return Ok(T::default());
        }
        self.json().await
    }

    /// The body as it comes.
    #[must_use]
    pub fn stream(&mut self) -> brig_engine::streams::Body {
        match self.body.take() {
            Some(body) => Box::pin(body::ByteStream::new(body)),
            None => Box::pin(futures_util::stream::empty()),
        }
    }

    /// The bytes of the body that are announced; `None` when it is chunked.
    #[must_use]
    pub fn announced(&self) -> Option<u64> {
        self.body.as_ref().map_or(Some(0), |body| body.size_hint().exact())
    }

    /// As dockerd: a body needs a type, and none other than JSON's.
    fn check_media_type(&self) -> Result<(), ApiError> {
        let Some(value) = self.headers.get(header::CONTENT_TYPE) else {
            return match self.announced() {
                Some(0) => Ok(()),
                _ => Err(ApiError::bad("unsupported Content-Type header (): must be 'application/json'")),
            };
        };
        let text = String::from_utf8_lossy(value.as_bytes());
        let media_type = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if media_type == "application/json" || (media_type.is_empty() && self.announced() == Some(0)) {
            return Ok(());
        }
        Err(ApiError::bad(format!("unsupported Content-Type header ({text}): must be 'application/json'")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("a=1&b=x+y%20z&a=2&c&d=%zz&e=%C3%A4");
        assert_eq!(
            (query.get("a"), query.get("b"), query.get("d"), query.get("e")),
            ("1", "x y z", "%zz", "ä")
        );
        assert_eq!(query.all("a"), ["1", "2"]);
        assert!(query.has("c") && !query.has("f") && query.get("f").is_empty());
    }

    #[test]
    fn flags_are_read_as_dockerd_reads_them() {
        for (text, on) in [
            ("1", true),
            ("true", true),
            ("yes", true),
            ("0", false),
            ("No", false),
            ("NONE", false),
            ("", false),
            ("False", false),
        ] {
            assert_eq!(Query::parse(&format!("x={text}")).flag("x"), on, "{text}");
        }
        assert!(Query::default().flag_or("x", true));
        assert!(!Query::parse("x=0").flag_or("x", true));
    }

    #[test]
    fn numbers_are_refused_in_the_words_of_go() {
        assert_eq!(Query::parse("t=-1").number("t").unwrap(), Some(-1));
        assert_eq!(Query::parse("t=").number("t").unwrap(), None);
        assert_eq!(
            Query::parse("t=x").number("t").unwrap_err().message(),
            "strconv.Atoi: parsing \"x\": invalid syntax"
        );
        assert_eq!(
            Query::parse("t=99999999999999999999").number("t").unwrap_err().message(),
            "strconv.Atoi: parsing \"99999999999999999999\": value out of range"
        );
    }
}
