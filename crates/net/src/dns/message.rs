//! Questions and answers as bytes (RFC 1035, with RFC 6891's sizes).

use domain::{
    base::{
        Message, MessageBuilder, Name, ParsedName, Question as Asked, Rtype, ToName,
        iana::{Class, Opcode, Rcode},
    },
    rdata::{A, Aaaa, Ptr},
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How long an answer may be kept, in seconds, as in Docker.
const TTL: u32 = 600;
/// What every client takes by UDP, in bytes.
const SMALLEST_LIMIT: usize = 512;
/// No answer of brig's own is longer, by UDP.
const LARGEST_LIMIT: usize = 4096;
/// No message is longer, by TCP.
const LONGEST: usize = 65535;

/// What a client asks.
#[derive(Debug)]
pub struct Question<'a> {
    message: Message<&'a [u8]>,
    asked: Asked<ParsedName<&'a [u8]>>,
}

/// What kind of answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// IPv4 addresses.
    Ipv4,
    /// IPv6 addresses.
    Ipv6,
    /// The name of an address.
    Name(IpAddr),
    /// Something that brig has nothing to say about.
    Else,
}

/// Why bytes are no question.
#[derive(Debug, PartialEq, Eq)]
pub enum Unread {
    /// They deserve no answer.
    Ignored,
    /// This answer says it.
    Answered(Vec<u8>),
}

/// How a message is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// In a datagram, where the client takes only so much.
    Udp,
    /// In a stream.
    Tcp,
}

impl<'a> Question<'a> {
    /// Reads a client's question.
    ///
    /// # Errors
    /// When it is none, or one that nobody answers.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Unread> {
        let message = Message::from_octets(bytes).map_err(|_| Unread::Ignored)?;
        if message.header().qr() {
            return Err(Unread::Ignored);
        }
        let refuse = |code| Unread::Answered(failure(&message, code));
        if message.header().opcode() != Opcode::QUERY {
            return Err(refuse(Rcode::NOTIMP));
        }
        let asked = message.sole_question().map_err(|_| refuse(Rcode::FORMERR))?;
        Ok(Self { message, asked })
    }

    /// The name, in lower case and without the last dot.
    #[must_use]
    pub fn name(&self) -> String {
        self.asked.qname().to_string().to_lowercase()
    }

    /// What is asked about it.
    #[must_use]
    pub fn asks(&self) -> Asks {
        match self.asked.qtype() {
            _ if self.asked.qclass() != Class::IN => Asks::Else,
            Rtype::A => Asks::Ipv4,
            Rtype::AAAA => Asks::Ipv6,
            Rtype::PTR => reversed(&self.name()).map_or(Asks::Else, Asks::Name),
            _ => Asks::Else,
        }
    }

    /// An answer with those of a name's addresses that were asked for, which may be none.
    #[must_use]
    pub fn addresses(&self, addresses: &[IpAddr], carrier: Carrier) -> Vec<u8> {
        self.answer(carrier, |answer, name| {
            addresses.iter().try_for_each(|address| match (self.asks(), address) {
                (Asks::Ipv4, IpAddr::V4(ip)) => {
                    let [a, b, c, d] = ip.octets();
                    answer.push((name, TTL, A::from_octets(a, b, c, d)))
                }
                (Asks::Ipv6, IpAddr::V6(ip)) => answer.push((name, TTL, Aaaa::new(*ip))),
                _ => Ok(()),
            })
        })
    }

    /// An answer with the name of an address.
    #[must_use]
    pub fn pointer(&self, to: &str, carrier: Carrier) -> Vec<u8> {
        let Ok(to) = Name::<Vec<u8>>::from_chars(to.chars()) else {
            return self.failure(Rcode::SERVFAIL);
        };
        self.answer(carrier, |answer, name| answer.push((name, TTL, Ptr::new(&to))))
    }

    /// An answer that says no more than why there is none.
    #[must_use]
    pub fn failure(&self, code: Rcode) -> Vec<u8> {
        failure(&self.message, code)
    }

    fn answer(
        &self,
        carrier: Carrier,
        fill: impl FnOnce(
            &mut Answer,
            &ParsedName<&'a [u8]>,
        ) -> Result<(), domain::base::message_builder::PushError>,
    ) -> Vec<u8> {
        let mut builder = MessageBuilder::from_target(Vec::new()).unwrap_or_else(|e| match e {});
        builder.set_push_limit(match carrier {
            Carrier::Udp => self.limit(),
            Carrier::Tcp => LONGEST,
        });
        let Ok(mut answer) = builder.start_answer(&self.message, Rcode::NOERROR) else {
            return self.failure(Rcode::SERVFAIL);
        };
        answer.header_mut().set_ra(true);
        if fill(&mut answer, self.asked.qname()).is_err() {
            // The client asks once more by TCP.
            answer.header_mut().set_tc(true);
        }
        answer.finish()
    }

    /// How long an answer may be by UDP.
    fn limit(&self) -> usize {
        let said = self.message.opt().map_or(SMALLEST_LIMIT, |opt| usize::from(opt.udp_payload_size()));
        said.clamp(SMALLEST_LIMIT, LARGEST_LIMIT)
    }
}

type Answer = domain::base::message_builder::AnswerBuilder<Vec<u8>>;

fn failure(message: &Message<&[u8]>, code: Rcode) -> Vec<u8> {
    let builder = MessageBuilder::from_target(Vec::new()).unwrap_or_else(|e| match e {});
    match builder.start_answer(message, code) {
        Ok(mut answer) => {
            answer.header_mut().set_ra(true);
            answer.finish()
        }
        // Questions that can't be read are left out.
        Err(_) => {
            let mut builder = MessageBuilder::from_target(Vec::new()).unwrap_or_else(|e| match e {});
            let header = builder.header_mut();
            header.set_id(message.header().id());
            header.set_qr(true);
            header.set_rcode(code);
            builder.finish()
        }
    }
}

/// The address in a name such as `2.0.0.10.in-addr.arpa`.
fn reversed(name: &str) -> Option<IpAddr> {
    if let Some(v4) = name.strip_suffix(".in-addr.arpa") {
        let octets: Vec<u8> = v4.rsplit('.').map(str::parse).collect::<Result<_, _>>().ok()?;
        return <[u8; 4]>::try_from(octets).ok().map(|octets| Ipv4Addr::from(octets).into());
    }
    let nibbles: Vec<u8> = name
        .strip_suffix(".ip6.arpa")?
        .rsplit('.')
        .map(|digit| (digit.len() == 1).then(|| u8::from_str_radix(digit, 16).ok()).flatten())
        .collect::<Option<_>>()?;
    let octets: Vec<u8> = nibbles.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    let whole = nibbles.len() == 32;
    <[u8; 16]>::try_from(octets).ok().filter(|_| whole).map(|octets| Ipv6Addr::from(octets).into())
}

/// What a server outside says to a question that was sent to it with `id`: its code, or nothing where the bytes are no
/// answer to that question.
#[must_use]
pub fn answers(question: &[u8], id: u16, answer: &[u8]) -> Option<Rcode> {
    let (question, answer) = (Message::from_octets(question).ok()?, Message::from_octets(answer).ok()?);
    if !answer.header().qr() || answer.header().id() != id {
        return None;
    }
    let asked = question.sole_question().ok()?;
    let same = |heard: Asked<ParsedName<&[u8]>>| {
        heard.qname().name_eq(asked.qname())
            && heard.qtype() == asked.qtype()
            && heard.qclass() == asked.qclass()
    };
    match answer.sole_question() {
        Ok(heard) if same(heard) => Some(answer.header().rcode()),
        // A server that can't read the question may leave it out.
        Err(_) if answer.header_counts().qdcount() == 0 && answer.header().rcode() != Rcode::NOERROR => {
            Some(answer.header().rcode())
        }
        _ => None,
    }
}

/// A message's id, where it is long enough to have one.
#[must_use]
pub fn id(message: &[u8]) -> Option<u16> {
    message.first_chunk::<2>().map(|bytes| u16::from_be_bytes(*bytes))
}

/// Gives a message another id. One that is too short to have one stays.
pub fn set_id(message: &mut [u8], id: u16) {
    if let Some(bytes) = message.first_chunk_mut::<2>() {
        *bytes = id.to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ask(name: &str, kind: Rtype, edns: Option<u16>) -> Vec<u8> {
        let mut builder = MessageBuilder::new_vec().question();
        builder.header_mut().set_id(7);
        builder.header_mut().set_rd(true);
        builder.push((&Name::<Vec<u8>>::from_chars(name.chars()).unwrap(), kind)).unwrap();
        let mut more = builder.additional();
        if let Some(size) = edns {
            more.opt(|opt| {
                opt.set_udp_payload_size(size);
                Ok(())
            })
            .unwrap();
        }
        more.finish()
    }

    fn many(count: u8) -> Vec<IpAddr> {
        (0..count).map(|n| IpAddr::from([10, 0, 0, n])).collect()
    }

    fn parsed(answer: &[u8]) -> (Message<&[u8]>, Vec<String>) {
        let message = Message::from_octets(answer).unwrap();
        let records = message.answer().unwrap().limit_to::<domain::rdata::AllRecordData<_, _>>();
        let records = records.map(|r| r.map(|r| format!("{} {} {}", r.owner(), r.rtype(), r.data())));
        (message, records.collect::<Result<_, _>>().unwrap())
    }

    #[test]
    fn questions_are_read_and_answered() {
        let bytes = ask("Web.Example", Rtype::A, None);
        let question = Question::read(&bytes).unwrap();
        assert_eq!((question.name().as_str(), question.asks()), ("web.example", Asks::Ipv4));
        let both = [IpAddr::from([10, 0, 0, 1]), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let answer = question.addresses(&both, Carrier::Udp);
        let (message, records) = parsed(&answer);
        assert_eq!(records, ["Web.Example A 10.0.0.1"]);
        let header = message.header();
        assert!(header.qr() && header.ra() && header.rd() && !header.tc());
        assert_eq!(answers(&bytes, 7, &answer), Some(Rcode::NOERROR));
        // A name that has no address of the kind asked for.
        let bytes = ask("web", Rtype::AAAA, None);
        let answer = Question::read(&bytes).unwrap().addresses(&both[..1], Carrier::Udp);
        assert_eq!((parsed(&answer).1.len(), answers(&bytes, 7, &answer)), (0, Some(Rcode::NOERROR)));
    }

    #[test]
    fn addresses_are_looked_up_as_names() {
        let bytes = ask("2.0.18.172.in-addr.arpa", Rtype::PTR, None);
        let question = Question::read(&bytes).unwrap();
        assert_eq!(question.asks(), Asks::Name([172, 18, 0, 2].into()));
        assert_eq!(
            parsed(&question.pointer("web.net", Carrier::Udp)).1,
            ["2.0.18.172.in-addr.arpa PTR web.net."]
        );
        let ip = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x12);
        let name = "2.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(reversed(name), Some(ip.into()));
        for wrong in ["1.2.3.in-addr.arpa", "256.0.0.1.in-addr.arpa", "1.ip6.arpa", "x", &name[2..]] {
            assert_eq!(reversed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_too_long_is_said_to_be_so() {
        for (edns, cut) in [(None, true), (Some(100), true), (Some(4096), false)] {
            let bytes = ask("web", Rtype::A, edns);
            let question = Question::read(&bytes).unwrap();
            let answer = question.addresses(&many(60), Carrier::Udp);
            assert_eq!(parsed(&answer).0.header().tc(), cut, "{edns:?}");
            assert!(answer.len() <= question.limit());
            assert_eq!(parsed(&question.addresses(&many(200), Carrier::Tcp)).1.len(), 200);
        }
    }

    #[test]
    fn what_is_no_question() {
        assert_eq!(Question::read(b"").unwrap_err(), Unread::Ignored);
        let answer = Question::read(&ask("a", Rtype::A, None)).unwrap().failure(Rcode::SERVFAIL);
        assert_eq!(Question::read(&answer).unwrap_err(), Unread::Ignored);
        let header_alone = [0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let Unread::Answered(refused) = Question::read(&header_alone).unwrap_err() else { panic!() };
        assert_eq!(parsed(&refused).0.header().rcode(), Rcode::FORMERR);
        let mut update = ask("a", Rtype::A, None);
        update[2] |= 5 << 3;
        let Unread::Answered(refused) = Question::read(&update).unwrap_err() else { panic!() };
        assert_eq!(parsed(&refused).0.header().rcode(), Rcode::NOTIMP);
    }

    #[test]
    fn only_answers_to_the_question_count() {
        let question = ask("web.example", Rtype::A, None);
        let answer = Question::read(&question).unwrap().failure(Rcode::NXDOMAIN);
        assert_eq!(answers(&question, 7, &answer), Some(Rcode::NXDOMAIN));
        assert_eq!(answers(&question, 8, &answer), None);
        assert_eq!(answers(&question, 7, &question), None);
        for other in [ask("other.example", Rtype::A, None), ask("web.example", Rtype::AAAA, None)] {
            assert_eq!(answers(&other, 7, &answer), None);
        }
        let mut renamed = answer.clone();
        set_id(&mut renamed, 9);
        assert_eq!((id(&renamed), answers(&question, 9, &renamed)), (Some(9), Some(Rcode::NXDOMAIN)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(question) = Question::read(&bytes) {
                let _ = (question.name(), question.asks());
                let _ = question.addresses(&many(9), Carrier::Udp);
                let _ = question.pointer("web.net", Carrier::Udp);
            }
            let _ = answers(&bytes, 1, &bytes);
            let asked = ask("web", Rtype::A, None);
            let mut spoilt = asked.clone();
            for (at, byte) in bytes.iter().enumerate().take(4) {
                let place = (at * 31 + usize::from(*byte)) % spoilt.len();
                spoilt[place] ^= byte;
            }
            let _ = Question::read(&spoilt).map(|q| (q.name(), q.addresses(&many(3), Carrier::Tcp)));
            let _ = answers(&asked, 7, &spoilt);
        }
    }
}
