//! Telling systemd how far the daemon is (sd_notify(3)).

use std::{
    ffi::OsString,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
};

/// The one who wants to know, named by `NOTIFY_SOCKET`.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<OsString>,
}

impl Notifier {
    /// The one that the environment names, or nobody.
    #[must_use]
    pub fn from_env() -> Self {
        Self { socket: std::env::var_os("NOTIFY_SOCKET").filter(|s| !s.is_empty()) }
    }

    /// The daemon serves.
    pub fn ready(&self) {
        self.tell("READY=1\nSTATUS=Serving");
    }

    /// The daemon is about to end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=Stopping");
    }

    fn tell(&self, state: &str) {
        if let Err(error) = self.send(state) {
            tracing::debug!(%error, "nobody hears NOTIFY_SOCKET");
        }
    }

    fn send(&self, state: &str) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        // `@` stands for the zero byte of an abstract address.
        let address = match socket.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(socket)?,
        };
        UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_arrive_by_path_and_by_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("brig-test-{}", brig_core::Id::random().short());
        let by_path = UnixDatagram::bind(&path).unwrap();
        let by_name =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name.as_bytes()).unwrap()).unwrap();
        for (socket, receiver) in [(path.into_os_string(), by_path), (format!("@{name}").into(), by_name)] {
            Notifier { socket: Some(socket) }.ready();
            let mut buffer = [0; 64];
            let length = receiver.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"READY=1\nSTATUS=Serving");
        }
    }

    #[test]
    fn nobody_to_tell_and_somebody_who_is_gone() {
        Notifier::default().send("READY=1").unwrap();
        Notifier { socket: Some("/nonexistent/notify".into()) }.send("READY=1").unwrap_err();
    }
}
