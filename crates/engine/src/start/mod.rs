//! Starting a container, and giving back what a run held.
//!
//! What a start takes is written down in the sandbox's record before it is taken, and given back in reverse when
//! a later step fails, when the run ends, or when the next daemon finds it after a crash.

mod bring_up;
mod discard;
mod endpoints;
mod failure;
mod files;
mod links;
mod log;
mod modes;
mod names;
mod network;
mod prepare;
mod resolv_conf;
mod tear_down;

pub(crate) use bring_up::{Live, adopt, bring_up, console_size};
pub(crate) use discard::{discard, remove_container_dir};
pub(crate) use endpoints::{exists_already, name_networks, plug, tell_network, unplug};
pub(crate) use failure::of_exec as exec_failure;
pub(crate) use files::Paths;
pub(crate) use links::{asked as links_asked, reopen_ways, shown as links_shown};
pub(crate) use log::{keeps_no_log, log_attributes, log_config, log_path};
pub(crate) use modes::{NetworkMode, same_process};
pub(crate) use names::{dns_names, live as live_names, tell_anew};
pub(crate) use network::{check_ports, container_port};
pub(crate) use prepare::{cgroup_of, make_sources, spec_again, user_of};
pub(crate) use tear_down::{erase, remove_shim_dir, tear_down};
