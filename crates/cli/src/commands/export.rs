//! `export`, `diff` and `commit`.

use super::load::{check_output, download};
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    entry,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
    list::{self, Headers},
    out,
    template::Object,
    terminal,
};
use brig_api::{FilesystemChange, IdResponse};
use brig_core::Reference;
use std::{io, rc::Rc};

/// `brig export`
pub static EXPORT: Command = Command {
    paths: &["export", "container export"],
    synopsis: "CONTAINER",
    about: "Write a container's file system as an archive, to STDOUT unless told otherwise",
    examples: &[("export -o web.tar web", "Into a file, which import makes an image of")],
    flags: &[&[Flag::string("output", "Write this file instead of STDOUT").short('o')]],
    mode: Mode::Interspersed,
    operands: Operands::Exactly(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { export(cli, &flags).await }) },
};

/// `brig diff`
pub static DIFF: Command = Command {
    paths: &["diff", "container diff"],
    synopsis: "CONTAINER",
    about: "Show what a container has changed of its image's files",
    examples: &[],
    flags: &[],
    mode: Mode::Interspersed,
    operands: Operands::Exactly(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { diff(cli, &flags).await }) },
};

/// `brig commit`
pub static COMMIT: Command = Command {
    paths: &["commit", "container commit"],
    synopsis: "CONTAINER [REPOSITORY[:TAG]]",
    about: "Make an image of a container and what it has changed",
    examples: &[("commit -c 'CMD [\"nginx\"]' web web:tuned", "With another command")],
    flags: &[&[
        Flag::string("author", "Who makes it (e.g., \"John Hannibal Smith <hannibal@a-team.com>\")")
            .short('a'),
        Flag::list("change", "Apply a Dockerfile instruction to the image").short('c'),
        Flag::string("message", "Comment on the image").short('m'),
        Flag::switch("pause", "Freeze the container meanwhile").short('p').default("true", "true"),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::Between(1, 2),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { commit(cli, &flags).await }) },
};

async fn export(cli: &Cli, flags: &Parsed) -> Result {
    let path = flags.non_empty("output");
    if path.is_none() && terminal::is_terminal(io::stdout()) {
        return Err("cowardly refusing to save to a terminal. Use the -o flag or redirect".into());
    }
    let failed = "failed to export container";
    if let Some(path) = &path {
        check_output(path, failed)?;
    }
    let request = cli.client()?.get(&format!("/containers/{}/export", flags.args[0]));
    download(request.response().await?.into_reader(), path.as_deref(), failed).await
}

const HEADERS: Headers = &[("Type", "CHANGE TYPE"), ("Path", "PATH")];

async fn diff(cli: &Cli, flags: &Parsed) -> Result {
    let container = &flags.args[0];
    if container.is_empty() {
        return Err("Container name cannot be empty".into());
    }
    let changes: Option<Vec<FilesystemChange>> =
        cli.client()?.get(&format!("/containers/{container}/changes")).json().await?;
    let entries = changes.unwrap_or_default().into_iter().map(|c| Rc::new(Entry(c)) as Rc<dyn Object>);
    list::print("", "{{.Type}} {{.Path}}", HEADERS, entries.collect())
}

#[derive(Debug)]
struct Entry(FilesystemChange);

entry!(Entry as "*container.diffContext", this;
    "Type" => match this.0.kind {
        0 => "C",
        1 => "A",
        2 => "D",
        _ => "",
    },
    "Path" => &this.0.path,
    ; label: None);

async fn commit(cli: &Cli, flags: &Parsed) -> Result {
    let name = flags.args.get(1).map_or("", String::as_str);
    let (mut repository, mut tag) = (String::new(), String::new());
    if !name.is_empty() {
        let reference = name.parse::<Reference>().map_err(|e| Error::Message(e.to_string()))?;
        if reference.digest().is_some() {
            return Err("refusing to create a tag with a digest reference".into());
        }
        let reference = reference.with_default_tag();
        repository = reference.familiar_name();
        tag = reference.tag().unwrap_or_default().to_owned();
    }
    let mut request = cli
        .client()?
        .post("/commit")
        .query("container", flags.args[0].as_str())
        .query_nonempty("repo", repository)
        .query_nonempty("tag", tag)
        .query_nonempty("comment", flags.get("message"))
        .query_nonempty("author", flags.get("author"));
    for change in flags.all("change") {
        request = request.query("changes", change);
    }
    if !flags.on("pause") {
        request = request.query("pause", "0");
    }
    let made: IdResponse = request.body_json(&serde_json::Value::Null).json().await?;
    out::line(&made.id)
}
