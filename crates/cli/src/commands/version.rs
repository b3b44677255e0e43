//! `version`.

use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
    format::timestamp,
    out,
    template::{MissingKey, Template, Value},
};
use brig_api::{SystemVersion, version::MAX};

/// `brig version`
pub static VERSION: Command = Command {
    paths: &["version"],
    synopsis: "",
    about: "Show the versions of the client and of the daemon",
    examples: &[],
    flags: &[&[Flag::string("format", super::OBJECT_FORMAT).short('f')]],
    mode: Mode::Interspersed,
    operands: Operands::None,
    run: |cli, flags| -> Running<'_> { Box::pin(async move { version(cli, &flags).await }) },
};

/// This client's version.
pub const CLIENT: &str = env!("CARGO_PKG_VERSION");

/// The architecture as Go names it.
#[must_use]
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        other => other,
    }
}

/// Left-justified label and value, without values that are empty.
fn field(text: &mut String, indent: usize, label: &str, value: &str) {
    if !value.is_empty() {
        text.push_str(&format!(
            "{}{:<width$}{value}\n",
            " ".repeat(indent),
            format!("{label}:"),
            width = 20 - indent
        ));
    }
}

async fn version(cli: &Cli, flags: &Parsed) -> Result {
    let template = match flags.get("format") {
        "" => None,
        format => {
            let text = if format == "json" { "{{json .}}" } else { format };
            Some(
                Template::parse(text)
                    .map_err(|e| Error::Exit { message: format!("template parsing error: {e}"), code: 64 })?,
            )
        }
    };
    let answer = async {
        let client = cli.client()?;
        let server: serde_json::Value = client.get("/version").json().await?;
        Result::Ok((server, client.version().await?))
    }
    .await;
    let (server, api, failure) = match answer {
        Ok((server, api)) => (Some(server), api, None),
        Err(e) => (None, MAX, Some(e)),
    };
    if let Some(template) = template {
        let client = serde_json::json!({
            "Version": CLIENT, "ApiVersion": api.to_string(), "DefaultAPIVersion": MAX.to_string(),
            "GitCommit": "", "GoVersion": "", "Os": std::env::consts::OS, "Arch": architecture(),
            "BuildTime": "", "Context": "default",
        });
        let all = serde_json::json!({ "Client": client, "Server": server.unwrap_or_default() });
        let text = template.execute(&Value::from_json(&all), MissingKey::NoValue).map_err(Error::Message)?;
        out::line(&text)?;
        return failure.map_or(Ok(()), Err);
    }
    let mut text = String::from("Client: brig\n");
    let shown = if api < MAX { format!("{api} (downgraded from {MAX})") } else { api.to_string() };
    field(&mut text, 1, "Version", CLIENT);
    field(&mut text, 1, "API version", &shown);
    field(&mut text, 1, "OS/Arch", &format!("{}/{}", std::env::consts::OS, architecture()));
    field(&mut text, 1, "Context", "default");
    if let Some(server) = server {
        let server: SystemVersion = serde_json::from_value(server)
            .map_err(|e| Error::Message(format!("reading the version: {e}")))?;
        text.push_str(&describe(&server));
    }
    out::print(&text)?;
    failure.map_or(Ok(()), Err)
}

fn describe(server: &SystemVersion) -> String {
    let name = &server.platform.name;
    let mut text = format!("\nServer:{}{name}\n Engine:\n", if name.is_empty() { "" } else { " " });
    let minimum = match server.min_api_version.as_str() {
        "" => String::new(),
        minimum => format!(" (minimum version {minimum})"),
    };
    field(&mut text, 2, "Version", &server.version);
    field(&mut text, 2, "API version", &format!("{}{minimum}", server.api_version));
    field(&mut text, 2, "Go version", &server.go_version);
    field(&mut text, 2, "Git commit", &server.git_commit);
    field(
        &mut text,
        2,
        "Built",
        &if server.build_time.is_empty() { String::new() } else { timestamp::ansi_c(&server.build_time) },
    );
    field(&mut text, 2, "OS/Arch", &format!("{}/{}", server.os, server.arch));
    field(&mut text, 2, "Experimental", if server.experimental { "true" } else { "false" });
    for component in server.components.iter().flatten().filter(|c| c.name != "Engine") {
        text.push_str(&format!(" {}:\n", component.name));
        field(&mut text, 2, "Version", &component.version);
        let commit = component.details.as_ref().and_then(|d| d.get("GitCommit"));
        field(&mut text, 2, "GitCommit", commit.map_or("", String::as_str));
    }
    text
}
