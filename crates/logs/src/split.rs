//! Cutting a stream of bytes into lines, and overlong lines into pieces.

use crate::encode::Piece;

/// The longest piece of a line in bytes; Docker's.
pub const MAX_PIECE: usize = 16 << 10;

/// Cuts one stream. Holds back what is not yet a line, [`MAX_PIECE`] bytes at most.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    held: Vec<u8>,
    /// When the first piece of the line under way was emitted; all of its pieces bear that time.
    began: Option<i64>,
}

impl Splitter {
    /// Takes the next bytes; calls `emit` with each piece, without its newline, and its time.
    pub(crate) fn feed(
        &mut self,
        mut bytes: &[u8],
        now: impl Fn() -> i64,
        mut emit: impl FnMut(&[u8], Piece, i64),
    ) {
        while !bytes.is_empty() {
            let room = MAX_PIECE - self.held.len();
            let window = &bytes[..bytes.len().min(room)];
            if let Some(end) = memchr::memchr(b'\n', window) {
                let at = self.began.take().unwrap_or_else(&now);
                if self.held.is_empty() {
                    emit(&bytes[..end], Piece::Line, at);
                } else {
                    self.held.extend_from_slice(&bytes[..end]);
                    emit(&self.held, Piece::Line, at);
                    self.held.clear();
                }
                bytes = &bytes[end + 1..];
            } else {
                self.held.extend_from_slice(window);
                bytes = &bytes[window.len()..];
                if self.held.len() == MAX_PIECE {
                    let at = *self.began.get_or_insert_with(&now);
                    let cut = whole_characters(&self.held);
                    emit(&self.held[..cut], Piece::Partial, at);
                    self.held.drain(..cut);
                }
            }
        }
    }

    /// The stream ended: what is held back is its last piece, without a newline.
    pub(crate) fn end(&mut self, now: impl Fn() -> i64, mut emit: impl FnMut(&[u8], Piece, i64)) {
        let at = self.began.take().unwrap_or_else(now);
        if !self.held.is_empty() {
            emit(&self.held, Piece::Partial, at);
            self.held = Vec::new();
        }
    }

    /// Gives back memory that is not needed now.
    pub(crate) fn shrink(&mut self) {
        self.held.shrink_to_fit();
    }
}

/// The length of `bytes` without a character that is cut off at its end. (Docker cuts through characters and
/// then writes U+FFFD for both halves.)
fn whole_characters(bytes: &[u8]) -> usize {
    for back in 1..=3.min(bytes.len()) {
        let at = bytes.len() - back;
        let need = match bytes[at] {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if need > back { at } else { bytes.len() };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(chunks: &[&[u8]]) -> Vec<(Vec<u8>, Piece)> {
        let mut pieces = Vec::new();
        let mut splitter = Splitter::default();
        let mut emit = |text: &[u8], piece, _| pieces.push((text.to_vec(), piece));
        for chunk in chunks {
            splitter.feed(chunk, || 0, &mut emit);
        }
        splitter.end(|| 0, &mut emit);
        pieces
    }

    #[test]
    fn lines_across_chunks_and_an_open_end() {
        assert_eq!(
            split(&[b"a\nb", b"c\n\n", b"tail"]),
            [
                (b"a".to_vec(), Piece::Line),
                (b"bc".to_vec(), Piece::Line),
                (b"".to_vec(), Piece::Line),
                (b"tail".to_vec(), Piece::Partial)
            ]
        );
    }

    /// Docker, for 40,000 bytes and a newline: 16384, 16384, 7232; for exactly 16384 an empty line follows.
    #[test]
    fn overlong_lines_as_docker_cuts_them() {
        let lengths = |n: usize| -> Vec<(usize, Piece)> {
            let line = [vec![b'x'; n], vec![b'\n']].concat();
            split(&[&line]).into_iter().map(|(text, piece)| (text.len(), piece)).collect()
        };
        assert_eq!(lengths(40_000), [(16384, Piece::Partial), (16384, Piece::Partial), (7232, Piece::Line)]);
        assert_eq!(lengths(16384), [(16384, Piece::Partial), (0, Piece::Line)]);
        assert_eq!(lengths(16383), [(16383, Piece::Line)]);
    }

    #[test]
    fn characters_are_not_cut_through() {
        let text = format!("x{}", "é".repeat(MAX_PIECE));
        for (piece, _) in split(&[text.as_bytes()]) {
            std::str::from_utf8(&piece).unwrap();
        }
        // Nor does what only looks like a beginning hold a piece up.
        let garbage = vec![0xff; MAX_PIECE * 2];
        assert_eq!(split(&[&garbage]).len(), 2);
    }

    #[test]
    fn all_pieces_of_a_line_bear_its_first_time() {
        let clock = std::cell::Cell::new(0);
        let now = || {
            clock.set(clock.get() + 1);
            clock.get()
        };
        let mut times = Vec::new();
        let mut splitter = Splitter::default();
        let text = [vec![b'x'; MAX_PIECE * 2], b"\nnext\n".to_vec()].concat();
        splitter.feed(&text, now, |_, _, at| times.push(at));
        assert_eq!(times, [1, 1, 1, 2]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_however_it_arrives(
            chunks in proptest::collection::vec("[a\né]{0,9000}", 0..8),
        ) {
            let bytes: Vec<&[u8]> = chunks.iter().map(String::as_bytes).collect();
            let mut joined = Vec::new();
            for (text, piece) in split(&bytes) {
                prop_assert!(text.len() <= MAX_PIECE);
                joined.extend_from_slice(&text);
                if piece == Piece::Line {
                    joined.push(b'\n');
                }
            }
            prop_assert_eq!(joined, bytes.concat());
        }
    }
}
