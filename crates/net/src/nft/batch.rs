//! Changes to tables, chains, sets and rules.

use super::{DATA_VALUE, Family, LIST_ELEMENT, Rule, RuleInfo, SUBSYSTEM, interface_bytes};
use crate::netlink::{NLM_F_APPEND, NLM_F_CREATE, Writer};

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const DELETE_RULE: u16 = 8;
const NEW_SET: u16 = 9;
const NEW_ELEMENTS: u16 = 12;
const DELETE_ELEMENTS: u16 = 14;

const SET_MAP: u32 = 8;
/// A nested list of elements must stay below 64 KiB.
const ELEMENTS_A_MESSAGE: usize = 500;

/// Where a base chain is hooked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Before the routing decision.
    Prerouting = 0,
    /// On the way from one interface to another.
    Forward = 2,
    /// Made by this host.
    Output = 3,
    /// About to leave.
    Postrouting = 4,
}

/// What a base chain may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainKind {
    /// Accept and drop.
    Filter,
    /// Translate addresses.
    Nat,
}

/// A type of set keys, as the `nft` program numbers them; the kernel only stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    /// An IPv4 address, 4 bytes.
    Ipv4 = 7,
    /// An IPv6 address, 16 bytes.
    Ipv6 = 8,
    /// A protocol number, 1 byte.
    Protocol = 12,
    /// A port, 2 bytes.
    Port = 13,
    /// An interface's name, 16 bytes.
    Interface = 41,
}

impl DataType {
    /// Length in bytes, padded to whole registers.
    fn padded(self) -> u32 {
        match self {
            Self::Ipv4 | Self::Protocol | Self::Port => 4,
            Self::Ipv6 | Self::Interface => 16,
        }
    }

    /// Length in bytes.
    fn length(self) -> u32 {
        match self {
            Self::Protocol => 1,
            Self::Port => 2,
            other => other.padded(),
        }
    }
}

/// A concatenated key (or value): each part padded to whole registers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Vec<u8>);

impl Key {
    /// The key with another part at its end.
    #[must_use]
    pub fn with(mut self, part: &[u8]) -> Self {
        self.0.extend_from_slice(part);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// The key with an interface's name at its end.
    #[must_use]
    pub fn with_interface(self, name: &str) -> Self {
        self.with(&interface_bytes(name))
    }
}

/// An element of a set, or of a map when it has a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Name of the set.
    pub set: &'static str,
    /// Its key.
    pub key: Key,
    /// The value in a map.
    pub value: Option<Key>,
}

/// Changes that the kernel makes all or none.
#[derive(Debug, Clone)]
pub struct Batch {
    writer: Writer,
}

impl Default for Batch {
    fn default() -> Self {
        let mut writer = Writer::default();
        writer.message(BATCH_BEGIN, 0, |w| w.raw(&[0, 0, 0, SUBSYSTEM as u8]));
        Self { writer }
    }
}

impl Batch {
    fn message(&mut self, kind: u16, flags: u16, family: Family, body: impl FnOnce(&mut Writer)) {
        self.writer.message(SUBSYSTEM << 8 | kind, flags, |w| {
            w.raw(&[family as u8, 0, 0, 0]);
            body(w);
        });
    }

    /// Makes the table, or keeps it.
    pub fn table(&mut self, family: Family, name: &str) {
        self.message(NEW_TABLE, NLM_F_CREATE, family, |w| w.text(1, name));
    }

    /// Removes the table and all in it. It must exist.
    pub fn delete_table(&mut self, family: Family, name: &str) {
        self.message(DELETE_TABLE, 0, family, |w| w.text(1, name));
    }

    /// Makes a chain to jump to.
    pub fn chain(&mut self, family: Family, table: &str, name: &str) {
        self.message(NEW_CHAIN, NLM_F_CREATE, family, |w| {
            w.text(1, table);
            w.text(3, name);
        });
    }

    /// Makes a chain that packets come through by themselves; those that reach its end are accepted.
    pub fn base_chain(
        &mut self,
        family: Family,
        table: &str,
        name: &str,
        kind: ChainKind,
        hook: Hook,
        priority: i32,
    ) {
        self.message(NEW_CHAIN, NLM_F_CREATE, family, |w| {
            w.text(1, table);
            w.text(3, name);
            w.nest(4, |w| {
                w.number_be(1, hook as u32);
                w.number_be(2, priority.cast_unsigned());
            });
            w.number_be(5, 1);
            w.text(7, if kind == ChainKind::Nat { "nat" } else { "filter" });
        });
    }

    /// Makes a set; with a value it is a map.
    pub fn set(&mut self, family: Family, table: &str, name: &str, key: &[DataType], value: &[DataType]) {
        let id = self.writer.len();
        self.message(NEW_SET, NLM_F_CREATE, family, |w| {
            w.text(1, table);
            w.text(2, name);
            w.number_be(3, if value.is_empty() { 0 } else { SET_MAP });
            w.number_be(4, type_of(key));
            w.number_be(5, length_of(key));
            if !value.is_empty() {
                w.number_be(6, type_of(value));
                w.number_be(7, length_of(value));
            }
            w.number_be(10, id);
            if key == [DataType::Interface] {
                // For the `nft` program only: the key's bytes are in the host's order, which it needs to print them.
                const KEY_BYTE_ORDER: u8 = 0;
                const HOST: u32 = 1;
                w.attr_with(13, |w| {
                    w.raw(&[KEY_BYTE_ORDER, 4]);
                    w.raw(&HOST.to_ne_bytes());
                });
            }
        });
    }

    /// Adds elements; those that are there already do no harm.
    pub fn add(&mut self, family: Family, table: &str, elements: &[Element]) {
        self.elements(NEW_ELEMENTS, NLM_F_CREATE, family, table, elements);
    }

    /// Removes elements. All of them must be there.
    pub fn remove(&mut self, family: Family, table: &str, elements: &[Element]) {
        self.elements(DELETE_ELEMENTS, 0, family, table, elements);
    }

    fn elements(&mut self, kind: u16, flags: u16, family: Family, table: &str, elements: &[Element]) {
        let of_one_set = elements.chunk_by(|a, b| a.set == b.set);
        for chunk in of_one_set.flat_map(|run| run.chunks(ELEMENTS_A_MESSAGE)) {
            self.message(kind, flags, family, |w| {
                w.text(1, table);
                w.text(2, chunk[0].set);
                w.nest(3, |w| {
                    for element in chunk {
                        w.nest(LIST_ELEMENT, |w| {
                            w.nest(1, |w| w.attr(DATA_VALUE, &element.key.0));
                            if let Some(value) = &element.value {
                                w.nest(2, |w| w.attr(DATA_VALUE, &value.0));
                            }
                        });
                    }
                });
            });
        }
    }

    /// Adds a rule at the end of a chain.
    pub fn rule(&mut self, family: Family, table: &str, chain: &str, body: impl FnOnce(&mut Rule<'_>)) {
        self.message(NEW_RULE, NLM_F_CREATE | NLM_F_APPEND, family, |w| {
            write_rule(w, table, chain, None, body)
        });
    }

    /// Adds a rule at the head of a chain, with a comment to know it by.
    pub fn insert_rule(
        &mut self,
        family: Family,
        table: &str,
        chain: &str,
        comment: &str,
        body: impl FnOnce(&mut Rule<'_>),
    ) {
        self.message(NEW_RULE, NLM_F_CREATE, family, |w| write_rule(w, table, chain, Some(comment), body));
    }

    /// Removes a rule.
    pub fn delete_rule(&mut self, rule: &RuleInfo) {
        self.message(DELETE_RULE, 0, rule.family, |w| {
            w.text(1, &rule.table);
            w.text(2, &rule.chain);
            w.attr(3, &rule.handle.to_be_bytes());
        });
    }

    pub(super) fn finish(mut self) -> Writer {
        // One acknowledgement stands for all: answers are sent after the commit, refusals come unasked.
        self.writer.acknowledge_last();
        self.writer.message(BATCH_END, 0, |w| w.raw(&[0, 0, 0, SUBSYSTEM as u8]));
        self.writer
    }

    /// Whether nothing was put in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.writer.len() == 1
    }
}

fn write_rule(
    w: &mut Writer,
    table: &str,
    chain: &str,
    comment: Option<&str>,
    body: impl FnOnce(&mut Rule<'_>),
) {
    w.text(1, table);
    w.text(2, chain);
    w.nest(4, |w| body(&mut Rule(w)));
    if let Some(comment) = comment {
        w.attr_with(7, |w| {
            // The `nft` program's own form: type 0 is a comment, with its terminating zero.
            w.raw(&[0, u8::try_from(comment.len() + 1).expect("comments are short")]);
            w.raw(comment.as_bytes());
            w.raw(&[0]);
        });
    }
}

fn type_of(parts: &[DataType]) -> u32 {
    parts.iter().fold(0, |all, part| all << 6 | *part as u32)
}

fn length_of(parts: &[DataType]) -> u32 {
    match parts {
        [one] => one.length(),
        several => several.iter().map(|p| p.padded()).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_padded_part_by_part() {
        let key = Key::default().with(&[6]).with(&[10, 0, 0, 1]).with(&80u16.to_be_bytes());
        assert_eq!(key.0, [6, 0, 0, 0, 10, 0, 0, 1, 0, 80, 0, 0]);
        assert_eq!(type_of(&[DataType::Protocol, DataType::Ipv4, DataType::Port]), 12 << 12 | 7 << 6 | 13);
        assert_eq!(length_of(&[DataType::Port]), 2);
        assert_eq!(length_of(&[DataType::Protocol, DataType::Port]), 8);
    }

    #[test]
    fn many_elements_become_many_messages() {
        let element = |n: u32| Element { set: "s", key: Key::default().with(&n.to_be_bytes()), value: None };
        let all: Vec<_> = (0..1001).map(element).collect();
        let mut batch = Batch::default();
        batch.add(Family::Inet, "t", &all);
        assert_eq!(batch.writer.len(), 1 + 3);
    }
}
