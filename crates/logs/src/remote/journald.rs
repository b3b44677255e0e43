//! The system's journal, by its native protocol.

use super::{Facts, is_partial, line, severity};
use crate::{Record, timestamp};

/// Where it listens.
pub const SOCKET: &str = "/run/systemd/journal/socket";

pub(super) fn encode(facts: &Facts, record: &Record) -> Vec<u8> {
    let mut out = Vec::with_capacity(record.text.len() + 512);
    field(&mut out, "PRIORITY", &severity(record).to_string());
    field(&mut out, "CONTAINER_ID", facts.short_id());
    field(&mut out, "CONTAINER_ID_FULL", &facts.id);
    field(&mut out, "CONTAINER_NAME", &facts.name);
    field(&mut out, "CONTAINER_TAG", &facts.tag);
    field(&mut out, "IMAGE_NAME", &facts.image);
    field(&mut out, "SYSLOG_IDENTIFIER", &facts.tag);
    field(&mut out, "SYSLOG_TIMESTAMP", &timestamp::nano(record.time));
    for (name, value) in &facts.extra {
        field(&mut out, &name_of(name), value);
    }
    if is_partial(record) {
        field(&mut out, "CONTAINER_PARTIAL_MESSAGE", "true");
    }
    field(&mut out, "MESSAGE", line(record));
    out
}

/// A name that the journal takes: capital letters, digits and `_`, which is not first.
fn name_of(name: &str) -> String {
    let letters = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    letters.collect::<String>().trim_start_matches('_').to_owned()
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    if name.is_empty() {
        return;
    }
    out.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}
