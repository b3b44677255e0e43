//! JSON as Go's encoder writes it.

use super::value::{Struct, Value};

/// Whether `<`, `>` and `&` are written as escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Html {
    /// As `json.Marshal` does, and so all lists of Docker.
    Escaped,
    /// As the `json` function of templates does.
    Plain,
}

/// The value as one line of JSON, as the `json` function prints it.
#[must_use]
pub fn encode(value: &Value) -> String {
    let mut out = String::new();
    write(&mut out, value, Html::Plain);
    out
}

fn write(out: &mut String, value: &Value, html: Html) {
    match value {
        Value::Missing | Value::Nil(_) | Value::NilList | Value::NilMap(_) => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(n) => out.push_str(&n.to_string()),
        Value::Float(n) => out.push_str(&super::print::float(*n)),
        Value::Number(n) => out.push_str(n),
        Value::Str(s) => string(out, s, html),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(out, item, html);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (i, (key, item)) in map.entries.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                string(out, key, html);
                out.push(':');
                write(out, item, html);
            }
            out.push('}');
        }
        Value::Struct(inner) => {
            out.push('{');
            fields(out, inner, html, &mut true);
            out.push('}');
        }
        Value::Object(object) => {
            let mut names = object.names();
            names.sort_unstable();
            out.push('{');
            for (i, name) in names.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                string(out, name, Html::Escaped);
                out.push(':');
                write(out, &object.call(name, &[]).unwrap_or(Value::Missing), Html::Escaped);
            }
            out.push('}');
        }
    }
}

fn fields(out: &mut String, inner: &Struct, html: Html, first: &mut bool) {
    for field in &inner.fields {
        if let (true, Value::Struct(embedded)) = (field.json.is_empty(), &field.value) {
            fields(out, embedded, html, first);
            continue;
        }
        if &*field.json == "-"
            || (field.omit_empty && !matches!(field.value, Value::Struct(_)) && !field.value.truth())
        {
            continue;
        }
        if !std::mem::take(first) {
            out.push(',');
        }
        string(out, &field.json, html);
        out.push(':');
        write(out, &field.value, html);
    }
}

/// A JSON string with Go's escapes.
pub fn string(out: &mut String, text: &str, html: Html) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' if html == Html::Escaped => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
