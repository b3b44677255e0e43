//! The shim's own process.

use brig_core::Id;
use oci_spec::runtime::LinuxNamespaceType;
use std::{fs::File, os::fd::OwnedFd};

/// Makes one container as the request that comes on `control` says, and serves it to its end.
pub(crate) fn main(control: File, joins: Vec<(LinuxNamespaceType, OwnedFd)>, show: impl FnOnce(&Id)) -> ! {
    let _ = (control, joins, show);
    std::process::exit(1)
}
