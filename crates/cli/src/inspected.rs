//! Inspected objects: JSON in the daemon's order of keys, printed again as it came, or seen by templates as the
//! Go types of Docker's client show it.
//!
//! Docker decodes into structs, so that `{{.State}}` is printed as a struct, fields left out of the JSON have
//! their zero values, and `null` is an empty list, an empty map or a nil pointer. Instead of all those types,
//! a few tables say which keys are maps, which are pointers, and which fields may be left out.

use crate::template::{
    Value,
    json::{Html, string},
    value::{Field, Struct},
};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::{fmt, rc::Rc};

/// What an inspected object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A container.
    Container,
    /// An image.
    Image,
    /// A network.
    Network,
    /// A volume.
    Volume,
    /// A plugin.
    Plugin,
    /// Something of a swarm.
    Swarm,
}

impl Kind {
    /// The name in `--type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
            Self::Plugin => "plugin",
            Self::Swarm => "swarm",
        }
    }

    fn go_type(self) -> &'static str {
        match self {
            Self::Container => "container.InspectResponse",
            Self::Image => "image.InspectResponse",
            Self::Network => "network.Inspect",
            Self::Volume => "volume.Volume",
            Self::Plugin => "types.Plugin",
            Self::Swarm => "swarm.Object",
        }
    }
}

/// JSON in the order in which it came.
#[derive(Debug, Clone, PartialEq)]
pub enum Ordered {
    /// `null`
    Null,
    /// A truth value.
    Bool(bool),
    /// A number, as it was written.
    Number(serde_json::Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Ordered>),
    /// An object.
    Object(Vec<(String, Ordered)>),
}

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Ordered;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_unit<E>(self) -> Result<Ordered, E> {
                Ok(Ordered::Null)
            }

            fn visit_bool<E>(self, b: bool) -> Result<Ordered, E> {
                Ok(Ordered::Bool(b))
            }

            fn visit_i64<E>(self, n: i64) -> Result<Ordered, E> {
                Ok(Ordered::Number(n.into()))
            }

            fn visit_u64<E>(self, n: u64) -> Result<Ordered, E> {
                Ok(Ordered::Number(n.into()))
            }

            fn visit_f64<E>(self, n: f64) -> Result<Ordered, E> {
                Ok(serde_json::Number::from_f64(n).map_or(Ordered::Null, Ordered::Number))
            }

            fn visit_str<E>(self, s: &str) -> Result<Ordered, E> {
                Ok(Ordered::Text(s.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Ordered, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element()? {
                    list.push(item);
                }
                Ok(Ordered::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered::Object(entries))
            }
        }
        d.deserialize_any(Reader)
    }
}

/// Keys whose values are maps in Go.
const MAPS: &[&str] = &[
    "Annotations",
    "Attributes",
    "AuxiliaryAddresses",
    "Containers",
    "Data",
    "DriverOpts",
    "ExposedPorts",
    "Labels",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "Services",
    "Status",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "Volumes",
];

/// Maps whose elements are structs or lists, not texts, with the elements' Go types.
const ELEMENTS: &[(&str, &str)] = &[
    ("Containers", "network.EndpointResource"),
    ("ExposedPorts", "struct {}"),
    ("Networks", "*network.EndpointSettings"),
    ("PortBindings", "[]nat.PortBinding"),
    ("Ports", "[]nat.PortBinding"),
    ("Volumes", "struct {}"),
];

/// Keys whose `null` is a nil pointer; that of others is an empty list or map.
const POINTERS: &[(&str, &str)] = &[
    ("BindOptions", "*mount.BindOptions"),
    ("ClusterOptions", "*mount.ClusterOptions"),
    ("Descriptor", "*v1.Descriptor"),
    ("Health", "*container.Health"),
    ("Healthcheck", "*v1.HealthcheckConfig"),
    ("IPAMConfig", "*network.EndpointIPAMConfig"),
    ("ImageManifestDescriptor", "*v1.Descriptor"),
    ("Init", "*bool"),
    ("MemorySwappiness", "*int64"),
    ("OomKillDisable", "*bool"),
    ("PidsLimit", "*int64"),
    ("SizeRootFs", "*int64"),
    ("SizeRw", "*int64"),
    ("StopTimeout", "*int"),
    ("TmpfsOptions", "*mount.TmpfsOptions"),
    ("VolumeOptions", "*mount.VolumeOptions"),
];

/// Keys that Go's fields spell in another way.
const SPELT: &[(&str, &str)] = &[
    ("Dns", "DNS"),
    ("DnsOptions", "DNSOptions"),
    ("DnsSearch", "DNSSearch"),
    ("Os", "Os"),
    ("Id", "ID"),
    ("HostIp", "HostIP"),
];

enum Zero {
    Text,
    List,
    Map(&'static str),
    Number,
    Pointer(&'static str),
    False,
}

/// Fields that JSON leaves out when they are empty: the struct that has them, the key that they follow, the key.
const OMITTED: &[(&str, &str, &str, Zero)] = &[
    ("State", "FinishedAt", "Health", Zero::Pointer("*container.Health")),
    ("", "HostConfig", "SizeRw", Zero::Pointer("*int64")),
    ("", "SizeRw", "SizeRootFs", Zero::Pointer("*int64")),
    ("Config", "AttachStderr", "ExposedPorts", Zero::Map("struct {}")),
    ("Config", "Cmd", "Healthcheck", Zero::Pointer("*v1.HealthcheckConfig")),
    ("Config", "Healthcheck", "ArgsEscaped", Zero::False),
    ("Config", "Entrypoint", "NetworkDisabled", Zero::False),
    ("Config", "NetworkDisabled", "MacAddress", Zero::Text),
    ("Config", "Labels", "StopSignal", Zero::Text),
    ("Config", "StopSignal", "StopTimeout", Zero::Pointer("*int")),
    ("Config", "StopTimeout", "Shell", Zero::List),
    ("HostConfig", "ConsoleSize", "Annotations", Zero::Map("string")),
    ("HostConfig", "SecurityOpt", "StorageOpt", Zero::Map("string")),
    ("HostConfig", "StorageOpt", "Tmpfs", Zero::Map("string")),
    ("HostConfig", "ShmSize", "Sysctls", Zero::Map("string")),
    ("HostConfig", "Sysctls", "Runtime", Zero::Text),
    ("HostConfig", "DeviceRequests", "KernelMemory", Zero::Number),
    ("HostConfig", "IOMaximumBandwidth", "Mounts", Zero::List),
    ("HostConfig", "ReadonlyPaths", "Init", Zero::Pointer("*bool")),
    ("Mounts", "Type", "Name", Zero::Text),
    ("Mounts", "Destination", "Driver", Zero::Text),
];

fn lookup<'a>(table: &[(&str, &'a str)], key: &str) -> Option<&'a str> {
    table.iter().find(|(k, _)| *k == key).map(|(_, v)| *v)
}

impl Ordered {
    /// As Docker's client shows it to templates at first.
    #[must_use]
    pub fn typed(&self, kind: Kind) -> Value {
        match self {
            Self::Object(entries) => structure(entries, "", kind.go_type()),
            other => other.value("", ""),
        }
    }

    /// As maps and lists.
    #[must_use]
    pub fn untyped(&self) -> Value {
        match self {
            Self::Null => Value::Missing,
            Self::Bool(b) => Value::Bool(*b),
            Self::Number(n) => Value::Number(n.to_string().into()),
            Self::Text(s) => Value::str(s),
            Self::List(items) => Value::list(items.iter().map(Self::untyped)),
            Self::Object(entries) => {
                let entries = entries.iter().map(|(k, v)| (Rc::from(k.as_str()), v.untyped())).collect();
                Value::map(entries, "interface {}", Value::Missing)
            }
        }
    }

    /// The value of `key`; `inside` is the key of the struct that holds it.
    fn value(&self, key: &str, inside: &str) -> Value {
        match self {
            Self::Null => match lookup(POINTERS, key) {
                Some(_) => Value::Nil(POINTERS.iter().find(|(k, _)| *k == key).map_or("", |(_, v)| v)),
                None if MAPS.contains(&key) => Value::NilMap("string"),
                None => Value::NilList,
            },
            Self::Bool(b) => Value::Bool(*b),
            Self::Number(n) => match n.as_i64() {
                Some(n) => Value::Int(n),
                None => Value::Float(n.as_f64().unwrap_or(0.0)),
            },
            Self::Text(s) => Value::str(s),
            Self::List(items) => Value::list(items.iter().map(|i| i.value("", key))),
            // `Status` of a container's state is a text, `Options` of plugins a list: only objects come here.
            Self::Object(entries) if MAPS.contains(&key) => {
                let elem = ELEMENTS.iter().find(|(k, _)| *k == key).map_or("string", |(_, v)| v);
                let zero = match elem {
                    "string" => Value::str(""),
                    e if e.starts_with('[') => Value::NilList,
                    e if e.starts_with('*') => Value::Nil("*network.EndpointSettings"),
                    _ => Value::Missing,
                };
                let entries = entries.iter().map(|(k, v)| (Rc::from(k.as_str()), v.value("", key))).collect();
                Value::map(entries, elem, zero)
            }
            Self::Object(entries) => structure(entries, if key.is_empty() { inside } else { key }, "struct"),
        }
    }

    /// On one line.
    #[must_use]
    pub fn compact(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, None);
        out
    }

    /// With four blanks a level.
    #[must_use]
    pub fn indented(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, Some(0));
        out
    }

    fn write(&self, out: &mut String, depth: Option<usize>) {
        let line = |out: &mut String, depth: Option<usize>| {
            if let Some(depth) = depth {
                out.push('\n');
                out.extend(std::iter::repeat_n("    ", depth));
            }
        };
        let inner = depth.map(|d| d + 1);
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
            Self::Number(n) => out.push_str(&n.to_string()),
            Self::Text(s) => string(out, s, Html::Plain),
            Self::List(items) if items.is_empty() => out.push_str("[]"),
            Self::Object(entries) if entries.is_empty() => out.push_str("{}"),
            Self::List(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    line(out, inner);
                    item.write(out, inner);
                }
                line(out, depth);
                out.push(']');
            }
            Self::Object(entries) => {
                out.push('{');
                for (i, (key, item)) in entries.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    line(out, inner);
                    string(out, key, Html::Plain);
                    out.push_str(if depth.is_some() { ": " } else { ":" });
                    item.write(out, inner);
                }
                line(out, depth);
                out.push('}');
            }
        }
    }
}

fn structure(entries: &[(String, Ordered)], inside: &str, type_name: &'static str) -> Value {
    let mut fields: Vec<Field> = entries
        .iter()
        .map(|(key, value)| Field {
            name: lookup(SPELT, key).unwrap_or(key).into(),
            json: key.as_str().into(),
            value: value.value(key, inside),
            omit_empty: false,
        })
        .collect();
    for (holder, after, key, zero) in OMITTED {
        if *holder != inside || fields.iter().any(|f| &*f.json == *key) {
            continue;
        }
        let Some(place) = fields.iter().position(|f| &*f.json == *after) else { continue };
        let value = match zero {
            Zero::Text => Value::str(""),
            Zero::List => Value::NilList,
            Zero::Map(elem) => Value::NilMap(elem),
            Zero::Number => Value::Int(0),
            Zero::Pointer(name) => Value::Nil(name),
            Zero::False => Value::Bool(false),
        };
        fields.insert(place + 1, Field { name: (*key).into(), json: (*key).into(), value, omit_empty: true });
    }
    Value::Struct(Rc::new(Struct { type_name, fields }))
}
