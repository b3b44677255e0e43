//! Versions of the API, and what is said to clients outside of the supported range.

use std::fmt;

/// A version of the API, such as 1.51.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    /// Always 1 so far.
    pub major: u32,
    /// 24 to 51.
    pub minor: u32,
}

/// The oldest version that brig speaks.
pub const MIN: ApiVersion = ApiVersion::new(1, 24);
/// The newest version that brig speaks, and the one of paths without a version.
pub const MAX: ApiVersion = ApiVersion::new(1, 51);

/// Why a version can't be spoken. The texts are Docker's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// Older than [`MIN`].
    #[error(
        "client version {0} is too old. Minimum supported API version is {MIN}, please upgrade your client to a newer version"
    )]
    TooOld(String),
    /// Newer than [`MAX`].
    #[error("client version {0} is too new. Maximum supported API version is {MAX}")]
    TooNew(String),
}

impl brig_core::HasKind for VersionError {
    fn kind(&self) -> brig_core::Kind {
        brig_core::Kind::InvalidParameter
    }
}

impl ApiVersion {
    /// The version of these numbers.
    #[must_use]
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Reads `1.51`. Missing numbers are 0 and further ones are dropped, as Docker compares them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return None;
        }
        // Too large to be a number is as good as the largest.
        let mut numbers =
            text.split('.').map(|n| if n.is_empty() { 0 } else { n.parse().unwrap_or(u32::MAX) });
        Some(Self::new(numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)))
    }

    /// The version that a path's `v…` asks for.
    ///
    /// # Errors
    /// When brig does not speak it.
    pub fn requested(text: &str) -> Result<Self, VersionError> {
        match Self::parse(text) {
            Some(version) if version > MAX => Err(VersionError::TooNew(text.to_owned())),
            Some(version) if version >= MIN => Ok(version),
            _ => Err(VersionError::TooOld(text.to_owned())),
        }
    }

    /// Whether it is at least 1.`minor`.
    #[must_use]
    pub const fn at_least(self, minor: u32) -> bool {
        self.major > 1 || self.minor >= minor
    }

    /// The newest version that a server speaks, from the words by which it refused a newer one. Since Docker 17.06 they are those
    /// of [`VersionError::TooNew`]; Docker 1.12 had others, and those in between refused nothing.
    #[must_use]
    pub fn of_refusal(message: &str) -> Option<Self> {
        let told = match message.split_once("is too new. Maximum supported API version is ") {
            Some((_, told)) => told,
            None => {
                message.strip_prefix("client is newer than server (")?.split_once("server API version: ")?.1
            }
        };
        Self::parse(told.trim_end_matches(')'))
    }

    /// The version that a client speaks with a server whose newest is `server`.
    #[must_use]
    pub fn negotiated(server: Self) -> Self {
        server.min(MAX)
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number_not_by_text() {
        assert!(ApiVersion::new(1, 9) < ApiVersion::new(1, 24));
        assert_eq!(ApiVersion::parse("1.51"), Some(MAX));
        assert_eq!(ApiVersion::parse("1"), Some(ApiVersion::new(1, 0)));
        assert_eq!(ApiVersion::parse("1.24.3"), Some(MIN));
        assert_eq!(ApiVersion::parse("1.x"), None);
        assert_eq!(ApiVersion::parse(""), None);
    }

    #[test]
    fn a_refusal_tells_what_is_spoken() {
        let of = |message: &str| ApiVersion::of_refusal(message);
        assert_eq!(of(&VersionError::TooNew("1.99".to_owned()).to_string()), Some(MAX));
        assert_eq!(
            of("client version 1.51 is too new. Maximum supported API version is 1.45"),
            Some(ApiVersion::new(1, 45))
        );
        assert_eq!(
            of("client is newer than server (client API version: 1.51, server API version: 1.24)"),
            Some(MIN)
        );
        assert_eq!(of(&VersionError::TooOld("1.20".to_owned()).to_string()), None);
        assert_eq!(of("No such container: is too new"), None);
    }

    #[test]
    fn versions_outside_of_the_range_are_refused_in_the_words_of_docker() {
        assert_eq!(ApiVersion::requested("1.24"), Ok(MIN));
        assert_eq!(ApiVersion::requested("1.51"), Ok(MAX));
        assert_eq!(
            ApiVersion::requested("1.20").unwrap_err().to_string(),
            "client version 1.20 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version"
        );
        assert_eq!(
            ApiVersion::requested("1.99").unwrap_err().to_string(),
            "client version 1.99 is too new. Maximum supported API version is 1.51"
        );
        assert!(matches!(ApiVersion::requested("99999999999999.1"), Err(VersionError::TooNew(_))));
    }
}
