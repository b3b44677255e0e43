//! Reading a log, from its beginning or its last lines, once or as it grows.

use crate::{
    Cursor, Error, LogConfig, Record,
    files::{Opened, open_newer},
    tail::{self, Tail},
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::inotify,
};
use std::{
    collections::VecDeque,
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::FileExt,
    },
    path::{Path, PathBuf},
};

/// Bytes read at once.
const BLOCK: usize = 64 << 10;
/// No record is longer: a piece of output with every byte escaped, and generous attributes. What is longer is damage.
const MAX_RECORD: usize = 4 << 20;

/// What to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Only so many of the last records; all when `None`.
    pub tail: Option<u64>,
    /// Only records at or after this time, in nanoseconds since 1970.
    pub since: Option<i64>,
    /// Only records at or before this time; the reading ends at the first later one.
    pub until: Option<i64>,
    /// Whether to go on as the log grows, until [`LogReader::stop_following`].
    pub follow: bool,
}

/// What [`LogReader::step`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// The next record.
    Record(Record),
    /// Nothing now: wait until [`LogReader::as_fd`] is readable, then step again.
    Wait,
    /// Nothing any more.
    End,
}

/// Reads one log. Never blocks but for the disk: `step` until [`Step::Wait`], then wait for the descriptor, in
/// a thread with [`LogReader::wait`] or in an event loop.
///
/// Files are held by descriptor, so rotation neither repeats nor loses records, unless the files are rotated away
/// faster than they are read. Damaged lines are skipped.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    max_file: u32,
    since: Option<i64>,
    until: Option<i64>,
    /// Whether the log may grow.
    following: bool,
    /// What tells of that, unless the caller knows.
    watch: Option<OwnedFd>,
    /// The file being read.
    current: Option<Position>,
    /// Newer files, oldest first.
    pending: VecDeque<Opened>,
    /// Bytes of `current` that are not yet taken as records; `scanned` of them hold no newline.
    buffer: Vec<u8>,
    taken: usize,
    /// Whether newer files are still to be looked for, though nothing is followed any more.
    last_look: bool,
    ended: bool,
}

#[derive(Debug)]
struct Position {
    file: Opened,
    /// Bytes read so far.
    offset: u64,
    /// Whether a newer file is known, so that nothing is written to this one any more.
    finished: bool,
}

impl LogReader {
    /// Opens a log for reading. One that does not exist yet is empty.
    ///
    /// # Errors
    /// [`Error::NotReadable`] for a driver that keeps nothing; what the file system says.
    pub fn open(config: &LogConfig, options: &ReadOptions) -> Result<Self, Error> {
        let rotation = config.driver.rotation().ok_or(Error::NotReadable)?;
        // Watch first, look then: a change in between is seen twice, not never.
        let watch = options.follow.then(|| watch(&config.path)).transpose()?;
        let mut files: VecDeque<Opened> = open_newer(&config.path, rotation.max_file, None)?.into();
        files.make_contiguous().reverse();
        let mut reader = Self {
            path: config.path.clone(),
            max_file: rotation.max_file,
            since: options.since,
            until: options.until,
            following: watch.is_some(),
            watch,
            current: None,
            pending: files,
            buffer: Vec::new(),
            taken: 0,
            last_look: false,
            ended: false,
        };
        let offset = options.tail.map_or(Ok(0), |lines| reader.skip_to_tail(lines))?;
        reader.advance(offset);
        Ok(reader)
    }

    /// Opens a log to follow it from a place where it was read before, or from its beginning. Who waits for it to grow
    /// has means of their own: [`LogReader::as_fd`] is `None`.
    ///
    /// # Errors
    /// As [`LogReader::open`].
    pub fn resume(config: &LogConfig, from: Option<Cursor>) -> Result<Self, Error> {
        let mut reader = Self::open(config, &ReadOptions::default())?;
        reader.following = true;
        let Some(from) = from else { return Ok(reader) };
        // All that is there, the oldest included, which is the current one by now.
        let mut files: Vec<Opened> = reader.current.take().map(|current| current.file).into_iter().collect();
        files.extend(std::mem::take(&mut reader.pending));
        let at = files.iter().position(|file| from.is_in(file));
        // Where its file is gone, all that is left is newer.
        reader.pending = files.into_iter().skip(at.unwrap_or(0)).collect();
        reader.advance(at.map_or(0, |_| from.offset));
        Ok(reader)
    }

    /// Behind the last record that was answered.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        let current = self.current.as_ref()?;
        let offset = current.offset - (self.buffer.len() - self.taken) as u64;
        Some(Cursor::at(&current.file, offset))
    }

    /// The next record, or what to do to get one.
    ///
    /// # Errors
    /// What the file system says. A later call goes on where this one failed.
    pub fn step(&mut self) -> Result<Step, Error> {
        while !self.ended {
            if let Some(record) = self.buffered_record() {
                if self.since.is_some_and(|since| record.time < since) {
                    continue;
                }
                if self.until.is_some_and(|until| record.time > until) {
                    break;
                }
                return Ok(Step::Record(record));
            }
            if self.fill()? {
                continue;
            }
            if self.next_file()? {
                continue;
            }
            if self.following {
                return Ok(Step::Wait);
            }
            break;
        }
        self.ended = true;
        self.buffer = Vec::new();
        self.taken = 0;
        Ok(Step::End)
    }

    /// Nothing more will be written: the reading ends where the log ends now.
    pub fn stop_following(&mut self) {
        // There may have been a rotation since the last look.
        self.last_look |= std::mem::take(&mut self.following);
        self.watch = None;
        // Those were opened to be read to a size that has changed since.
        if let Some(current) = &mut self.current {
            current.file.size = current.file.file.metadata().map_or(current.file.size, |m| m.len());
        }
    }

    /// Readable when the log has changed since the last [`Step::Wait`]; `None` when not following.
    #[must_use]
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// Blocks until the log changes (`true`) or `cancel` is readable or hung up (`false`).
    ///
    /// # Errors
    /// What poll(2) says.
    pub fn wait(&self, cancel: BorrowedFd<'_>) -> io::Result<bool> {
        let Some(watch) = &self.watch else { return Ok(true) };
        let mut fds = [PollFd::new(watch, PollFlags::IN), PollFd::from_borrowed_fd(cancel, PollFlags::IN)];
        loop {
            match poll(&mut fds, None) {
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
                Ok(_) => return Ok(fds[1].revents().is_empty()),
            }
        }
    }

    /// Drops files before the last `lines` lines; answers where those begin in the first file that is left.
    fn skip_to_tail(&mut self, mut lines: u64) -> Result<u64, Error> {
        for index in (0..self.pending.len()).rev() {
            let opened = &self.pending[index];
            match tail::find(&opened.file, opened.size, lines).map_err(Error::io(&self.path, "read"))? {
                Tail::At(offset) => {
                    self.pending.drain(..index);
                    return Ok(offset);
                }
                Tail::Fewer(found) => lines -= found,
            }
        }
        Ok(0)
    }

    /// Makes the oldest pending file the current one.
    fn advance(&mut self, offset: u64) -> bool {
        let Some(file) = self.pending.pop_front() else { return false };
        self.buffer.clear();
        self.taken = 0;
        self.current = Some(Position { file, offset, finished: !self.pending.is_empty() });
        true
    }

    fn buffered_record(&mut self) -> Option<Record> {
        while let Some(length) = memchr::memchr(b'\n', &self.buffer[self.taken..]) {
            let line = &self.buffer[self.taken..self.taken + length];
            self.taken += length + 1;
            if let Some(record) = Record::parse(line) {
                return Some(record);
            }
        }
        None
    }

    /// Reads more of the current file; whether anything came.
    fn fill(&mut self) -> Result<bool, Error> {
        let following = self.following;
        let Some(current) = &mut self.current else { return Ok(false) };
        if following {
            drain(self.watch.as_ref());
        }
        self.buffer.drain(..self.taken);
        self.taken = 0;
        if self.buffer.len() > MAX_RECORD {
            self.buffer.clear();
        }
        let mut want = BLOCK as u64;
        if !following && !current.finished {
            // The log may grow faster than the reader's reader reads: its end is where it was.
            want = want.min(current.file.size.saturating_sub(current.offset));
        }
        let held = self.buffer.len();
        // Not more than BLOCK.
        self.buffer.resize(held + want as usize, 0);
        let read = current.file.file.read_at(&mut self.buffer[held..], current.offset);
        let got = *read.as_ref().unwrap_or(&0);
        self.buffer.truncate(held + got);
        read.map_err(Error::io(&self.path, "read"))?;
        current.offset += got as u64;
        if got == 0 && following {
            let length = current.file.file.metadata().map_err(Error::io(&self.path, "stat"))?.len();
            let line_start = current.offset - self.buffer.len() as u64;
            if length < line_start {
                // Emptied, as rotation with one file does.
                current.offset = 0;
                self.buffer.clear();
                return Ok(length > 0);
            }
            if length < current.offset {
                // The writer cut off a record that it could not write whole.
                current.offset = line_start;
                self.buffer.clear();
                return Ok(length > line_start);
            }
        }
        Ok(got > 0)
    }

    /// At the end of the current file: goes to the next one, if there is one. Whether to read on.
    fn next_file(&mut self) -> Result<bool, Error> {
        if self.current.as_ref().is_some_and(|c| c.finished) {
            return Ok(self.advance(0));
        }
        if !self.following && !std::mem::take(&mut self.last_look) {
            return Ok(false);
        }
        let known = self.current.as_ref().map(|c| c.file.identity);
        let newer = open_newer(&self.path, self.max_file, known)?;
        if newer.is_empty() {
            return Ok(false);
        }
        self.pending.extend(newer.into_iter().rev());
        match &mut self.current {
            // Its last records were written before it was renamed, maybe after our last look: read it once more.
            Some(current) => current.finished = true,
            None => return Ok(self.advance(0)),
        }
        Ok(true)
    }
}

/// Watches the folder of `path`: files in it that are written, made or renamed.
fn watch(path: &Path) -> Result<OwnedFd, Error> {
    use inotify::{CreateFlags, WatchFlags};
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
        .map_err(|e| Error::io(path, "watch")(e.into()))?;
    inotify::add_watch(&fd, folder, WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO)
        .map_err(|e| Error::io(path, "watch")(e.into()))?;
    Ok(fd)
}

/// Takes what the watch has to tell, so that only later changes make it readable.
fn drain(watch: Option<&OwnedFd>) {
    let Some(fd) = watch else { return };
    let mut space = [MaybeUninit::uninit(); 4096];
    while let Ok((read, _)) = rustix::io::read(fd, &mut space[..]) {
        if read.len() < space.len() / 2 {
            break;
        }
    }
}
