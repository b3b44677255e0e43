//! nftables by nfnetlink: batches of tables, chains, sets, elements and rules, and the few expressions that brig's
//! rules are made of. Numbers are those of the kernel's `linux/netfilter/nf_tables.h`.

use crate::netlink::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_DUMP, Refused, Socket, Writer, find, read_text};
use std::io;

const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const GET_CHAIN: u16 = 4;
const NEW_RULE: u16 = 6;
const GET_RULE: u16 = 7;
const DELETE_RULE: u16 = 8;
const NEW_SET: u16 = 9;
const NEW_ELEMENTS: u16 = 12;
const DELETE_ELEMENTS: u16 = 14;

const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const LIST_ELEMENT: u16 = 1;
const SET_MAP: u32 = 8;
/// A nested list of elements must stay below 64 KiB.
const ELEMENTS_A_MESSAGE: usize = 500;

/// What addresses a table speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Both.
    Inet = 1,
    /// IPv4 only.
    Ip = 2,
    /// IPv6 only.
    Ip6 = 10,
}

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

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It goes on to the next base chain.
    Accept,
    /// It ends here.
    Drop,
    /// It goes through another chain and comes back.
    Jump(&'a str),
    /// It leaves this chain.
    Return,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Is {
    /// Equal.
    Equal = 0,
    /// Not equal.
    Not = 1,
}

/// A 4-byte register, counted from zero to fifteen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Register(pub u32);

impl Register {
    fn number(self) -> u32 {
        8 + self.0
    }
}

/// What `meta` loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meta {
    /// Index of the interface it came from.
    InputIndex = 4,
    /// Name of the interface it came from.
    InputName = 6,
    /// Name of the interface it leaves by.
    OutputName = 7,
    /// IPv4 (2) or IPv6 (10).
    Family = 15,
    /// The transport protocol.
    Protocol = 16,
}

/// What `ct` loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ct {
    /// State bits: established 2, related 4.
    State = 0,
    /// Status bits: destination translated 0x20.
    Status = 2,
}

/// Which header `payload` reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// IPv4 or IPv6.
    Network = 1,
    /// TCP, UDP or SCTP.
    Transport = 2,
}

/// Which address `fib` asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fib {
    /// Destination.
    Destination = 2,
}

/// Writes the expressions of one rule.
#[derive(Debug)]
pub struct Rule<'w>(&'w mut Writer);

impl Rule<'_> {
    fn expression(&mut self, name: &str, body: impl FnOnce(&mut Writer)) -> &mut Self {
        self.0.nest(LIST_ELEMENT, |w| {
            w.text(1, name);
            w.nest(2, body);
        });
        self
    }

    /// Loads a property of the packet.
    pub fn meta(&mut self, what: Meta, to: Register) -> &mut Self {
        self.expression("meta", |w| {
            w.number_be(1, to.number());
            w.number_be(2, what as u32);
        })
    }

    /// Goes on only when the register compares so with `data`.
    pub fn compare(&mut self, register: Register, is: Is, data: &[u8]) -> &mut Self {
        self.expression("cmp", |w| {
            w.number_be(1, register.number());
            w.number_be(2, is as u32);
            w.nest(3, |w| w.attr(DATA_VALUE, data));
        })
    }

    /// Loads bytes of a header.
    pub fn payload(&mut self, header: Header, offset: u32, length: u32, to: Register) -> &mut Self {
        self.expression("payload", |w| {
            w.number_be(1, to.number());
            w.number_be(2, header as u32);
            w.number_be(3, offset);
            w.number_be(4, length);
        })
    }

    /// Goes on only when the set has the key that starts in the register.
    pub fn lookup(&mut self, set: &str, key: Register) -> &mut Self {
        self.expression("lookup", |w| {
            w.text(1, set);
            w.number_be(2, key.number());
        })
    }

    /// Goes on only when the map has the key that starts in the register; the value replaces it.
    pub fn map(&mut self, map: &str, key: Register) -> &mut Self {
        self.expression("lookup", |w| {
            w.text(1, map);
            w.number_be(2, key.number());
            w.number_be(3, key.number());
        })
    }

    /// Loads the kind of address: local is 2.
    pub fn fib_type(&mut self, which: Fib, to: Register) -> &mut Self {
        const ADDRESS_TYPE: u32 = 3;
        self.expression("fib", |w| {
            w.number_be(1, to.number());
            w.number_be(2, ADDRESS_TYPE);
            w.number_be(3, which as u32);
        })
    }

    /// Loads a property of the packet's connection.
    pub fn ct(&mut self, what: Ct, to: Register) -> &mut Self {
        self.expression("ct", |w| {
            w.number_be(1, to.number());
            w.number_be(2, what as u32);
        })
    }

    /// Goes on only when one of `bits` is set in the register.
    pub fn any_bit(&mut self, register: Register, bits: u32) -> &mut Self {
        self.mask(register, &bits.to_ne_bytes()).compare(register, Is::Not, &[0; 4])
    }

    /// Clears the bits of the register that are not in `mask`.
    pub fn mask(&mut self, register: Register, mask: &[u8]) -> &mut Self {
        self.expression("bitwise", |w| {
            w.number_be(1, register.number());
            w.number_be(2, register.number());
            w.number_be(3, u32::try_from(mask.len()).expect("at most 16 bytes"));
            w.nest(4, |w| w.attr(DATA_VALUE, mask));
            w.nest(5, |w| w.attr(DATA_VALUE, &[0; 16][..mask.len()]));
        })
    }

    /// Translates the destination to the address and port in the registers.
    pub fn dnat(&mut self, family: Family, address: Register, port: Register) -> &mut Self {
        const DESTINATION: u32 = 1;
        self.expression("nat", |w| {
            w.number_be(1, DESTINATION);
            w.number_be(2, family as u32);
            w.number_be(3, address.number());
            w.number_be(5, port.number());
        })
    }

    /// Translates the source to the address of the interface that the packet leaves by.
    pub fn masquerade(&mut self) -> &mut Self {
        self.expression("masq", |_| {})
    }

    /// Counts packets and bytes (iptables-nft expects it in each of its rules).
    pub fn counter(&mut self) -> &mut Self {
        self.expression("counter", |w| {
            w.attr(1, &0u64.to_be_bytes());
            w.attr(2, &0u64.to_be_bytes());
        })
    }

    /// Ends the rule.
    pub fn verdict(&mut self, verdict: Verdict<'_>) {
        let (code, chain): (i32, Option<&str>) = match verdict {
            Verdict::Drop => (0, None),
            Verdict::Accept => (1, None),
            Verdict::Jump(chain) => (-3, Some(chain)),
            Verdict::Return => (-5, None),
        };
        self.expression("immediate", |w| {
            w.number_be(1, 0);
            w.nest(2, |w| {
                w.nest(DATA_VERDICT, |w| {
                    w.number_be(1, code.cast_unsigned());
                    if let Some(chain) = chain {
                        w.text(2, chain);
                    }
                });
            });
        });
    }

    /// Goes on only when the interface that it came from or leaves by compares so with `name`.
    pub fn interface(&mut self, which: Meta, is: Is, name: &str) -> &mut Self {
        self.meta(which, Register(0)).compare(Register(0), is, &interface_bytes(name))
    }
}

fn interface_bytes(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    // Longer names don't exist: the kernel refuses them.
    let length = name.len().min(15);
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    bytes
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

    fn finish(mut self) -> Writer {
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

/// A base chain of anyone's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainInfo {
    /// Its table's family.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// The hook's number; none for a chain to jump to.
    pub hook: Option<u32>,
    /// `filter`, `nat` or `route`.
    pub kind: String,
    /// Whether packets that reach its end are dropped.
    pub drops: bool,
}

/// A rule of anyone's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleInfo {
    /// Its table's family.
    pub family: Family,
    /// Its table.
    pub table: String,
    /// Its chain.
    pub chain: String,
    /// What it is deleted by.
    pub handle: u64,
    /// Its comment.
    pub comment: String,
}

/// A way to nftables in one network namespace.
#[derive(Debug)]
pub struct Nft(Socket);

impl Nft {
    /// Opens it in the calling thread's network namespace.
    pub fn open() -> io::Result<Self> {
        Socket::netfilter().map(Self)
    }

    /// Makes all changes of the batch, or none.
    pub fn commit(&mut self, batch: Batch) -> Result<(), Refused> {
        if batch.is_empty() {
            return Ok(());
        }
        self.0.transact(&batch.finish())
    }

    /// All chains of IPv4, IPv6 and both.
    pub fn chains(&mut self) -> io::Result<Vec<ChainInfo>> {
        let mut found = Vec::new();
        let request = dump(GET_CHAIN, &[0; 4], |_| {});
        self.0.query(&request, |_, body| found.extend(parse_chain(body)))?;
        Ok(found)
    }

    /// The rules of a chain that have a comment.
    pub fn commented_rules(&mut self, chain: &ChainInfo) -> io::Result<Vec<RuleInfo>> {
        let mut found = Vec::new();
        let request = dump(GET_RULE, &[chain.family as u8, 0, 0, 0], |w| {
            w.text(1, &chain.table);
            w.text(2, &chain.name);
        });
        self.0.query(&request, |_, body| found.extend(parse_rule(body)))?;
        Ok(found)
    }
}

fn dump(kind: u16, head: &[u8; 4], body: impl FnOnce(&mut Writer)) -> Writer {
    let mut request = Writer::default();
    request.message(SUBSYSTEM << 8 | kind, NLM_F_DUMP, |w| {
        w.raw(head);
        body(w);
    });
    request
}

fn parse_chain(body: &[u8]) -> Option<ChainInfo> {
    let (family, attrs) = (family_of(body)?, body.get(4..)?);
    let hook = find(attrs, 4).and_then(|hook| find(hook, 1)).and_then(be32);
    Some(ChainInfo {
        family,
        table: read_text(find(attrs, 1)?),
        name: read_text(find(attrs, 3)?),
        hook,
        kind: find(attrs, 7).map(read_text).unwrap_or_default(),
        drops: find(attrs, 5).and_then(be32) == Some(0),
    })
}

fn parse_rule(body: &[u8]) -> Option<RuleInfo> {
    let (family, attrs) = (family_of(body)?, body.get(4..)?);
    let mut userdata = find(attrs, 7)?;
    let comment = loop {
        let (&[kind, length], rest) = userdata.split_first_chunk::<2>()?;
        let (value, rest) = rest.split_at_checked(length.into())?;
        if kind == 0 {
            break read_text(value);
        }
        userdata = rest;
    };
    Some(RuleInfo {
        family,
        table: read_text(find(attrs, 1)?),
        chain: read_text(find(attrs, 2)?),
        handle: find(attrs, 3)?.first_chunk().copied().map(u64::from_be_bytes)?,
        comment,
    })
}

fn family_of(body: &[u8]) -> Option<Family> {
    [Family::Inet, Family::Ip, Family::Ip6].into_iter().find(|f| body.first() == Some(&(*f as u8)))
}

fn be32(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().copied().map(u32::from_be_bytes)
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

    #[test]
    fn comments_are_found_among_other_userdata() {
        let mut w = Writer::default();
        w.raw(&[2, 0, 0, 0]);
        w.text(1, "filter");
        w.text(2, "FORWARD");
        w.attr(3, &7u64.to_be_bytes());
        w.attr(7, &[1, 2, 9, 9, 0, 5, b'b', b'r', b'i', b'g', 0]);
        let rule = parse_rule(w.bytes()).unwrap();
        assert_eq!((rule.handle, rule.comment.as_str()), (7, "brig"));
        assert_eq!(crate::netlink::attributes(&w.bytes()[4..]).count(), 4);
        for cut in 0..w.bytes().len() - 12 {
            assert_eq!(parse_rule(&w.bytes()[..cut]), None);
        }
    }
}
