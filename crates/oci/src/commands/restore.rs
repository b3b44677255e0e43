//! `restore`.

use super::make::{self, Stay};
use super::{Command, Context, checkpoint, delete, foreground, id, terminal};
use crate::args::{Flag, Parsed};
use crate::bundle;
use crate::criu::messages::{Kind, Options};
use crate::criu::{self, Notice, Service, descriptors, mounts};
use crate::devices;
use crate::error::Error;
use crate::records::{Entry, Record};
use crate::status::{self, Container, Status};
use brig_runtime::CgroupOptions;
use brig_runtime::cgroup::Cgroup;
use brig_runtime::hooks::{self, Moment};
use oci_spec::runtime::Spec;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

pub(super) const RESTORE: Command = Command {
    name: "restore",
    about: "Make a container again from files that `checkpoint` wrote, and let it go on",
    operands: "CONTAINER",
    count: 1..=1,
    flags: &[
        make::BUNDLE,
        make::CONSOLE_SOCKET,
        make::PID_FILE,
        checkpoint::IMAGE_PATH,
        checkpoint::WORK_PATH,
        Flag::switch("detach", "end when the container runs").or("d"),
        checkpoint::TCP,
        checkpoint::UNIX,
        checkpoint::SHELL,
        checkpoint::LOCKS,
        checkpoint::CGROUPS,
        checkpoint::EMPTY,
        checkpoint::DEDUP,
        checkpoint::LAZY,
        Flag::switch("no-subreaper", "taken for compatibility: orphans go to the host's init in any case"),
        Flag::switch("no-pivot", "taken for compatibility: CRIU enters the root by itself"),
        Flag::value(
            "lsm-profile",
            "TYPE:NAME",
            "another profile of the security module than at the checkpoint",
        ),
        Flag::value("lsm-mount-context", "CONTEXT", "another label of mounts than at the checkpoint"),
    ],
    examples: "  brig oci restore --detach --image-path /images/web --bundle /bundles/web web",
    failure: 1,
    run,
};

/// The log of a restore, below the work folder; the name is runc's.
const LOG: &str = "restore.log";

/// Where the container is to be made again.
struct Place {
    bundle: PathBuf,
    rootfs: PathBuf,
    cgroup: PathBuf,
    spec: Spec,
}

fn run(context: &Context<'_>, own: &Parsed) -> Result<u8, Error> {
    let program = criu::find(context.global)?;
    let detach = own.is_set("detach");
    let bundle = Path::new(own.text("bundle").filter(|b| !b.is_empty()).unwrap_or("."));
    let bundle = bundle.canonicalize().map_err(Error::file("open bundle", bundle))?;
    let mut spec = bundle::load(&bundle, &mut |warning| context.log.warn(&warning))?;
    devices::allow_defaults(&mut spec);
    let rootfs = bundle::rootfs(&bundle, &spec)?;
    let stay = if detach { Stay::Leaves } else { Stay::Stays };
    terminal::check(own, make::wants_terminal(spec.process().as_ref()), stay)?;
    let cgroup = match make::cgroup_of(context, &spec, id(own), context.is_rootless()?)? {
        CgroupOptions::New(path) | CgroupOptions::IfAllowed(path) => path,
        CgroupOptions::Inherit => PathBuf::from(id(own)),
        CgroupOptions::Scope(_) => {
            return Err(Error::Usage(
                "restore can't make a scope of systemd yet: leave --systemd-cgroup out, and let cgroupsPath be a path"
                    .into(),
            ));
        }
    };
    let place = Place { bundle, rootfs, cgroup, spec };
    let (entry, lock) = context.records().make(id(own))?;
    let restored = restore(context, own, &program, &entry, &place);
    let (record, pidfd, master) = match restored {
        Ok(restored) => restored,
        Err(error) => {
            entry.remove()?;
            return Err(error);
        }
    };
    make::run_late_hooks(context, Moment::Poststart, &entry, &record.bundle, &place.spec, record.pid);
    drop(lock);
    if detach {
        return Ok(0);
    }
    let signals = brig_runtime::Signals::all()?;
    let code = foreground::attend(&pidfd, master, &signals)?;
    let _lock = entry.lock()?;
    delete::remove(context, &entry, &Container { record, status: Status::Stopped, pidfd: None })?;
    Ok(code)
}

type Restored = (Record, OwnedFd, Option<OwnedFd>);

/// Makes its group, and has CRIU make its processes there. On failure nothing is left of either.
fn restore(
    context: &Context<'_>,
    own: &Parsed,
    program: &Path,
    entry: &Entry,
    place: &Place,
) -> Result<Restored, Error> {
    entry.write_spec(&place.spec)?;
    let mut warnings = Vec::new();
    let resources = place.spec.linux().as_ref().and_then(|linux| linux.resources().as_ref());
    let group = Cgroup::create(&place.cgroup, resources, &mut warnings)?;
    warnings.iter().for_each(|warning| context.log.warn(warning));
    let restored = ask(own, program, entry, place, &group);
    if restored.is_err() {
        // What led here is what the caller hears of.
        let _ = group.kill_all();
        let _ = group.remove();
    }
    restored
}

fn ask(
    own: &Parsed,
    program: &Path,
    entry: &Entry,
    place: &Place,
    group: &Cgroup,
) -> Result<Restored, Error> {
    let images = own.text("image-path").filter(|p| !p.is_empty()).unwrap_or("checkpoint");
    let images = checkpoint::open(images.into())?;
    let work = checkpoint::work_folder(own, &images)?;
    let text = |flag| own.text(flag).filter(|t| !t.is_empty()).map(str::to_owned);
    let external = mounts::external(&place.spec, &place.cgroup);
    let options = Options {
        log_file: Some(LOG.into()),
        root: place.rootfs.to_str().map(str::to_owned),
        // Ours, not CRIU's, so that it can be waited for.
        as_sibling: Some(true),
        inherited: descriptors::inherited(&images.0)?,
        external: external.iter().map(mounts::External::to_restore).collect(),
        lsm_profile: text("lsm-profile"),
        lsm_mount_context: text("lsm-mount-context"),
        ..checkpoint::common(own, &images.1, &work.1)?
    };
    brig_runtime::make_mount_points(&place.spec, &place.rootfs)?;
    let service = Service::start(program, Some(&place.rootfs), work.0.join(LOG))?;
    // Its children, which become the container, are born there.
    group.add_pid(service.pid())?;
    let mut master = None;
    let told = make::hooked(entry, &place.bundle, &place.spec);
    let response = service.ask(Kind::Restore, options, &mut |notice: Notice<'_>| {
        match (notice.step, notice.pid, place.spec.hooks()) {
            ("orphan-pts-master", ..) => master = notice.fd,
            ("setup-namespaces", Some(pid), Some(list)) => {
                hooks::run(list, Moment::Prestart, &told, pid)?;
                hooks::run(list, Moment::CreateRuntime, &told, pid)?;
            }
            _ => {}
        }
        Ok(())
    })?;
    let gone = || Error::State("the restored container has ended at once".into());
    let pid = response.restore.map(|restored| restored.pid).ok_or_else(gone)?;
    let known = Pid::from_raw(pid).ok_or_else(gone)?;
    let pidfd =
        pidfd_open(known, PidfdFlags::empty()).map_err(Error::system("open the container's process"))?;
    if let (Some(socket), Some(master)) = (text("console-socket"), master.as_ref()) {
        terminal::send(Path::new(&socket), master, "/dev/ptmx")?;
    }
    make::write_pid_file(own, pid)?;
    let record = Record {
        id: entry.id().to_owned(),
        pid,
        start_time: status::birth(pid)?.ok_or_else(gone)?,
        created: jiff::Timestamp::now().to_string(),
        bundle: place.bundle.clone(),
        rootfs: place.rootfs.clone(),
        cgroup: Some(place.cgroup.clone()),
        cgroup_identity: Cgroup::open(&place.cgroup)?.identity()?,
        unit: None,
        owner: rustix::process::getuid().as_raw(),
    };
    entry.write_record(&record)?;
    Ok((record, pidfd, master))
}
