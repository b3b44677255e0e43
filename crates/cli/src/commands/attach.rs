//! `attach`.

use super::participant::Participant;
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::Result,
    flags::{Flag, Mode, Parsed},
};

/// `brig attach`
pub static ATTACH: Command = Command {
    paths: &["attach", "container attach"],
    synopsis: "CONTAINER",
    about: "Attach the terminal to a running container's input and output",
    examples: &[],
    flags: &[&[
        Flag::string("detach-keys", "Keys that detach from the container"),
        Flag::switch("no-stdin", "Don't attach STDIN"),
        Flag::switch("sig-proxy", "Hand signals on to the process").default("true", "true"),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::Exactly(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { attach(cli, &flags).await }) },
};

async fn attach(cli: &Cli, flags: &Parsed) -> Result {
    let participant = Participant::of(cli, &flags.args[0], flags.get("detach-keys")).await?;
    let state = &participant.container.state;
    if !state.running {
        return Err("You cannot attach to a stopped container, start it first".into());
    }
    if state.paused {
        return Err("You cannot attach to a paused container, unpause it first".into());
    }
    if state.restarting {
        return Err("You cannot attach to a restarting container, wait until it is running".into());
    }
    participant.take_part(!flags.on("no-stdin"), flags.on("sig-proxy"), "", async { Ok(()) }).await
}
