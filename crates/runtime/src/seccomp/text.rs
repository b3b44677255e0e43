//! Instructions as text, for a program that another process compiled: base64 of the kernel's `struct sock_filter`s,
//! numbers in the machine's byte order. Reading a program back is much quicker than compiling its rules again.

use super::Instruction;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serializer, de::Error};

const SIZE: usize = size_of::<Instruction>();

pub(super) fn serialize<S: Serializer>(instructions: &[Instruction], to: S) -> Result<S::Ok, S::Error> {
    let mut bytes = Vec::with_capacity(instructions.len() * SIZE);
    for Instruction { code, jt, jf, k } in instructions {
        bytes.extend(code.to_ne_bytes());
        bytes.extend([*jt, *jf]);
        bytes.extend(k.to_ne_bytes());
    }
    to.serialize_str(&BASE64_STANDARD.encode(bytes))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Instruction>, D::Error> {
    let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
    let bytes = BASE64_STANDARD.decode(text.as_bytes()).map_err(D::Error::custom)?;
    let (whole, rest) = bytes.as_chunks::<SIZE>();
    if !rest.is_empty() {
        return Err(D::Error::custom("a seccomp program ends inside an instruction"));
    }
    let instruction = |[c0, c1, jt, jf, k0, k1, k2, k3]: &[u8; SIZE]| Instruction {
        code: u16::from_ne_bytes([*c0, *c1]),
        jt: *jt,
        jf: *jf,
        k: u32::from_ne_bytes([*k0, *k1, *k2, *k3]),
    };
    Ok(whole.iter().map(instruction).collect())
}

#[cfg(test)]
mod tests {
    use crate::capabilities::CapabilitySet;
    use crate::seccomp::{Abi, ProfileFacts, Program, compile, default_profile};

    #[test]
    fn a_program_comes_back_as_it_was() {
        let facts =
            ProfileFacts { abi: Abi::X86_64, capabilities: CapabilitySet::DOCKER_DEFAULT, kernel: (6, 1) };
        let program = compile(&default_profile(&facts)).unwrap();
        let text = serde_json::to_string(&program).unwrap();
        assert_eq!(serde_json::from_str::<Program>(&text).unwrap(), program);
    }

    #[test]
    fn half_an_instruction_is_refused() {
        for text in ["\"AAAA\"", "\"%\"", "7"] {
            let json = format!(r#"{{"instructions":{text},"flags":0}}"#);
            assert!(serde_json::from_str::<Program>(&json).is_err(), "{text}");
        }
    }
}
