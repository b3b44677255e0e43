//! A rule's expressions. Packets' properties are loaded into registers, compared, looked up, and decided upon.

use super::{DATA_VALUE, Family, LIST_ELEMENT, interface_bytes};
use crate::netlink::Writer;

const DATA_VERDICT: u16 = 2;

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
    /// The kind of the interface it came from (`bridge`); hardware has none.
    InputKind = 26,
    /// The kind of the interface it leaves by.
    OutputKind = 27,
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
pub struct Rule<'w>(pub(super) &'w mut Writer);

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

    /// Loads these bytes.
    pub fn load(&mut self, data: &[u8], to: Register) -> &mut Self {
        self.expression("immediate", |w| {
            w.number_be(1, to.number());
            w.nest(2, |w| w.attr(DATA_VALUE, data));
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

    /// Translates the source to the address in the register.
    pub fn snat(&mut self, family: Family, address: Register) -> &mut Self {
        const SOURCE: u32 = 0;
        self.expression("nat", |w| {
            w.number_be(1, SOURCE);
            w.number_be(2, family as u32);
            w.number_be(3, address.number());
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
