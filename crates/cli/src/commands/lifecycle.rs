//! `stop`, `restart`, `kill`, `pause`, `unpause`, `wait`, `rm`, `rename`.

use super::each;
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
};
use brig_api::ContainerWaitResponse;

const SIGNAL: Flag = Flag::string("signal", "Signal to send to the container").short('s');
const CONTAINERS: &str = "CONTAINER [CONTAINER...]";
/// Deprecated names of `--timeout` are kept, unlisted.
const STOP_FLAGS: &[Flag] = &[
    SIGNAL,
    Flag::int("timeout", "Seconds to wait before the container is killed").short('t'),
    Flag::int("time", "").hide(),
];

/// `brig stop`
pub static STOP: Command = Command {
    paths: &["stop", "container stop"],
    synopsis: CONTAINERS,
    about: "Stop one or more running containers",
    examples: &[("stop -t 3 web", "Ask for an end, and kill after three seconds")],
    flags: &[STOP_FLAGS],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { stop(cli, &flags, "stop").await }) },
};

/// `brig restart`
pub static RESTART: Command = Command {
    paths: &["restart", "container restart"],
    synopsis: CONTAINERS,
    about: "Restart one or more containers",
    examples: &[],
    flags: &[STOP_FLAGS],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { stop(cli, &flags, "restart").await }) },
};

async fn stop(cli: &Cli, flags: &Parsed, verb: &str) -> Result {
    if flags.changed("time") && flags.changed("timeout") {
        return Err("conflicting options: cannot specify both --timeout and --time".into());
    }
    let client = cli.client()?;
    let timeout =
        ["timeout", "time"].into_iter().find(|n| flags.changed(n)).map(|n| flags.int(n).to_string());
    let signal = flags.get("signal");
    each(&flags.args, |name| {
        let request = client
            .post(&format!("/containers/{name}/{verb}"))
            .query_nonempty("signal", signal)
            .query_nonempty("t", timeout.clone().unwrap_or_default());
        async move {
            request.send().await?;
            Ok(Some(name.to_owned()))
        }
    })
    .await
}

/// `brig kill`
pub static KILL: Command = Command {
    paths: &["kill", "container kill"],
    synopsis: CONTAINERS,
    about: "Kill one or more running containers",
    examples: &[("kill -s HUP web", "Send another signal than KILL")],
    flags: &[&[SIGNAL]],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> {
        Box::pin(async move {
            let client = cli.client()?;
            let signal = flags.get("signal");
            each(&flags.args, |name| {
                let request =
                    client.post(&format!("/containers/{name}/kill")).query_nonempty("signal", signal);
                async move {
                    request.send().await?;
                    Ok(Some(name.to_owned()))
                }
            })
            .await
        })
    },
};

/// `brig pause`
pub static PAUSE: Command = Command {
    paths: &["pause", "container pause"],
    synopsis: CONTAINERS,
    about: "Pause all processes of one or more containers",
    examples: &[],
    flags: &[],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { plain(cli, &flags, "pause").await }) },
};

/// `brig unpause`
pub static UNPAUSE: Command = Command {
    paths: &["unpause", "container unpause"],
    synopsis: CONTAINERS,
    about: "Let the processes of paused containers go on",
    examples: &[],
    flags: &[],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { plain(cli, &flags, "unpause").await }) },
};

async fn plain(cli: &Cli, flags: &Parsed, verb: &str) -> Result {
    let client = cli.client()?;
    each(&flags.args, |name| async move {
        client.post(&format!("/containers/{name}/{verb}")).send().await?;
        Ok(Some(name.to_owned()))
    })
    .await
}

/// `brig wait`
pub static WAIT: Command = Command {
    paths: &["wait", "container wait"],
    synopsis: CONTAINERS,
    about: "Wait until containers stop, and print their exit codes",
    examples: &[],
    flags: &[],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> {
        Box::pin(async move {
            let client = cli.client()?;
            each(&flags.args, |name| async move {
                let answer: ContainerWaitResponse =
                    client.post(&format!("/containers/{name}/wait")).json().await?;
                // As with Docker: what the container died of is for `inspect` to say.
                Ok(Some(answer.status_code.to_string()))
            })
            .await
        })
    },
};

/// `brig rm`
pub static RM: Command = Command {
    paths: &["rm", "container rm", "container remove"],
    synopsis: CONTAINERS,
    about: "Remove one or more containers",
    examples: &[("rm -fv web", "Kill it if need be, and remove its anonymous volumes too")],
    flags: &[&[
        Flag::switch("force", "Remove running containers too: they are killed").short('f'),
        Flag::switch("link", "Remove the link of this name").short('l'),
        Flag::switch("volumes", "Remove the container's anonymous volumes too").short('v'),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> {
        Box::pin(async move {
            let client = cli.client()?;
            let (force, link, volumes) = (flags.on("force"), flags.on("link"), flags.on("volumes"));
            let gone_is_fine = force;
            each(&flags.args, |name| {
                let trimmed = name.trim_matches('/');
                let request = client
                    .delete(&format!("/containers/{trimmed}"))
                    .query_flag("force", force)
                    .query_flag("link", link)
                    .query_flag("v", volumes);
                async move {
                    if trimmed.is_empty() {
                        return Err("container name cannot be empty".into());
                    }
                    match request.send().await {
                        Ok(()) => Ok(Some(name.to_owned())),
                        // What is not there needs no force to be gone: told, but no failure.
                        Err(e) if gone_is_fine && e.status().is_some_and(|s| s.as_u16() == 404) => {
                            crate::out::warn(&e.to_string());
                            Ok(None)
                        }
                        Err(e) => Err(e.into()),
                    }
                }
            })
            .await
        })
    },
};

/// `brig rename`
pub static RENAME: Command = Command {
    paths: &["rename", "container rename"],
    synopsis: "CONTAINER NEW_NAME",
    about: "Rename a container",
    examples: &[],
    flags: &[],
    mode: Mode::Interspersed,
    operands: Operands::Exactly(2),
    run: |cli, flags| -> Running<'_> {
        Box::pin(async move {
            let (old, new) = (flags.args[0].trim(), flags.args[1].trim());
            if old.is_empty() || new.is_empty() {
                return Err("Error: Neither old nor new names may be empty".into());
            }
            let request = cli.client()?.post(&format!("/containers/{old}/rename")).query("name", new);
            request
                .send()
                .await
                .map_err(|e| Error::Message(format!("{e}\nError: failed to rename container named {old}")))
        })
    },
};
