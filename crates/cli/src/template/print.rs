//! Values as Go's `%v` prints them.

use super::value::Value;
use crate::format::size::significant;

/// Prints a pipeline's result: like `%v`, but a missing value is `<no value>`.
pub fn top(out: &mut String, value: &Value) {
    match value {
        Value::Missing => out.push_str("<no value>"),
        other => nested(out, other),
    }
}

/// `%v` alone.
#[must_use]
pub fn to_string(value: &Value) -> String {
    let mut out = String::new();
    nested(&mut out, value);
    out
}

fn nested(out: &mut String, value: &Value) {
    match value {
        Value::Missing | Value::Nil(_) => out.push_str("<nil>"),
        Value::NilList => out.push_str("[]"),
        Value::NilMap(_) => out.push_str("map[]"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(n) => out.push_str(&n.to_string()),
        Value::Float(n) => out.push_str(&float(*n)),
        Value::Number(s) | Value::Str(s) => out.push_str(s),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                nested(out, item);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push_str("map[");
            for (i, (key, item)) in map.entries.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                out.push_str(key);
                out.push(':');
                match item {
                    // Go prints the address of what a pointer inside a map points at.
                    Value::Struct(inner) if map.pointers => {
                        out.push_str(&format!("{:#x}", std::rc::Rc::as_ptr(inner) as usize));
                    }
                    item => nested(out, item),
                }
            }
            out.push(']');
        }
        Value::Struct(inner) => {
            out.push('{');
            for (i, field) in inner.fields.iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                nested(out, &field.value);
            }
            out.push('}');
        }
        Value::Object(object) => {
            out.push_str("map[");
            for (i, name) in object.names().iter().enumerate() {
                if i > 0 {
                    out.push(' ');
                }
                out.push_str(&format!("{name}:"));
                if let Ok(value) = object.call(name, &[]) {
                    nested(out, &value);
                }
            }
            out.push(']');
        }
    }
}

/// `%v` of a float: the shortest text that reads back, with an exponent from 1e21 on.
#[must_use]
pub fn float(n: f64) -> String {
    let size = n.abs();
    if size != 0.0 && !(1e-4..1e21).contains(&size) {
        let text = format!("{n:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        return format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    }
    if n.fract() == 0.0 && size < 1e15 { significant(n, 17) } else { format!("{n}") }
}

/// Go's `fmt.Sprint`: a blank between operands when neither is a text.
#[must_use]
pub fn print(args: &[Value]) -> String {
    let mut out = String::new();
    for (i, arg) in args.iter().enumerate() {
        let texts = |v: &Value| matches!(v, Value::Str(_));
        if i > 0 && !texts(arg) && !texts(&args[i - 1]) {
            out.push(' ');
        }
        nested(&mut out, arg);
    }
    out
}

/// Go's `fmt.Sprintln`.
#[must_use]
pub fn println(args: &[Value]) -> String {
    let mut out = args.iter().map(to_string).collect::<Vec<_>>().join(" ");
    out.push('\n');
    out
}

/// What `html`, `js` and `urlquery` escape: one text as it is, else as `print`.
#[must_use]
pub fn arguments(args: &[Value]) -> String {
    match args {
        [Value::Missing] => "<no value>".to_owned(),
        args => print(args),
    }
}
