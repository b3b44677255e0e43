//! End-to-end tests of brig, through `brig`, the stock `docker` and the raw API.

mod suite {
    mod api;
    mod as_run;
    mod attach;
    mod bad_input;
    mod changes;
    mod copy;
    mod crash;
    mod daemon;
    mod devices;
    mod events;
    mod exec;
    mod hardening;
    mod health;
    mod images;
    mod lifecycle;
    mod links;
    mod log_drivers;
    mod logs;
    mod names;
    mod network;
    mod networks;
    mod openapi;
    mod random_crashes;
    mod registry;
    mod resources;
    mod restart;
    mod security;
    mod sockets;
    mod space;
    mod volume_files;
    mod volume_mounts;
    mod volume_parts;
    mod volume_plugins;
    mod volumes;
}
