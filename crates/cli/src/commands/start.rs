//! `start`.

use super::{detach_keys, each};
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

/// `brig start`
pub static START: Command = Command {
    paths: &["start", "container start"],
    synopsis: "CONTAINER [CONTAINER...]",
    about: "Start one or more stopped containers",
    examples: &[("start -ai shell", "Start a container and take part in it")],
    flags: &[&[
        Flag::switch("attach", "Attach STDOUT and STDERR, and hand signals on").short('a'),
        Flag::string("checkpoint", "Restore from this checkpoint").hide(),
        Flag::string("checkpoint-dir", "Where checkpoints are").hide(),
        Flag::string("detach-keys", "Keys that detach from the container"),
        Flag::switch("interactive", "Attach the container's STDIN").short('i'),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { start(cli, &flags).await }) },
};

async fn start(cli: &Cli, flags: &Parsed) -> Result {
    let names = &flags.args;
    if flags.changed("checkpoint") {
        return Err("checkpoints are not supported".into());
    }
    if flags.on("attach") || flags.on("interactive") {
        if names.len() > 1 {
            return Err("you cannot start and attach multiple containers at once".into());
        }
        return attached(cli, flags, &names[0]).await;
    }
    let client = cli.client()?;
    let failed = std::cell::RefCell::new(Vec::new());
    let told = each(names, |name| {
        let failed = &failed;
        async move {
            match client.post(&format!("/containers/{name}/start")).send().await {
                Ok(()) => Ok(Some(name.to_owned())),
                Err(e) => {
                    failed.borrow_mut().push(name);
                    Err(e.into())
                }
            }
        }
    })
    .await;
    let failed = failed.borrow();
    if failed.is_empty() {
        return told;
    }
    Err(Error::Message(format!("Error: failed to start containers: {}", failed.join(", "))))
}

async fn attached(cli: &Cli, flags: &Parsed, name: &str) -> Result {
    let client = cli.client()?;
    let keys = detach_keys(cli, flags.get("detach-keys"));
    let watch = Watch::new(&keys).map_err(Error::Message)?;
    let container: ContainerInspectResponse = client.get(&format!("/containers/{name}/json")).json().await?;
    let config = &container.config;
    let stdin = flags.on("interactive") && config.open_stdin;
    if config.tty && stdin && !terminal::is_terminal(std::io::stdin()) {
        return Err("the input device is not a TTY".into());
    }
    let proxy = (!config.tty).then(Proxy::new);
    let id = &container.id;
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
    let removed = container.host_config.auto_remove;
    let waiting = client
        .post(&format!("/containers/{id}/wait"))
        .query("condition", if removed { "removed" } else { "next-exit" })
        .response()
        .await?;
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
    let streams = pump.run(async { Ok(client.post(&format!("/containers/{id}/start")).send().await?) });
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
