//! `--security-opt`.

use super::ConfigError;

/// `--security-opt`, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SecurityOptions {
    /// Whether programs can't gain rights by executing others.
    pub no_new_privileges: bool,
    /// `unconfined`, `builtin`, or the text of a profile; `None` for the default.
    pub seccomp: Option<String>,
    /// The AppArmor profile; `None` for the default.
    pub apparmor: Option<String>,
    /// Whether the container may change its own cgroup's files.
    pub writable_cgroups: bool,
    /// SELinux labels as given.
    pub labels: Vec<String>,
}

impl SecurityOptions {
    /// Reads the options as Docker does.
    ///
    /// # Errors
    /// What is no option, in Docker's words.
    pub fn parse(options: Option<&[String]>) -> Result<Self, ConfigError> {
        let mut all = Self::default();
        for option in options.unwrap_or_default() {
            if option == "no-new-privileges" {
                all.no_new_privileges = true;
                continue;
            }
            if option == "writable-cgroups" {
                all.writable_cgroups = true;
                continue;
            }
            if option == "disable" {
                all.labels.push(option.clone());
                continue;
            }
            // The colon is the old way, and a profile has colons.
            let parts = option.split_once('=').or_else(|| option.split_once(':'));
            let (name, value) =
                parts.ok_or_else(|| ConfigError::Failure(format!("invalid --security-opt 1: {option:?}")))?;
            let invalid = || ConfigError::Failure(format!("invalid --security-opt 2: {option:?}"));
            match name {
                "label" => all.labels.push(value.to_owned()),
                "apparmor" => all.apparmor = Some(value.to_owned()),
                "seccomp" => all.seccomp = Some(value.to_owned()),
                "no-new-privileges" => all.no_new_privileges = go_bool(value).ok_or_else(invalid)?,
                "writable-cgroups" => all.writable_cgroups = go_bool(value).ok_or_else(invalid)?,
                _ => return Err(invalid()),
            }
        }
        Ok(all)
    }
}

/// What Go's `strconv.ParseBool` takes.
fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
