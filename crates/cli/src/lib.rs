//! The docker command line: arguments, streams, terminal, tables, templates and progress.

pub mod flags;
pub mod format;
pub mod template;
