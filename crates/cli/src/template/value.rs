//! The values that templates see: what Go's reflection shows of JSON, of known structs and of list entries.

use std::rc::Rc;

/// A value in a template.
#[derive(Debug, Clone)]
pub enum Value {
    /// No value at all, as a missing map entry gives: prints `<no value>`.
    Missing,
    /// A nil pointer of this Go type: prints `<nil>`.
    Nil(&'static str),
    /// A truth value.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A number from untyped JSON, kept as it was written.
    Number(Rc<str>),
    /// A text.
    Str(Rc<str>),
    /// A list.
    List(Rc<[Value]>),
    /// A nil list: prints as an empty one, and is `null` in JSON.
    NilList,
    /// A nil map with elements of this Go type.
    NilMap(&'static str),
    /// A map with text keys, in any order; printed and ranged over in order of the keys.
    Map(Rc<Map>),
    /// A struct of a known type.
    Struct(Rc<Struct>),
    /// Something with methods: an entry of a list.
    Object(Rc<dyn Object>),
}

/// A map with text keys.
#[derive(Debug, Clone)]
pub struct Map {
    /// The entries, sorted by key.
    pub entries: Vec<(Rc<str>, Value)>,
    /// The Go type of the elements.
    pub elem: &'static str,
    /// What `index` gives for a missing key: the element type's zero value.
    pub zero: Value,
    /// Elements are pointers: printed inside the map as an address.
    pub pointers: bool,
}

/// A struct of a known type: fields in the order of its Go declaration.
#[derive(Debug, Clone)]
pub struct Struct {
    /// The Go type, `container.State`.
    pub type_name: &'static str,
    /// The fields.
    pub fields: Vec<Field>,
}

/// A field of a struct.
#[derive(Debug, Clone)]
pub struct Field {
    /// The name in Go.
    pub name: Rc<str>,
    /// The name in JSON; empty for an embedded struct, whose fields are also its holder's.
    pub json: Rc<str>,
    /// The value.
    pub value: Value,
    /// Left out of JSON when it is the zero value.
    pub omit_empty: bool,
}

/// Something whose methods a template may call.
pub trait Object: std::fmt::Debug {
    /// The Go type as errors name it, `*formatter.ContainerContext`.
    fn type_name(&self) -> &str;
    /// How many arguments the method takes, or nothing when there is no such method.
    fn arity(&self, method: &str) -> Option<usize>;
    /// Calls a method that exists with the right number of arguments.
    ///
    /// # Errors
    /// The method's own words.
    fn call(&self, method: &str, args: &[Value]) -> Result<Value, String>;
    /// The names of all methods that take no argument, for `json`.
    fn names(&self) -> Vec<&'static str>;
}

impl Value {
    /// A text.
    pub fn str(text: impl AsRef<str>) -> Self {
        Self::Str(Rc::from(text.as_ref()))
    }

    /// A list.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Self {
        Self::List(items.into_iter().collect())
    }

    /// A map of texts whose missing keys give no value, as typed maps do.
    pub fn text_map<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let entries = entries.into_iter().map(|(k, v)| (Rc::from(k), Self::str(v))).collect();
        Self::map(entries, "string", Value::str(""))
    }

    /// A typed map with the zero value of its elements.
    #[must_use]
    pub fn map(mut entries: Vec<(Rc<str>, Value)>, elem: &'static str, zero: Value) -> Self {
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Self::Map(Rc::new(Map { entries, elem, zero, pointers: elem.starts_with('*') }))
    }

    /// JSON as an untyped value.
    #[must_use]
    pub fn from_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Missing,
            serde_json::Value::Bool(b) => Self::Bool(*b),
            serde_json::Value::Number(n) => Self::Number(Rc::from(n.to_string())),
            serde_json::Value::String(s) => Self::str(s),
            serde_json::Value::Array(items) => Self::list(items.iter().map(Self::from_json)),
            serde_json::Value::Object(object) => {
                let entries =
                    object.iter().map(|(k, v)| (Rc::from(k.as_str()), Self::from_json(v))).collect();
                Self::map(entries, "interface {}", Value::Missing)
            }
        }
    }

    /// Whether `if` takes it for true.
    #[must_use]
    pub fn truth(&self) -> bool {
        match self {
            Self::Missing | Self::Nil(_) | Self::NilList | Self::NilMap(_) => false,
            Self::Bool(b) => *b,
            Self::Int(n) => *n != 0,
            Self::Float(n) => *n != 0.0,
            Self::Number(n) => !n.is_empty(),
            Self::Str(s) => !s.is_empty(),
            Self::List(l) => !l.is_empty(),
            Self::Map(m) => !m.entries.is_empty(),
            Self::Struct(_) | Self::Object(_) => true,
        }
    }

    /// The Go type as errors name it.
    #[must_use]
    pub fn type_name(&self) -> String {
        match self {
            Self::Missing => "<nil>".to_owned(),
            Self::Nil(name) => (*name).to_owned(),
            Self::Bool(_) => "bool".to_owned(),
            Self::Int(_) => "int".to_owned(),
            Self::Float(_) => "float64".to_owned(),
            Self::Number(_) => "json.Number".to_owned(),
            Self::Str(_) => "string".to_owned(),
            Self::NilList => "[]string".to_owned(),
            Self::NilMap(elem) => format!("map[string]{elem}"),
            Self::List(items) => match items.first() {
                Some(Self::Str(_)) => "[]string".to_owned(),
                _ => "[]interface {}".to_owned(),
            },
            Self::Map(m) => format!("map[string]{}", m.elem),
            Self::Struct(s) => s.type_name.to_owned(),
            Self::Object(o) => o.type_name().to_owned(),
        }
    }
}

impl Map {
    /// The entry of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.binary_search_by(|(k, _)| (**k).cmp(key)).ok().map(|i| &self.entries[i].1)
    }
}

impl Struct {
    /// A field by its Go name, those of embedded structs too.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let own = self.fields.iter().find(|f| &*f.name == name).map(|f| &f.value);
        own.or_else(|| {
            self.fields.iter().filter(|f| f.json.is_empty()).find_map(|f| match &f.value {
                Value::Struct(inner) => inner.get(name),
                _ => None,
            })
        })
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::str(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::str(text)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::str(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}
