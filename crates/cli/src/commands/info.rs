//! `info`.

use super::version::CLIENT;
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
    format::size,
    out,
    template::{MissingKey, Template, Value},
};
use serde_json::Value as Json;

/// `brig info`
pub static INFO: Command = Command {
    paths: &["info", "system info"],
    synopsis: "",
    about: "Show what the daemon tells of itself and of its machine",
    examples: &[],
    flags: &[&[Flag::string("format", super::OBJECT_FORMAT).short('f')]],
    mode: Mode::Interspersed,
    operands: Operands::None,
    run: |cli, flags| -> Running<'_> { Box::pin(async move { info(cli, &flags).await }) },
};

async fn info(cli: &Cli, flags: &Parsed) -> Result {
    let answer = async { Result::Ok(cli.client()?.get("/info").json::<Json>().await?) }.await;
    let debug = cli.global.debug;
    let format = flags.get("format");
    if !format.is_empty() {
        let text = if format == "json" { "{{json .}}" } else { format };
        let template = Template::parse(text)
            .map_err(|e| Error::Exit { message: format!("template parsing error: {e}"), code: 64 })?;
        let mut info = answer?;
        if let Json::Object(info) = &mut info {
            info.insert(
                "ClientInfo".to_owned(),
                serde_json::json!({ "Debug": debug, "Version": CLIENT, "Context": "default" }),
            );
        }
        let text = template.execute(&Value::from_json(&info), MissingKey::NoValue).map_err(Error::Message)?;
        return out::line(&text);
    }
    let mut text = format!(
        "Client: brig\n Version:    {CLIENT}\n Context:    default\n Debug Mode: {debug}\n\nServer:\n"
    );
    match answer {
        Ok(info) => {
            text.push_str(&describe(&info));
            out::print(&text)?;
            for warning in list(&info["Warnings"]) {
                out::warn(&warning);
            }
            Ok(())
        }
        Err(e) => {
            out::print(&text)?;
            Err(Error::Message(format!("ERROR: {e}\nerrors pretty printing info")))
        }
    }
}

fn list(value: &Json) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

fn shown(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::String(s) if s.is_empty() => None,
        Json::String(s) => Some(s.clone()),
        other => Some(other.to_string()),
    }
}

fn describe(info: &Json) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!(" {label}: {value}\n"));
        }
    };
    line("Containers", shown(&info["Containers"]));
    line(" Running", shown(&info["ContainersRunning"]));
    line(" Paused", shown(&info["ContainersPaused"]));
    line(" Stopped", shown(&info["ContainersStopped"]));
    line("Images", shown(&info["Images"]));
    line("Server Version", shown(&info["ServerVersion"]));
    line("Storage Driver", shown(&info["Driver"]));
    for status in info["DriverStatus"].as_array().into_iter().flatten() {
        if let (Some(name), Some(value)) = (status[0].as_str(), status[1].as_str()) {
            line(&format!(" {name}"), Some(value.to_owned()));
        }
    }
    line("Logging Driver", shown(&info["LoggingDriver"]));
    line("Cgroup Driver", shown(&info["CgroupDriver"]));
    line("Cgroup Version", shown(&info["CgroupVersion"]));
    line("Plugins", Some(String::new()).filter(|_| info["Plugins"].is_object()));
    for (label, key) in [("Volume", "Volume"), ("Network", "Network"), ("Log", "Log")] {
        let names = list(&info["Plugins"][key]);
        line(&format!(" {label}"), (!names.is_empty()).then(|| names.join(" ")));
    }
    line("Swarm", shown(&info["Swarm"]["LocalNodeState"]));
    if let Some(runtimes) = info["Runtimes"].as_object() {
        line("Runtimes", Some(runtimes.keys().map(String::as_str).collect::<Vec<_>>().join(" ")));
    }
    line("Default Runtime", shown(&info["DefaultRuntime"]));
    line("Init Binary", shown(&info["InitBinary"]));
    let security = list(&info["SecurityOptions"]);
    if !security.is_empty() {
        line("Security Options", Some(String::new()));
        for option in security {
            security_option(&option, &mut line);
        }
    }
    line("Kernel Version", shown(&info["KernelVersion"]));
    line("Operating System", shown(&info["OperatingSystem"]));
    line("OSType", shown(&info["OSType"]));
    line("Architecture", shown(&info["Architecture"]));
    line("CPUs", shown(&info["NCPU"]));
    line("Total Memory", info["MemTotal"].as_f64().map(size::binary));
    line("Name", shown(&info["Name"]));
    line("ID", shown(&info["ID"]));
    line("Docker Root Dir", shown(&info["DockerRootDir"]));
    line("Debug Mode", shown(&info["Debug"]));
    let labels = list(&info["Labels"]);
    if !labels.is_empty() {
        line("Labels", Some(String::new()));
        for label in labels {
            line(&format!(" {label}"), None);
        }
    }
    line("Experimental", shown(&info["ExperimentalBuild"]));
    let registries = list(&info["RegistryConfig"]["InsecureRegistryCIDRs"]);
    line("Insecure Registries", (!registries.is_empty()).then(|| registries.join(" ")));
    line("Live Restore Enabled", shown(&info["LiveRestoreEnabled"]));
    text
}

/// `name=seccomp,profile=builtin`
fn security_option(option: &str, line: &mut impl FnMut(&str, Option<String>)) {
    for part in option.split(',') {
        match part.split_once('=') {
            Some(("name", name)) => line(&format!(" {name}"), Some(String::new())),
            Some((key, value)) => {
                let mut chars = key.chars();
                let label: String =
                    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect();
                line(&format!("  {label}"), Some(value.to_owned()));
            }
            None => line(&format!(" {part}"), Some(String::new())),
        }
    }
}
