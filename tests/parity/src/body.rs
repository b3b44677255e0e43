//! Bodies as text: JSON laid out, frames of streams by name, archives by their entries.

use crate::json::Json;
use brig_e2e::http::Response;

/// What a body is shown as.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// One value or several.
    Json(Vec<Json>),
    /// Lines.
    Text(Vec<String>),
}

/// Reads a body by what its headers say, or what it looks like.
#[must_use]
pub fn read(response: &Response) -> Body {
    let kind = response.header("content-type").unwrap_or_default();
    let bytes = &response.body;
    if kind.contains("tar") {
        return Body::Text(entries(bytes));
    }
    if kind.contains("stream") || response.status == 101 {
        return Body::Text(frames(bytes));
    }
    let text = String::from_utf8_lossy(bytes);
    match Json::all(&text) {
        Some(values) if kind.contains("json") || text.starts_with(['{', '[']) => Body::Json(values),
        _ => Body::Text(text.lines().map(str::to_owned).collect()),
    }
}

/// An archive's entries with type and size, in order of their names.
fn entries(bytes: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(bytes);
    let Ok(found) = archive.entries() else { return vec!["not an archive".to_owned()] };
    let mut lines: Vec<String> = found
        .map(|entry| match entry {
            Ok(entry) => {
                let header = entry.header();
                let link = entry.link_name().ok().flatten();
                let link = link.map_or_else(String::new, |to| format!(" -> {}", to.display()));
                format!(
                    "{:?} {:o} {}:{} {} {}{link}",
                    header.entry_type(),
                    header.mode().unwrap_or_default(),
                    header.uid().unwrap_or_default(),
                    header.gid().unwrap_or_default(),
                    header.size().unwrap_or_default(),
                    String::from_utf8_lossy(&entry.path_bytes()),
                )
            }
            Err(e) => format!("broken: {e}"),
        })
        .collect();
    lines.sort_by(|a, b| a.rsplit(' ').next().cmp(&b.rsplit(' ').next()));
    lines
}

/// `stdout: "text"` for each run of frames of one stream; plain text when these are no frames.
fn frames(bytes: &[u8]) -> Vec<String> {
    let mut runs: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut rest = bytes;
    while let [stream @ 0..=2, 0, 0, 0, a, b, c, d, more @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let Some((data, after)) = more.split_at_checked(length) else { break };
        match runs.last_mut() {
            Some((last, text)) if last == stream => text.extend_from_slice(data),
            _ => runs.push((*stream, data.to_vec())),
        }
        rest = after;
    }
    if !rest.is_empty() {
        return vec![format!("raw: {:?}", String::from_utf8_lossy(bytes))];
    }
    // How the two streams interleave is a matter of chance.
    runs.sort_by_key(|(stream, _)| *stream);
    runs.dedup_by(|(next, text), (stream, before)| {
        let same = next == stream;
        if same {
            before.append(text);
        }
        same
    });
    let name = |stream| ["stdin", "stdout", "stderr"][usize::from(stream)];
    runs.into_iter()
        .map(|(stream, data)| format!("{}: {:?}", name(stream), String::from_utf8_lossy(&data)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_joined_by_stream() {
        let bytes = b"\x01\0\0\0\0\0\0\x02a\n\x02\0\0\0\0\0\0\x01e\x01\0\0\0\0\0\0\x02b\n";
        assert_eq!(frames(bytes), ["stdout: \"a\\nb\\n\"", "stderr: \"e\""]);
        assert_eq!(frames(b"plain\r\n"), ["raw: \"plain\\r\\n\""]);
        assert!(frames(b"").is_empty());
    }
}
