//! A list of strings that clients may also send as one string (`Cmd`, `Entrypoint`, `CapAdd`).

use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;

/// Strings, read from `["a", "b"]` or from `"a"`, which is the same as `["a"]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct StrSlice(pub Vec<String>);

impl std::ops::Deref for StrSlice {
    type Target = Vec<String>;

    fn deref(&self) -> &Vec<String> {
        &self.0
    }
}

impl From<Vec<String>> for StrSlice {
    fn from(list: Vec<String>) -> Self {
        Self(list)
    }
}

impl From<StrSlice> for Vec<String> {
    fn from(list: StrSlice) -> Self {
        list.0
    }
}

impl<S: Into<String>> FromIterator<S> for StrSlice {
    fn from_iter<I: IntoIterator<Item = S>>(iter: I) -> Self {
        Self(iter.into_iter().map(Into::into).collect())
    }
}

impl<'de> Deserialize<'de> for StrSlice {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = StrSlice;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("[]string")
            }

            fn visit_str<E: de::Error>(self, one: &str) -> Result<StrSlice, E> {
                Ok(StrSlice(vec![one.to_owned()]))
            }

            fn visit_string<E: de::Error>(self, one: String) -> Result<StrSlice, E> {
                Ok(StrSlice(vec![one]))
            }

            fn visit_unit<E: de::Error>(self) -> Result<StrSlice, E> {
                Ok(StrSlice::default())
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<StrSlice, A::Error> {
                let mut list = Vec::new();
                while let Some(one) = seq.next_element::<Option<String>>()? {
                    list.push(one.unwrap_or_default());
                }
                Ok(StrSlice(list))
            }
        }
        d.deserialize_any(Visitor)
    }
}
