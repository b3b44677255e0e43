//! The contract, by subject.

mod contract {
    mod attributes;
    mod bad_input;
    mod checkpoint;
    mod created;
    pub(crate) mod cves;
    mod entering;
    mod events;
    mod hooks;
    mod idmapped_mounts;
    mod joined_namespaces;
    mod lifecycle;
    mod net_devices;
    mod no_pivot;
    mod races;
    mod rootless;
    mod seccomp;
    mod streams;
    mod systemd;
    mod time_namespace;
    mod user_namespace;
}
