//! What does not depend on the host, less what the image says.

use super::Words;
use crate::format::{duration, short_id};
use brig_api::{ContainerConfig, ContainerInspectResponse, HealthConfig};

pub(super) fn flags(words: &mut Words, container: &ContainerInspectResponse, image: &ContainerConfig) {
    let config = &container.config;
    let unless = |same: bool, value: &str| if same { String::new() } else { value.to_owned() };
    let own_name = config.hostname == short_id(&container.id) || container.host_config.network_mode == "host";
    words.flag("hostname", unless(own_name, &config.hostname));
    words.flag("domainname", config.domainname.as_str());
    words.flag("user", unless(config.user == image.user, &config.user));
    words.flag("workdir", unless(config.working_dir == image.working_dir, &config.working_dir));
    words.on("interactive", config.open_stdin);
    words.on("tty", config.tty);
    let attached =
        [(config.attach_stdin, "stdin"), (config.attach_stdout, "stdout"), (config.attach_stderr, "stderr")];
    let usual = attached.map(|(on, _)| on) == [config.open_stdin, true, true];
    if !usual && attached[1..].iter().any(|(on, _)| *on) {
        words.each("attach", attached.iter().filter(|(on, _)| *on).map(|(_, name)| name));
    }
    let of_image = image.env.as_deref().unwrap_or_default();
    words.each("env", config.env.iter().flatten().filter(|variable| !of_image.contains(variable)));
    let labels = config.labels.iter().flatten();
    let labels =
        labels.filter(|(name, value)| image.labels.as_ref().and_then(|all| all.get(*name)) != Some(value));
    words.each("label", labels.map(|(name, value)| format!("{name}={value}")));
    let volumes = config.volumes.iter().flatten().map(|(path, _)| path);
    words.each(
        "volume",
        volumes.filter(|path| !image.volumes.as_ref().is_some_and(|all| all.contains_key(*path))),
    );
    words.flag("stop-signal", unless(config.stop_signal == image.stop_signal, &config.stop_signal));
    if let Some(seconds) = config.stop_timeout {
        words.flag("stop-timeout", seconds.to_string());
    }
    if let Some(health) =
        config.healthcheck.as_ref().filter(|health| Some(*health) != image.healthcheck.as_ref())
    {
        health_flags(words, health, image.healthcheck.as_ref());
    }
    if let Some(entrypoint) = &config.entrypoint
        && config.entrypoint != image.entrypoint
    {
        words.0.extend(["--entrypoint".to_owned(), entrypoint.first().cloned().unwrap_or_default()]);
    } else if config.entrypoint.is_none() && image.entrypoint.as_ref().is_some_and(|e| !e.is_empty()) {
        words.0.extend(["--entrypoint".to_owned(), String::new()]);
    }
}

fn health_flags(words: &mut Words, health: &HealthConfig, image: Option<&HealthConfig>) {
    match health.test.as_deref() {
        Some([none]) if none == "NONE" => return words.on("no-healthcheck", true),
        test if test == image.and_then(|image| image.test.as_deref()) => {}
        Some([kind, command]) if kind == "CMD-SHELL" => words.flag("health-cmd", command.as_str()),
        Some([kind, url]) if kind == "HTTP" => words.flag("health-http", url.as_str()),
        Some([kind, address]) if kind == "TCP" => words.flag("health-tcp", address.as_str()),
        // There is no flag for a program without a shell.
        Some([kind, program @ ..]) if kind == "CMD" => words.flag("health-cmd", super::quoted(program)),
        _ => {}
    }
    let of_image = |get: fn(&HealthConfig) -> i64| image.map_or(0, get);
    for (name, value, image) in [
        ("health-interval", health.interval, of_image(|h| h.interval)),
        ("health-timeout", health.timeout, of_image(|h| h.timeout)),
        ("health-start-period", health.start_period, of_image(|h| h.start_period)),
        ("health-start-interval", health.start_interval, of_image(|h| h.start_interval)),
    ] {
        if value != 0 && value != image {
            words.flag(name, duration::format(value));
        }
    }
    if health.retries != of_image(|h| h.retries) {
        words.number("health-retries", health.retries);
    }
}

/// What comes behind the image's name: what of the entry point a flag can't say, then the command.
pub(super) fn command(config: &ContainerConfig, image: &ContainerConfig) -> Vec<String> {
    let own_entrypoint = config.entrypoint != image.entrypoint;
    let rest =
        config.entrypoint.iter().filter(|_| own_entrypoint).flat_map(|all| all.iter().skip(1)).cloned();
    let own_command = own_entrypoint || config.cmd != image.cmd;
    rest.chain(config.cmd.iter().filter(|_| own_command).flat_map(|all| all.iter().cloned())).collect()
}
