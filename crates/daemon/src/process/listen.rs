//! Sockets to serve on. They are made before the runtime starts, since a socket's mode is set by the umask of
//! the whole process; clients that connect early wait until the daemon accepts.

use super::group;
use crate::{config::Host, http::server::Listener};
use rustix::fs::{Mode, Uid};
use std::{
    fs, io,
    net::TcpListener,
    os::unix::{
        fs::{FileTypeExt, MetadataExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

/// The group that may use sockets unless another one is asked for.
const DEFAULT_GROUP: &str = "docker";
/// The file of groups.
const GROUPS: &str = "/etc/group";

/// Why a socket can't be made.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A living daemon serves on it.
    #[error("failed to load listeners: {} is in use by another daemon", .0.display())]
    InUse(PathBuf),
    /// There is something else at its path.
    #[error("failed to load listeners: {} is no socket", .0.display())]
    NoSocket(PathBuf),
    /// There is no such group.
    #[error("failed to load listeners: group {0} not found")]
    NoGroup(String),
    /// The system refused.
    #[error("failed to load listeners: {host}: {source}")]
    System {
        /// The address.
        host: String,
        /// What the system said.
        source: io::Error,
    },
}

/// A socket that is bound. Its file is removed when this is dropped, if it is still this daemon's.
#[derive(Debug)]
pub struct Bound {
    listener: Option<Socket>,
    file: Option<SocketFile>,
    host: Host,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Bound {
    /// Binds an address. A socket that a killed daemon left is replaced.
    ///
    /// # Errors
    /// When a living daemon serves there, or the system refuses.
    pub fn bind(host: &Host, group: Option<&str>) -> Result<Self, ListenError> {
        let system = |source| ListenError::System { host: host.to_string(), source };
        match host {
            Host::Unix(path) => {
                let gid = socket_group(group).map_err(|e| match e {
                    GroupError::Missing(name) => ListenError::NoGroup(name),
                    GroupError::File(source) => system(source),
                })?;
                remove_stale(path).map_err(|e| match e {
                    Stale::InUse => ListenError::InUse(path.clone()),
                    Stale::NoSocket => ListenError::NoSocket(path.clone()),
                    Stale::System(source) => system(source),
                })?;
                let listener = bind_unix(path, gid).map_err(system)?;
                let made = fs::symlink_metadata(path).map_err(system)?;
                let file = SocketFile { path: path.clone(), device: made.dev(), inode: made.ino() };
                Ok(Self { listener: Some(Socket::Unix(listener)), file: Some(file), host: host.clone() })
            }
            Host::Tcp { host: name, port } => {
                let addresses = brig_core::host_names::resolve(name, *port).map_err(system)?;
                let listener = TcpListener::bind(addresses.as_slice()).map_err(system)?;
                listener.set_nonblocking(true).map_err(system)?;
                Ok(Self { listener: Some(Socket::Tcp(listener)), file: None, host: host.clone() })
            }
        }
    }

    /// The address.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Hands the listener to the runtime; within it only, and once.
    ///
    /// # Errors
    /// When the runtime can't watch it, or it was handed over before.
    pub fn listener(&mut self) -> io::Result<Listener> {
        match self.listener.take() {
            Some(Socket::Unix(listener)) => tokio::net::UnixListener::from_std(listener).map(Listener::Unix),
            Some(Socket::Tcp(listener)) => tokio::net::TcpListener::from_std(listener).map(Listener::Tcp),
            None => Err(io::Error::other("the listener was handed over already")),
        }
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let Some(file) = &self.file else { return };
        let still_ours = fs::symlink_metadata(&file.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (file.device, file.inode));
        if still_ours && let Err(error) = fs::remove_file(&file.path) {
            tracing::warn!(path = %file.path.display(), %error, "removing the socket failed");
        }
    }
}

enum GroupError {
    Missing(String),
    File(io::Error),
}

fn socket_group(asked: Option<&str>) -> Result<Option<u32>, GroupError> {
    let found = group::id_of(asked.unwrap_or(DEFAULT_GROUP), Path::new(GROUPS)).map_err(GroupError::File)?;
    match (found, asked) {
        (None, Some(name)) => Err(GroupError::Missing(name.to_owned())),
        (found, _) => Ok(found),
    }
}

enum Stale {
    InUse,
    NoSocket,
    System(io::Error),
}

/// Removes the socket of a daemon that is gone.
fn remove_stale(path: &Path) -> Result<(), Stale> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Stale::System(e)),
        Ok(found) if !found.file_type().is_socket() => return Err(Stale::NoSocket),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(Stale::InUse),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(Stale::System)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Stale::System(e)),
    }
}

fn bind_unix(path: &Path, group: Option<u32>) -> io::Result<UnixListener> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    // Nobody is to connect between the making of the socket and the setting of its owner and mode.
    let before = rustix::process::umask(Mode::RWXU | Mode::RWXG | Mode::RWXO);
    let bound = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = bound?;
    let set_up = || {
        if let Some(group) = group {
            std::os::unix::fs::lchown(path, Some(Uid::ROOT.as_raw()), Some(group))?;
        }
        rustix::fs::chmod(path, Mode::from_raw_mode(0o660))?;
        listener.set_nonblocking(true)
    };
    match set_up() {
        Ok(()) => Ok(listener),
        Err(e) => {
            // The first error is the one to tell.
            let _ = fs::remove_file(path);
            Err(e)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn unix(dir: &tempfile::TempDir) -> Host {
        Host::Unix(dir.path().join("run/brig.sock"))
    }

    #[test]
    fn a_socket_is_for_root_and_its_group_and_goes_with_the_daemon() {
        let dir = tempfile::tempdir().unwrap();
        let bound = Bound::bind(&unix(&dir), Some("0")).unwrap();
        let path = dir.path().join("run/brig.sock");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
        drop(bound);
        assert!(!path.exists());
    }

    #[test]
    fn one_in_use_is_refused_and_a_stale_one_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let first = Bound::bind(&unix(&dir), Some("0")).unwrap();
        assert!(matches!(Bound::bind(&unix(&dir), Some("0")), Err(ListenError::InUse(_))));
        drop(first);
        let path = dir.path().join("run/brig.sock");
        // A killed daemon leaves its socket.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(Bound::bind(&unix(&dir), Some("0")).unwrap());
        fs::write(&path, "").unwrap();
        assert!(matches!(Bound::bind(&unix(&dir), Some("0")), Err(ListenError::NoSocket(_))));
    }

    #[test]
    fn the_socket_of_a_later_daemon_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/brig.sock");
        let first = Bound::bind(&unix(&dir), Some("0")).unwrap();
        fs::remove_file(&path).unwrap();
        let _later = UnixListener::bind(&path).unwrap();
        drop(first);
        assert!(path.exists());
    }

    #[test]
    fn groups_and_ports() {
        let dir = tempfile::tempdir().unwrap();
        let error = Bound::bind(&unix(&dir), Some("no such group")).unwrap_err().to_string();
        assert_eq!(error, "failed to load listeners: group no such group not found");
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = Host::Tcp { host: "127.0.0.1".into(), port: taken.local_addr().unwrap().port() };
        assert!(matches!(Bound::bind(&host, None), Err(ListenError::System { .. })));
    }
}
