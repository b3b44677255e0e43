//! JSON whose objects keep their order, and a layout of it that is short and can be read.

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A value; objects keep the order that they came in, since `docker inspect` shows it.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// As it is printed.
    Number(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

/// How wide a line of a laid out value may be.
const WIDTH: usize = 110;

impl Json {
    /// All values of a text, if it is nothing but JSON.
    #[must_use]
    pub fn all(text: &str) -> Option<Vec<Self>> {
        serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().ok()
    }

    /// The value below a path such as `.State.Pid` or `.0.Id`.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Self> {
        path.split('.').filter(|part| !part.is_empty()).try_fold(self, |value, part| match value {
            Self::Object(fields) => fields.iter().find(|(name, _)| name == part).map(|(_, v)| v),
            Self::List(items) => items.get(part.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// On one line.
    #[must_use]
    pub fn line(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(text) => text.clone(),
            Self::Text(text) => quoted(text),
            Self::List(items) => {
                format!("[{}]", items.iter().map(Self::line).collect::<Vec<_>>().join(", "))
            }
            Self::Object(fields) => {
                let fields = fields.iter().map(|(name, value)| format!("{}: {}", quoted(name), value.line()));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// Over as many lines as it needs.
    #[must_use]
    pub fn layout(&self) -> String {
        let mut text = String::new();
        self.lay_out(&mut text, 0, 0);
        text
    }

    fn lay_out(&self, text: &mut String, indent: usize, before: usize) {
        let line = self.line();
        let (open, close, rows): (_, _, Vec<(String, &Self)>) = match self {
            Self::List(items) if !items.is_empty() => {
                ("[", "]", items.iter().map(|item| (String::new(), item)).collect())
            }
            Self::Object(fields) if !fields.is_empty() => {
                ("{", "}", fields.iter().map(|(name, v)| (format!("{}: ", quoted(name)), v)).collect())
            }
            _ => return text.push_str(&line),
        };
        if before + line.chars().count() <= WIDTH {
            return text.push_str(&line);
        }
        text.push_str(open);
        let last = rows.len() - 1;
        for (at, (name, value)) in rows.iter().enumerate() {
            text.push('\n');
            text.push_str(&" ".repeat(indent + 2));
            text.push_str(name);
            value.lay_out(text, indent + 2, indent + 3 + name.chars().count());
            text.push_str(if at == last { "" } else { "," });
        }
        text.push('\n');
        text.push_str(&" ".repeat(indent));
        text.push_str(close);
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Json::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_lines_are_short() {
        let text = r#"{"b": [1, -2.5], "a": {"z": null, "y": "x\n"}}"#;
        let value = &Json::all(text).unwrap()[0];
        assert_eq!(value.line(), text);
        assert_eq!(value.layout(), text);
        assert_eq!(value.at(".a.y"), Some(&Json::Text("x\n".to_owned())));
        let long = Json::List(vec![Json::Text("x".repeat(80)), Json::Text("y".repeat(80))]);
        assert_eq!(long.layout(), format!("[\n  \"{}\",\n  \"{}\"\n]", "x".repeat(80), "y".repeat(80)));
        assert_eq!(Json::all("{} {}").unwrap().len(), 2);
        assert_eq!(Json::all("no"), None);
    }
}
