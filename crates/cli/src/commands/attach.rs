//! `attach`.

use super::detach_keys;
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
    out,
    stream::{Ended, Pump, detach::Watch, signals::Proxy},
    terminal,
};
use brig_api::{ContainerInspectResponse, ContainerWaitResponse};

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
    let client = cli.client()?;
    let name = &flags.args[0];
    let keys = detach_keys(cli, flags.get("detach-keys"));
    let watch = Watch::new(&keys).map_err(Error::Message)?;
    let container: ContainerInspectResponse = client.get(&format!("/containers/{name}/json")).json().await?;
    if !container.state.running {
        return Err("You cannot attach to a stopped container, start it first".into());
    }
    if container.state.paused {
        return Err("You cannot attach to a paused container, unpause it first".into());
    }
    if container.state.restarting {
        return Err("You cannot attach to a restarting container, wait until it is running".into());
    }
    let config = &container.config;
    let stdin = config.open_stdin && !flags.on("no-stdin");
    if config.tty && stdin && !terminal::is_terminal(std::io::stdin()) {
        return Err("the input device is not a TTY".into());
    }
    let id = &container.id;
    let waiting = client.post(&format!("/containers/{id}/wait")).response().await?;
    let connection = client
        .post(&format!("/containers/{id}/attach"))
        .query_nonempty("detachKeys", keys.as_str())
        .query("stderr", "1")
        .query_flag("stdin", stdin)
        .query("stdout", "1")
        .query("stream", "1")
        .hijack()
        .await?
        .stream;
    let pump = Pump {
        client,
        resize: Some(format!("/containers/{id}")),
        connection,
        tty: config.tty,
        stdin,
        stdout: true,
        stderr: true,
        detach: config.tty.then_some(watch),
    };
    let proxy = (flags.on("sig-proxy") && !config.tty).then(Proxy::new);
    let streams = pump.run(async { Ok(()) });
    let ended = match proxy {
        None => streams.await?,
        Some(proxy) => tokio::select! {
            ended = streams => ended?,
            () = proxy.run(client, id) => Ended::Detached,
        },
    };
    if ended == Ended::Detached {
        out::warn("read escape sequence");
        return Ok(());
    }
    let answer: ContainerWaitResponse = waiting.json().await?;
    match answer.status_code {
        0 => Ok(()),
        code => Err(Error::silent((code & 0xff) as u8)),
    }
}
