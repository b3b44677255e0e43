//! The talk between a half-made container and its maker: a socket pair that ends by itself at `execve`, and one
//! shared page for what happens after seccomp, when the filter may forbid to speak.

use crate::cgroup::Entrance;
use crate::error::{Errno, Error, ExecFailure};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::{Deserialize, Serialize};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

/// Cgroup hierarchies at most. The kernel has 16 controllers; more hierarchies could only be such by name.
const MAX_ENTRANCES: usize = 64;

/// Longest message; longer warnings are cut.
const MAX_MESSAGE: usize = 32 * 1024;

/// What the child says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// Something was left out.
    Warning(String),
    /// The terminal's master comes along.
    Terminal,
    /// It is in a user namespace; waiting for [`Order::Mapped`].
    Apart,
    /// It has cloned the process of this number, whose pidfd comes along.
    Born(i32),
    /// The root is built and not entered; waiting for [`Order::HooksDone`].
    Built,
    /// All is made; waiting for [`Order::Start`]. Holds the path that will be executed.
    Ready(String),
    /// Its filter is in force, and notifications come from its descriptor of this number; waiting for
    /// [`Order::Listened`].
    Listening(i32),
    /// It failed; the child is about to exit.
    Failed(Error),
}

/// What the parent says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Order {
    /// The parent has done its part. The descriptors come along by which the child enters its cgroups.
    GoOn = b'c',
    /// Join the network namespace that comes along.
    Network = b'n',
    /// The ids of the user namespace are mapped.
    Mapped = b'm',
    /// The hooks have run that come before the root is entered.
    HooksDone = b'h',
    /// Execute.
    Start = b's',
    /// Somebody has the descriptor of the filter's notifications.
    Listened = b'l',
    /// Wait at the listening socket that comes along, as the parent is about to end.
    Park = b'p',
}

/// One end of the talk.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

/// Makes both ends, close-on-exec: the parent's, then the child's.
pub(crate) fn pair() -> Result<(Channel, Channel), Error> {
    let (a, b) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(|e| Error::step("make a socket pair", e))?;
    Ok((Channel(a), Channel(b)))
}

impl Channel {
    /// Child: says something, with a descriptor if there is one to hand over.
    pub(crate) fn report(&self, report: &Report, fd: Option<BorrowedFd<'_>>) -> Result<(), Error> {
        let mut bytes = serde_json::to_vec(report).unwrap_or_default();
        if bytes.len() > MAX_MESSAGE {
            bytes = serde_json::to_vec(&shortened(report)).unwrap_or_default();
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds: Vec<BorrowedFd<'_>> = fd.into_iter().collect();
        if !fds.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&fds));
        }
        loop {
            match sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL) {
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(Error::step("report to the parent", e)),
                Ok(_) => return Ok(()),
            }
        }
    }

    /// Child: waits for an order other than [`Order::GoOn`], with the descriptor that comes along. `None` when the
    /// parent is gone.
    pub(crate) fn await_order(&self) -> Result<Option<(Order, Option<OwnedFd>)>, Error> {
        let mut byte = [0u8; 1];
        let (n, fd) = self.receive(&mut byte).map_err(|e| Error::step("wait for the parent", e))?;
        let orders = [Order::Mapped, Order::Network, Order::HooksDone, Order::Start, Order::Park];
        let order = orders.into_iter().find(|order| n == 1 && *order as u8 == byte[0]);
        Ok(order.map(|order| (order, fd)))
    }

    /// Child: says where its filter's notifications come from, and waits until somebody has that. The filter is in
    /// force: no more calls than one `write`, which no filter may notify of, and one `read`, of which whoever has the
    /// descriptor by then may be notified. Allocates nothing.
    pub(crate) fn await_listener(&self, listener: BorrowedFd<'_>) -> Result<(), Errno> {
        use std::io::Write;
        use std::os::fd::AsRawFd;
        let mut text = [0u8; 64];
        let mut rest = &mut text[..];
        // As serde writes `Report::Listening`; far shorter than the space.
        let _ = write!(rest, "{{\"Listening\":{}}}", listener.as_raw_fd());
        let length = 64 - rest.len();
        rustix::io::write(&self.0, &text[..length])?;
        let mut order = [0u8; 1];
        match rustix::io::read(&self.0, &mut order)? {
            1 if order[0] == Order::Listened as u8 => Ok(()),
            _ => Err(Errno(libc::EPIPE)),
        }
    }

    /// Child: waits for [`Order::GoOn`]. `None` when the parent is gone.
    pub(crate) fn await_go_on(&self) -> Result<Option<Entrance>, Error> {
        let failed = |e: rustix::io::Errno| Error::step("wait for the parent", e);
        let mut bytes = [0u8; 3];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_ENTRANCES))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let read = loop {
            match recvmsg(&self.0, &mut [IoSliceMut::new(&mut bytes)], &mut control, RecvFlags::CMSG_CLOEXEC)
            {
                // As in `receive`.
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNRESET) => {}
                Err(e) => return Err(failed(e)),
                Ok(message) => break message.bytes,
            }
        };
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        if read == 0 {
            return Ok(None);
        }
        let [order, count, everywhere] = bytes;
        if order != Order::GoOn as u8 || usize::from(count) != fds.len() {
            return Err(failed(rustix::io::Errno::BADMSG));
        }
        Ok(Some(Entrance::new(fds, everywhere != 0)))
    }

    /// Parent: gives an order other than [`Order::GoOn`]. A child that is gone is noticed when its report is read.
    pub(crate) fn order(&self, order: Order, fd: Option<BorrowedFd<'_>>) {
        // Nothing but a child that is gone can refuse it.
        let _ = self.send(&[order as u8], fd.as_slice());
    }

    /// Parent: gives [`Order::GoOn`]. A child that is gone is noticed when its report is read.
    ///
    /// # Errors
    /// Too many descriptors for one message, or for this process' share of those under way.
    pub(crate) fn go_on(&self, entrance: &Entrance) -> Result<(), Error> {
        let fds: Vec<BorrowedFd<'_>> = entrance.fds().collect();
        // More than a count can say are refused before it is read.
        let bytes = [Order::GoOn as u8, fds.len() as u8, u8::from(entrance.is_everywhere())];
        match self.send(&bytes, &fds) {
            Ok(()) | Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => Ok(()),
            Err(e) => Err(Error::step("hand the cgroups to the container's first process", e)),
        }
    }

    fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), rustix::io::Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_ENTRANCES))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(rustix::io::Errno::TOOBIG);
        }
        loop {
            match sendmsg(&self.0, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL) {
                Err(rustix::io::Errno::INTR) => {}
                sent => return sent.map(drop),
            }
        }
    }

    /// One message and the descriptor in it; 0 bytes at the end.
    fn receive(&self, buffer: &mut [u8]) -> Result<(usize, Option<OwnedFd>), Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let n = loop {
            match recvmsg(&self.0, &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC) {
                // The other end was closed before it read all, as a child that fails leaves our order unread; said
                // once, ahead of what it has sent itself.
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNRESET) => {}
                Err(e) => return Err(e.into()),
                Ok(message) => break message.bytes,
            }
        };
        let fd = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        Ok((n, fd))
    }

    /// Parent: waits for a report. `None` when the child executed its program, or died.
    pub(crate) fn await_report(&self) -> Result<Option<(Report, Option<OwnedFd>)>, Error> {
        let mut buffer = vec![0u8; MAX_MESSAGE];
        let (n, fd) = self
            .receive(&mut buffer)
            .map_err(|e| Error::step("wait for the container's first process", e))?;
        if n == 0 {
            return Ok(None);
        }
        let report = serde_json::from_slice(&buffer[..n]).map_err(|_| {
            Error::step("read a report of the container's first process", Errno(libc::EBADMSG))
        })?;
        Ok(Some((report, fd)))
    }
}

impl From<OwnedFd> for Channel {
    fn from(connection: OwnedFd) -> Self {
        Self(connection)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn shortened(report: &Report) -> Report {
    let cut = |text: &str| text.chars().take(MAX_MESSAGE / 16).collect::<String>();
    match report {
        Report::Warning(text) => Report::Warning(cut(text)),
        Report::Terminal => Report::Terminal,
        Report::Apart => Report::Apart,
        Report::Born(pid) => Report::Born(*pid),
        Report::Built => Report::Built,
        Report::Listening(fd) => Report::Listening(*fd),
        Report::Ready(path) => Report::Ready(cut(path)),
        Report::Failed(error) => Report::Failed(Error::Step {
            step: cut(&error.to_string()),
            errno: error.errno().unwrap_or(Errno(libc::EIO)),
        }),
    }
}

/// A page that parent and child share: how far the child came after it could no longer speak.
#[derive(Debug)]
pub(crate) struct LastWords(std::ptr::NonNull<Page>);

#[repr(C)]
#[derive(Debug)]
struct Page {
    stage: AtomicU32,
    errno: AtomicI32,
}

/// What the child left in the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It never came to loading the filter.
    Preparing,
    /// It was about to execute: with the talk ended, it did.
    Executing,
    /// `execve` failed.
    ExecFailed(Errno),
    /// Taking on the final capabilities failed.
    CapabilitiesFailed(Errno),
    /// The small init could not fork.
    ForkFailed(Errno),
}

impl LastWords {
    /// Makes the page, for a child that is forked later.
    pub(crate) fn new() -> Result<Self, Error> {
        Self::mapped(libc::MAP_ANONYMOUS, -1)
    }

    /// Makes the page, for a process that is there already and is given the descriptor.
    pub(crate) fn shareable() -> Result<(Self, OwnedFd), Error> {
        use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
        let failed = |e: rustix::io::Errno| Error::step("make a shared page", e);
        let file = memfd_create("last words", MemfdFlags::CLOEXEC).map_err(failed)?;
        ftruncate(&file, size_of::<Page>() as u64).map_err(failed)?;
        Ok((Self::map(file.as_fd())?, file))
    }

    /// Maps the page that another process made by [`Self::shareable`].
    pub(crate) fn map(file: BorrowedFd<'_>) -> Result<Self, Error> {
        use std::os::fd::AsRawFd;
        let stat = rustix::fs::fstat(file).map_err(|e| Error::step("look at a shared page", e))?;
        if stat.st_size < size_of::<Page>() as i64 {
            return Err(Error::step("map a shared page", Errno(libc::EINVAL)));
        }
        Self::mapped(0, file.as_raw_fd())
    }

    fn mapped(flags: libc::c_int, fd: libc::c_int) -> Result<Self, Error> {
        // SAFETY: a fresh mapping at an address of the kernel's choice overlaps nothing.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<Page>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | flags,
                fd,
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(Error::step("map a shared page", Errno::last()));
        }
        // A zeroed page is a valid Page.
        std::ptr::NonNull::new(page.cast())
            .map(Self)
            .ok_or_else(|| Error::step("map a shared page", Errno(libc::ENOMEM)))
    }

    fn page(&self) -> &Page {
        // SAFETY: mapped, aligned to a page and zeroed in `new`, unmapped only in `drop`; both fields are atomics,
        // as the other process writes them too.
        unsafe { self.0.as_ref() }
    }

    /// Child: leaves a word. No system call.
    pub(crate) fn leave(&self, stage: Stage) {
        let (number, errno) = match stage {
            Stage::Preparing => (0, 0),
            Stage::Executing => (1, 0),
            Stage::ExecFailed(e) => (2, e.0),
            Stage::CapabilitiesFailed(e) => (3, e.0),
            Stage::ForkFailed(e) => (4, e.0),
        };
        self.page().errno.store(errno, Ordering::Relaxed);
        self.page().stage.store(number, Ordering::Release);
    }

    /// Parent: reads it.
    pub(crate) fn read(&self) -> Stage {
        let stage = self.page().stage.load(Ordering::Acquire);
        let errno = Errno(self.page().errno.load(Ordering::Relaxed));
        match stage {
            1 => Stage::Executing,
            2 => Stage::ExecFailed(errno),
            3 => Stage::CapabilitiesFailed(errno),
            4 => Stage::ForkFailed(errno),
            _ => Stage::Preparing,
        }
    }

    /// Parent: what became of executing `path`, once the talk has ended. `Ok(false)`: the child died before.
    pub(crate) fn verdict(&self, path: &str) -> Result<bool, Error> {
        match self.read() {
            Stage::Preparing => Ok(false),
            Stage::Executing => Ok(true),
            Stage::ExecFailed(errno) => Err(ExecFailure::Execve { path: path.to_owned(), errno }.into()),
            Stage::CapabilitiesFailed(errno) => Err(Error::step("apply capabilities", errno)),
            Stage::ForkFailed(errno) => Err(Error::step("fork the container's program", errno)),
        }
    }
}

impl Drop for LastWords {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this size, and no reference outlives self.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<Page>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_carry_text_errors_and_descriptors() {
        let (parent, child) = pair().unwrap();
        child.report(&Report::Warning("w".into()), None).unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        child.report(&Report::Terminal, Some(file.as_fd())).unwrap();
        child.report(&Report::Failed(Error::Spec("s".into())), None).unwrap();
        drop(child);
        assert!(matches!(parent.await_report().unwrap(), Some((Report::Warning(w), None)) if w == "w"));
        let (_, fd) = parent.await_report().unwrap().unwrap();
        assert!(crate::inroot::is_device(fd.unwrap().as_fd(), 1, 3).unwrap());
        assert!(matches!(parent.await_report().unwrap(), Some((Report::Failed(Error::Spec(_)), None))));
        assert!(parent.await_report().unwrap().is_none(), "the end");
    }

    #[test]
    fn a_report_is_not_lost_when_the_child_never_read_its_order() {
        let (parent, child) = pair().unwrap();
        parent.go_on(&Entrance::none()).unwrap();
        child.report(&Report::Failed(Error::Spec("s".into())), None).unwrap();
        drop(child);
        assert!(matches!(parent.await_report().unwrap(), Some((Report::Failed(_), None))));
        assert!(parent.await_report().unwrap().is_none());
    }

    #[test]
    fn a_huge_report_is_cut_not_lost() {
        let (parent, child) = pair().unwrap();
        child.report(&Report::Warning("\u{1}".repeat(100_000)), None).unwrap();
        assert!(matches!(parent.await_report().unwrap(), Some((Report::Warning(w), _)) if w.len() > 1000));
    }

    #[test]
    fn orders_and_a_parent_that_is_gone() {
        let (parent, child) = pair().unwrap();
        let file = || std::fs::File::open("/dev/null").unwrap().into();
        parent.go_on(&Entrance::new(vec![file(), file()], true)).unwrap();
        parent.order(Order::Start, None);
        let entrance = child.await_go_on().unwrap().unwrap();
        assert_eq!((entrance.is_everywhere(), entrance.fds().count()), (true, 2));
        assert!(matches!(child.await_order().unwrap(), Some((Order::Start, None))));
        drop(parent);
        assert!(child.await_go_on().unwrap().is_none());
        assert!(child.await_order().unwrap().is_none());
    }

    #[test]
    fn last_words() {
        let words = LastWords::new().unwrap();
        assert_eq!(words.verdict("/x"), Ok(false));
        words.leave(Stage::Executing);
        assert_eq!(words.verdict("/x"), Ok(true));
        words.leave(Stage::ExecFailed(Errno(libc::ENOENT)));
        assert_eq!(words.verdict("/x").unwrap_err().to_string(), "exec /x: no such file or directory");
    }
}
