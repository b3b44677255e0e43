//! The bytes of values: each aligned to its own size, counted from the message's start. Only the order of bytes that
//! is the machine's own: both ends are on one machine.

use super::value::Value;

/// How deep values may be nested; D-Bus allows no more.
const DEEPEST: usize = 64;

/// Bytes in the making.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    /// Fills up to a multiple of `size`.
    pub(crate) fn align(&mut self, size: usize) {
        self.0.resize(self.0.len().next_multiple_of(size), 0);
    }

    fn number<const N: usize>(&mut self, bytes: [u8; N]) {
        self.align(N);
        self.0.extend_from_slice(&bytes);
    }

    /// A length or another number of 32 bits.
    pub(crate) fn u32(&mut self, number: u32) {
        self.number(number.to_ne_bytes());
    }

    fn text(&mut self, text: &str) {
        self.u32(text.len() as u32);
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.0.push(signature.len() as u8);
        self.0.extend_from_slice(signature.as_bytes());
        self.0.push(0);
    }

    /// Appends a value.
    pub(crate) fn value(&mut self, value: &Value) {
        match value {
            Value::Byte(byte) => self.0.push(*byte),
            Value::Bool(is) => self.u32(u32::from(*is)),
            Value::I16(number) => self.number(number.to_ne_bytes()),
            Value::U16(number) => self.number(number.to_ne_bytes()),
            Value::I32(number) => self.number(number.to_ne_bytes()),
            Value::U32(number) => self.u32(*number),
            Value::I64(number) => self.number(number.to_ne_bytes()),
            Value::U64(number) | Value::F64(number) => self.number(number.to_ne_bytes()),
            Value::Text(text) | Value::Path(text) => self.text(text),
            Value::Signature(signature) => self.signature(signature),
            Value::Array(of, items) => {
                self.u32(0);
                let length_at = self.0.len() - 4;
                // The gap before the first element does not count, and is there without one, too.
                self.align(alignment(of.as_bytes()));
                let start = self.0.len();
                items.iter().for_each(|item| self.value(item));
                let length = (self.0.len() - start) as u32;
                self.0[length_at..length_at + 4].copy_from_slice(&length.to_ne_bytes());
            }
            Value::Struct(fields) => {
                self.align(8);
                fields.iter().for_each(|field| self.value(field));
            }
            Value::Entry(key, value) => {
                self.align(8);
                self.value(key);
                self.value(value);
            }
            Value::Variant(inner) => {
                self.signature(&inner.signature());
                self.value(inner);
            }
        }
    }
}

fn alignment(signature: &[u8]) -> usize {
    match signature.first() {
        Some(b'n' | b'q') => 2,
        Some(b'b' | b'i' | b'u' | b's' | b'o' | b'a') => 4,
        Some(b'x' | b't' | b'd' | b'(' | b'{') => 8,
        _ => 1,
    }
}

/// Bytes being read. Whatever they are, reading them ends in a value or in words about what is wrong.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

type Read<T> = Result<T, &'static str>;

impl<'a> Reader<'a> {
    /// From the start of a message, or of a body, which is aligned as one.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let end =
            self.at.checked_add(length).filter(|end| *end <= self.bytes.len()).ok_or("it ends early")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn align(&mut self, size: usize) -> Read<()> {
        self.take(self.at.next_multiple_of(size) - self.at).map(|_| ())
    }

    fn number<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.align(N)?;
        self.take(N)?.try_into().map_err(|_| "it ends early")
    }

    /// A number of 32 bits.
    pub(crate) fn u32(&mut self) -> Read<u32> {
        self.number().map(u32::from_ne_bytes)
    }

    fn string(&mut self, length: usize) -> Read<String> {
        let bytes = self.take(length)?;
        if self.take(1)? != [0] {
            return Err("a string without an end");
        }
        String::from_utf8(bytes.to_vec()).map_err(|_| "a string that is not UTF-8")
    }

    fn signature(&mut self) -> Read<String> {
        let length = self.take(1)?[0];
        self.string(length.into())
    }

    /// All values of a signature.
    pub(crate) fn values(&mut self, signature: &str) -> Read<Vec<Value>> {
        let mut rest = signature.as_bytes();
        let mut values = Vec::new();
        while !rest.is_empty() {
            let (one, after) = split_first(rest)?;
            values.push(self.value(one, DEEPEST)?);
            rest = after;
        }
        Ok(values)
    }

    fn value(&mut self, of: &[u8], deepest: usize) -> Read<Value> {
        let deeper = deepest.checked_sub(1).ok_or("it is nested too deep")?;
        Ok(match of[0] {
            b'y' => Value::Byte(self.take(1)?[0]),
            b'b' => match self.u32()? {
                number @ (0 | 1) => Value::Bool(number == 1),
                _ => return Err("a bool that is neither"),
            },
            b'n' => Value::I16(self.number().map(i16::from_ne_bytes)?),
            b'q' => Value::U16(self.number().map(u16::from_ne_bytes)?),
            b'i' => Value::I32(self.number().map(i32::from_ne_bytes)?),
            b'u' => Value::U32(self.u32()?),
            b'x' => Value::I64(self.number().map(i64::from_ne_bytes)?),
            b't' => Value::U64(self.number().map(u64::from_ne_bytes)?),
            b'd' => Value::F64(self.number().map(u64::from_ne_bytes)?),
            b's' | b'o' => {
                let length = self.u32()?;
                let text = self.string(length as usize)?;
                if of[0] == b's' { Value::Text(text) } else { Value::Path(text) }
            }
            b'g' => Value::Signature(self.signature()?),
            b'v' => {
                let signature = self.signature()?;
                match split_first(signature.as_bytes())? {
                    (one, []) => Value::Variant(Box::new(self.value(one, deeper)?)),
                    _ => return Err("a variant of several values"),
                }
            }
            b'a' => {
                let length = self.u32()? as usize;
                self.align(alignment(&of[1..]))?;
                let end = self.at.checked_add(length).ok_or("an array too long")?;
                let mut items = Vec::new();
                while self.at < end {
                    let before = self.at;
                    items.push(self.value(&of[1..], deeper)?);
                    if self.at == before {
                        return Err("an array of nothing");
                    }
                }
                if self.at != end {
                    return Err("an array of another length than it says");
                }
                let of = String::from_utf8(of[1..].to_vec()).map_err(|_| "a bad signature")?;
                Value::Array(of, items)
            }
            b'(' | b'{' => {
                self.align(8)?;
                let mut rest = &of[1..of.len() - 1];
                let mut fields = Vec::new();
                while !rest.is_empty() {
                    let (one, after) = split_first(rest)?;
                    fields.push(self.value(one, deeper)?);
                    rest = after;
                }
                match (of[0], fields.len()) {
                    (b'(', 1..) => Value::Struct(fields),
                    (b'{', 2) => {
                        let value = fields.pop().ok_or("a bad signature")?;
                        let key = fields.pop().ok_or("a bad signature")?;
                        Value::Entry(Box::new(key), Box::new(value))
                    }
                    _ => return Err("a bad signature"),
                }
            }
            _ => return Err("a bad signature"),
        })
    }
}

/// The first whole type of a signature, and the rest.
fn split_first(signature: &[u8]) -> Read<(&[u8], &[u8])> {
    let length = length_of_first(signature, DEEPEST)?;
    Ok(signature.split_at(length))
}

fn length_of_first(signature: &[u8], deepest: usize) -> Read<usize> {
    let deeper = deepest.checked_sub(1).ok_or("it is nested too deep")?;
    match signature.first() {
        None => Err("a bad signature"),
        Some(b'a') => Ok(1 + length_of_first(&signature[1..], deeper)?),
        Some(open @ (b'(' | b'{')) => {
            let close = if *open == b'(' { b')' } else { b'}' };
            let mut at = 1;
            while signature.get(at).is_some_and(|byte| *byte != close) {
                at += length_of_first(&signature[at..], deeper)?;
            }
            if at < signature.len() { Ok(at + 1) } else { Err("a bad signature") }
        }
        Some(_) => Ok(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn both_ways(value: &Value) {
        let mut writer = Writer::default();
        writer.value(value);
        let read = Reader::new(&writer.0).values(&value.signature()).unwrap();
        assert_eq!(read, std::slice::from_ref(value));
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<u8>().prop_map(Value::Byte),
            any::<bool>().prop_map(Value::Bool),
            any::<i16>().prop_map(Value::I16),
            any::<u16>().prop_map(Value::U16),
            any::<i32>().prop_map(Value::I32),
            any::<u32>().prop_map(Value::U32),
            any::<i64>().prop_map(Value::I64),
            any::<u64>().prop_map(Value::U64),
            any::<u64>().prop_map(Value::F64),
            "[a-zä]{0,9}".prop_map(Value::Text),
            Just(Value::Path("/a/b".into())),
            Just(Value::Signature("a(sv)".into())),
            prop::collection::vec(any::<u8>(), 0..9).prop_map(Value::bytes),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4).prop_map(Value::Struct),
                (inner.clone(), 0..3_usize)
                    .prop_map(|(item, n)| Value::Array(item.signature(), vec![item; n])),
                inner.prop_map(|value| Value::Variant(Box::new(value))),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value in values()) {
            both_ways(&value);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..99), signature in "[ybnqiuxtdsogva(){}]{0,9}") {
            let _ = Reader::new(&bytes).values(&signature);
        }
    }

    #[test]
    fn as_the_specification_lays_it_out() {
        let mut writer = Writer::default();
        writer.value(&Value::Byte(1));
        writer.value(&Value::Array("t".into(), vec![Value::U64(5)]));
        let expected: Vec<u8> = [&[1, 0, 0, 0][..], &8_u32.to_ne_bytes(), &5_u64.to_ne_bytes()].concat();
        assert_eq!(writer.0, expected);
        let mut writer = Writer::default();
        writer.value(&Value::Variant(Box::new(Value::text("ab"))));
        assert_eq!(writer.0, [&[1, b's', 0, 0][..], &2_u32.to_ne_bytes(), b"ab\0"].concat());
        both_ways(&Value::Array(
            "{sv}".into(),
            vec![Value::Entry(Box::new(Value::text("k")), Box::new(Value::Variant(Box::new(Value::U32(1)))))],
        ));
    }

    #[test]
    fn what_is_too_deep_or_too_long_is_refused() {
        let bytes: Vec<u8> = std::iter::repeat_n([1, b'v', 0], 99).flatten().collect();
        assert_eq!(Reader::new(&bytes).values("v"), Err("it is nested too deep"));
        assert_eq!(Reader::new(&[255, 255, 255, 255]).values("s"), Err("it ends early"));
        assert_eq!(Reader::new(&[]).values(&"(".repeat(200)), Err("it is nested too deep"));
        for bad in ["a", "(", "(y", "z", "()", "a{y}"] {
            assert!(Reader::new(&[1, 0, 0, 0, 0, 0, 0, 0, 1, 1]).values(bad).is_err(), "{bad}");
        }
    }
}
