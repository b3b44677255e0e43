//! Files of environment variables and labels.

use std::path::Path;

/// How a file's lines without `=` are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bare {
    /// The value is the client's own variable, and the line is left out when there is none.
    FromEnvironment,
    /// The value is empty.
    Empty,
}

/// What a file is called in errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// `--env-file`
    Variables,
    /// `--label-file`
    Labels,
}

/// Reads `NAME=value` lines; empty ones and those that begin with `#` are skipped.
///
/// # Errors
/// In Docker's words, with the file's path.
pub fn read_file(path: &str, holds: Holds, bare: Bare) -> Result<Vec<String>, String> {
    let (file, name) = match holds {
        Holds::Variables => ("env", "variable"),
        Holds::Labels => ("label", "label"),
    };
    let data =
        std::fs::read(Path::new(path)).map_err(|e| format!("open {path}: {}", crate::error::os_text(&e)))?;
    let fail = |what: String| format!("invalid {file} file ({path}): {what}");
    let data = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&data);
    let mut out = Vec::new();
    for (number, line) in data.split(|b| *b == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Ok(text) = std::str::from_utf8(line) else {
            let bytes: Vec<String> = line.iter().map(u8::to_string).collect();
            return Err(fail(format!("invalid utf8 bytes at line {}: [{}]", number + 1, bytes.join(" "))));
        };
        let text = text.trim_start();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (text, None),
        };
        let key = key.trim_start();
        if key.contains(char::is_whitespace) {
            return Err(fail(format!("{name} '{key}' contains whitespaces")));
        }
        if key.is_empty() {
            return Err(fail(format!("no variable name on line '{text}'")));
        }
        match (value, bare) {
            (Some(value), _) => out.push(format!("{key}={value}")),
            (None, Bare::Empty) => out.push(key.to_owned()),
            (None, Bare::FromEnvironment) => {
                if let Ok(value) = std::env::var(key) {
                    out.push(format!("{key}={value}"));
                }
            }
        }
    }
    Ok(out)
}

/// A `--env` as it is sent: a name alone takes the client's own value when it has one.
#[must_use]
pub fn resolve(text: &str) -> String {
    if text.contains('=') {
        return text.to_owned();
    }
    match std::env::var(text) {
        Ok(value) => format!("{text}={value}"),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(data: &[u8]) -> Result<Vec<String>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), data).unwrap();
        let path = file.path().to_str().unwrap();
        read_file(path, Holds::Variables, Bare::FromEnvironment).map_err(|e| e.replace(path, "F"))
    }

    #[test]
    fn files_are_read_as_docker_reads_them() {
        assert_eq!(read(b"# x\n\nA=b c \n  B=3\nBRIG_SURELY_UNSET\nC=\n").unwrap(), ["A=b c ", "B=3", "C="]);
        assert_eq!(
            read(b"A b=c\n").unwrap_err(),
            "invalid env file (F): variable 'A b' contains whitespaces"
        );
        assert_eq!(read(b"=c\n").unwrap_err(), "invalid env file (F): no variable name on line '=c'");
        assert_eq!(
            read(b"a\xff=c").unwrap_err(),
            "invalid env file (F): invalid utf8 bytes at line 1: [97 255 61 99]"
        );
        assert_eq!(
            read_file("/nonexist", Holds::Variables, Bare::Empty).unwrap_err(),
            "open /nonexist: no such file or directory"
        );
    }
}
