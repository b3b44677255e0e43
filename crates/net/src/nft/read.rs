//! What is in the kernel, and the socket to it.

use super::{Batch, Family, SUBSYSTEM};
use crate::netlink::{NLM_F_DUMP, Refused, Socket, Writer, find, read_text};
use std::io;

const GET_CHAIN: u16 = 4;
const GET_RULE: u16 = 7;

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
