//! Addresses. What is no name, tag or digest never gets further than here.

use super::answer::Failure;
use brig_core::{Digest, Reference};
use std::fmt;

/// What an address means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    Base,
    Page,
    Metrics,
    Catalog,
    Tags(Name),
    Referrers(Name, Digest),
    Manifest(Name, Target),
    Blob(Name, Digest),
    Uploads(Name),
    Upload(Name, UploadId),
}

/// A repository's name, fit to be a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// What a manifest is asked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Tag(Tag),
    Digest(Digest),
}

/// A tag, fit to be a file's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(String);

/// The id of an upload: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct UploadId(String);

impl Name {
    pub(super) fn parse(text: &str) -> Option<Self> {
        // A domain in front lets names of one part be themselves.
        let reference: Reference = format!("localhost/{text}").parse().ok()?;
        (reference.path() == text && reference.tag().is_none() && reference.digest().is_none())
            .then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Tag {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let reference: Reference = "localhost/x".parse().ok()?;
        reference.with_tag(text).ok().map(|_| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl UploadId {
    pub(super) fn new() -> std::io::Result<Self> {
        use std::io::Read;
        let mut bytes = [0; 16];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(bytes.iter().map(|b| format!("{b:02x}")).collect()))
    }

    fn parse(text: &str) -> Option<Self> {
        let fits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        fits.then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Route {
    pub(super) fn parse(path: &str) -> Result<Self, Failure> {
        let path = decode(path);
        match path.as_str() {
            "/" => return Ok(Self::Page),
            "/metrics" => return Ok(Self::Metrics),
            "/v2" | "/v2/" => return Ok(Self::Base),
            "/v2/_catalog" => return Ok(Self::Catalog),
            _ => {}
        }
        let rest = path.strip_prefix("/v2/").ok_or_else(Failure::not_found)?;
        let name = |text: &str| Name::parse(text).ok_or_else(Failure::bad_name);
        let digest = |text: &str| text.parse::<Digest>().map_err(|_| Failure::bad_digest());
        if let Some(text) = rest.strip_suffix("/tags/list") {
            return Ok(Self::Tags(name(text)?));
        }
        if let Some(text) =
            rest.strip_suffix("/blobs/uploads/").or_else(|| rest.strip_suffix("/blobs/uploads"))
        {
            return Ok(Self::Uploads(name(text)?));
        }
        let (before, last) = rest.rsplit_once('/').ok_or_else(Failure::not_found)?;
        if let Some(text) = before.strip_suffix("/blobs/uploads") {
            let id = UploadId::parse(last).ok_or_else(Failure::no_upload)?;
            return Ok(Self::Upload(name(text)?, id));
        }
        if let Some(text) = before.strip_suffix("/blobs") {
            return Ok(Self::Blob(name(text)?, digest(last)?));
        }
        if let Some(text) = before.strip_suffix("/referrers") {
            return Ok(Self::Referrers(name(text)?, digest(last)?));
        }
        if let Some(text) = before.strip_suffix("/manifests") {
            let target = if last.contains(':') {
                Target::Digest(digest(last)?)
            } else {
                Target::Tag(Tag::parse(last).ok_or_else(|| Failure::manifest_unknown(last))?)
            };
            return Ok(Self::Manifest(name(text)?, target));
        }
        Err(Failure::not_found())
    }
}

/// Parameters.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(&value.replace('+', " ")))
        };
        Self(text.split('&').filter(|p| !p.is_empty()).map(pair).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// Undoes `%XX`.
fn decode(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_lead_out() {
        for bad in ["", ".", "..", "a/..", "../a", "a//b", "/a", "_tags", "a/_tags", "A", "a:b", "a@b", "é"]
        {
            assert_eq!(Name::parse(bad), None, "{bad}");
        }
        for good in ["a", "library/busybox", "a-b/c_d/e.f", "blobs/uploads", "manifests/manifests"] {
            assert!(Name::parse(good).is_some(), "{good}");
        }
        for bad in ["", ".x", "-x", "a/b", "..", "a b"] {
            assert_eq!(Tag::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn addresses() {
        let name = Name("a/b".to_owned());
        let digest = Digest::of(b"");
        for (path, route) in [
            ("/v2/", Route::Base),
            ("/v2/a/b/tags/list", Route::Tags(name.clone())),
            ("/v2/a/b/blobs/uploads/", Route::Uploads(name.clone())),
            (&format!("/v2/a/b/blobs/{digest}"), Route::Blob(name.clone(), digest)),
            (&format!("/v2/a/b/manifests/{digest}"), Route::Manifest(name.clone(), Target::Digest(digest))),
            ("/v2/a/b/manifests/v1", Route::Manifest(name.clone(), Target::Tag(Tag("v1".to_owned())))),
            ("/v2/a%2Fb/manifests/v1", Route::Manifest(name, Target::Tag(Tag("v1".to_owned())))),
        ] {
            assert_eq!(Route::parse(path).ok(), Some(route), "{path}");
        }
        for bad in
            ["/v1/", "/v2/a/../b/manifests/x", "/v2/a/blobs/sha256:00", "/v2/x", "/v2/a/blobs/uploads/../x"]
        {
            assert!(Route::parse(bad).is_err(), "{bad}");
        }
    }
}
