//! The contract, by subject.

mod contract {
    mod bad_input;
    mod entering;
    mod hooks;
    mod idmapped_mounts;
    mod lifecycle;
    mod streams;
    mod time_namespace;
    mod user_namespace;
}
