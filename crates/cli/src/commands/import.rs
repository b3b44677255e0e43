//! `import`.

use super::{
    load::upload,
    pull::{Show, display},
};
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
    out,
};
use brig_core::Reference;

/// `brig import`
pub static IMPORT: Command = Command {
    paths: &["import", "image import"],
    synopsis: "file|URL|- [REPOSITORY[:TAG]]",
    about: "Make an image from an archive of a file system",
    examples: &[
        ("import rootfs.tar base:latest", "From a file"),
        ("import - base < rootfs.tar", "From standard input"),
    ],
    flags: &[&[
        Flag::list("change", "Apply a Dockerfile instruction to the image").short('c'),
        Flag::string("message", "Comment on the image").short('m'),
        Flag::string("platform", "Platform, when the daemon has several"),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { import(cli, &flags).await }) },
};

async fn import(cli: &Cli, flags: &Parsed) -> Result {
    let source = &flags.args[0];
    let name = flags.args.get(1).map_or("", String::as_str);
    if !name.is_empty() {
        name.parse::<Reference>().map_err(|e| Error::Message(e.to_string()))?;
    }
    let is_url = source.starts_with("http://") || source.starts_with("https://");
    let body = match source.as_str() {
        _ if is_url => None,
        "-" => Some(upload(None)?),
        path => Some(upload(Some(path))?),
    };
    let mut request = cli
        .client()?
        .post("/images/create")
        .query("fromSrc", if is_url { source } else { "-" })
        .query_nonempty("message", flags.get("message"))
        .query_nonempty("platform", flags.get("platform").to_lowercase())
        .query_nonempty("repo", name);
    for change in flags.all("change") {
        request = request.query("changes", change);
    }
    if let Some(body) = body {
        request = request.body_stream("text/plain", body);
    } else {
        out::warn(&format!("Downloading from {source}"));
    }
    display(request.response().await?.into_values(), Some(Show::StandardOutput)).await
}
