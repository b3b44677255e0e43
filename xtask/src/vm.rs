//! The cgroup v2 half of the tests: a virtual machine with Debian's cloud kernel, where only the unified hierarchy is
//! mounted, in which brig starts its daemon by itself and runs containers, and `brig oci` goes through its contract. Part of
//! `cargo xtask test --full`.

use crate::{machine, step};
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const PASSED: &str = "VM: all passed";
/// The first stage leaves the initramfs, out of which pivot_root(2) is not allowed.
const FIRST_STAGE: &str = include_str!("vm/first-stage.sh");
/// The second stage is the test itself.
const SECOND_STAGE: &str = include_str!("vm/second-stage.sh");

/// Builds the machine and runs it.
///
/// # Errors
/// When something can't be installed, or the machine did not say that all passed.
pub fn run() -> Result<(), String> {
    machine::package("qemu-system-x86_64", "qemu-system-x86")?;
    machine::package("cpio", "cpio")?;
    let brig = step::release_binary()?;
    let package = ["test", "--no-run", "--locked", "--package", "brig-oci-contract", "--test", "contract"];
    let contract = step::build(&package, "contract")?;
    let dir = step::root().join("target/vm");
    std::fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let kernel = kernel(&dir)?;
    let initramfs = initramfs(&dir, &kernel, &[(&brig, "brig"), (&contract, "contract")])?;
    boot(&kernel, &initramfs)
}

struct Kernel {
    image: PathBuf,
    tree: PathBuf,
    version: String,
}

/// Downloads and unpacks the newest cloud kernel of the machine's Debian, once.
fn kernel(dir: &Path) -> Result<Kernel, String> {
    let tree = dir.join("kernel");
    if !tree.join("boot").is_dir() {
        let depends = step::output(Command::new("apt-cache").args(["depends", "linux-image-cloud-amd64"]))?;
        let package = depends
            .lines()
            .find_map(|l| l.trim().strip_prefix("Depends: "))
            .ok_or("linux-image-cloud-amd64 is unknown: run `apt-get update`")?
            .to_owned();
        step::output(Command::new("apt-get").args(["download", &package]).current_dir(dir))?;
        let deb = find(dir, "linux-image-")?;
        step::output(Command::new("dpkg").arg("-x").arg(&deb).arg(&tree))?;
    }
    let image = find(&tree.join("boot"), "vmlinuz-")?;
    let name = image.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Kernel { version: name.trim_start_matches("vmlinuz-").to_owned(), image, tree })
}

fn find(dir: &Path, prefix: &str) -> Result<PathBuf, String> {
    std::fs::read_dir(dir)
        .map_err(|e| format!("{}: {e}", dir.display()))?
        .filter_map(|e| e.ok())
        .map(|e| e.path())
        .find(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(prefix)))
        .ok_or_else(|| format!("no {prefix}* in {}", dir.display()))
}

fn initramfs(dir: &Path, kernel: &Kernel, programs: &[(&Path, &str)]) -> Result<PathBuf, String> {
    let root = dir.join("root");
    if root.exists() {
        std::fs::remove_dir_all(&root).map_err(|e| format!("{}: {e}", root.display()))?;
    }
    let say = |e: std::io::Error| format!("{}: {e}", root.display());
    for sub in [
        "bin",
        "sbin",
        "etc",
        "proc",
        "sys",
        "dev",
        "tmp",
        "run",
        "var/lib",
        "var/log",
        "image/bin",
        "image/etc",
        "image/www",
        "lib/modules",
    ] {
        std::fs::create_dir_all(root.join(sub)).map_err(say)?;
    }
    let busybox = machine::busybox()?;
    for bin in ["bin", "image/bin"] {
        std::fs::copy(busybox, root.join(bin).join("busybox")).map_err(say)?;
        for applet in
            step::output(Command::new(busybox).arg("--list"))?.split_whitespace().filter(|a| *a != "busybox")
        {
            std::os::unix::fs::symlink("busybox", root.join(bin).join(applet)).map_err(say)?;
        }
    }
    std::os::unix::fs::symlink("/bin/modprobe", root.join("sbin/modprobe")).map_err(say)?;
    std::fs::write(root.join("image/etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").map_err(say)?;
    std::fs::write(root.join("image/www/index.html"), "hello from brig\n").map_err(say)?;
    for (program, name) in programs {
        std::fs::copy(program, root.join("bin").join(name)).map_err(say)?;
    }
    let modules = kernel.tree.join("lib/modules").join(&kernel.version);
    step::output(Command::new("cp").arg("-r").arg(&modules).arg(root.join("lib/modules")))?;
    step::output(Command::new(busybox).args(["depmod", "-b"]).arg(&root).arg(&kernel.version))?;
    for (name, text) in [("init", FIRST_STAGE), ("second-stage", SECOND_STAGE)] {
        std::fs::write(root.join(name), text).map_err(say)?;
        step::output(Command::new("chmod").arg("755").arg(root.join(name)))?;
    }
    let image = dir.join("initramfs.gz");
    let pack = format!("find . | cpio -o -H newc --quiet | gzip -1 > '{}'", image.display());
    step::output(Command::new("sh").args(["-c", &pack]).current_dir(&root))?;
    Ok(image)
}

fn boot(kernel: &Kernel, initramfs: &Path) -> Result<(), String> {
    eprintln!("── a machine with kernel {} and cgroup v2", kernel.version);
    let mut qemu = Command::new("qemu-system-x86_64")
        .args([
            "-m",
            "2048",
            "-smp",
            "2",
            "-nographic",
            "-no-reboot",
            "-nodefaults",
            "-serial",
            "stdio",
            "-cpu",
            "max",
        ])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-append", "console=ttyS0 quiet panic=-1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("qemu-system-x86_64: {e}"))?;
    let mut passed = false;
    for line in BufReader::new(qemu.stdout.take().ok_or("no console")?).lines().map_while(Result::ok) {
        let line = line.trim_end();
        passed |= line == PASSED;
        eprintln!("   {line}");
    }
    qemu.wait().map_err(|e| format!("qemu-system-x86_64: {e}"))?;
    if passed { Ok(()) } else { Err("the virtual machine did not say that all passed".into()) }
}
