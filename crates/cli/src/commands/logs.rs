//! `logs`.

use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
    format::timestamp,
    stream::{pump::write_frames, stdio::Output},
};
use brig_api::{
    ContainerInspectResponse,
    stream::{Decoder, MULTIPLEXED_STREAM},
};

/// `brig logs`
pub static LOGS: Command = Command {
    paths: &["logs", "container logs"],
    synopsis: "CONTAINER",
    about: "Show what a container has written",
    examples: &[("logs -f --tail 20 web", "The last lines, and those to come")],
    flags: &[&[
        Flag::switch("details", "Show extra attributes given to the log"),
        Flag::switch("follow", "Show what comes, too").short('f'),
        Flag::string(
            "since",
            "Show what came since a time (e.g. \"2013-01-02T13:23:37Z\") or a while (e.g. \"42m\")",
        ),
        Flag::string("tail", "How many of the last lines to show").short('n').default("all", "all"),
        Flag::switch("timestamps", "Show the time of each line").short('t'),
        Flag::string(
            "until",
            "Show what came before a time (e.g. \"2013-01-02T13:23:37Z\") or a while (e.g. \"42m\")",
        ),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::Exactly(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { logs(cli, &flags).await }) },
};

fn time(flags: &Parsed, name: &str) -> Result<String> {
    match flags.get(name) {
        "" => Ok(String::new()),
        text => timestamp::since(text, jiff::Timestamp::now())
            .map_err(|e| Error::Message(format!("invalid value for {}: {e}", crate::format::go_quote(name)))),
    }
}

async fn logs(cli: &Cli, flags: &Parsed) -> Result {
    let client = cli.client()?;
    let name = &flags.args[0];
    let answer = client
        .get(&format!("/containers/{name}/logs"))
        .query_flag("details", flags.on("details"))
        .query_flag("follow", flags.on("follow"))
        .query_nonempty("since", time(flags, "since")?)
        .query("stderr", "1")
        .query("stdout", "1")
        .query("tail", flags.get("tail"))
        .query_flag("timestamps", flags.on("timestamps"))
        .query_nonempty("until", time(flags, "until")?)
        .response()
        .await?;
    // Daemons tell whether there are frames since API 1.42; of older ones the container has to be asked.
    let frames = if client.version().await?.at_least(42) {
        answer.header("content-type") == Some(MULTIPLEXED_STREAM)
    } else {
        let container: ContainerInspectResponse =
            client.get(&format!("/containers/{name}/json")).json().await?;
        !container.config.tty
    };
    let (out, err) = (Output::stdout(), Output::stderr());
    let mut body = answer.into_reader();
    let mut decoder = Decoder::new();
    while let Some(piece) = body.chunk().await? {
        if frames {
            write_frames(&mut decoder, &piece, Some(&out), Some(&err)).await?;
        } else {
            out.write_all(&piece).await?;
        }
    }
    Ok(())
}
