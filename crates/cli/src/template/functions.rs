//! The functions of templates: those of Go's language and those that Docker adds.

use super::{compare, json, print, printf, value::Value};
use std::rc::Rc;

/// Why a call failed.
#[derive(Debug, PartialEq, Eq)]
pub enum CallError {
    /// `want 1 got 2`
    Count(String),
    /// An argument of the wrong type, and which.
    Type {
        /// From 0.
        index: usize,
        /// Go's words.
        what: String,
    },
    /// The function's own words.
    Failed(String),
}

type Res = Result<Value, CallError>;

const NAMES: [&str; 27] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "join", "js", "json", "le", "len", "lower", "lt", "ne",
    "not", "or", "pad", "print", "printf", "println", "slice", "split", "title", "truncate", "upper",
    "urlquery",
];

/// Whether there is such a function.
#[must_use]
pub fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

/// Calls a function.
///
/// # Errors
/// See [`CallError`].
pub fn call(name: &str, args: &[Value]) -> Res {
    match name {
        "not" => exactly(args, 1).map(|()| Value::Bool(!args[0].truth())),
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" => comparison(name, args),
        "len" => {
            exactly(args, 1)?;
            length(&args[0])
        }
        "index" => index(args),
        "slice" => slice(args),
        "call" => Err(failed("call of non-function")),
        "print" => Ok(Value::str(print::print(args))),
        "println" => Ok(Value::str(print::println(args))),
        "printf" => {
            let Some((format, rest)) = args.split_first() else { return at_least(args, 1) };
            Ok(Value::str(printf::format(text(args, 0, format)?, rest)))
        }
        "html" => Ok(Value::str(escape_html(&print::arguments(args)))),
        "js" => Ok(Value::str(escape_js(&print::arguments(args)))),
        "urlquery" => Ok(Value::str(escape_query(&print::arguments(args)))),
        "json" => {
            exactly(args, 1)?;
            Ok(Value::str(json::encode(&args[0])))
        }
        "lower" | "upper" | "title" => {
            exactly(args, 1)?;
            let given = text(args, 0, &args[0])?;
            Ok(Value::str(match name {
                "lower" => given.to_lowercase(),
                "upper" => given.to_uppercase(),
                _ => title(given),
            }))
        }
        "split" => {
            exactly(args, 2)?;
            Ok(split(text(args, 0, &args[0])?, text(args, 1, &args[1])?))
        }
        "join" => join(args),
        "pad" => {
            exactly(args, 3)?;
            let given = text(args, 0, &args[0])?;
            if given.is_empty() {
                return Ok(Value::str(""));
            }
            let blanks = |i: usize| Ok(" ".repeat(usize::try_from(integer(args, i)?).unwrap_or(0).min(4096)));
            Ok(Value::str(format!("{}{given}{}", blanks(1)?, blanks(2)?)))
        }
        "truncate" => {
            exactly(args, 2)?;
            let given = text(args, 0, &args[0])?;
            let length = usize::try_from(integer(args, 1)?).unwrap_or(0);
            let cut = (0..=length.min(given.len())).rev().find(|i| given.is_char_boundary(*i)).unwrap_or(0);
            Ok(Value::str(&given[..cut]))
        }
        other => Err(failed(&format!("no function {other}"))),
    }
}

fn failed(what: &str) -> CallError {
    CallError::Failed(what.to_owned())
}

fn exactly(args: &[Value], want: usize) -> Result<(), CallError> {
    if args.len() == want {
        return Ok(());
    }
    Err(CallError::Count(format!("want {want} got {}", args.len())))
}

fn at_least(args: &[Value], want: usize) -> Res {
    Err(CallError::Count(format!("want at least {want} got {}", args.len())))
}

fn text<'a>(_: &[Value], index: usize, value: &'a Value) -> Result<&'a str, CallError> {
    match value {
        Value::Str(s) => Ok(s),
        other => Err(wrong_type(index, "string", other)),
    }
}

fn integer(args: &[Value], index: usize) -> Result<i64, CallError> {
    match &args[index] {
        Value::Int(n) => Ok(*n),
        other => Err(wrong_type(index, "int", other)),
    }
}

fn wrong_type(index: usize, want: &str, got: &Value) -> CallError {
    let what = match got {
        Value::Missing => format!("invalid value; expected {want}"),
        other => format!("wrong type for value; expected {want}; got {}", other.type_name()),
    };
    CallError::Type { index, what }
}

fn comparison(name: &str, args: &[Value]) -> Res {
    if name == "eq" {
        let Some((first, rest)) = args.split_first() else { return at_least(args, 1) };
        if rest.is_empty() {
            return Err(failed("missing argument for comparison"));
        }
        for other in rest {
            if compare::equal(first, other).map_err(CallError::Failed)? {
                return Ok(Value::Bool(true));
            }
        }
        return Ok(Value::Bool(false));
    }
    exactly(args, 2)?;
    let (a, b) = (&args[0], &args[1]);
    let less = |a, b| compare::less(a, b).map_err(CallError::Failed);
    let equal = |a, b| compare::equal(a, b).map_err(CallError::Failed);
    Ok(Value::Bool(match name {
        "ne" => !equal(a, b)?,
        "lt" => less(a, b)?,
        "le" => less(a, b)? || equal(a, b)?,
        "gt" => !(less(a, b)? || equal(a, b)?),
        _ => !less(a, b)?,
    }))
}

fn length(value: &Value) -> Res {
    Ok(Value::Int(match value {
        Value::Str(s) | Value::Number(s) => s.len(),
        Value::List(l) => l.len(),
        Value::Map(m) => m.entries.len(),
        Value::NilList | Value::NilMap(_) => 0,
        Value::Missing | Value::Nil(_) => return Err(failed("len of nil pointer")),
        other => return Err(failed(&format!("len of type {}", other.type_name()))),
    } as i64))
}

fn index(args: &[Value]) -> Res {
    let Some((first, keys)) = args.split_first() else { return at_least(args, 1) };
    let mut value = first.clone();
    for key in keys {
        value = match &value {
            Value::List(items) => {
                let at = position(key, items.len(), false).map_err(CallError::Failed)?;
                items[at].clone()
            }
            Value::Str(s) => {
                let at = position(key, s.len(), false).map_err(CallError::Failed)?;
                Value::Int(i64::from(s.as_bytes()[at]))
            }
            Value::Map(map) => match key {
                Value::Str(key) | Value::Number(key) => {
                    map.get(key).cloned().unwrap_or_else(|| map.zero.clone())
                }
                other => {
                    return Err(failed(&format!("value has type {}; should be string", other.type_name())));
                }
            },
            Value::NilList => return Err(failed(&position(key, 0, false).err().unwrap_or_default())),
            Value::NilMap("string") => Value::str(""),
            Value::NilMap(_) => Value::Missing,
            Value::Missing => return Err(failed("index of untyped nil")),
            Value::Nil(_) => return Err(failed("index of nil pointer")),
            other => return Err(failed(&format!("can't index item of type {}", other.type_name()))),
        };
    }
    Ok(value)
}

fn position(key: &Value, length: usize, end_allowed: bool) -> Result<usize, String> {
    let at = match key {
        Value::Int(n) => *n,
        Value::Missing => return Err("cannot index slice/array with nil".to_owned()),
        other => return Err(format!("cannot index slice/array with type {}", other.type_name())),
    };
    match usize::try_from(at) {
        Ok(i) if i < length || (end_allowed && i == length) => Ok(i),
        _ => Err(format!("index out of range: {at}")),
    }
}

fn slice(args: &[Value]) -> Res {
    let Some((value, bounds)) = args.split_first() else { return at_least(args, 1) };
    if bounds.len() > 3 {
        return Err(failed(&format!("too many slice indexes: {}", bounds.len())));
    }
    let length = match value {
        Value::Str(s) => s.len(),
        Value::List(l) => l.len(),
        Value::Missing => return Err(failed("slice of untyped nil")),
        other => return Err(failed(&format!("can't slice item of type {}", other.type_name()))),
    };
    let bound = |i: usize, default: usize| match bounds.get(i) {
        Some(key) => position(key, length, true).map_err(CallError::Failed),
        None => Ok(default),
    };
    let (from, to) = (bound(0, 0)?, bound(1, length)?);
    if from > to {
        return Err(failed(&format!("invalid slice index: {from} > {to}")));
    }
    Ok(match value {
        Value::Str(s) => Value::str(String::from_utf8_lossy(&s.as_bytes()[from..to])),
        Value::List(l) => Value::List(Rc::from(&l[from..to])),
        other => other.clone(),
    })
}

fn split(given: &str, separator: &str) -> Value {
    if separator.is_empty() {
        return Value::list(given.chars().map(|c| Value::str(c.to_string())));
    }
    Value::list(given.split(separator).map(Value::str))
}

fn join(args: &[Value]) -> Res {
    exactly(args, 2)?;
    let items = match &args[0] {
        Value::NilList => return Ok(Value::str("")),
        Value::List(items) => items,
        other => return Err(wrong_type(0, "[]string", other)),
    };
    let mut parts = Vec::with_capacity(items.len());
    for item in items.iter() {
        match item {
            Value::Str(s) => parts.push(&**s),
            _ => return Err(wrong_type(0, "[]string", &args[0])),
        }
    }
    Ok(Value::str(parts.join(text(args, 1, &args[1])?)))
}

/// The first letter of every word in upper case.
fn title(given: &str) -> String {
    let mut inside = false;
    given
        .chars()
        .flat_map(|c| {
            let letter = c.is_alphanumeric() || c == '_' || c == '\'';
            let starts = letter && !inside;
            inside = letter;
            if starts { c.to_uppercase().collect::<Vec<_>>() } else { vec![c] }
        })
        .collect()
}

fn escape_html(given: &str) -> String {
    let mut out = String::with_capacity(given.len());
    for c in given.chars() {
        match c {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

fn escape_js(given: &str) -> String {
    let mut out = String::with_capacity(given.len());
    for c in given.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' => out.push_str("\\u003C"),
            '>' => out.push_str("\\u003E"),
            '&' => out.push_str("\\u0026"),
            '=' => out.push_str("\\u003D"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

/// Go's `url.QueryEscape`.
#[must_use]
pub fn escape_query(given: &str) -> String {
    let mut out = String::with_capacity(given.len());
    for b in given.bytes() {
        match b {
            b' ' => out.push('+'),
            b if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}
