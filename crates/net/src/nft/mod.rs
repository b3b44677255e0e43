//! nftables by nfnetlink: batches of tables, chains, sets, elements and rules ([`Batch`]), the few expressions that
//! brig's rules are made of ([`Rule`]), and what others have there ([`Nft`]). Numbers are those of the kernel's
//! `linux/netfilter/nf_tables.h`.

mod batch;
mod read;
mod rule;

pub use batch::{Batch, ChainKind, DataType, Element, Hook, Key};
pub use read::{ChainInfo, Nft, RuleInfo};
pub use rule::{Ct, Fib, Header, Is, Meta, Register, Rule, Verdict};

const SUBSYSTEM: u16 = 10;
const DATA_VALUE: u16 = 1;
const LIST_ELEMENT: u16 = 1;

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

fn interface_bytes(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    // Longer names don't exist: the kernel refuses them.
    let length = name.len().min(15);
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    bytes
}
