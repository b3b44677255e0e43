//! Graylog's extended log format, 1.1.

use super::{Address, Facts, Message, invalid, line, severity};
use crate::{Error, Record};
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, io::Write};

/// What Docker's driver takes.
pub(super) const OPTIONS: [&str; 5] = [
    "gelf-address",
    "gelf-compression-type",
    "gelf-compression-level",
    "gelf-tcp-max-reconnect",
    "gelf-tcp-reconnect-delay",
];

/// Bytes of a datagram that is a piece of a message, and of its head.
const CHUNK: usize = 1420;
const HEAD: usize = 12;
/// A message has no more pieces.
const CHUNKS: usize = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
    Zlib,
}

/// Settings of the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub(super) address: Address,
    packing: Packing,
    level: u32,
}

impl Settings {
    pub(super) fn read(options: &BTreeMap<String, String>) -> Result<Self, Error> {
        let text = |name: &str| options.get(name).map_or("", String::as_str);
        let given = text("gelf-address");
        let expected = "expected udp://HOST:PORT or tcp://HOST:PORT";
        let address = match Address::read(given, 12201) {
            Some(address @ (Address::Udp(_) | Address::Tcp(_))) => address,
            _ => return Err(invalid("gelf-address", given, expected)),
        };
        let packs = matches!(address, Address::Udp(_));
        if !packs && options.keys().any(|name| name.starts_with("gelf-compression")) {
            return Err(Error::Refused("compression is only supported on UDP".to_owned()));
        }
        if packs && options.keys().any(|name| name.starts_with("gelf-tcp")) {
            return Err(Error::Refused("\"gelf-tcp-max-reconnect\" and \"gelf-tcp-reconnect-delay\" options are only supported for TCP".to_owned()));
        }
        let packing = match text("gelf-compression-type") {
            "" | "gzip" if packs => Packing::Gzip,
            "zlib" => Packing::Zlib,
            "" | "none" => Packing::None,
            other => return Err(invalid("gelf-compression-type", other, "expected gzip, zlib or none")),
        };
        let level = match text("gelf-compression-level") {
            "" | "-1" => 1,
            given => given
                .parse()
                .ok()
                .filter(|level| *level <= 9)
                .ok_or_else(|| invalid("gelf-compression-level", given, "expected -1 to 9"))?,
        };
        for option in ["gelf-tcp-max-reconnect", "gelf-tcp-reconnect-delay"] {
            let given = text(option);
            if !given.is_empty() && given.parse::<u32>().is_err() {
                return Err(invalid("gelf-tcp-max-reconnect", given, "expected a positive integer"));
            }
        }
        Ok(Self { address, packing, level })
    }

    /// Empty lines are left out: a message must not be empty.
    pub(super) fn encode(&self, facts: &Facts, record: &Record, number: u64) -> Option<Message> {
        let text = line(record);
        if text.is_empty() {
            return None;
        }
        let mut json = Map::new();
        let mut put = |name: &str, value: Value| drop(json.insert(name.to_owned(), value));
        put("version", json!("1.1"));
        put("host", json!(facts.host));
        put("short_message", json!(text));
        put("timestamp", json!((record.time / 1_000_000) as f64 / 1000.0));
        put("level", json!(severity(record)));
        put("_command", json!(facts.command));
        put("_container_id", json!(facts.id));
        put("_container_name", json!(facts.name));
        put("_created", json!(facts.created));
        put("_image_id", json!(facts.image_id));
        put("_image_name", json!(facts.image));
        put("_tag", json!(facts.tag));
        for (name, value) in &facts.extra {
            put(&format!("_{name}"), json!(value));
        }
        let mut bytes = Value::Object(json).to_string().into_bytes();
        if let Address::Tcp(_) = self.address {
            bytes.push(0);
            return Some(Message::of(bytes));
        }
        Some(Message { parts: pieces(self.packed(bytes), facts, number), ack: None })
    }

    fn packed(&self, bytes: Vec<u8>) -> Vec<u8> {
        let level = Compression::new(self.level);
        let packed = match self.packing {
            Packing::None => return bytes,
            Packing::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                encoder.write_all(&bytes).and_then(|()| encoder.finish())
            }
            Packing::Zlib => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(&bytes).and_then(|()| encoder.finish())
            }
        };
        // Writing to memory does not fail; what is not packed is as good.
        packed.unwrap_or(bytes)
    }
}

/// Cuts a message that is too long for a datagram. What is too long for all pieces together is cut off, and with it the
/// receiver's chance to read it; no record is that long.
fn pieces(bytes: Vec<u8>, facts: &Facts, number: u64) -> Vec<Vec<u8>> {
    if bytes.len() <= CHUNK {
        return vec![bytes];
    }
    let count = bytes.len().div_ceil(CHUNK - HEAD).min(CHUNKS);
    // Different for all messages that a receiver may put together at once.
    let seed = facts.id.bytes().fold(u64::from(facts.pid), |all, b| all.rotate_left(5) ^ u64::from(b));
    let id = (seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes();
    let cut = bytes.chunks(CHUNK - HEAD).take(CHUNKS).enumerate();
    cut.map(|(index, piece)| {
        let mut datagram = vec![0x1e, 0x0f];
        datagram.extend_from_slice(&id);
        // Both are at most CHUNKS.
        datagram.extend_from_slice(&[index as u8, count as u8]);
        datagram.extend_from_slice(piece);
        datagram
    })
    .collect()
}
