//! Framing of stdout and stderr in one stream, for processes without a terminal: each piece has a header of
//! eight bytes, the stream's number, three zeros, and the length, big endian.

/// The media type of a stream without frames, of a terminal.
pub const RAW_STREAM: &str = "application/vnd.docker.raw-stream";
/// The media type of a stream of frames (since API 1.42; before, all were called raw).
pub const MULTIPLEXED_STREAM: &str = "application/vnd.docker.multiplexed-stream";
/// Bytes of a frame's header.
pub const HEADER_LEN: usize = 8;
/// The longest error of the daemon that is taken from a stream, in bytes.
const MAX_ERROR: usize = 64 << 10;

/// Which stream a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum StreamType {
    /// Not sent by daemons, but taken as output.
    Stdin = 0,
    /// Output.
    Stdout = 1,
    /// Errors of the process.
    Stderr = 2,
    /// An error of the daemon: the stream broke.
    SystemErr = 3,
}

impl StreamType {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Stdin,
            1 => Self::Stdout,
            2 => Self::Stderr,
            3 => Self::SystemErr,
            _ => return None,
        })
    }
}

/// Why a stream of frames could not be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// This is no stream of frames.
    #[error("Unrecognized input header: {0}")]
    BadHeader(u8),
    /// The daemon told an error within the stream.
    #[error("error from daemon in stream: {0}")]
    Daemon(String),
}

/// The header of a frame of `len` bytes.
#[must_use]
pub fn header(stream: StreamType, len: u32) -> [u8; HEADER_LEN] {
    let [a, b, c, d] = len.to_be_bytes();
    [stream as u8, 0, 0, 0, a, b, c, d]
}

/// Takes a stream of frames apart as it arrives, without holding frames back: of a large frame, each piece is
/// handed on at once.
#[derive(Debug, Default)]
pub struct Decoder {
    header: [u8; HEADER_LEN],
    have: usize,
    frame: Option<(StreamType, usize)>,
    error: Vec<u8>,
}

impl Decoder {
    /// At the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one piece off the front of `input`: the stream and the bytes, or `None` when `input` is used up.
    ///
    /// # Errors
    /// When this is no stream of frames, or the daemon tells an error.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<(StreamType, &'a [u8])>, StreamError> {
        loop {
            if let Some((stream, left)) = &mut self.frame {
                let stream = *stream;
                let (piece, rest) = input.split_at((*left).min(input.len()));
                *input = rest;
                *left -= piece.len();
                let ended = *left == 0;
                if ended {
                    self.frame = None;
                }
                if stream == StreamType::SystemErr {
                    let room = MAX_ERROR.saturating_sub(self.error.len()).min(piece.len());
                    self.error.extend_from_slice(&piece[..room]);
                    if ended {
                        return Err(StreamError::Daemon(String::from_utf8_lossy(&self.error).into_owned()));
                    }
                    return Ok(None);
                }
                if !piece.is_empty() {
                    return Ok(Some((stream, piece)));
                }
                if !ended {
                    return Ok(None);
                }
            }
            if input.is_empty() {
                return Ok(None);
            }
            let take = (HEADER_LEN - self.have).min(input.len());
            self.header[self.have..self.have + take].copy_from_slice(&input[..take]);
            *input = &input[take..];
            self.have += take;
            if self.have < HEADER_LEN {
                return Ok(None);
            }
            self.have = 0;
            let [kind, _, _, _, a, b, c, d] = self.header;
            let stream = StreamType::from_byte(kind).ok_or(StreamError::BadHeader(kind))?;
            self.frame = Some((stream, u32::from_be_bytes([a, b, c, d]) as usize));
        }
    }

    /// Whether the stream may end here: not within a frame.
    #[must_use]
    pub fn at_boundary(&self) -> bool {
        self.have == 0 && self.frame.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(stream: StreamType, bytes: &[u8]) -> Vec<u8> {
        [&header(stream, u32::try_from(bytes.len()).unwrap())[..], bytes].concat()
    }

    fn decode(chunks: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>, bool), StreamError> {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut decoder = Decoder::new();
        for mut chunk in chunks.iter().copied() {
            while let Some((stream, piece)) = decoder.next(&mut chunk)? {
                if stream == StreamType::Stderr { &mut err } else { &mut out }.extend_from_slice(piece);
            }
            assert!(chunk.is_empty());
        }
        Ok((out, err, decoder.at_boundary()))
    }

    #[test]
    fn a_header_is_eight_bytes() {
        assert_eq!(header(StreamType::Stderr, 0x0102_0304), [2, 0, 0, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn wrong_headers_and_errors_of_the_daemon_are_told() {
        assert_eq!(decode(&[b"HTTP/1.1"]), Err(StreamError::BadHeader(b'H')));
        let broken = frame(StreamType::SystemErr, b"log gone");
        assert_eq!(decode(&[&broken[..10], &broken[10..]]), Err(StreamError::Daemon("log gone".into())));
        assert_eq!(decode(&[&frame(StreamType::SystemErr, b"")]), Err(StreamError::Daemon(String::new())));
    }

    #[test]
    fn the_end_within_a_frame_is_seen() {
        let bytes = frame(StreamType::Stdout, b"abc");
        assert!(!decode(&[&bytes[..10]]).unwrap().2);
        assert!(!decode(&[&bytes[..3]]).unwrap().2);
        assert_eq!(decode(&[&bytes]).unwrap(), (b"abc".to_vec(), vec![], true));
        assert_eq!(decode(&[&frame(StreamType::Stdout, b"")]).unwrap(), (vec![], vec![], true));
    }

    proptest! {
        #[test]
        fn frames_are_found_however_the_stream_is_cut(
            pieces in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..10),
            size in 1usize..50,
        ) {
            let mut bytes = Vec::new();
            let (mut out, mut err) = (Vec::new(), Vec::new());
            for (is_err, piece) in &pieces {
                let (stream, sink) =
                    if *is_err { (StreamType::Stderr, &mut err) } else { (StreamType::Stdout, &mut out) };
                bytes.extend(frame(stream, piece));
                sink.extend_from_slice(piece);
            }
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(decode(&chunks), Ok((out, err, true)));
        }
    }
}
