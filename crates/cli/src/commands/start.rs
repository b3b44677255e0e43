//! `start`.

use super::{each, participant::Participant};
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
};

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
    let participant = Participant::of(cli, name, flags.get("detach-keys")).await?;
    let client = cli.client()?;
    let start = client.post(&format!("/containers/{}/start", participant.container.id));
    let condition = if participant.container.host_config.auto_remove { "removed" } else { "next-exit" };
    let started = async { Ok(start.send().await?) };
    participant.take_part(flags.on("interactive"), true, condition, started).await
}
