//! `volume export`, `volume import` and `volume clone`, which are brig's own.

use super::{
    load::{check_output, download, upload},
    volume::pairs,
};
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::Result,
    flags::{Flag, Mode, Parsed},
    out, terminal,
};
use brig_api::{Volume, VolumeCloneRequest};
use std::io;

/// `brig volume export`
pub static EXPORT: Command = Command {
    paths: &["volume export"],
    synopsis: "VOLUME",
    about: "Write what is in a volume as an archive, to STDOUT unless told otherwise",
    examples: &[
        ("volume export -o data.tar data", "Into a file"),
        ("volume export data | brig -H ssh://other volume import data", "To another host"),
    ],
    flags: &[&[Flag::string("output", "Write this file instead of STDOUT").short('o')]],
    mode: Mode::Interspersed,
    operands: Operands::Exactly(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { export(cli, &flags).await }) },
};

/// `brig volume import`
pub static IMPORT: Command = Command {
    paths: &["volume import"],
    synopsis: "VOLUME [FILE|-]",
    about: "Fill a volume from an archive, from STDIN unless told otherwise; one that is not there is made",
    examples: &[("volume import data data.tar", "From a file that volume export has written")],
    flags: &[&[Flag::switch(
        "merge",
        "Put the files beside those that are in the volume, or in their place",
    )]],
    mode: Mode::Interspersed,
    operands: Operands::Between(1, 2),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { import(cli, &flags).await }) },
};

/// `brig volume clone`
pub static CLONE: Command = Command {
    paths: &["volume clone"],
    synopsis: "VOLUME [COPY]",
    about: "Make a copy of a volume; its blocks are shared where the file system can",
    examples: &[("volume clone data before-the-upgrade", "To go back to")],
    flags: &[&[Flag::list("label", "Give the copy a label")]],
    mode: Mode::Interspersed,
    operands: Operands::Between(1, 2),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { clone(cli, &flags).await }) },
};

async fn export(cli: &Cli, flags: &Parsed) -> Result {
    let path = flags.non_empty("output");
    if path.is_none() && terminal::is_terminal(io::stdout()) {
        return Err("cowardly refusing to save to a terminal. Use the -o flag or redirect".into());
    }
    let failed = "failed to export volume";
    if let Some(path) = &path {
        check_output(path, failed)?;
    }
    let request = cli.client()?.get(&format!("/volumes/{}/archive", flags.args[0]));
    download(request.response().await?.into_reader(), path.as_deref(), failed).await
}

async fn import(cli: &Cli, flags: &Parsed) -> Result {
    let body = upload(flags.args.get(1).map(String::as_str).filter(|path| *path != "-"))?;
    let request = cli
        .client()?
        .put(&format!("/volumes/{}/archive", flags.args[0]))
        .query_flag("merge", flags.on("merge"))
        .body_stream("application/x-tar", body);
    let volume: Volume = request.json().await?;
    out::line(&volume.name)
}

async fn clone(cli: &Cli, flags: &Parsed) -> Result {
    let request = VolumeCloneRequest {
        name: flags.args.get(1).cloned().unwrap_or_default(),
        labels: pairs(flags.all("label")),
    };
    let path = format!("/volumes/{}/clone", flags.args[0]);
    let volume: Volume = cli.client()?.post(&path).body_json(&request).json().await?;
    out::line(&volume.name)
}
