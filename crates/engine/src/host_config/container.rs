//! What of a container does not depend on its host.

use super::ConfigError;
use crate::machine::Probe;
use brig_api::{ContainerConfig, HealthConfig};

/// Below this a time of a health check is no time, in nanoseconds: one millisecond.
const SHORTEST: i64 = 1_000_000;

pub(super) fn check(config: &mut ContainerConfig) -> Result<(), ConfigError> {
    if !config.working_dir.is_empty() {
        if !config.working_dir.starts_with('/') {
            return Err(ConfigError::new(format!(
                "the working directory '{}' is invalid, it needs to be an absolute path",
                config.working_dir
            )));
        }
        config.working_dir = clean(&config.working_dir);
    }
    if !config.stop_signal.is_empty() && brig_core::signal::parse(&config.stop_signal).is_none() {
        return Err(ConfigError::new(format!("invalid signal: {}", config.stop_signal)));
    }
    for variable in config.env.iter().flatten() {
        if variable.is_empty() || variable.starts_with('=') {
            return Err(ConfigError::new(format!("invalid environment variable: {variable}")));
        }
    }
    config.healthcheck.as_ref().map_or(Ok(()), check_health)
}

/// An absolute path without `.`, `..` and doubled slashes, as Go's `path.Clean` makes it.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn check_health(health: &HealthConfig) -> Result<(), ConfigError> {
    if let Some([kind @ ("HTTP" | "TCP"), rest @ ..]) =
        health.test.as_deref().map(|test| test.iter().map(String::as_str).collect::<Vec<_>>()).as_deref()
        && (rest.len() != 1 || Probe::of(health, None).is_none())
    {
        return Err(ConfigError::new(format!(
            "invalid Healthcheck: {kind} {:?}: expected an address and port in the container, such as {}",
            rest.join(" "),
            if *kind == "TCP" { ":5432" } else { "http://localhost:8080/healthz" }
        )));
    }
    for (name, value) in [
        ("Interval", health.interval),
        ("Timeout", health.timeout),
        ("StartPeriod", health.start_period),
        ("StartInterval", health.start_interval),
    ] {
        if value != 0 && value < SHORTEST {
            return Err(ConfigError::new(format!("{name} in Healthcheck cannot be less than 1ms")));
        }
    }
    if health.retries < 0 {
        return Err(ConfigError::new("Retries in Healthcheck cannot be negative"));
    }
    Ok(())
}
