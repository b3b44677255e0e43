//! `inspect` of any object, of containers, of images and of networks.

use super::OBJECT_FORMAT;
use crate::as_run;
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
    inspected::{Kind, Ordered},
    out,
    template::{MissingKey, Template, Value},
};
use brig_api::{ContainerConfig, ContainerInspectResponse, client};

const FORMAT: Flag = Flag::string("format", OBJECT_FORMAT).short('f');
const AS_RUN: Flag = Flag::switch("as-run", "Show the command that would make a container again");
const SIZE: &str = "Show sizes, of containers";

/// `brig inspect`
pub static INSPECT: Command = Command {
    paths: &["inspect"],
    synopsis: "NAME|ID [NAME|ID...]",
    about: "Show all that is known of containers, images, networks",
    examples: &[("inspect -f '{{.State.Status}}' web", "A single value of it")],
    flags: &[&[
        AS_RUN,
        FORMAT,
        Flag::switch("size", SIZE).short('s'),
        Flag::string("type", "Look only for objects of this type"),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> {
        Box::pin(async move {
            let kinds = kinds(flags.get("type"))?;
            if flags.on("as-run") {
                return as_run(cli, &flags).await;
            }
            inspect(cli, &flags, kinds, flags.get("type")).await
        })
    },
};

/// `brig container inspect`
pub static CONTAINER_INSPECT: Command = Command {
    paths: &["container inspect"],
    synopsis: "CONTAINER [CONTAINER...]",
    about: "Show all that is known of one or more containers",
    examples: &[],
    flags: &[&[AS_RUN, FORMAT, Flag::switch("size", SIZE).short('s')]],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> {
        Box::pin(async move {
            if flags.on("as-run") {
                return as_run(cli, &flags).await;
            }
            inspect(cli, &flags, &[Kind::Container], "container").await
        })
    },
};

/// `brig image inspect`
pub static IMAGE_INSPECT: Command = Command {
    paths: &["image inspect"],
    synopsis: "IMAGE [IMAGE...]",
    about: "Show all that is known of one or more images",
    examples: &[],
    flags: &[&[FORMAT, Flag::string("platform", "Show this platform's variant (e.g., \"linux/amd64\")")]],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> {
        Box::pin(async move { inspect(cli, &flags, &[Kind::Image], "image").await })
    },
};

/// `brig network inspect`
pub static NETWORK_INSPECT: Command = Command {
    paths: &["network inspect"],
    synopsis: "NETWORK [NETWORK...]",
    about: "Show all that is known of one or more networks",
    examples: &[],
    flags: &[&[FORMAT, Flag::switch("verbose", "Show more, of Swarm's networks").short('v')]],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> {
        Box::pin(async move { inspect(cli, &flags, &[Kind::Network], "network").await })
    },
};

/// `brig volume inspect`
pub static VOLUME_INSPECT: Command = Command {
    paths: &["volume inspect"],
    synopsis: "VOLUME [VOLUME...]",
    about: "Show all that is known of one or more volumes",
    examples: &[],
    flags: &[&[FORMAT]],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> {
        Box::pin(async move { inspect(cli, &flags, &[Kind::Volume], "volume").await })
    },
};

const TYPES: [&str; 10] =
    ["config", "container", "image", "network", "node", "plugin", "secret", "service", "task", "volume"];

fn kinds(given: &str) -> Result<&'static [Kind]> {
    Ok(match given {
        "" => &[Kind::Container, Kind::Image, Kind::Network, Kind::Volume, Kind::Plugin],
        "container" => &[Kind::Container],
        "image" => &[Kind::Image],
        "network" => &[Kind::Network],
        "volume" => &[Kind::Volume],
        "plugin" => &[Kind::Plugin],
        other if TYPES.contains(&other) => &[Kind::Swarm],
        other => {
            let all = TYPES.map(crate::format::go_quote).join(", ");
            let quoted = crate::format::go_quote(other);
            return Err(format!("unknown type: {quoted}: must be one of {all}").into());
        }
    })
}

/// Asks for one object of one kind.
async fn fetch(cli: &Cli, flags: &Parsed, kind: Kind, given: &str, name: &str) -> Result<Vec<u8>> {
    let client = cli.client()?;
    let path = match kind {
        Kind::Container => format!("/containers/{name}/json"),
        Kind::Image => format!("/images/{name}/json"),
        Kind::Network => format!("/networks/{name}"),
        Kind::Volume => format!("/volumes/{name}"),
        Kind::Plugin => format!("/plugins/{name}/json"),
        Kind::Swarm => format!("/{given}s/{name}"),
    };
    let mut request = client.get(&path);
    if kind == Kind::Container {
        request = request.query_flag("size", flags.on("size"));
    }
    if kind == Kind::Image
        && let Some(platform) = flags.non_empty("platform")
    {
        request = request.query("platform", super::images::platform_json(&platform));
    }
    Ok(request.response().await?.bytes().await?)
}

/// Whether the daemon has no object of this kind and name, and the next kind is to be tried: it does not know
/// the kind at all, or knows it only in a swarm.
fn is_missing(error: &Error) -> bool {
    let Error::Api(error) = error else { return false };
    let node = |e: &client::Error| e.to_string().contains("This node is not a swarm manager");
    error.status().is_some_and(|s| matches!(s.as_u16(), 404 | 501)) || node(error)
}

async fn find(cli: &Cli, flags: &Parsed, kinds: &[Kind], given: &str, name: &str) -> Result<(Kind, Vec<u8>)> {
    for kind in kinds {
        match fetch(cli, flags, *kind, given, name).await {
            Ok(bytes) => return Ok((*kind, bytes)),
            Err(e) if kinds.len() > 1 && is_missing(&e) => {}
            Err(e) => return Err(e),
        }
    }
    Err(Error::Message(format!("Error: No such object: {name}")))
}

async fn inspect(cli: &Cli, flags: &Parsed, kinds: &'static [Kind], given: &str) -> Result {
    let format = flags.get("format");
    let template = match format {
        "" | "json" => None,
        text => Some(
            Template::parse(text)
                .map_err(|e| Error::Exit { message: format!("template parsing error: {e}"), code: 64 })?,
        ),
    };
    let mut found = Vec::new();
    let mut errors = Vec::new();
    let mut text = String::new();
    for name in &flags.args {
        let (kind, bytes) = match find(cli, flags, kinds, given, name).await {
            Ok(object) => object,
            Err(e) => {
                errors.push(e.to_string());
                continue;
            }
        };
        if kind != Kind::Container && flags.all("size").next().is_some() && flags.on("size") {
            out::warn(&format!("WARNING: --size ignored for {}", kind.name()));
        }
        let object: Ordered = serde_json::from_slice(&bytes)
            .map_err(|e| Error::Message(format!("reading the daemon's answer: {e}")))?;
        match &template {
            None => found.push(object),
            Some(template) => match execute(template, kind, &object) {
                Ok(line) => {
                    text.push_str(&line);
                    text.push('\n');
                }
                Err(e) => {
                    text.push('\n');
                    errors.push(format!("template parsing error: {e}"));
                    break;
                }
            },
        }
    }
    match (&template, format) {
        (Some(_), _) => out::print(&text)?,
        (None, "json") => {
            let lines: Vec<String> = found.iter().map(Ordered::compact).collect();
            out::line(&format!("[{}]", lines.join(",")))?;
        }
        (None, _) => out::line(&Ordered::List(found).indented())?,
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Message(errors.join("\n"))) }
}

/// Shows the command that would make each container again.
async fn as_run(cli: &Cli, flags: &Parsed) -> Result {
    let client = cli.client()?;
    let info: serde_json::Value = client.get("/info").json().await?;
    let defaults = as_run::Defaults {
        cgroupns: if info["CgroupVersion"] == "1" { "host" } else { "private" }.to_owned(),
        log_driver: info["LoggingDriver"].as_str().unwrap_or_default().to_owned(),
    };
    let mut errors = Vec::new();
    for name in &flags.args {
        let container =
            client.get(&format!("/containers/{name}/json")).json::<ContainerInspectResponse>().await;
        let container = match container {
            Ok(container) => container,
            Err(error) => {
                errors.push(Error::from(error).to_string());
                continue;
            }
        };
        // It may be gone: then all of the configuration is told.
        let image =
            client.get(&format!("/images/{}/json", container.image)).json::<serde_json::Value>().await;
        let image = image
            .ok()
            .and_then(|image| serde_json::from_value::<ContainerConfig>(image["Config"].clone()).ok());
        let words = as_run::words(&container, image.as_ref(), &defaults);
        out::line(&format!("{} {}", cli.program, as_run::quoted(&words)))?;
    }
    if errors.is_empty() { Ok(()) } else { Err(Error::Message(errors.join("\n"))) }
}

/// Runs a template over the object as its Go type shows it, and when that fails over the plain JSON, as Docker
/// does. The second error is told.
fn execute(template: &Template, kind: Kind, object: &Ordered) -> std::result::Result<String, String> {
    if let Ok(text) = template.execute(&object.typed(kind), MissingKey::NoValue) {
        return Ok(text);
    }
    let plain: Value = object.untyped();
    template.execute(&plain, MissingKey::Error)
}
