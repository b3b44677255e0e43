//! The list of flags in a help text, laid out as pflag lays it out.

use super::Flag;
use crate::format::go_quote;

/// The lines for all visible flags, in order of their names, wrapped to `columns`.
#[must_use]
pub fn usages(sets: &[&'static [Flag]], columns: usize) -> String {
    let mut flags: Vec<&Flag> = sets.iter().flat_map(|s| s.iter()).filter(|f| !f.hidden).collect();
    flags.sort_by_key(|f| f.name);
    let heads: Vec<String> = flags.iter().map(|f| head(f)).collect();
    // One column more than the longest head, and two spaces around the padding: three at least.
    let width = heads.iter().map(String::len).max().unwrap_or(0) + 1;
    let mut out = String::new();
    for (flag, head) in flags.iter().zip(&heads) {
        let text = wrap(width + 2, columns, &with_default(flag));
        out.push_str(&format!("{head} {} {text}\n", " ".repeat(width - head.len())));
    }
    out
}

fn head(flag: &Flag) -> String {
    let mut head = match flag.short {
        Some(c) => format!("  -{c}, --{}", flag.name),
        None => format!("      --{}", flag.name),
    };
    if !flag.label.is_empty() {
        head.push(' ');
        head.push_str(flag.label);
    }
    head
}

fn with_default(flag: &Flag) -> String {
    if flag.shown_default.is_empty() {
        return flag.usage.to_owned();
    }
    let shown =
        if flag.label == "string" { go_quote(flag.shown_default) } else { flag.shown_default.to_owned() };
    format!("{} (default {shown})", flag.usage)
}

const SLOP: usize = 5;
const NARROWEST: usize = 24;

fn wrap(indent: usize, columns: usize, text: &str) -> String {
    let newline = |indent: usize| format!("\n{}", " ".repeat(indent));
    let mut indent = indent;
    let mut room = columns.saturating_sub(indent);
    let mut out = String::new();
    if room < NARROWEST {
        indent = 16;
        room = columns.saturating_sub(indent);
        out.push_str(&newline(indent));
    }
    if room < NARROWEST {
        return out + &text.replace('\n', &newline(indent));
    }
    room -= SLOP;
    let (first, mut rest) = split(room, text);
    out.push_str(&first.replace('\n', &newline(indent)));
    while !rest.is_empty() {
        let (line, next) = split(room, rest);
        out.push_str(&newline(indent));
        out.push_str(&line.replace('\n', &newline(indent)));
        rest = next;
    }
    out
}

/// Up to `room` bytes broken at a blank or line end, and what is left.
fn split(room: usize, text: &str) -> (&str, &str) {
    if room + SLOP > text.len() {
        return (text, "");
    }
    let end = (0..=room).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    let Some(blank) = text[..end].rfind([' ', '\t', '\n']).filter(|i| *i > 0) else {
        return (text, "");
    };
    match text[..end].rfind('\n') {
        Some(line) if line > 0 && line < blank => (&text[..line], &text[line + 1..]),
        _ => (&text[..blank], &text[blank + 1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_pflags() {
        const FLAGS: &[Flag] = &[
            Flag::int("last", "Show n last created containers (includes all states)")
                .short('n')
                .default("-1", "-1"),
            Flag::switch("all", "Show all").short('a'),
            Flag::string(
                "format",
                "First line:\n'json':  A second line that is long enough to be wrapped\nx",
            ),
            Flag::switch("secret", "").hide(),
        ];
        assert_eq!(
            usages(&[FLAGS], 79),
            "  -a, --all             Show all
      --format string   First line:
                        'json':  A second line that is long enough to be
                        wrapped
                        x
  -n, --last int        Show n last created containers (includes all
                        states) (default -1)
"
        );
    }
}
