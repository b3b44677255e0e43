//! Restart policy and annotations.

use super::ConfigError;
use brig_api::HostConfig;

pub(super) fn check(host: &HostConfig) -> Result<(), ConfigError> {
    let policy = &host.restart_policy;
    if host.auto_remove && !matches!(policy.name.as_str(), "" | "no") {
        return Err(ConfigError::new("can't create 'AutoRemove' container with restart policy"));
    }
    let retries = policy.maximum_retry_count;
    match policy.name.as_str() {
        "" | "always" | "unless-stopped" | "no" if retries != 0 => {
            let negative = if retries < 0 { " and cannot be negative" } else { "" };
            Err(ConfigError::new(format!(
                "invalid restart policy: maximum retry count can only be used with 'on-failure'{negative}"
            )))
        }
        "on-failure" if retries < 0 => {
            Err(ConfigError::new("invalid restart policy: maximum retry count cannot be negative"))
        }
        "" | "always" | "unless-stopped" | "no" | "on-failure" => Ok(()),
        other => Err(ConfigError::new(format!(
            "invalid restart policy: unknown policy '{other}'; use one of 'no', 'always', 'on-failure', or \
             'unless-stopped'"
        ))),
    }
}

pub(super) fn check_annotations(host: &HostConfig) -> Result<(), ConfigError> {
    if host.annotations.as_ref().is_some_and(|all| all.contains_key("")) {
        return Err(ConfigError::new(
            "invalid Annotations: the empty string is not permitted as an annotation key",
        ));
    }
    Ok(())
}
