//! Fluentd's forward protocol, a message at a time.

use super::{
    Address, Facts, Message, address::with_port, boolean, invalid, is_partial, line, msgpack::Packer,
};
use crate::{Error, Record, Stream};
use std::collections::BTreeMap;

/// What Docker's driver takes.
pub(super) const OPTIONS: [&str; 10] = [
    "fluentd-address",
    "fluentd-async",
    "fluentd-async-reconnect-interval",
    "fluentd-buffer-limit",
    "fluentd-max-retries",
    "fluentd-request-ack",
    "fluentd-retry-wait",
    "fluentd-sub-second-precision",
    "fluentd-write-timeout",
    "fluentd-read-timeout",
];

/// Settings of the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub(super) address: Address,
    sub_second: bool,
    request_ack: bool,
}

impl Settings {
    pub(super) fn read(options: &BTreeMap<String, String>) -> Result<Self, Error> {
        const PORT: u16 = 24224;
        let given = options.get("fluentd-address").map_or("", String::as_str);
        let address = match given {
            "" => Some(Address::Tcp(format!("127.0.0.1:{PORT}"))),
            text if text.contains("://") => Address::read(text, PORT),
            text => with_port(text, PORT).map(Address::Tcp),
        };
        let address = match address {
            Some(address @ (Address::Tcp(_) | Address::Tls(_) | Address::Stream(_))) => address,
            _ => {
                return Err(invalid(
                    "fluentd-address",
                    given,
                    "expected HOST:PORT, tcp://, tls:// or unix://",
                ));
            }
        };
        // There is nothing to wait for here, whatever they say: the lines are in a file.
        boolean(options, "fluentd-async")?;
        Ok(Self {
            address,
            sub_second: boolean(options, "fluentd-sub-second-precision")?,
            request_ack: boolean(options, "fluentd-request-ack")?,
        })
    }

    pub(super) fn encode(&self, facts: &Facts, record: &Record, number: u64) -> Message {
        let mut fields: BTreeMap<&str, &str> =
            facts.extra.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let name = format!("/{}", facts.name);
        fields.insert("container_id", &facts.id);
        fields.insert("container_name", &name);
        fields.insert("source", if record.stream == Stream::Stderr { "stderr" } else { "stdout" });
        fields.insert("log", line(record));
        if is_partial(record) {
            fields.insert("partial_message", "true");
        }
        let ack = self.request_ack.then(|| format!("{}-{}-{number}", facts.short_id(), record.time));
        let seconds = u32::try_from(record.time.div_euclid(1_000_000_000)).unwrap_or(0);
        let mut out = Packer::default();
        out.array(if ack.is_some() { 4 } else { 3 });
        out.text(&facts.tag);
        match self.sub_second {
            // Less than a second.
            true => out.event_time(seconds, record.time.rem_euclid(1_000_000_000) as u32),
            false => out.number(seconds),
        }
        out.map(fields.len());
        for (name, value) in fields {
            out.text(name);
            out.text(value);
        }
        if let Some(ack) = &ack {
            out.map(1);
            out.text("chunk");
            out.text(ack);
        }
        Message { parts: vec![out.0], ack }
    }
}
