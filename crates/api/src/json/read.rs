//! Fills types from text that the scanner has accepted.

use super::{
    Error,
    access::{Elements, Elems, Entries, Fields},
    scan::{Scanner, Step, is_space},
    text::{same_key, unescape},
};
use serde::de::{self, DeserializeOwned, Visitor, value::StrDeserializer};
use std::borrow::Cow;

/// How deep a type may nest by recursion. Types of requests are a few levels deep; only free-form values
/// reach this.
const MAX_RECURSION: usize = 256;

/// The name by which `serde_json::value::RawValue` asks for the text itself.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// Reads the one value in `input`, which the scanner has accepted.
pub(super) fn value<T: DeserializeOwned>(input: &[u8]) -> Result<T, Error> {
    T::deserialize(&mut Reader { input, at: 0, depth: 0 })
}

/// A place in text that the scanner has accepted.
pub(super) struct Reader<'de> {
    pub(super) input: &'de [u8],
    pub(super) at: usize,
    pub(super) depth: usize,
}

impl<'de> Reader<'de> {
    /// The first byte of the next token. The scanner has seen the end, so there is one; a zero byte, which is
    /// no token, stands for the impossible.
    pub(super) fn peek(&mut self) -> u8 {
        while self.input.get(self.at).copied().is_some_and(is_space) {
            self.at += 1;
        }
        self.input.get(self.at).copied().unwrap_or(0)
    }

    fn is_null(&mut self) -> bool {
        self.peek() == b'n'
    }

    /// Skips the next value, however deep, and returns its text.
    fn skip(&mut self) -> &'de [u8] {
        self.peek();
        let start = self.at;
        let mut scanner = Scanner::new();
        while let Some(&byte) = self.input.get(self.at) {
            // Numbers end before the byte that follows, which the scanner takes for an error when it
            // is a comma or a bracket.
            match scanner.push(byte) {
                Ok(Step::More) => self.at += 1,
                Ok(Step::Done) => {
                    self.at += 1;
                    break;
                }
                Ok(Step::DoneBefore) | Err(_) => break,
            }
        }
        &self.input[start..self.at]
    }

    fn string(&mut self) -> Cow<'de, str> {
        let token = self.skip();
        unescape(token.get(1..token.len().saturating_sub(1)).unwrap_or_default())
    }

    /// The error for the value that comes next.
    fn mismatch(&mut self, wanted: impl Into<String>) -> Error {
        let found = match self.peek() {
            b'"' => "string".to_owned(),
            b't' | b'f' => "bool".to_owned(),
            b'[' => "array".to_owned(),
            b'{' => "object".to_owned(),
            b'n' => "null".to_owned(),
            _ => "number".to_owned(),
        };
        Error::wrong_type(found, wanted)
    }

    fn number(&mut self, wanted: &str) -> Result<&'de str, Error> {
        match self.peek() {
            b'-' | b'0'..=b'9' => {
                let token = self.skip();
                std::str::from_utf8(token).map_err(de::Error::custom)
            }
            _ => Err(self.mismatch(wanted)),
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth == MAX_RECURSION {
            return Err(Error::Data("exceeded max depth".into()));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// After an element: whether another one follows. Eats the comma or the closing bracket.
    pub(super) fn another(&mut self) -> bool {
        let more = self.peek() == b',';
        self.at += 1;
        more
    }

    /// After an opening bracket: whether the container is empty. Eats the closing bracket.
    pub(super) fn empty(&mut self, close: u8) -> bool {
        let empty = self.peek() == close;
        if empty {
            self.at += 1;
        }
        empty
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $ty:ty, $go:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            if self.is_null() {
                self.skip();
                return visitor.$visit(0);
            }
            let text = self.number($go)?;
            match text.parse::<$ty>() {
                Ok(n) => visitor.$visit(n),
                Err(_) => Err(Error::wrong_type(format!("number {text}"), $go)),
            }
        }
    )*};
}

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    integers! {
        deserialize_i8 visit_i8 i8, "int8";
        deserialize_i16 visit_i16 i16, "int16";
        deserialize_i32 visit_i32 i32, "int32";
        deserialize_i64 visit_i64 i64, "int64";
        deserialize_u8 visit_u8 u8, "uint8";
        deserialize_u16 visit_u16 u16, "uint16";
        deserialize_u32 visit_u32 u32, "uint32";
        deserialize_u64 visit_u64 u64, "uint64";
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b'"' => self.deserialize_str(visitor),
            b't' | b'f' => self.deserialize_bool(visitor),
            b'n' => self.deserialize_unit(visitor),
            b'[' => self.deserialize_seq(visitor),
            b'{' => self.deserialize_map(visitor),
            _ => {
                let text = self.number("interface {}")?;
                if let Ok(n) = text.parse::<u64>() {
                    visitor.visit_u64(n)
                } else if let Ok(n) = text.parse::<i64>() {
                    visitor.visit_i64(n)
                } else {
                    visitor.visit_f64(text.parse().map_err(de::Error::custom)?)
                }
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b't' | b'f' | b'n' => visitor.visit_bool(self.skip() == b"true"),
            _ => Err(self.mismatch("bool")),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_null() {
            self.skip();
            return visitor.visit_f64(0.0);
        }
        let text = self.number("float64")?;
        visitor.visit_f64(text.parse().map_err(de::Error::custom)?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b'"' => match self.string() {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
            b'n' => {
                self.skip();
                visitor.visit_borrowed_str("")
            }
            _ => Err(self.mismatch("string")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Error> {
        Err(self.mismatch("[]uint8"))
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.is_null() {
            self.skip();
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.skip();
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == RAW_VALUE {
            let text = String::from_utf8_lossy(self.skip()).into_owned();
            return visitor.visit_map(de::value::MapDeserializer::new(std::iter::once((RAW_VALUE, text))));
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b'n' => {
                self.skip();
                visitor.visit_seq(Elements { reader: self, state: Elems::Ended, fill: 0 })
            }
            b'[' => self.deeper(|reader| {
                reader.at += 1;
                visitor.visit_seq(Elements { reader, state: Elems::First, fill: 0 })
            }),
            _ => Err(self.mismatch("[]interface {}")),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        // As Go reads arrays of a fixed length: what is missing is zero, what is too much is dropped.
        match self.peek() {
            b'n' => {
                self.skip();
                visitor.visit_seq(Elements { reader: self, state: Elems::Ended, fill: len })
            }
            b'[' => self.deeper(|reader| {
                let start = reader.at;
                reader.at += 1;
                let value =
                    visitor.visit_seq(Elements { reader: &mut *reader, state: Elems::First, fill: len })?;
                reader.at = start;
                reader.skip();
                Ok(value)
            }),
            _ => Err(self.mismatch(format!("[{len}]interface {{}}"))),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            b'n' => {
                self.skip();
                visitor.visit_map(Entries { reader: self, state: Elems::Ended })
            }
            b'{' => self.deeper(|reader| {
                reader.at += 1;
                visitor.visit_map(Entries { reader, state: Elems::First })
            }),
            _ => Err(self.mismatch("map[string]interface {}")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let mut found = vec![None; fields.len()];
        match self.peek() {
            b'n' => {
                self.skip();
            }
            b'{' => {
                self.at += 1;
                if !self.empty(b'}') {
                    loop {
                        let key = self.string();
                        self.peek();
                        self.at += 1; // the colon
                        let null = self.is_null();
                        let start = self.at;
                        self.skip();
                        let field = fields
                            .iter()
                            .position(|f| *f == key)
                            .or_else(|| fields.iter().position(|f| same_key(&key, f)));
                        if let Some(field) = field
                            && !null
                        {
                            found[field] = Some(start);
                        }
                        if !self.another() {
                            break;
                        }
                    }
                }
            }
            _ => return Err(self.mismatch(name)),
        }
        let end = self.at;
        let value = self.deeper(|reader| {
            let found = found.into_iter().zip(fields).filter_map(|(at, field)| Some((at?, *field)));
            visitor.visit_map(Fields { reader, name, found, current: None })
        })?;
        self.at = end;
        Ok(value)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.peek() {
            b'"' => {
                let text = self.string();
                visitor.visit_enum(StrDeserializer::<Error>::new(&text))
            }
            _ => Err(self.mismatch(name)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.skip();
        visitor.visit_unit()
    }
}
