//! `run` and `create`.

use super::{detach_keys, pull};
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
    opts::{container, flags as options},
    out,
    stream::{Ended, Pump, detach::Watch, signals::Proxy},
    terminal,
};
use brig_api::{
    ContainerCreateRequest, ContainerCreateResponse, ContainerWaitResponse,
    client::{Client, Response},
};
use brig_core::{Id, Reference};
use std::{fs::File, io::Write};

/// `brig run`
pub static RUN: Command = Command {
    paths: &["run", "container run"],
    synopsis: "IMAGE [COMMAND] [ARG...]",
    about: "Make a container from an image and run it",
    examples: &[
        ("run -it --rm busybox sh", "A shell in a container that is gone afterwards"),
        (
            "run -d --name web -p 8080:80 nginx",
            "A server in the background, reached at port 8080 of the host",
        ),
    ],
    flags: &[
        options::CONTAINER,
        options::CREATE,
        &[
            Flag::switch("detach", "Run in the background and print the container's ID").short('d'),
            Flag::string("detach-keys", "Keys that detach from the container"),
            Flag::switch("sig-proxy", "Hand signals on to the process").default("true", "true"),
        ],
    ],
    mode: Mode::UntilOperand,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { run(cli, &flags).await }) },
};

/// `brig create`
pub static CREATE: Command = Command {
    paths: &["create", "container create"],
    synopsis: "IMAGE [COMMAND] [ARG...]",
    about: "Make a container from an image, without starting it",
    examples: &[],
    flags: &[options::CONTAINER, options::CREATE],
    mode: Mode::UntilOperand,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> {
        Box::pin(async move {
            let request = prepare(cli, &flags, "create")?;
            let id = make(cli, &flags, &request).await?;
            out::line(&id)
        })
    },
};

/// An error of the client's or the daemon's own, as `run` tells it: with a hint and a code that says who failed.
fn told(cli: &Cli, command: &str, message: &str, code: u8) -> Error {
    Error::Exit { message: format!("{}: {message}\n\n{}", cli.program, cli.hint(command)), code }
}

/// The code by which `run` tells why a container did not start: 127 for a program that is not there, 126 for one
/// that can't be run, 125 for everything else.
fn start_code(message: &str) -> u8 {
    let lower = message.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| lower.contains(w));
    if has(&[
        "executable file not found",
        "no such file or directory",
        "system cannot find the file specified",
    ]) {
        127
    } else if has(&["permission denied", "is a directory"]) {
        126
    } else {
        125
    }
}

fn daemon_error(cli: &Cli, error: Error) -> Error {
    match error {
        Error::Exit { .. } | Error::Told => error,
        error => {
            let message = error.to_string();
            told(cli, "run", &message, start_code(&message))
        }
    }
}

/// Reads and checks the flags.
fn prepare(cli: &Cli, flags: &Parsed, command: &str) -> Result<ContainerCreateRequest> {
    let pull = flags.get("pull");
    if !matches!(pull, "always" | "missing" | "never") {
        let message =
            format!("invalid pull option: '{pull}': must be one of \"always\", \"missing\" or \"never\"");
        return Err(told(cli, command, &message, 125));
    }
    let mut request = container::request(flags).map_err(|e| told(cli, command, &e, 125))?;
    if let Some(config) = &mut request.host_config
        && flags.on("tty")
        && let Some(size) = terminal::size()
    {
        config.console_size = [size.rows.into(), size.columns.into()];
    }
    check_reference(&request.config.image).map_err(|e| told(cli, command, &e, 125))?;
    Ok(request)
}

/// An image's name is checked before the daemon is asked; ids are left to it.
fn check_reference(image: &str) -> std::result::Result<(), String> {
    if Id::parse(image).is_some() || image.strip_prefix("sha256:").is_some_and(|hex| Id::parse(hex).is_some())
    {
        return Ok(());
    }
    image.parse::<Reference>().map(drop).map_err(|e| e.to_string())
}

/// The image's name with the tag that is meant, and whether it is a name at all.
fn tagged(image: &str) -> Option<Reference> {
    image.parse::<Reference>().ok().map(Reference::with_default_tag)
}

/// Makes the container, pulling its image when it is missing. Warnings go to standard error.
async fn make(cli: &Cli, flags: &Parsed, request: &ContainerCreateRequest) -> Result<String> {
    let client = cli.client()?;
    let cidfile = CidFile::open(flags.get("cidfile"))?;
    let platform = flags.get("platform");
    let pull_image = async || -> Result {
        pull::pull(cli, &request.config.image, platform, flags.on("quiet"), pull::Show::StandardError).await
    };
    if flags.get("pull") == "always" && tagged(&request.config.image).is_some() {
        pull_image().await?;
    }
    let send = || {
        client
            .post("/containers/create")
            .query_nonempty("name", flags.get("name"))
            .query_nonempty("platform", platform)
            .body_json(request)
            .json::<ContainerCreateResponse>()
    };
    let made = match send().await {
        Err(e) if flags.get("pull") == "missing" && e.status().is_some_and(|s| s.as_u16() == 404) => {
            let Some(name) =
                tagged(&request.config.image).filter(|_| e.to_string().contains("No such image"))
            else {
                return Err(e.into());
            };
            if !flags.on("quiet") {
                out::warn(&format!("Unable to find image '{}' locally", name.familiar()));
            }
            pull_image().await?;
            send().await?
        }
        other => other?,
    };
    for warning in &made.warnings {
        out::warn(&format!("WARNING: {warning}"));
    }
    if let Some(mut file) = cidfile {
        file.write(&made.id)?;
    }
    Ok(made.id)
}

/// The file that takes the container's id; removed again when no container comes of it.
struct CidFile {
    path: String,
    file: File,
    written: bool,
}

impl CidFile {
    fn open(path: &str) -> Result<Option<Self>> {
        if path.is_empty() {
            return Ok(None);
        }
        match File::options().write(true).create_new(true).open(path) {
            Ok(file) => Ok(Some(Self { path: path.to_owned(), file, written: false })),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Err(format!(
                "container ID file found, make sure the other container isn't running or delete {path}"
            )
            .into()),
            Err(e) => Err(format!(
                "failed to create the container ID file: open {path}: {}",
                crate::error::os_text(&e)
            )
            .into()),
        }
    }

    fn write(&mut self, id: &str) -> Result {
        self.file.write_all(id.as_bytes()).map_err(|e| {
            Error::Message(format!(
                "failed to write the container ID to the file: {}",
                crate::error::os_text(&e)
            ))
        })?;
        self.written = true;
        Ok(())
    }
}

impl Drop for CidFile {
    fn drop(&mut self) {
        if !self.written {
            // Nothing was made: an empty file would stand in the next run's way. It may be gone already.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Waits for a container's end; the request is at the daemon when this returns.
async fn wait<'a>(client: &'a Client, id: &str, condition: &str) -> Result<Response<'a>> {
    Ok(client.post(&format!("/containers/{id}/wait")).query("condition", condition).response().await?)
}

async fn exit_code(answer: Response<'_>) -> Result<u8> {
    let answer: ContainerWaitResponse = answer.json().await?;
    if let Some(error) = answer.error.filter(|e| !e.message.is_empty()) {
        return Err(Error::Exit {
            message: format!("Error waiting for container: {}", error.message),
            code: 125,
        });
    }
    // An exit status has eight bits.
    Ok((answer.status_code & 0xff) as u8)
}

async fn run(cli: &Cli, flags: &Parsed) -> Result {
    let request = prepare(cli, flags, "run")?;
    let detached = flags.on("detach");
    if detached && flags.changed("attach") {
        return Err("conflicting options: cannot specify both --attach and --detach".into());
    }
    let config = &request.config;
    if !detached && config.tty && config.attach_stdin && !terminal::is_terminal(std::io::stdin()) {
        return Err("the input device is not a TTY".into());
    }
    let keys = detach_keys(cli, flags.get("detach-keys"));
    let watch = Watch::new(&keys).map_err(|e| told(cli, "run", &e, 125))?;
    // Signals that come from now on are the container's.
    let proxy = (!detached && flags.on("sig-proxy") && !config.tty).then(Proxy::new);
    let id = make(cli, flags, &request).await.map_err(|e| daemon_error(cli, e))?;
    let client = cli.client()?;
    let start = || async {
        client.post(&format!("/containers/{id}/start")).send().await.map_err(|e| daemon_error(cli, e.into()))
    };
    if detached {
        start().await?;
        return out::line(&id);
    }
    let attached = config.attach_stdin || config.attach_stdout || config.attach_stderr;
    let condition = if flags.on("rm") { "removed" } else { "next-exit" };
    if !attached {
        start().await?;
        return out::line(&id);
    }
    let attaching = client
        .post(&format!("/containers/{id}/attach"))
        .query_nonempty("detachKeys", keys.as_str())
        .query_flag("stderr", config.attach_stderr)
        .query_flag("stdin", config.attach_stdin)
        .query_flag("stdout", config.attach_stdout)
        .query("stream", "1")
        .hijack();
    // Both have to be at the daemon before the start, in whatever order. The streams' error is told first.
    let (attached, waiting) = tokio::join!(attaching, wait(client, &id, condition));
    let connection = attached.map_err(|e| daemon_error(cli, e.into()))?.stream;
    let waiting = waiting.map_err(|e| daemon_error(cli, e))?;
    let pump = Pump {
        client,
        resize: Some(format!("/containers/{id}")),
        connection,
        tty: config.tty,
        stdin: config.attach_stdin,
        stdout: config.attach_stdout,
        stderr: config.attach_stderr,
        detach: config.tty.then_some(watch),
    };
    let streams = async {
        match pump.run(start()).await {
            Ok(Ended::Output) => exit_code(waiting).await.map(Some),
            Ok(Ended::Detached) => Ok(None),
            Err(e) => {
                // A container that did not start is removed by the daemon: its end is awaited, so that it is
                // gone when the client is.
                if flags.on("rm") && matches!(&e, Error::Exit { message, .. } if !message.is_empty()) {
                    let _ = waiting.finish().await;
                }
                Err(e)
            }
        }
    };
    let code = match proxy {
        None => streams.await?,
        Some(proxy) => tokio::select! {
            code = streams => code?,
            () = proxy.run(client, &id) => None,
        },
    };
    match code {
        None | Some(0) => Ok(()),
        Some(code) => Err(Error::silent(code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tell_who_failed() {
        for (message, code) in [
            ("exec: \"x\": executable file not found in $PATH: unknown", 127),
            ("exec: \"/x\": stat /x: no such file or directory: unknown", 127),
            ("exec: \"/etc/passwd\": permission denied: unknown", 126),
            ("exec: \"/etc\": is a directory: unknown", 126),
            ("No such image: x:latest", 125),
        ] {
            assert_eq!(start_code(message), code);
        }
    }

    #[test]
    fn names_are_checked_before_the_daemon_is_asked() {
        assert!(check_reference("busybox").is_ok());
        assert!(check_reference(&"a".repeat(64)).is_ok());
        assert!(check_reference(&format!("sha256:{}", "a".repeat(64))).is_ok());
        assert_eq!(
            check_reference("Busybox").unwrap_err(),
            "invalid reference format: repository name (library/Busybox) must be lowercase"
        );
    }
}
