//! The systemd driver: a container's group is a transient scope that systemd makes, with as many of the limits as
//! systemd knows as properties of it. The rest is written through the cgroup file system, into a folder that is the
//! container's own (`Delegate=`).
//!
//! - [`Scope`], `names`: `slice:prefix:name` and the folder that it comes to; pure.
//! - `annotations`, `text`: properties that the bundle adds; pure.
//! - `properties`, `device_list`: from the writes that the other driver makes to properties; pure.
//! - `manager`: the calls.
//! - [`Unit`]: a scope that is there.

mod annotations;
mod device_list;
mod error;
mod manager;
mod names;
mod properties;
mod text;
mod unit;

pub use error::SystemdError;
pub use names::Scope;
pub use unit::{Owner, Unit};

pub(super) use manager::Manager;
pub(crate) use unit::Starting;
pub(super) use unit::{Limits, rounded};

use crate::dbus::Value;

/// One property of a unit.
pub type Property = (String, Value);

#[cfg(test)]
mod tests;

fn property(name: &str, value: Value) -> Property {
    (name.to_owned(), value)
}

fn text(name: &str, value: &str) -> Property {
    property(name, Value::text(value))
}

fn yes(name: &str) -> Property {
    property(name, Value::Bool(true))
}
