//! brig: a container engine in one binary.
fn main() {}
