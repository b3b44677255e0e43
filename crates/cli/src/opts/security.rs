//! `--security-opt`: shapes, and the seccomp profile read from its file.

/// What of a request comes from `--security-opt`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// The options, a profile's JSON in place of its path.
    pub options: Vec<String>,
    /// `systempaths=unconfined`: no masked and read-only paths.
    pub system_paths_unconfined: bool,
}

/// Reads all.
///
/// # Errors
/// In Docker's words.
pub fn read<'a>(options: impl Iterator<Item = &'a str>) -> Result<Security, String> {
    let mut security = Security::default();
    for option in options {
        if option == "systempaths=unconfined" {
            security.system_paths_unconfined = true;
            continue;
        }
        let pair = option.split_once('=').or_else(|| option.split_once(':'));
        match pair {
            None if !matches!(option, "no-new-privileges" | "writable-cgroups") => {
                return Err(format!("Invalid --security-opt: {}", crate::format::go_quote(option)));
            }
            Some(("seccomp", profile)) if profile != "unconfined" && profile != "builtin" => {
                security.options.push(format!("seccomp={}", load_profile(profile)?));
            }
            _ => security.options.push(option.to_owned()),
        }
    }
    Ok(security)
}

fn load_profile(path: &str) -> Result<String, String> {
    let text = std::fs::read(path).map_err(|e| {
        format!("opening seccomp profile ({path}) failed: open {path}: {}", crate::error::os_text(&e))
    })?;
    // Compacted as it is: a profile may have keys that this client does not know.
    let compact =
        |e: &dyn std::fmt::Display| format!("compacting json for seccomp profile ({path}) failed: {e}");
    brig_api::json::from_slice::<serde_json::Value>(&text).map_err(|e| compact(&e))?;
    let raw: Box<serde_json::value::RawValue> = serde_json::from_slice(&text).map_err(|e| compact(&e))?;
    Ok(compacted(raw.get()))
}

/// JSON without blanks between its tokens.
fn compacted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut inside, mut escaped) = (false, false);
    for c in text.chars() {
        if inside {
            out.push(c);
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == '"' {
                inside = false;
            }
        } else if !c.is_ascii_whitespace() {
            out.push(c);
            inside = c == '"';
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{ \"a b\" : [ 1, \"x \\\" y\" ] }\n").unwrap();
        let path = file.path().to_str().unwrap();
        let profile = format!("seccomp={path}");
        let got =
            read(["no-new-privileges", "label:disable", "systempaths=unconfined", &profile].into_iter())
                .unwrap();
        assert!(got.system_paths_unconfined);
        assert_eq!(got.options, ["no-new-privileges", "label:disable", "seccomp={\"a b\":[1,\"x \\\" y\"]}"]);
        assert_eq!(read(["x"].into_iter()).unwrap_err(), "Invalid --security-opt: \"x\"");
        assert_eq!(
            read(["seccomp=/nonexist"].into_iter()).unwrap_err(),
            "opening seccomp profile (/nonexist) failed: open /nonexist: no such file or directory"
        );
        std::fs::write(file.path(), "root:x").unwrap();
        assert_eq!(
            read([profile.as_str()].into_iter()).unwrap_err(),
            format!(
                "compacting json for seccomp profile ({path}) failed: invalid character 'r' looking for beginning of value"
            )
        );
    }
}
