//! The elements of arrays and the entries of objects, one after the other.

use super::{Error, read::Reader};
use serde::de::{self, DeserializeSeed, value::StrDeserializer};

/// How far an array or object was read.
#[derive(PartialEq)]
pub(super) enum Elems {
    First,
    Next,
    Ended,
}

/// The elements of an array; with `fill`, that many, the missing ones being `null`.
pub(super) struct Elements<'a, 'de> {
    pub(super) reader: &'a mut Reader<'de>,
    pub(super) state: Elems,
    pub(super) fill: usize,
}

impl<'de> de::SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let more = match self.state {
            Elems::First => !self.reader.empty(b']'),
            Elems::Next => self.reader.another(),
            Elems::Ended => false,
        };
        let fill = self.fill > 0;
        self.fill = self.fill.saturating_sub(1);
        if more {
            self.state = Elems::Next;
            return seed.deserialize(&mut *self.reader).map(Some);
        }
        self.state = Elems::Ended;
        if fill {
            return seed.deserialize(&mut Reader { input: b"null", at: 0, depth: 0 }).map(Some);
        }
        Ok(None)
    }
}

/// The entries of an object that is a map.
pub(super) struct Entries<'a, 'de> {
    pub(super) reader: &'a mut Reader<'de>,
    pub(super) state: Elems,
}

impl<'de> de::MapAccess<'de> for Entries<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let more = match self.state {
            Elems::First => !self.reader.empty(b'}'),
            Elems::Next => self.reader.another(),
            Elems::Ended => false,
        };
        if !more {
            self.state = Elems::Ended;
            return Ok(None);
        }
        self.state = Elems::Next;
        self.reader.peek();
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        self.reader.peek();
        self.reader.at += 1; // the colon
        seed.deserialize(&mut *self.reader)
    }
}

/// The fields of an object that is a struct: each one at most once, by its own name.
pub(super) struct Fields<'a, 'de, I> {
    pub(super) reader: &'a mut Reader<'de>,
    pub(super) name: &'static str,
    pub(super) found: I,
    pub(super) current: Option<&'static str>,
}

impl<'de, I: Iterator<Item = (usize, &'static str)>> de::MapAccess<'de> for Fields<'_, 'de, I> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((at, field)) = self.found.next() else { return Ok(None) };
        self.reader.at = at;
        self.current = Some(field);
        seed.deserialize(StrDeserializer::new(field)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let field = self.current.take().unwrap_or_default();
        seed.deserialize(&mut *self.reader).map_err(|e: Error| e.within(self.name, field))
    }
}
