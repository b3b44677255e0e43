//! The OCI runtime: namespaces, cgroups v1 and v2, mounts, capabilities, seccomp.
//!
//! [`create`] makes a container up to the point just before its program is executed, [`Created::start`] lets it
//! go, [`exec`] runs a further process in it. All of it happens in the caller's process and in children that are
//! forked from it without `execve`, so the caller **must be single-threaded**; the shim is.
//!
//! How a container comes to be:
//! 1. A plan turns the OCI spec into checked values: what can be refused is refused before anything is made.
//! 2. The parent makes the cgroup and clones the child into its new namespaces.
//! 3. The child builds the root file system in its own mount namespace, while the parent fills the cgroup.
//! 4. The child pivots into it, takes on user, capabilities and limits, finds the program, reports and waits.
//! 5. Released, it loads seccomp and executes; a failure of that comes back over the same channel.
//!
//! Everything inside the root is reached through `openat2(RESOLVE_IN_ROOT)` and attached by descriptor: no path
//! that the image or another container may change is ever given to `mount(2)`.

pub mod capabilities;
pub mod cgroup;
pub mod error;
pub mod hooks;
pub mod options;
pub mod own_binary;
pub mod seccomp;
pub mod security_modules;

mod channel;
mod child;
mod clone;
mod create;
mod dbus;
mod descriptors;
mod exec;
mod gateway;
mod id_maps;
mod idmapped;
mod inroot;
mod listener;
mod mountfd;
mod net_devices;
mod parked;
mod plan;
mod process;
mod procfs;
mod restoring;
mod rootfs;
mod signals;
mod terminal;
mod view;

pub use create::{Created, Making, Running, begin, create};
pub use dbus::{DbusError, Value as DbusValue};
pub use error::{Errno, Error, ExecFailure};
pub use exec::{Execed, exec, exec_with};
pub use listener::Listening;
pub use options::{
    CgroupOptions, ConsoleSize, CreateOptions, Departures, ExecOptions, ExecTarget, InitProcess,
    NetworkLater, Stdio,
};
pub use parked::{Parked, start};
pub use plan::{BENEATH, MOUNT_OPTIONS};
pub use restoring::{make_mount_points, spawn_apart};
pub use signals::Signals;
pub use view::{Scope, View, ViewMount};
