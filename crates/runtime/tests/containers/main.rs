//! Containers made for real, as root, from the machine's static busybox.
//!
//! Each case runs in a process of its own with one thread: the runner executes itself with the case's name in the
//! environment. Orphans that a failing case leaves come to the runner, which kills them; each case's folder is
//! removed by the runner too.

mod basics;
mod cgroups;
mod entering;
mod fixture;
mod hardening;
mod mounting;
mod runner;
mod speed;
mod terminals;

use runner::Case;

fn main() {
    let modules = [
        basics::CASES,
        cgroups::CASES,
        entering::CASES,
        hardening::CASES,
        mounting::CASES,
        speed::CASES,
        terminals::CASES,
    ];
    let cases: Vec<Case> = modules.concat();
    runner::main(&cases);
}

/// The cases of a module, by the names of their functions.
#[macro_export]
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub const CASES: &[$crate::runner::Case] =
            &[$($crate::runner::Case { name: stringify!($name), run: $name, ignored: false }),*];
    };
}
