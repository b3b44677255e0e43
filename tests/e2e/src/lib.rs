//! The harness of the end-to-end tests. A [`Host`] is a daemon of its own with its own data root, exec root,
//! socket, cgroup parent and network namespace; when it is dropped it removes all it made and fails the test
//! if anything is left: a process, a mount, a cgroup, a link, a file.

pub mod client;
pub mod host;
pub mod http;
pub mod image;
pub mod leftovers;
pub mod netns;
pub mod openapi;

pub use client::{Client, Output};
pub use host::Host;

/// Runs a test body once with `brig` and once with the stock `docker` command line, each on a daemon of its own.
/// Where `docker` is not installed only `brig` runs; `cargo xtask test` says so.
pub fn with_both(body: impl Fn(&Host, Client)) {
    for client in Client::available() {
        let host = Host::start();
        host.import_busybox();
        body(&host, client);
    }
}
