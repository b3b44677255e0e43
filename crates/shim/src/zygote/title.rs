//! What `ps` shows: the process' name and its command line.

use std::{ffi::CString, fs};

/// Spaces that the zygote is started with as a last argument, so that the command line has room for a title.
pub(super) const ROOM: &str = "                                                ";

/// Where a process' title is shown. A fork has it at the same place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Title(Option<(usize, usize)>);

impl Title {
    /// Of this process.
    pub(super) fn find() -> Self {
        Self(argument_area())
    }

    /// Shows this process, which found the place or is a fork of the one that did, as `title`. What can't be set is
    /// left: it is for human eyes only.
    ///
    /// Must be called with one thread only.
    pub(super) fn show(self, title: &str) {
        if let Ok(name) = CString::new(title) {
            // The kernel cuts the name to 15 bytes.
            let _ = rustix::thread::set_name(&name);
        }
        let Some((start, end)) = self.0 else { return };
        let room = end - start;
        let shown = &title.as_bytes()[..title.len().min(room.saturating_sub(1))];
        // SAFETY: the kernel says that the argument strings lie at start..end on this process' own stack, which is
        // writable and lives as long as it. Nothing borrows them: std copies arguments out, and there is one thread.
        unsafe {
            let area = start as *mut u8;
            area.copy_from_nonoverlapping(shown.as_ptr(), shown.len());
            area.add(shown.len()).write_bytes(0, room - shown.len());
        }
    }
}

/// Where the argument strings lie: fields 48 and 49 of `/proc/self/stat`.
fn argument_area() -> Option<(usize, usize)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the name in parentheses, which may hold anything; the third follows the last one.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(48 - 3);
    let start = fields.next()?.parse().ok()?;
    let end = fields.next()?.parse().ok()?;
    (start != 0 && start < end).then_some((start, end))
}
