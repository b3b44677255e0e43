//! The client's terminal: its size, and its raw mode, which is undone however the client ends.

use rustix::termios::{self, OptionalActions, Termios};
use std::{
    io,
    sync::{Mutex, Once, PoisonError},
};

/// Whether a stream of the client is a terminal.
#[must_use]
pub fn is_terminal(fd: impl std::os::fd::AsFd) -> bool {
    termios::isatty(fd)
}

/// Rows and columns of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Rows.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

/// The size of the terminal on standard output, if it has one.
#[must_use]
pub fn size() -> Option<Size> {
    let size = termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some(Size { rows: size.ws_row, columns: size.ws_col })
}

/// The columns for help texts: those of the terminal on standard input, or 80.
#[must_use]
pub fn width() -> usize {
    match termios::tcgetwinsize(io::stdin()) {
        Ok(size) if size.ws_col > 1 => usize::from(size.ws_col),
        _ => 80,
    }
}

/// Does something while the terminal of standard input does not show what is typed.
///
/// # Errors
/// When standard input is no terminal.
pub fn without_echo<T>(work: impl FnOnce() -> T) -> io::Result<T> {
    let before = termios::tcgetattr(io::stdin())?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(termios::LocalModes::ECHO);
    *SAVED.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
    termios::tcsetattr(io::stdin(), OptionalActions::Now, &quiet)?;
    let done = work();
    restore();
    Ok(done)
}

static SAVED: Mutex<Option<Termios>> = Mutex::new(None);
static PANIC_HOOK: Once = Once::new();

/// Raw mode on standard input; undone when dropped.
#[derive(Debug)]
pub struct Raw(());

impl Raw {
    /// Switches standard input to raw mode.
    ///
    /// # Errors
    /// When it is no terminal.
    pub fn enter() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        *SAVED.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        // A release build aborts on panic and drops nothing.
        PANIC_HOOK.call_once(|| {
            let next = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                restore();
                next(info);
            }));
        });
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(()))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

/// Undoes raw mode, if it is on.
pub fn restore() {
    let saved = SAVED.try_lock().ok().and_then(|mut saved| saved.take());
    if let Some(before) = saved {
        // Nothing can be done about a terminal that is gone.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &before);
    }
}
