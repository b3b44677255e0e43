//! Dockerfile instructions as `--change` of `import` and `commit` takes them: those that set an image's configuration.
//! Whoever reads whole Dockerfiles begins here.

mod apply;
mod words;

pub(crate) use apply::apply;
