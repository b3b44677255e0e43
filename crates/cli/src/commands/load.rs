//! `load` and `save`.

use super::{
    images::platform_json,
    pull::{Show, display},
};
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::{Error, Result, os_text},
    flags::{Flag, Mode, Parsed},
    stream::stdio::{Input, Output},
    terminal,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

/// `brig load`
pub static LOAD: Command = Command {
    paths: &["load", "image load"],
    synopsis: "",
    about: "Read images from an archive that save made",
    examples: &[("load -i images.tar", "From a file")],
    flags: &[&[
        Flag::string("input", "Read this file instead of STDIN").short('i'),
        Flag::string("platform", "Load only this platform's variant (e.g., \"linux/amd64\")"),
        Flag::switch("quiet", "Show nothing").short('q'),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::None,
    run: |cli, flags| -> Running<'_> { Box::pin(async move { load(cli, &flags).await }) },
};

/// `brig save`
pub static SAVE: Command = Command {
    paths: &["save", "image save"],
    synopsis: "IMAGE [IMAGE...]",
    about: "Write images into an archive, to STDOUT unless told otherwise",
    examples: &[("save -o images.tar busybox alpine", "Two images in one file")],
    flags: &[&[
        Flag::string("output", "Write this file instead of STDOUT").short('o'),
        Flag::string("platform", "Save only this platform's variant (e.g., \"linux/amd64\")"),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { save(cli, &flags).await }) },
};

const PIECE: usize = 64 << 10;

/// A file, or standard input, as the body of a request.
///
/// # Errors
/// When the file can't be opened.
pub(super) fn upload(path: Option<&str>) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + 'static> {
    Ok(match path {
        Some(path) => {
            let open = File::open(path).and_then(|file| {
                let is_folder = file.metadata()?.is_dir();
                if is_folder { Err(io::Error::from_raw_os_error(libc::EISDIR)) } else { Ok(file) }
            });
            let file = open.map_err(|e| Error::Message(format!("open {path}: {}", os_text(&e))))?;
            let pieces = stream::unfold(file, |mut file| async move {
                let mut piece = vec![0; PIECE];
                match file.read(&mut piece) {
                    Ok(0) => None,
                    Ok(n) => {
                        piece.truncate(n);
                        Some((Ok(Bytes::from(piece)), file))
                    }
                    Err(e) => Some((Err(e), file)),
                }
            });
            pieces.left_stream()
        }
        None => stream::unfold(Input::new(), |input| async move {
            let mut piece = vec![0; PIECE];
            match input.read(&mut piece).await {
                Ok(0) => None,
                Ok(n) => {
                    piece.truncate(n);
                    Some((Ok(Bytes::from(piece)), input))
                }
                Err(e) => Some((Err(e), input)),
            }
        })
        .right_stream(),
    })
}

async fn load(cli: &Cli, flags: &Parsed) -> Result {
    let path = flags.non_empty("input");
    if path.is_none() && terminal::is_terminal(io::stdin()) {
        return Err("requested load from stdin, but stdin is empty".into());
    }
    let body = upload(path.as_deref())?;
    let quiet = flags.on("quiet") || !terminal::is_terminal(io::stdout());
    let platform = flags.non_empty("platform").map(|p| platform_json(&p)).unwrap_or_default();
    let request = cli
        .client()?
        .post("/images/load")
        .query("quiet", if quiet { "1" } else { "0" })
        .query_nonempty("platform", platform)
        .body_stream("application/x-tar", body);
    display(request.response().await?.into_values(), Some(Show::StandardOutput)).await
}

async fn save(cli: &Cli, flags: &Parsed) -> Result {
    let path = flags.non_empty("output");
    if path.is_none() && terminal::is_terminal(io::stdout()) {
        return Err("cowardly refusing to save to a terminal. Use the -o flag or redirect".into());
    }
    if let Some(path) = &path {
        check_output(path, "failed to save image")?;
    }
    let mut request = cli.client()?.get("/images/get");
    for name in &flags.args {
        request = request.query("names", name);
    }
    if let Some(platform) = flags.non_empty("platform") {
        request = request.query("platform", platform_json(&platform));
    }
    let body = request.response().await?.into_reader();
    download(body, path.as_deref(), "failed to save image").await
}

/// Writes an answer into a file, or to standard output.
pub(super) async fn download(
    mut body: brig_api::client::BodyReader,
    path: Option<&str>,
    failed: &str,
) -> Result {
    let Some(path) = path else {
        let out = Output::stdout();
        while let Some(piece) = body.chunk().await? {
            out.write_all(&piece).await?;
        }
        return Ok(());
    };
    // Under a temporary name first: a file of that name is either as it was, or whole.
    let temporary = format!("{path}.brig-{}", std::process::id());
    let result = async {
        let mut file = File::options().write(true).create_new(true).open(&temporary)?;
        while let Some(piece) = body.chunk().await? {
            file.write_all(&piece)?;
        }
        std::fs::rename(&temporary, path)
    }
    .await;
    result.map_err(|e| {
        // It may not even have been made.
        let _ = std::fs::remove_file(&temporary);
        Error::Message(format!("{failed}: {path}: {}", os_text(&e)))
    })
}

/// Refuses a file that can't be made.
///
/// # Errors
/// In Docker's words.
pub(super) fn check_output(path: &str, failed: &str) -> Result {
    use std::os::unix::fs::FileTypeExt;
    let folder = Path::new(path).parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let found = std::fs::metadata(folder).and_then(|found| {
        if found.is_dir() { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ENOTDIR)) }
    });
    if let Err(e) = found {
        let (folder, why) = (folder.display(), os_text(&e));
        return Err(format!("{failed}: invalid output path: stat {folder}: {why}").into());
    }
    // What is not there yet is what it is to be.
    let Ok(found) = std::fs::metadata(path) else { return Ok(()) };
    let kind = found.file_type();
    let what = match () {
        () if kind.is_dir() => "directory",
        () if kind.is_char_device() => "character device file",
        () if kind.is_block_device() => "block device file",
        () => return Ok(()),
    };
    Err(format!("{failed}: cannot write to a {what}").into())
}
