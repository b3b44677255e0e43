//! Finding the program as a shell would, with the container's own rights; the rules and the words are those of Go's
//! `exec.LookPath`, by which runc goes.

use crate::error::{Errno, ExecFailure};
use rustix::fs::{Access, AtFlags, CWD, FileType, accessat, stat};

/// The path to execute for `program`, looked for in `path` (the value of `PATH`) when it is a bare name.
pub(super) fn find(program: &str, path: Option<&str>) -> Result<String, ExecFailure> {
    if program.contains('/') {
        return check(program).map(|()| program.to_owned());
    }
    for folder in path.unwrap_or_default().split(':').filter(|_| path.is_some_and(|p| !p.is_empty())) {
        let folder = if folder.is_empty() { "." } else { folder };
        let candidate = format!("{}/{program}", folder.trim_end_matches('/'));
        if !program.is_empty() && check(&candidate).is_ok() {
            if !folder.starts_with('/') {
                return Err(ExecFailure::Relative(program.to_owned()));
            }
            return Ok(candidate);
        }
    }
    Err(ExecFailure::NotInPath(program.to_owned()))
}

fn check(path: &str) -> Result<(), ExecFailure> {
    let stat = stat(path).map_err(|e| ExecFailure::Stat { path: path.to_owned(), errno: Errno::from(e) })?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return Err(ExecFailure::Directory(path.to_owned()));
    }
    match accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
        Ok(()) => Ok(()),
        // A filter or security module that does not know the call says so by EPERM: then the mode decides.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) if stat.st_mode & 0o111 != 0 => Ok(()),
        Err(_) => Err(ExecFailure::Permission(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn executable(dir: &std::path::Path, name: &str, mode: u32) -> String {
        let path = dir.join(name);
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn in_path() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        executable(a.path(), "x", 0o644);
        let found = executable(b.path(), "x", 0o755);
        let path = format!("/nonexistent:{}:{}/", a.path().display(), b.path().display());
        assert_eq!(find("x", Some(&path)), Ok(found), "what is not executable is passed over");
        let missing = Err(ExecFailure::NotInPath("y".into()));
        assert_eq!(find("y", Some(&path)), missing);
        assert_eq!(find("y", Some("")), missing);
        assert_eq!(find("y", None), missing);
        assert_eq!(find("", Some(&path)), Err(ExecFailure::NotInPath(String::new())));
    }

    #[test]
    fn by_path() {
        let dir = tempfile::tempdir().unwrap();
        let fine = executable(dir.path(), "fine", 0o755);
        assert_eq!(find(&fine, None), Ok(fine.clone()));
        let plain = executable(dir.path(), "plain", 0o644);
        assert_eq!(find(&plain, None), Err(ExecFailure::Permission(plain.clone())));
        let folder = dir.path().to_str().unwrap();
        assert_eq!(find(folder, None), Err(ExecFailure::Directory(folder.into())));
        let missing = format!("{folder}/missing");
        let text = find(&missing, None).unwrap_err().to_string();
        assert_eq!(text, format!("exec: \"{missing}\": stat {missing}: no such file or directory"));
    }
}
