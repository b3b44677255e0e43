//! `checkpoint`.

use super::{Command, Context, delete, id};
use crate::args::{Flag, Parsed};
use crate::criu::messages::{Kind, NETWORK_NOT_LOCKED, Options, PageServer, cgroups_mode};
use crate::criu::{self, Service, descriptors, mounts};
use crate::error::Error;
use crate::status::{Container, Status};
use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

pub(super) const IMAGE_PATH: Flag =
    Flag::value("image-path", "DIR", "folder of the images (default ./checkpoint)");
pub(super) const WORK_PATH: Flag =
    Flag::value("work-path", "DIR", "folder of CRIU's log (default the images')");
pub(super) const TCP: Flag = Flag::switch("tcp-established", "with open TCP connections");
pub(super) const UNIX: Flag = Flag::switch("ext-unix-sk", "with unix sockets that lead out of the container");
pub(super) const SHELL: Flag = Flag::switch("shell-job", "with a terminal of the caller's");
pub(super) const LOCKS: Flag = Flag::switch("file-locks", "with locks on files");
pub(super) const CGROUPS: Flag = Flag::value(
    "manage-cgroups-mode",
    "MODE",
    "what CRIU keeps of cgroups made inside: soft, full, strict or ignore (default)",
);
pub(super) const EMPTY: Flag =
    Flag::value("empty-ns", "KIND", "leave the content of a namespace out: network");
pub(super) const DEDUP: Flag =
    Flag::switch("auto-dedup", "keep each page of memory once in a chain of images");
pub(super) const LAZY: Flag =
    Flag::switch("lazy-pages", "leave memory to a page server, to be fetched on use");

pub(super) const CHECKPOINT: Command = Command {
    name: "checkpoint",
    about: "Write a running container to files, by CRIU, and end it",
    operands: "CONTAINER",
    count: 1..=1,
    flags: &[
        IMAGE_PATH,
        WORK_PATH,
        Flag::value("parent-path", "DIR", "images of an earlier pre-dump, as seen from the images' folder"),
        Flag::switch("leave-running", "let the container go on"),
        TCP,
        Flag::switch("tcp-skip-in-flight", "leave out TCP connections that are being made"),
        Flag::switch("link-remap", "keep files that are open and removed by a name of their own"),
        UNIX,
        SHELL,
        LAZY,
        Flag::value("status-fd", "FD", "where CRIU says that the page server is ready"),
        Flag::value("page-server", "ADDRESS:PORT", "send memory there instead of to files"),
        LOCKS,
        Flag::switch("pre-dump", "write memory alone and go on, so that a checkpoint later is short"),
        CGROUPS,
        EMPTY,
        DEDUP,
    ],
    examples: "  brig oci checkpoint --image-path /images/web web\n  brig oci restore --detach --image-path /images/web \
               --bundle /bundles/web web",
    failure: 1,
    run,
};

/// The log of a dump, below the work folder; the name is runc's.
const LOG: &str = "dump.log";

fn run(context: &Context<'_>, own: &Parsed) -> Result<u8, Error> {
    let program = criu::find(context.global)?;
    let entry = context.records().find(id(own))?;
    let _lock = entry.lock()?;
    let container = Container::look(&entry)?;
    match container.status {
        Status::Running => {}
        status => {
            return Err(Error::State(format!("container cannot be checkpointed in {status} state")));
        }
    }
    let spec = entry.spec()?;
    let pid = container.record.pid;
    let pre_dump = own.is_set("pre-dump");
    let leaves = own.is_set("leave-running") || pre_dump;
    let images = folder(own, "image-path")?;
    let work = work_folder(own, &images)?;
    let streams = descriptors::of(pid)?;
    let cgroup = container.record.cgroup.clone().unwrap_or_default();
    let mut options = Options {
        pid: Some(pid),
        leave_running: Some(leaves),
        log_file: Some(LOG.into()),
        root: container.record.rootfs.to_str().map(str::to_owned),
        parent_images: own.text("parent-path").filter(|p| !p.is_empty()).map(str::to_owned),
        track_memory: Some(pre_dump || own.text("parent-path").is_some()),
        tcp_skip_in_flight: Some(own.is_set("tcp-skip-in-flight")),
        link_remap: Some(own.is_set("link-remap")),
        status_fd: own.number("status-fd").map_err(Error::Usage)?,
        page_server: own.text("page-server").filter(|t| !t.is_empty()).map(page_server).transpose()?,
        ..common(own, &images.1, &work.1)?
    };
    options.external = mounts::external(&spec, &cgroup).iter().map(mounts::External::to_dump).collect();
    options.external.extend(descriptors::external(&streams));
    // A dump without memory has nothing of what is external.
    if !pre_dump {
        descriptors::write(&images.0, &streams)?;
    }
    let kind = if pre_dump { Kind::PreDump } else { Kind::Dump };
    Service::start(&program, None, work.0.join(LOG))?.ask(kind, options, &mut |_| Ok(()))?;
    if !leaves {
        if let Some(pidfd) = &container.pidfd {
            delete::ended_within(pidfd, delete::PATIENCE)?;
        }
        delete::remove(context, &entry, &container)?;
    }
    Ok(0)
}

/// What both directions have.
pub(super) fn common(own: &Parsed, images: &OwnedFd, work: &OwnedFd) -> Result<Options, Error> {
    let mode = match own.text("manage-cgroups-mode").filter(|m| !m.is_empty()) {
        // The runtime puts all of it into the container's own group.
        None => cgroups_mode("ignore"),
        Some(word) => Some(cgroups_mode(word).ok_or_else(|| {
            Error::Usage(format!("invalid manage-cgroups-mode {word:?}: use soft, full, strict or ignore"))
        })?),
    };
    let mut empty = None;
    for kind in own.all("empty-ns") {
        match kind.as_str() {
            "network" => empty = Some(libc::CLONE_NEWNET as u32),
            kind => return Err(Error::Usage(format!("namespace {kind:?} is not supported by --empty-ns"))),
        }
    }
    let tcp = own.is_set("tcp-established");
    Ok(Options {
        images_dir_fd: images.as_raw_fd(),
        work_dir_fd: Some(work.as_raw_fd()),
        ext_unix_sk: Some(own.is_set("ext-unix-sk")),
        tcp_established: Some(tcp),
        evasive_devices: Some(true),
        shell_job: Some(own.is_set("shell-job")),
        file_locks: Some(own.is_set("file-locks")),
        log_level: Some(4),
        notify_scripts: Some(true),
        auto_dedup: Some(own.is_set("auto-dedup")),
        manage_cgroups: Some(true),
        manage_cgroups_mode: mode,
        empty_namespaces: empty,
        lazy_pages: Some(own.is_set("lazy-pages")),
        orphan_pts_master: Some(true),
        // Without open connections there is nothing that must not be answered meanwhile.
        network_lock: (!tcp).then_some(NETWORK_NOT_LOCKED),
        ..Options::default()
    })
}

/// Makes and opens the folder of a flag.
pub(super) fn folder(own: &Parsed, flag: &str) -> Result<(PathBuf, OwnedFd), Error> {
    let path = own.text(flag).filter(|p| !p.is_empty()).unwrap_or("checkpoint");
    let path = Path::new(path).to_owned();
    std::fs::create_dir_all(&path).map_err(Error::file("make", &path))?;
    open(path)
}

/// The folder of CRIU's log.
pub(super) fn work_folder(own: &Parsed, images: &(PathBuf, OwnedFd)) -> Result<(PathBuf, OwnedFd), Error> {
    match own.text("work-path").is_some_and(|p| !p.is_empty()) {
        true => folder(own, "work-path"),
        false => open(images.0.clone()),
    }
}

pub(super) fn open(path: PathBuf) -> Result<(PathBuf, OwnedFd), Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::open(&path, flags, Mode::empty()) {
        Ok(fd) => Ok((path, fd)),
        Err(e) => Err(Error::file("open", path)(e.into())),
    }
}

fn page_server(text: &str) -> Result<PageServer, Error> {
    let failed = || Error::Usage("Use --page-server ADDRESS:PORT to specify page server".into());
    let (address, port) = text.rsplit_once(':').ok_or_else(failed)?;
    let port = port.parse::<u16>().map_err(|_| failed())?;
    Ok(PageServer { address: Some(address.into()), port: Some(port.into()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(line: &str) -> Parsed {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        crate::args::parse(CHECKPOINT.flags, &words).unwrap()
    }

    fn options(line: &str) -> Result<Options, Error> {
        let null = || std::fs::File::open("/").unwrap().into();
        common(&given(line), &null(), &null())
    }

    #[test]
    fn flags_become_options() {
        let all = options("--tcp-established --file-locks --manage-cgroups-mode soft --empty-ns network c")
            .unwrap();
        assert_eq!((all.tcp_established, all.network_lock), (Some(true), None));
        assert_eq!((all.file_locks, all.shell_job), (Some(true), Some(false)));
        assert_eq!(
            (all.manage_cgroups_mode, all.empty_namespaces),
            (Some(3), Some(libc::CLONE_NEWNET as u32))
        );
        assert_eq!(options("c").unwrap().network_lock, Some(NETWORK_NOT_LOCKED));
        let server = page_server("[::1]:80").unwrap();
        assert_eq!((server.address.as_deref(), server.port), (Some("[::1]"), Some(80)));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(options("--manage-cgroups-mode x c").unwrap_err().to_string().contains("soft, full"));
        assert!(options("--empty-ns ipc c").unwrap_err().to_string().contains("\"ipc\""));
        for text in ["x", "x:y", "x:70000"] {
            assert!(page_server(text).is_err(), "{text}");
        }
    }
}
