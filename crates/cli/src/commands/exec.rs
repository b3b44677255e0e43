//! `exec`.

use super::detach_keys;
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
    opts::{
        env::{self, Bare, Holds},
        text,
    },
    stream::{Ended, Pump, detach::Watch},
    terminal,
};
use brig_api::{ExecCreateRequest, ExecInspectResponse, ExecStartRequest, IdResponse};

/// `brig exec`
pub static EXEC: Command = Command {
    paths: &["exec", "container exec"],
    synopsis: "CONTAINER COMMAND [ARG...]",
    about: "Run a command in a running container",
    examples: &[("exec -it web sh", "A shell beside the container's own process")],
    flags: &[&[
        Flag::switch("detach", "Run the command in the background").short('d'),
        Flag::string("detach-keys", "Keys that detach from the command"),
        Flag::list("env", "Set environment variables").short('e').check(text::env),
        Flag::list("env-file", "Read environment variables from a file"),
        Flag::switch("interactive", "Keep STDIN open, attached or not").short('i'),
        Flag::switch("privileged", "Give all rights to the command"),
        Flag::switch("tty", "Give the command a terminal").short('t'),
        Flag::string("user", "User, by name or UID (format: \"<name|uid>[:<group|gid>]\")").short('u'),
        Flag::string("workdir", "Working directory in the container").short('w'),
    ]],
    mode: Mode::UntilOperand,
    operands: Operands::AtLeast(2),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { exec(cli, &flags).await }) },
};

fn request(cli: &Cli, flags: &Parsed) -> Result<ExecCreateRequest> {
    let mut environment = Vec::new();
    for file in flags.all("env-file") {
        environment.extend(env::read_file(file, Holds::Variables, Bare::FromEnvironment)?);
    }
    environment.extend(flags.all("env").map(env::resolve));
    let detached = flags.on("detach");
    let tty = flags.on("tty");
    Ok(ExecCreateRequest {
        user: flags.get("user").to_owned(),
        privileged: flags.on("privileged"),
        tty,
        console_size: if tty && !detached {
            terminal::size().map(|s| [s.rows.into(), s.columns.into()])
        } else {
            None
        },
        attach_stdin: flags.on("interactive") && !detached,
        attach_stderr: !detached,
        attach_stdout: !detached,
        detach_keys: detach_keys(cli, flags.get("detach-keys")),
        env: (!environment.is_empty()).then_some(environment),
        working_dir: flags.get("workdir").to_owned(),
        cmd: Some(flags.args[1..].to_vec()),
        ..ExecCreateRequest::default()
    })
}

async fn exec(cli: &Cli, flags: &Parsed) -> Result {
    let request = request(cli, flags)?;
    let detached = flags.on("detach");
    if request.tty && request.attach_stdin && !terminal::is_terminal(std::io::stdin()) {
        return Err("the input device is not a TTY".into());
    }
    let watch = Watch::new(&request.detach_keys).map_err(Error::Message)?;
    let client = cli.client()?;
    let made: IdResponse =
        client.post(&format!("/containers/{}/exec", flags.args[0])).body_json(&request).json().await?;
    if made.id.is_empty() {
        return Err("exec ID empty".into());
    }
    let start = ExecStartRequest { detach: detached, tty: request.tty, console_size: request.console_size };
    let starting = client.post(&format!("/exec/{}/start", made.id)).body_json(&start);
    if detached {
        return Ok(starting.send().await?);
    }
    let pump = Pump {
        client,
        resize: Some(format!("/exec/{}", made.id)),
        connection: starting.hijack().await?.stream,
        tty: request.tty,
        stdin: request.attach_stdin,
        stdout: true,
        stderr: true,
        detach: request.tty.then_some(watch),
    };
    if pump.run(async { Ok(()) }).await? == Ended::Detached {
        return Ok(());
    }
    let state: ExecInspectResponse = client.get(&format!("/exec/{}/json", made.id)).json().await?;
    match state.exit_code.unwrap_or(0) {
        0 => Ok(()),
        code => Err(Error::silent((code & 0xff) as u8)),
    }
}
