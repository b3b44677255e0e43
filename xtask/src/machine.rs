//! What a fresh machine may lack, installed by name through apt and said so.

use crate::step;
use std::{path::Path, process::Command};

/// The static busybox that images are made from; installs Debian's `busybox-static` when it is missing.
///
/// # Errors
/// When it is missing and can't be installed.
pub fn busybox() -> Result<&'static Path, String> {
    let found = || {
        ["/usr/bin/busybox", "/bin/busybox"].into_iter().map(Path::new).find(|p| p.is_file() && is_static(p))
    };
    if let Some(path) = found() {
        return Ok(path);
    }
    eprintln!("busybox is missing: installing Debian's package busybox-static");
    install("busybox-static")?;
    found().ok_or_else(|| "no static busybox even after installing busybox-static".into())
}

/// Fails with a sentence that says what to do when the caller is not root.
///
/// # Errors
/// When the effective user is not root.
pub fn needs_root() -> Result<(), String> {
    let uid = step::output(Command::new("id").arg("-u"))?;
    if uid.trim() == "0" {
        Ok(())
    } else {
        Err("containers need root here: run `sudo -E cargo xtask …`".into())
    }
}

/// Makes sure that a program is there, by installing the package that has it.
///
/// # Errors
/// When it is missing and can't be installed.
pub fn package(program: &str, package: &str) -> Result<(), String> {
    let there = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()));
    if there {
        return Ok(());
    }
    eprintln!("{program} is missing: installing Debian's package {package}");
    install(package)
}

fn install(package: &str) -> Result<(), String> {
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
        step::output(&mut command)
    };
    apt(&["install", "-y", "--no-install-recommends", package])
        .or_else(|_| {
            apt(&["update"]).and_then(|_| apt(&["install", "-y", "--no-install-recommends", package]))
        })
        .map(drop)
}

/// A dynamic program has an interpreter segment; a static one does not.
fn is_static(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|b| {
        b.starts_with(b"\x7fELF") && !b[..b.len().min(4096)].windows(9).any(|w| w == b"ld-linux-")
    })
}
