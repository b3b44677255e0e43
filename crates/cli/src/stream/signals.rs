//! Signals to the client: handed on to the container, or the end of the client.

use brig_api::client::Client;
use futures_util::{StreamExt, future::select_all, stream};
use std::pin::Pin;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What Docker's client hands on: all that can be caught, but SIGCHLD, SIGPIPE and SIGURG, and those by which
/// a program tells its own faults.
const PROXIED: [(i32, &str); 20] = [
    (libc::SIGHUP, "HUP"),
    (libc::SIGINT, "INT"),
    (libc::SIGQUIT, "QUIT"),
    (libc::SIGTRAP, "TRAP"),
    (libc::SIGABRT, "ABRT"),
    (libc::SIGUSR1, "USR1"),
    (libc::SIGUSR2, "USR2"),
    (libc::SIGALRM, "ALRM"),
    (libc::SIGTERM, "TERM"),
    (libc::SIGCONT, "CONT"),
    (libc::SIGTSTP, "TSTP"),
    (libc::SIGTTIN, "TTIN"),
    (libc::SIGTTOU, "TTOU"),
    (libc::SIGXCPU, "XCPU"),
    (libc::SIGXFSZ, "XFSZ"),
    (libc::SIGVTALRM, "VTALRM"),
    (libc::SIGPROF, "PROF"),
    (libc::SIGWINCH, "WINCH"),
    (libc::SIGIO, "IO"),
    (libc::SIGPWR, "PWR"),
];

/// Signals caught from the moment that this is made.
#[derive(Debug)]
pub struct Proxy {
    signals: Vec<(Signal, &'static str)>,
}

impl Proxy {
    /// Starts to catch.
    #[must_use]
    pub fn new() -> Self {
        let caught =
            |&(number, name): &(i32, &'static str)| Some((signal(SignalKind::from_raw(number)).ok()?, name));
        Self { signals: PROXIED.iter().filter_map(caught).collect() }
    }

    /// Hands signals on to a container, for ever.
    pub async fn run(mut self, client: &Client, container: &str) {
        loop {
            let next = self.signals.iter_mut().map(|(signal, name)| {
                Box::pin(async move {
                    signal.recv().await;
                    *name
                })
            });
            let (name, ..) = select_all(next).await;
            // A container that is not there yet, or no more, has no use for it.
            let _ = client.post(&format!("/containers/{container}/kill")).query("signal", name).send().await;
        }
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits for a signal that ends the client, and gives its number.
pub async fn termination() -> i32 {
    let kinds = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];
    let caught = kinds.iter().filter_map(|n| Some((signal(SignalKind::from_raw(*n)).ok()?, *n)));
    let mut all: Vec<Pin<Box<dyn futures_util::Stream<Item = i32>>>> = Vec::new();
    for (mut signal, number) in caught {
        all.push(Box::pin(stream::poll_fn(move |cx| signal.poll_recv(cx).map(|s| s.map(|()| number)))));
    }
    match stream::select_all(all).next().await {
        Some(number) => number,
        None => std::future::pending().await,
    }
}
