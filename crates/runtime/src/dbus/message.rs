//! Calls, answers and signals.

use super::value::Value;
use super::wire::{Reader, Writer};

/// The fixed part of a message's start, with the length of the array of fields.
pub(crate) const START: usize = 16;

/// The longest message that is taken. D-Bus allows more, systemd never says as much to us.
const LONGEST: usize = 16 << 20;

#[cfg(target_endian = "little")]
const ORDER: u8 = b'l';
#[cfg(target_endian = "big")]
const ORDER: u8 = b'B';

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A method is called.
    Call,
    /// It has returned.
    Return,
    /// It has failed.
    Error,
    /// Something has happened.
    Signal,
    /// To be ignored.
    Other,
}

/// A call of a method.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    pub(crate) destination: &'a str,
    pub(crate) path: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) member: &'a str,
    pub(crate) body: Vec<Value>,
}

/// A message that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) serial: u32,
    pub(crate) reply_to: Option<u32>,
    pub(crate) path: String,
    pub(crate) interface: String,
    pub(crate) member: String,
    pub(crate) error: String,
    /// Who sent it, as the bus says; empty where there is no bus between.
    pub(crate) sender: String,
    pub(crate) body: Vec<Value>,
}

// Header fields of the specification.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR: u8 = 4;
const REPLY: u8 = 5;
const DESTINATION: u8 = 6;
const SENDER: u8 = 7;
const SIGNATURE: u8 = 8;

impl Call<'_> {
    /// Its bytes.
    pub(crate) fn bytes(&self, serial: u32) -> Vec<u8> {
        let fields = [
            (PATH, Value::Path(self.path.to_owned())),
            (INTERFACE, Value::text(self.interface)),
            (MEMBER, Value::text(self.member)),
            (DESTINATION, Value::text(self.destination)),
        ];
        bytes(1, serial, fields, &self.body)
    }
}

/// The bytes of a message. Empty fields are left out.
pub(crate) fn bytes(
    kind: u8,
    serial: u32,
    fields: impl IntoIterator<Item = (u8, Value)>,
    body: &[Value],
) -> Vec<u8> {
    let signature: String = body.iter().map(Value::signature).collect();
    let mut said = Writer::default();
    body.iter().for_each(|value| said.value(value));
    let field =
        |(code, value): (u8, Value)| Value::Struct(vec![Value::Byte(code), Value::Variant(Box::new(value))]);
    let fields = fields.into_iter().chain([(SIGNATURE, Value::Signature(signature))]);
    let fields = fields.filter(|(_, value)| value.as_text() != Some("")).map(field).collect();
    let mut message = Writer(vec![ORDER, kind, 0, 1]);
    message.u32(said.0.len() as u32);
    message.u32(serial);
    message.value(&Value::Array("(yv)".into(), fields));
    message.align(8);
    message.0.extend_from_slice(&said.0);
    message.0
}

/// How long the message is that starts so, or what is wrong with it.
pub(crate) fn length(start: &[u8; START]) -> Result<usize, &'static str> {
    if start[0] != ORDER {
        return Err("its bytes are in another machine's order");
    }
    if start[3] != 1 {
        return Err("an unknown version of the protocol");
    }
    let mut reader = Reader::new(&start[4..]);
    let (body, _serial, fields) = (reader.u32()? as usize, reader.u32()?, reader.u32()? as usize);
    let whole = (START + fields.min(LONGEST)).next_multiple_of(8) + body.min(LONGEST);
    if whole > LONGEST { Err("it is too long") } else { Ok(whole) }
}

impl Message {
    /// Reads a whole message.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let start: &[u8; START] = bytes.first_chunk().ok_or("it ends early")?;
        let whole = length(start)?;
        let mut reader = Reader::new(bytes);
        // Order, type, flags and version; length of the body; serial; fields.
        let head = reader.values("yyyyuua(yv)")?;
        let [_, Value::Byte(kind), _, _, Value::U32(body), Value::U32(serial), Value::Array(_, fields)] =
            &head[..]
        else {
            return Err("a bad header");
        };
        let mut message = Self {
            kind: match kind {
                1 => Kind::Call,
                2 => Kind::Return,
                3 => Kind::Error,
                4 => Kind::Signal,
                _ => Kind::Other,
            },
            serial: *serial,
            reply_to: None,
            path: String::new(),
            interface: String::new(),
            member: String::new(),
            error: String::new(),
            sender: String::new(),
            body: Vec::new(),
        };
        let mut signature = String::new();
        for field in fields {
            let Value::Struct(field) = field else { return Err("a bad header") };
            let [Value::Byte(code), Value::Variant(value)] = &field[..] else { return Err("a bad header") };
            let text = || value.as_text().map(str::to_owned).ok_or("a bad header");
            match (code, &**value) {
                (&PATH, _) => message.path = text()?,
                (&INTERFACE, _) => message.interface = text()?,
                (&MEMBER, _) => message.member = text()?,
                (&ERROR, _) => message.error = text()?,
                (&SENDER, _) => message.sender = text()?,
                (&SIGNATURE, _) => signature = text()?,
                (&REPLY, Value::U32(serial)) => message.reply_to = Some(*serial),
                _ => {}
            }
        }
        let body = bytes.get(whole - *body as usize..whole).ok_or("it ends early")?;
        message.body = Reader::new(body).values(&signature)?;
        Ok(message)
    }

    /// The first value of its body as a text.
    pub(crate) fn text(&self) -> Option<&str> {
        self.body.first().and_then(Value::as_text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_both_ways() {
        let call = Call {
            destination: "org.freedesktop.systemd1",
            path: "/org/freedesktop/systemd1",
            interface: "org.freedesktop.systemd1.Manager",
            member: "StopUnit",
            body: vec![Value::text("a.scope"), Value::text("replace")],
        };
        let bytes = call.bytes(7);
        let (start, _) = bytes.split_first_chunk().unwrap();
        assert_eq!(length(start), Ok(bytes.len()));
        let read = Message::parse(&bytes).unwrap();
        assert_eq!((read.kind, read.serial, &*read.member), (Kind::Call, 7, "StopUnit"));
        assert_eq!(read.body, call.body);
    }

    #[test]
    fn an_answer_and_an_error() {
        let answer = bytes(2, 3, [(REPLY, Value::U32(7)), (SENDER, Value::text(":1.2"))], &[]);
        let read = Message::parse(&answer).unwrap();
        assert_eq!((read.kind, read.reply_to, &*read.sender), (Kind::Return, Some(7), ":1.2"));
        let error = bytes(3, 3, [(REPLY, Value::U32(7)), (ERROR, Value::text("a.b"))], &[Value::text("no")]);
        let read = Message::parse(&error).unwrap();
        assert_eq!((read.kind, &*read.error, read.text()), (Kind::Error, "a.b", Some("no")));
    }

    #[test]
    fn nonsense() {
        assert!(Message::parse(&[]).is_err());
        let mut start = [0; START];
        assert!(length(&start).unwrap_err().contains("order"));
        start[0] = ORDER;
        assert!(length(&start).unwrap_err().contains("version"));
        start[3] = 1;
        start[4..8].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(length(&start), Err("it is too long"));
        let mut call = bytes(1, 1, [], &[Value::text("x")]);
        for at in 0..call.len() {
            let before = call[at];
            for byte in [0, 1, 127, 255] {
                call[at] = byte;
                let _ = Message::parse(&call);
            }
            call[at] = before;
        }
    }
}
