//! `--volume [source:]target[:options]`.

use std::path::{Component, Path, PathBuf};

/// A `--volume`, as it goes into the request.
#[derive(Debug, PartialEq, Eq)]
pub enum Volume {
    /// With a source: a line of `HostConfig.Binds`.
    Bind(String),
    /// Without: an anonymous volume at this path.
    Anonymous(String),
}

/// Reads one. Only its shape is checked; the rest is the daemon's.
///
/// # Errors
/// In Docker's words.
pub fn parse(text: &str) -> Result<Volume, String> {
    if text.is_empty() {
        return Err("invalid empty volume spec".to_owned());
    }
    if text.chars().count() <= 2 {
        return Ok(Volume::Anonymous(text.to_owned()));
    }
    let parts: Vec<&str> = text.split(':').collect();
    // Docker tells of an empty section when the next colon comes; a last empty one passes.
    if parts[..parts.len() - 1].iter().any(|p| p.is_empty()) {
        return Err(format!("invalid spec: {text}: empty section between colons"));
    }
    if parts.len() > 1 && parts[parts.len() - 1].is_empty() {
        return Err(format!("invalid spec: {text}: empty section between colons"));
    }
    let Some((source, rest)) = text.split_once(':') else { return Ok(Volume::Anonymous(text.to_owned())) };
    if source.starts_with('.') {
        return Ok(Volume::Bind(format!("{}:{rest}", absolute(source))));
    }
    Ok(Volume::Bind(text.to_owned()))
}

/// A path made absolute by the working folder, without dots.
#[must_use]
pub fn absolute(path: &str) -> String {
    let joined = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")).join(path);
    let mut clean = PathBuf::new();
    for part in Path::new(&joined).components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            other => clean.push(other),
        }
    }
    clean.to_string_lossy().into_owned()
}

/// `--tmpfs path[:options]`.
#[must_use]
pub fn tmpfs(text: &str) -> (String, String) {
    match text.split_once(':') {
        Some((path, options)) => (path.to_owned(), options.to_owned()),
        None => (text.to_owned(), String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_are_read() {
        assert_eq!(parse("/a"), Ok(Volume::Anonymous("/a".into())));
        assert_eq!(parse("/data"), Ok(Volume::Anonymous("/data".into())));
        assert_eq!(parse("/a:/b:ro"), Ok(Volume::Bind("/a:/b:ro".into())));
        assert_eq!(parse("a:/b"), Ok(Volume::Bind("a:/b".into())));
        assert_eq!(parse(":"), Ok(Volume::Anonymous(":".into())));
        assert_eq!(parse("a:"), Ok(Volume::Anonymous("a:".into())));
        assert_eq!(parse("").unwrap_err(), "invalid empty volume spec");
        assert_eq!(parse(":/b").unwrap_err(), "invalid spec: :/b: empty section between colons");
        assert_eq!(parse("/a:").unwrap_err(), "invalid spec: /a:: empty section between colons");
        let here = std::env::current_dir().unwrap();
        assert_eq!(parse("./x/../y:/z"), Ok(Volume::Bind(format!("{}:/z", here.join("y").display()))));
        assert_eq!(absolute(".."), here.parent().unwrap().display().to_string());
    }
}
