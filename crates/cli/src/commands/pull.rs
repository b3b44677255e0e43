//! `pull`, and the progress of pulls and loads.

use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    credentials,
    error::{Error, Result},
    flags::{Flag, Mode},
    format::size,
    out, terminal,
};
use brig_api::{JsonMessage, client::JsonValues};
use brig_core::Reference;
use std::collections::HashMap;

/// `brig pull`
pub static PULL: Command = Command {
    paths: &["pull", "image pull"],
    synopsis: "NAME[:TAG|@DIGEST]",
    about: "Get an image from a registry",
    examples: &[],
    flags: &[&[
        Flag::switch("all-tags", "Get all tags of the repository").short('a'),
        Flag::switch("disable-content-trust", "").default("true", "").hide(),
        Flag::string("platform", "Platform, when the image has several"),
        Flag::switch("quiet", "Show nothing but the image's name").short('q'),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::Exactly(1),
    run: |cli, flags| -> Running<'_> {
        Box::pin(async move {
            let name = &flags.args[0];
            let reference: Reference = name.parse().map_err(|e| Error::Message(format!("{e}")))?;
            let quiet = flags.on("quiet");
            let bare = reference.tag().is_none() && reference.digest().is_none();
            if flags.on("all-tags") {
                if !bare {
                    return Err("tag can't be used with --all-tags/-a".into());
                }
                pull_reference(cli, &reference, flags.get("platform"), quiet, Show::StandardOutput).await?;
                return out::line(&reference.to_string());
            }
            let reference = reference.with_default_tag();
            if bare && !quiet {
                out::line("Using default tag: latest")?;
            }
            pull_reference(cli, &reference, flags.get("platform"), quiet, Show::StandardOutput).await?;
            out::line(&reference.to_string())
        })
    },
};

/// Where progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// As the command's own output.
    StandardOutput,
    /// Beside the command's output.
    StandardError,
}

/// Asks the daemon to pull an image, and shows how it goes.
///
/// # Errors
/// When the daemon refuses, or the pull fails.
pub async fn pull(cli: &Cli, image: &str, platform: &str, quiet: bool, show: Show) -> Result {
    let reference: Reference = image.parse().map_err(|e| Error::Message(format!("{e}")))?;
    pull_reference(cli, &reference.with_default_tag(), platform, quiet, show).await
}

/// The same; a reference without tag and digest means all tags.
async fn pull_reference(cli: &Cli, reference: &Reference, platform: &str, quiet: bool, show: Show) -> Result {
    let tag = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or_default().to_owned(),
    };
    let answer = cli
        .client()?
        .post("/images/create")
        .query("fromImage", reference.repository())
        .query_nonempty("tag", tag)
        .query_nonempty("platform", platform)
        .header(
            http::HeaderName::from_static("x-registry-auth"),
            &credentials::header(cli.config(), reference)?,
        )
        .response()
        .await?;
    display(answer.into_values(), if quiet { None } else { Some(show) }).await
}

/// Shows messages until the stream ends: on a terminal, each id keeps its line; else each is a line of its own,
/// without progress.
///
/// # Errors
/// When the stream breaks or tells an error.
pub async fn display(mut messages: JsonValues<JsonMessage>, show: Option<Show>) -> Result {
    let is_terminal = match show {
        Some(Show::StandardOutput) => terminal::is_terminal(std::io::stdout()),
        Some(Show::StandardError) => terminal::is_terminal(std::io::stderr()),
        None => false,
    };
    let write = |text: &str| match show {
        Some(Show::StandardOutput) => out::print(text),
        Some(Show::StandardError) => {
            out::warn_bytes(text.as_bytes());
            Ok(())
        }
        None => Ok(()),
    };
    let mut lines: HashMap<String, usize> = HashMap::new();
    while let Some(message) = messages.next().await? {
        let error = message.error_detail.as_ref().map(|d| d.message.clone()).filter(|m| !m.is_empty());
        if let Some(error) = error.or_else(|| (!message.error.is_empty()).then(|| message.error.clone())) {
            return Err(error.into());
        }
        if message.aux.is_some() {
            // For programs.
            continue;
        }
        if !message.stream.is_empty() {
            write(&message.stream)?;
            continue;
        }
        let moving = message.progress_detail.as_ref().is_some_and(|p| p.current > 0 || p.total > 0);
        if !is_terminal {
            if !moving {
                write(&line(&message, false))?;
            }
            continue;
        }
        if message.id.is_empty() {
            lines.clear();
            write(&line(&message, true))?;
            continue;
        }
        let count = lines.len();
        let up = match lines.get(&message.id) {
            Some(place) => count - place,
            None => {
                lines.insert(message.id.clone(), count);
                write("\n")?;
                1
            }
        };
        // Up to the id's line, clear it, write it anew, and back down.
        write(&format!("\x1b[{up}A\x1b[2K\r{}\x1b[{up}B\r", line(&message, true).trim_end()))?;
    }
    Ok(())
}

fn line(message: &JsonMessage, progress: bool) -> String {
    let mut text = String::new();
    if !message.id.is_empty() {
        text.push_str(&format!("{}: ", message.id));
    }
    text.push_str(&message.status);
    if let Some(detail) = message.progress_detail.as_ref().filter(|p| progress && p.current > 0) {
        let current = size::human(detail.current as f64);
        if detail.total > 0 {
            let done = usize::try_from(detail.current * 50 / detail.total).unwrap_or(0).min(50);
            let bar = format!("{}>{}", "=".repeat(done), " ".repeat(50 - done));
            text.push_str(&format!(" [{}]  {current}/{}", &bar[..50], size::human(detail.total as f64)));
        } else {
            text.push_str(&format!(" {current}"));
        }
    }
    text.push('\n');
    text
}
