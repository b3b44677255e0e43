//! The parts of the host's configuration that have a grammar of their own: modes, restart policy, health.

use crate::{flags::Parsed, format::duration};
use brig_api::{HealthConfig, RestartPolicy};

/// `--restart name[:retries]`.
///
/// # Errors
/// In Docker's words.
pub fn restart_policy(text: &str) -> Result<RestartPolicy, String> {
    let (name, retries) = match text.split_once(':') {
        Some(("", _)) => {
            return Err("invalid restart policy format: no policy provided before colon".to_owned());
        }
        Some((name, retries)) => (name, Some(retries)),
        None => (text, None),
    };
    let maximum_retry_count = match retries {
        None => 0,
        Some(n) => n.parse().map_err(|_| {
            "invalid restart policy format: maximum retry count must be an integer".to_owned()
        })?,
    };
    Ok(RestartPolicy { name: name.to_owned(), maximum_retry_count })
}

/// Checks `--pid`, `--uts`, `--userns` and `--cgroupns`.
///
/// # Errors
/// In Docker's words.
pub fn check_modes(flags: &Parsed) -> Result<(), String> {
    let pid = flags.get("pid");
    let joins = pid.strip_prefix("container:").is_some_and(|name| !name.is_empty());
    if !(pid.is_empty() || pid == "host" || joins) {
        return Err("--pid: invalid PID mode".to_owned());
    }
    for (flag, modes, name) in [
        ("uts", &["", "host"][..], "UTS"),
        ("userns", &["", "host"], "USER"),
        ("cgroupns", &["", "host", "private"], "CGROUP"),
    ] {
        if !modes.contains(&flags.get(flag)) {
            return Err(format!("--{flag}: invalid {name} mode"));
        }
    }
    Ok(())
}

/// `--health-*` and `--no-healthcheck`.
///
/// # Errors
/// In Docker's words.
pub fn health(flags: &Parsed) -> Result<Option<HealthConfig>, String> {
    const FLAGS: [&str; 6] = [
        "health-cmd",
        "health-interval",
        "health-timeout",
        "health-start-period",
        "health-start-interval",
        "health-retries",
    ];
    let nanos = |name: &str| duration::parse(flags.get(name)).unwrap_or(0);
    let command = flags.get("health-cmd");
    let (http, tcp) = (flags.get("health-http"), flags.get("health-tcp"));
    let checks: Vec<Vec<String>> = [("CMD-SHELL", command), ("HTTP", http), ("TCP", tcp)]
        .into_iter()
        .filter(|(_, given)| !given.is_empty())
        .map(|(kind, given)| vec![kind.to_owned(), given.to_owned()])
        .collect();
    if checks.len() > 1 {
        return Err("--health-cmd, --health-http and --health-tcp exclude one another".to_owned());
    }
    let set = !checks.is_empty()
        || flags.int("health-retries") != 0
        || FLAGS[1..5].iter().any(|name| nanos(name) != 0);
    if flags.on("no-healthcheck") {
        if set {
            return Err("--no-healthcheck conflicts with --health-* options".to_owned());
        }
        return Ok(Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }));
    }
    if !set {
        return Ok(None);
    }
    for name in &FLAGS[1..5] {
        if nanos(name) < 0 {
            return Err(format!("--{name} cannot be negative"));
        }
    }
    if flags.int("health-retries") < 0 {
        return Err("--health-retries cannot be negative".to_owned());
    }
    Ok(Some(HealthConfig {
        test: checks.into_iter().next(),
        interval: nanos("health-interval"),
        timeout: nanos("health-timeout"),
        start_period: nanos("health-start-period"),
        start_interval: nanos("health-start-interval"),
        retries: flags.int("health-retries"),
    }))
}
