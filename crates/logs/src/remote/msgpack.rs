//! As much of MessagePack as Fluentd needs.

/// Writes values one after another.
#[derive(Debug, Default)]
pub(super) struct Packer(pub(super) Vec<u8>);

impl Packer {
    pub(super) fn array(&mut self, length: u8) {
        debug_assert!(length < 16);
        self.0.push(0x90 | length);
    }

    pub(super) fn map(&mut self, length: usize) {
        match u16::try_from(length) {
            Ok(length @ 0..=15) => self.0.push(0x80 | length as u8),
            // Nobody picks more labels than fit into the arguments of a request.
            length => {
                self.0.push(0xde);
                self.0.extend_from_slice(&length.unwrap_or(u16::MAX).to_be_bytes());
            }
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        match text.len() {
            length @ 0..=31 => self.0.push(0xa0 | length as u8),
            length @ 32..=0xff => self.0.extend_from_slice(&[0xd9, length as u8]),
            length @ 0x100..=0xffff => {
                self.0.push(0xda);
                self.0.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                self.0.push(0xdb);
                // A record is far shorter than four gigabytes.
                self.0.extend_from_slice(&(length as u32).to_be_bytes());
            }
        }
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn number(&mut self, number: u32) {
        self.0.push(0xce);
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    /// Fluentd's own type: seconds and nanoseconds.
    pub(super) fn event_time(&mut self, seconds: u32, nanos: u32) {
        self.0.extend_from_slice(&[0xd7, 0x00]);
        self.0.extend_from_slice(&seconds.to_be_bytes());
        self.0.extend_from_slice(&nanos.to_be_bytes());
    }
}
