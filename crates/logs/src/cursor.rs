//! A place in a log that is found again, whatever was rotated since.

use crate::{Record, files::Opened};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::FileExt;

/// Longer than any record that brig writes.
const LONGEST: usize = 256 << 10;

/// A place behind a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    device: u64,
    inode: u64,
    /// When the file's first record was written: a number is given to another file when this one is gone.
    began: Option<i64>,
    pub(crate) offset: u64,
}

impl Cursor {
    pub(crate) fn at(file: &Opened, offset: u64) -> Self {
        Self { device: file.identity.device, inode: file.identity.inode, began: began(file), offset }
    }

    /// Whether the place is in this file.
    pub(crate) fn is_in(&self, file: &Opened) -> bool {
        (file.identity.device, file.identity.inode) == (self.device, self.inode)
            && self.offset <= file.size
            && (self.began.is_none() || self.began == began(file))
    }
}

/// When the first record was written.
fn began(file: &Opened) -> Option<i64> {
    let mut block = vec![0; 4096];
    loop {
        let read = file.file.read_at(&mut block, 0).ok()?;
        if let Some(end) = memchr::memchr(b'\n', &block[..read]) {
            return Record::parse(&block[..end]).map(|record| record.time);
        }
        if read < block.len() || block.len() >= LONGEST {
            return None;
        }
        block.resize(block.len() * 4, 0);
    }
}
