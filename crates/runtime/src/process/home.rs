//! The user's home folder, from the container's own `/etc/passwd`, read by ourselves: the C library's name service
//! would load code from the image into a process that still has rights (CVE-2019-14271).

use crate::inroot::{Links, Root};
use rustix::fs::{FileType, OFlags, fstat};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// As much of the file as is looked at, in bytes.
const MAX_PASSWD: u64 = 16 << 20;

/// The home folder of `uid`, `/` when it is not known.
pub(super) fn of(uid: u32, root: &Root) -> String {
    // Not blocking on a pipe that the image has there.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let found = root.open(Path::new("/etc/passwd"), flags, Links::Follow).ok().and_then(|fd| {
        let is_file = fstat(&fd).is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::RegularFile);
        is_file.then(|| find(File::from(fd), uid)).flatten()
    });
    found.unwrap_or_else(|| "/".into())
}

fn find(passwd: impl Read, uid: u32) -> Option<String> {
    let mut lines = BufReader::new(passwd.take(MAX_PASSWD));
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).ok()? == 0 {
            return None;
        }
        let mut fields = line.trim_ascii_end().split(|b| *b == b':');
        let number = fields.nth(2).and_then(|f| std::str::from_utf8(f).ok()?.parse::<u32>().ok());
        if number == Some(uid) {
            let home = std::str::from_utf8(fields.nth(2)?).ok()?;
            return (!home.is_empty() && !home.contains('\0')).then(|| home.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "# comment\n\nroot:x:0:0:root:/root:/bin/sh\nshort:x:7\nbad:x:x:0::/bad:\n\
        app:x:1000:1000:,,,:/home/app:/bin/sh\nagain:x:1000:1000::/other:\nempty:x:5:5:::\nlast:x:9:9::/last";

    #[test]
    fn the_first_line_of_a_user_counts() {
        let home = |uid| find(PASSWD.as_bytes(), uid);
        assert_eq!(home(0).as_deref(), Some("/root"));
        assert_eq!(home(1000).as_deref(), Some("/home/app"));
        assert_eq!(home(9).as_deref(), Some("/last"), "no newline at the end");
        for unknown in [1, 5, 7, 4_000_000_000] {
            assert_eq!(home(unknown), None);
        }
    }

    #[test]
    fn what_is_no_text_does_no_harm() {
        assert_eq!(find(&b"\xff\xff:x:0:0::/\xff:\n"[..], 0), None);
        assert_eq!(find(&b"a:x:0:0::/a\0b:\n"[..], 0), None);
        assert_eq!(find(std::io::repeat(b'x'), 0), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(0u8.., 0..300), uid: u32) {
            let _ = find(&bytes[..], uid);
        }
    }
}
