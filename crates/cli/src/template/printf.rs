//! Go's `fmt.Sprintf` over template values.

use super::{print, value::Value};
use crate::format::{go_quote, go_quote_char, size};

#[derive(Default)]
struct Flags {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Widths and precisions are bounded as Go bounds them.
const MAX: i64 = 1_000_000;

/// Formats `args` by `format`.
#[must_use]
pub fn format(format: &str, args: &[Value]) -> String {
    let mut out = String::new();
    let mut chars = format.chars().peekable();
    let mut next = 0;
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = Flags::default();
        while let Some(c) = chars.peek() {
            match c {
                '-' => flags.minus = true,
                '+' => flags.plus = true,
                '#' => flags.sharp = true,
                ' ' => flags.space = true,
                '0' => flags.zero = true,
                _ => break,
            }
            chars.next();
        }
        flags.width = number(&mut chars, args, &mut next, &mut out, "%!(BADWIDTH)");
        if chars.next_if_eq(&'.').is_some() {
            flags.precision = number(&mut chars, args, &mut next, &mut out, "%!(BADPREC)").or(Some(0));
        }
        let Some(verb) = chars.next() else {
            out.push_str("%!(NOVERB)");
            break;
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some(arg) = args.get(next) else {
            out.push_str(&format!("%!{verb}(MISSING)"));
            continue;
        };
        next += 1;
        one(&mut out, verb, &flags, arg);
    }
    if next < args.len() {
        let extra: Vec<String> = args[next..]
            .iter()
            .map(|v| match v {
                Value::Missing => "<nil>".to_owned(),
                v => format!("{}={}", v.type_name(), print::to_string(v)),
            })
            .collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn number(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    args: &[Value],
    next: &mut usize,
    out: &mut String,
    bad: &str,
) -> Option<usize> {
    if chars.next_if_eq(&'*').is_some() {
        let value = args.get(*next);
        *next += 1;
        return match value {
            Some(Value::Int(n)) if (0..=MAX).contains(n) => usize::try_from(*n).ok(),
            _ => {
                out.push_str(bad);
                None
            }
        };
    }
    let mut value: Option<i64> = None;
    while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
        value = Some((value.unwrap_or(0) * 10 + i64::from(digit)).min(MAX));
        chars.next();
    }
    value.and_then(|n| usize::try_from(n).ok())
}

fn one(out: &mut String, verb: char, flags: &Flags, arg: &Value) {
    // Lists are formatted item by item, as Go does.
    if let (Value::List(items), false) = (arg, verb == 'T') {
        out.push('[');
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                out.push(' ');
            }
            one(out, verb, flags, item);
        }
        out.push(']');
        return;
    }
    let body = match (verb, arg) {
        ('T', arg) => arg.type_name(),
        ('v', Value::Str(s)) if flags.sharp => go_quote(s),
        ('v', Value::Int(_)) => return numeric(out, 'd', flags, arg),
        ('v', arg) => print::to_string(arg),
        ('s', Value::Str(s) | Value::Number(s)) => cut(s, flags.precision),
        ('q', Value::Str(s) | Value::Number(s)) => go_quote(&cut(s, flags.precision)),
        ('q', Value::Int(n)) => {
            go_quote_char(u32::try_from(*n).ok().and_then(char::from_u32).unwrap_or('\u{fffd}'))
        }
        ('c', Value::Int(n)) => {
            u32::try_from(*n).ok().and_then(char::from_u32).unwrap_or('\u{fffd}').to_string()
        }
        ('x', Value::Str(s)) => s.bytes().map(|b| format!("{b:02x}")).collect(),
        ('X', Value::Str(s)) => s.bytes().map(|b| format!("{b:02X}")).collect(),
        ('t', Value::Bool(b)) => b.to_string(),
        ('d' | 'x' | 'X' | 'o' | 'b', Value::Int(_)) => return numeric(out, verb, flags, arg),
        ('f' | 'F' | 'e' | 'g', Value::Float(_)) => return numeric(out, verb, flags, arg),
        ('s' | 'd', Value::Map(_) | Value::Struct(_)) => print::to_string(arg),
        (verb, Value::Missing) => format!("%!{verb}(<nil>)"),
        (verb, arg) => format!("%!{verb}({}={})", arg.type_name(), print::to_string(arg)),
    };
    pad(out, &body, flags, ' ');
}

fn cut(text: &str, precision: Option<usize>) -> String {
    match precision {
        Some(n) => text.chars().take(n).collect(),
        None => text.to_owned(),
    }
}

fn numeric(out: &mut String, verb: char, flags: &Flags, arg: &Value) {
    let (negative, mut digits) = match arg {
        Value::Int(n) => {
            let m = n.unsigned_abs();
            let digits = match verb {
                'x' => format!("{m:x}"),
                'X' => format!("{m:X}"),
                'o' => format!("{m:o}"),
                'b' => format!("{m:b}"),
                _ => m.to_string(),
            };
            (*n < 0, digits)
        }
        Value::Float(n) => {
            let m = n.abs();
            let digits = match verb {
                'g' => flags.precision.map_or_else(|| print::float(m), |p| size::significant(m, p)),
                'e' => {
                    let text = format!("{m:.*e}", flags.precision.unwrap_or(6));
                    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                    let exponent: i32 = exponent.parse().unwrap_or(0);
                    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
                }
                _ => format!("{m:.*}", flags.precision.unwrap_or(6)),
            };
            (*n < 0.0, digits)
        }
        _ => return,
    };
    let sign = if negative {
        "-"
    } else if flags.plus {
        "+"
    } else if flags.space {
        " "
    } else {
        ""
    };
    if let (Value::Int(_), Some(precision)) = (arg, flags.precision) {
        digits = format!("{}{digits}", "0".repeat(precision.saturating_sub(digits.len())));
    }
    if flags.sharp && matches!(verb, 'x' | 'X') {
        digits = format!("0{verb}{digits}");
    }
    if flags.zero && !flags.minus {
        let width = flags.width.unwrap_or(0).saturating_sub(sign.len());
        digits = format!("{}{digits}", "0".repeat(width.saturating_sub(digits.len())));
    }
    pad(out, &format!("{sign}{digits}"), flags, ' ');
}

fn pad(out: &mut String, body: &str, flags: &Flags, with: char) {
    let missing = flags.width.unwrap_or(0).saturating_sub(body.chars().count());
    if !flags.minus {
        out.extend(std::iter::repeat_n(with, missing));
    }
    out.push_str(body);
    if flags.minus {
        out.extend(std::iter::repeat_n(with, missing));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_gos() {
        let s = Value::str("ab");
        for (text, args, want) in [
            ("%s-%d", vec![s.clone()], "ab-%!d(MISSING)"),
            ("%d", vec![s.clone()], "%!d(string=ab)"),
            ("%5s|%-5s|%.1s", vec![s.clone(), s.clone(), s.clone()], "   ab|ab   |a"),
            (
                "%05d|%+d|%x|%#x",
                vec![Value::Int(-42), Value::Int(7), Value::Int(255), Value::Int(255)],
                "-0042|+7|ff|0xff",
            ),
            ("%q %v %t", vec![s.clone(), Value::Bool(true), Value::Bool(false)], "\"ab\" true false"),
            ("%.2f %g", vec![Value::Float(1.5), Value::Float(0.25)], "1.50 0.25"),
            ("x", vec![Value::Int(1)], "x%!(EXTRA int=1)"),
            ("%", vec![], "%!(NOVERB)"),
            ("%s", vec![Value::list([s.clone(), s.clone()])], "[ab ab]"),
            ("%*d", vec![Value::Int(4), Value::Int(1)], "   1"),
        ] {
            assert_eq!(format(text, &args), want);
        }
    }
}
