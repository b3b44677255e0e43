//! Turning values into the text that users see: units, ages, quoted strings, tables.

pub mod age;
pub mod duration;
pub mod natural;
pub mod quote;
pub mod size;
pub mod table;
pub mod timestamp;

pub use quote::{go_quote, go_quote_char};

/// The first 12 digits of an id, without its algorithm, as Docker shortens ids.
#[must_use]
pub fn short_id(id: &str) -> &str {
    let id = id.split_once(':').map_or(id, |(_, hex)| hex);
    id.get(..12).unwrap_or(id)
}

/// At most `width` columns, the last of them an ellipsis when something was cut, as Docker does; wide
/// characters count double.
#[must_use]
pub fn ellipsis(text: &str, width: usize) -> String {
    if width == 0 {
        return String::new();
    }
    let total: usize = text.chars().map(columns).sum();
    if total <= width {
        return text.to_owned();
    }
    let mut used = 0;
    let mut out = String::new();
    for c in text.chars() {
        used += columns(c);
        if used > width - 1 {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

/// Columns a character takes: 2 for East Asian wide and full-width ones.
fn columns(c: char) -> usize {
    let wide = matches!(u32::from(c),
        0x1100..=0x115f | 0x2e80..=0x303e | 0x3041..=0x33ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff
        | 0xa000..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60
        | 0xffe0..=0xffe6 | 0x1f300..=0x1f64f | 0x1f900..=0x1f9ff | 0x20000..=0x3fffd);
    if wide { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_texts_are_shortened() {
        assert_eq!(short_id("sha256:37bfe5b53c16fe495e92"), "37bfe5b53c16");
        assert_eq!(short_id("abc"), "abc");
        assert_eq!(ellipsis("sh -c 'echo hello; sleep 1000'", 20), "sh -c 'echo hello; …");
        assert_eq!(ellipsis("short", 20), "short");
        assert_eq!(ellipsis("日本語日本語", 5), "日本…");
    }
}
