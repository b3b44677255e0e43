//! The cgroup v2 half of the tests: a virtual machine with Debian's cloud kernel, where only the unified hierarchy is
//! mounted, in which brig starts its daemon by itself and runs containers, and `brig oci` goes through its contract. Part of
//! `cargo xtask test --full`.

mod systemd;

use crate::{machine, step};
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const PASSED: &str = "VM: all passed";
/// The first stage leaves the initramfs, out of which pivot_root(2) is not allowed.
const FIRST_STAGE: &str = include_str!("vm/first-stage.sh");
/// The second stage is the test itself.
const SECOND_STAGE: &str = include_str!("vm/second-stage.sh");

/// How long a machine may take. Emulated, everything is some ten times slower than here.
const PATIENCE: Duration = Duration::from_secs(45 * 60);

/// Which machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    /// All.
    All,
    /// The small one, without systemd.
    Plain,
    /// That with systemd as its init.
    Systemd,
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Options {
    which: Which,
    /// brig as it is built for debugging: much sooner there, and somewhat slower.
    debug: bool,
    /// Only the parts of the contract whose name contains it, on the machine with systemd.
    filter: Option<String>,
}

impl Options {
    /// All machines, with what users get.
    pub const ALL: Self = Self { which: Which::All, debug: false, filter: None };

    /// Reads `--plain`, `--systemd`, `--debug` and `--filter S`.
    ///
    /// # Errors
    /// On anything else.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        let mut options = Self::ALL;
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            match *arg {
                "--plain" => options.which = Which::Plain,
                "--systemd" => options.which = Which::Systemd,
                "--debug" => options.debug = true,
                "--filter" => {
                    options.filter = Some((*rest.next().ok_or("--filter needs a text")?).to_owned());
                }
                other => return Err(format!("unknown option: {other}")),
            }
        }
        Ok(options)
    }
}

/// Builds the machines and runs them.
///
/// # Errors
/// When something can't be installed, or a machine did not say that all passed.
pub fn run(Options { which, debug, filter }: Options) -> Result<(), String> {
    machine::package("qemu-system-x86_64", "qemu-system-x86")?;
    machine::package("cpio", "cpio")?;
    let brig = match debug {
        true => step::build(&["build", "--locked", "--package", "brig"], "brig")?,
        false => step::release_binary()?,
    };
    let package = ["test", "--no-run", "--locked", "--package", "brig-oci-contract", "--test", "contract"];
    let contract = step::build(&package, "contract")?;
    let dir = step::root().join("target/vm");
    std::fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let kernel = kernel(&dir)?;
    let programs: [(&Path, &str); 2] = [(&brig, "brig"), (&contract, "contract")];
    if which != Which::Systemd {
        boot("cgroup v2", &kernel, &initramfs(&dir, &kernel, &programs)?, None)?;
    }
    if which != Which::Plain {
        let disk = systemd::disk(&dir, &kernel, &programs, filter.as_deref().unwrap_or_default())?;
        boot("systemd on cgroup v2", &kernel, &systemd::initramfs(&dir, &kernel)?, Some(&disk))?;
    }
    Ok(())
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
    pack(&root, &dir.join("initramfs.gz"))
}

/// Packs a folder as an initramfs.
fn pack(root: &Path, image: &Path) -> Result<PathBuf, String> {
    let pack = format!("find . | cpio -o -H newc --quiet | gzip -1 > '{}'", image.display());
    step::output(Command::new("sh").args(["-c", &pack]).current_dir(root))?;
    Ok(image.to_owned())
}

fn boot(what: &str, kernel: &Kernel, initramfs: &Path, disk: Option<&Path>) -> Result<(), String> {
    eprintln!("── a machine with kernel {} and {what}", kernel.version);
    let begun = Instant::now();
    let mut qemu =
        Command::new("qemu-system-x86_64")
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
            .args(["-append", "console=ttyS0 quiet panic=-1 systemd.show_status=false"])
            .args(disk.iter().flat_map(|disk| {
                ["-drive".to_owned(), format!("file={},if=virtio,format=raw", disk.display())]
            }))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("qemu-system-x86_64: {e}"))?;
    let limit = stop_after(PATIENCE, qemu.id());
    let mut passed = false;
    for line in BufReader::new(qemu.stdout.take().ok_or("no console")?).lines().map_while(Result::ok) {
        let line = line.trim_end();
        passed |= line == PASSED;
        eprintln!("   {:>4} s {line}", begun.elapsed().as_secs());
    }
    // The machine is off when its console ends, and its number is not another's before the wait.
    drop(limit);
    qemu.wait().map_err(|e| format!("qemu-system-x86_64: {e}"))?;
    if passed { Ok(()) } else { Err("the virtual machine did not say that all passed".into()) }
}

/// Kills a process after a time, unless the answer is dropped before.
fn stop_after(within: Duration, pid: u32) -> std::sync::mpsc::Sender<()> {
    let (keep, dropped) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        if dropped.recv_timeout(within) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            eprintln!("   the machine takes longer than {} s: it is switched off", within.as_secs());
            if let Err(error) = step::output(Command::new("kill").args(["-KILL", &pid.to_string()])) {
                eprintln!("   {error}");
            }
        }
    });
    keep
}
