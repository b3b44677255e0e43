//! Values as GVariant writes them for people: `uint64 5`, `'text'`, `['a', 'b']`, `@as []`, `<1>`. Structures and
//! dictionaries are left out: no property that a scope can be given has a type with one, but those that runc's reader
//! can't read either.

use crate::dbus::Value;

/// How deep arrays may be nested.
const DEEPEST: usize = 16;

/// Reads one value.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader { rest: text };
    let value = reader.value(None, DEEPEST)?;
    reader.skip_space();
    match reader.rest {
        "" => Ok(value),
        rest => Err(format!("unexpected {rest:?}")),
    }
}

struct Reader<'a> {
    rest: &'a str,
}

const TYPES: [(&str, &str); 12] = [
    ("boolean", "b"),
    ("byte", "y"),
    ("int16", "n"),
    ("uint16", "q"),
    ("int32", "i"),
    ("uint32", "u"),
    ("int64", "x"),
    ("uint64", "t"),
    ("double", "d"),
    ("string", "s"),
    ("objectpath", "o"),
    ("signature", "g"),
];

impl<'a> Reader<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eats(&mut self, what: char) -> bool {
        self.skip_space();
        self.rest.strip_prefix(what).map(|rest| self.rest = rest).is_some()
    }

    fn word(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// A value, of a type where that is known.
    fn value(&mut self, of: Option<&str>, deepest: usize) -> Result<Value, String> {
        let deeper = deepest.checked_sub(1).ok_or("nested too deep")?;
        self.skip_space();
        let wrong = |what: &str| Err(format!("{what} is not of type {:?}", of.unwrap_or_default()));
        let fits = |kinds: &str| of.is_none_or(|of| of.len() == 1 && kinds.contains(of));
        match self.rest.chars().next() {
            None => Err("it ends early".into()),
            Some('@') => {
                self.rest = &self.rest[1..];
                let signature = self.word(|c| c.is_ascii_alphabetic());
                self.annotated(signature, of, deeper)
            }
            Some('[') => {
                let item = match of {
                    None => None,
                    Some(of) => match of.strip_prefix('a') {
                        Some(item) => Some(item),
                        None => return wrong("an array"),
                    },
                };
                self.rest = &self.rest[1..];
                self.array(item, deeper)
            }
            Some('<') => {
                if !fits("v") {
                    return wrong("a variant");
                }
                self.rest = &self.rest[1..];
                let inner = self.value(None, deeper)?;
                if !self.eats('>') {
                    return Err("a variant without an end".into());
                }
                Ok(Value::Variant(Box::new(inner)))
            }
            Some(quote @ ('\'' | '"')) => {
                if !fits("sog") {
                    return wrong("a string");
                }
                self.rest = &self.rest[1..];
                let text = self.quoted(quote)?;
                Ok(match of {
                    Some("o") => Value::Path(text),
                    Some("g") => Value::Signature(text),
                    _ => Value::Text(text),
                })
            }
            Some('b') if self.rest[1..].starts_with(['\'', '"']) => {
                if of.is_some_and(|of| of != "ay") {
                    return wrong("a string of bytes");
                }
                let quote = if self.rest[1..].starts_with('\'') { '\'' } else { '"' };
                self.rest = &self.rest[2..];
                // With the zero that ends it.
                Ok(Value::bytes(self.quoted(quote)?.into_bytes().into_iter().chain([0])))
            }
            Some(c) if c.is_ascii_digit() || "+-.".contains(c) => {
                number(self.word(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)), of)
            }
            Some(c) if c.is_ascii_alphabetic() => {
                let word = self.word(|c| c.is_ascii_alphanumeric());
                match (word, TYPES.iter().find(|(name, _)| *name == word)) {
                    ("true" | "false", _) if fits("b") => Ok(Value::Bool(word == "true")),
                    (_, Some((_, signature))) => self.annotated(signature, of, deeper),
                    _ => Err(format!("unexpected {word:?}")),
                }
            }
            Some(c) => Err(format!("unexpected {c:?}")),
        }
    }

    fn annotated(&mut self, signature: &str, of: Option<&str>, deeper: usize) -> Result<Value, String> {
        if of.is_some_and(|of| of != signature) {
            return Err("unexpected type annotation".into());
        }
        let known = signature.trim_start_matches('a');
        if !(known.len() == 1 && "ybnqiuxtdsogv".contains(known)) {
            return Err(format!("values of type {signature:?} are not supported"));
        }
        self.value(Some(signature), deeper)
    }

    fn array(&mut self, item: Option<&str>, deeper: usize) -> Result<Value, String> {
        let mut of = item.map(str::to_owned);
        let mut items = Vec::new();
        while !self.eats(']') {
            if !items.is_empty() && !self.eats(',') {
                return Err("an array without an end".into());
            }
            let value = self.value(of.as_deref(), deeper)?;
            // The first element says what the others are.
            of.get_or_insert_with(|| value.signature());
            items.push(value);
        }
        let of = of.ok_or("the type of an empty array can't be told: write @as []")?;
        Ok(Value::Array(of, items))
    }

    /// What is left of a quoted text.
    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut text = String::new();
        let mut chars = self.rest.chars();
        loop {
            let escaped = match chars.next().ok_or("a string without an end")? {
                c if c == quote => break,
                '\\' => chars.next().ok_or("a string without an end")?,
                c => {
                    text.push(c);
                    continue;
                }
            };
            match escaped {
                'a' => text.push('\x07'),
                'b' => text.push('\x08'),
                'f' => text.push('\x0c'),
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                '\n' => {}
                kind @ ('u' | 'U') => {
                    let digits: String = chars.by_ref().take(if kind == 'u' { 4 } else { 8 }).collect();
                    let code = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
                    text.push(code.ok_or("a bad unicode escape")?);
                }
                other => text.push(other),
            }
        }
        if text.contains('\0') {
            return Err("a string with a zero byte in it".into());
        }
        self.rest = chars.as_str();
        Ok(text)
    }
}

/// A number; without a type, 32 bits with a sign, or a fraction.
fn number(text: &str, of: Option<&str>) -> Result<Value, String> {
    let bad = || format!("{text:?} is not a number of type {:?}", of.unwrap_or("i"));
    let is_fraction = text.contains('.') || (!text.contains("0x") && text.contains(['e', 'E']));
    let of = of.unwrap_or(if is_fraction { "d" } else { "i" });
    if of == "d" {
        let number: f64 = text.parse().map_err(|_| bad())?;
        return Ok(Value::F64(number.to_bits()));
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, base) = match digits.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (digits, 10),
    };
    if digits.starts_with(['+', '-']) {
        return Err(bad());
    }
    let number = i128::from_str_radix(digits, base).map_err(|_| bad())?;
    let number = if negative { -number } else { number };
    match of {
        "y" => number.try_into().map(Value::Byte).ok(),
        "n" => number.try_into().map(Value::I16).ok(),
        "q" => number.try_into().map(Value::U16).ok(),
        "i" => number.try_into().map(Value::I32).ok(),
        "u" => number.try_into().map(Value::U32).ok(),
        "x" => number.try_into().map(Value::I64).ok(),
        "t" => number.try_into().map(Value::U64).ok(),
        _ => None,
    }
    .ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values() {
        let array = |of: &str, items: &[Value]| Value::Array(of.into(), items.to_vec());
        for (text, expected) in [
            ("1", Value::I32(1)),
            (" -0x10 ", Value::I32(-16)),
            ("010", Value::I32(8)),
            ("byte 255", Value::Byte(255)),
            ("uint64 18446744073709551615", Value::U64(u64::MAX)),
            ("int16 -1", Value::I16(-1)),
            ("@t 5", Value::U64(5)),
            ("1.5", Value::F64(1.5_f64.to_bits())),
            ("1e3", Value::F64(1e3_f64.to_bits())),
            ("true", Value::Bool(true)),
            ("boolean false", Value::Bool(false)),
            ("'a b'", Value::text("a b")),
            (r#""it's \"\u00e4\"""#, Value::text("it's \"ä\"")),
            ("objectpath '/a'", Value::Path("/a".into())),
            ("b'ab'", Value::bytes(*b"ab\0")),
            ("['a.service', 'b']", array("s", &[Value::text("a.service"), Value::text("b")])),
            ("[uint64 1, 2]", array("t", &[Value::U64(1), Value::U64(2)])),
            ("@as []", array("s", &[])),
            ("@au [1,2]", array("u", &[Value::U32(1), Value::U32(2)])),
            ("[['a'], []]", array("as", &[array("s", &[Value::text("a")]), array("s", &[])])),
            ("<'x'>", Value::Variant(Box::new(Value::text("x")))),
        ] {
            assert_eq!(parse(text).as_ref(), Ok(&expected), "{text}");
        }
    }

    #[test]
    fn what_is_none() {
        for text in [
            "",
            " ",
            "what",
            "1 2",
            "'a",
            "[1",
            "[1 2]",
            "[]",
            "[1, 'a']",
            "uint16 65536",
            "byte -1",
            "0x",
            "08",
            "--1",
            "-+1",
            "@ 1",
            "@(ss) 1",
            "@a{sv} []",
            "uint32 'a'",
            "string 1",
            "<1",
            "{'a': 1}",
            "('a', 1)",
            "b'a",
            "'\\u12'",
            "'\\u0000'",
            "@as ['a', 1]",
            "uint32 uint32 uint64 1",
            "ä",
            "@s uint32 1",
        ] {
            assert!(parse(text).is_err(), "{text} {:?}", parse(text));
        }
        assert!(parse(&"[".repeat(999)).unwrap_err().contains("deep"));
        assert!(parse(&"uint32 ".repeat(999)).unwrap_err().contains("deep"));
    }

    proptest! {
        #[test]
        fn any_text_ends(text in ".{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn any_likely_text_ends(text in "[@a-z0-9'\"\\[\\]<>, x\\\\-]{0,40}") {
            let _ = parse(&text);
        }
    }
}
