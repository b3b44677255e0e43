//! The docker command line: arguments, streams, terminal, tables, templates and progress.
