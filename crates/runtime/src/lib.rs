//! The OCI runtime: namespaces, cgroups v1 and v2, mounts, capabilities, seccomp.
