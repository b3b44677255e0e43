//! What the daemon's own options put into containers that don't say otherwise. Pure.

use crate::config::Config;
use brig_api::{HostConfig, Ulimit};

/// What containers get that don't say otherwise.
#[derive(Debug, Clone, Default)]
pub struct Defaults {
    /// `private` or `shareable`; empty for the engine's own default.
    pub ipc_mode: String,
    /// `private` or `host`; empty for what fits the machine's cgroups.
    pub cgroupns_mode: String,
    /// Resource limits.
    pub ulimits: Vec<Ulimit>,
    /// No rights are gained by setuid programs.
    pub no_new_privileges: bool,
    /// `unconfined` or the text of a profile; `None` for the built-in one.
    pub seccomp: Option<String>,
}

impl Defaults {
    /// What the configuration says.
    ///
    /// # Errors
    /// When the seccomp profile can't be read or is no JSON.
    pub fn from_config(config: &Config) -> Result<Self, String> {
        let seccomp = match config.seccomp_profile.as_deref() {
            None => None,
            Some("unconfined") => Some("unconfined".to_owned()),
            Some(path) => Some(read_profile(path)?),
        };
        Ok(Self {
            ipc_mode: config.ipc_mode.clone(),
            cgroupns_mode: config.cgroupns_mode.clone(),
            ulimits: config.ulimits.clone(),
            no_new_privileges: config.no_new_privileges,
            seccomp,
        })
    }

    /// Puts them into a container that is about to be made.
    pub fn apply(&self, host: &mut HostConfig) {
        if host.ipc_mode.is_empty() {
            host.ipc_mode.clone_from(&self.ipc_mode);
        }
        if host.cgroupns_mode.is_empty() && !host.privileged {
            host.cgroupns_mode.clone_from(&self.cgroupns_mode);
        }
        let own = host.ulimits.get_or_insert_default();
        let missing: Vec<_> =
            self.ulimits.iter().filter(|limit| own.iter().all(|o| o.name != limit.name)).cloned().collect();
        own.extend(missing);
        if own.is_empty() {
            host.ulimits = None;
        }
        let says = |host: &HostConfig, name: &str| {
            let named = |option: &String| option.split(['=', ':']).next() == Some(name);
            host.security_opt.iter().flatten().any(named)
        };
        if self.no_new_privileges && !says(host, "no-new-privileges") {
            host.security_opt.get_or_insert_default().push("no-new-privileges".into());
        }
        if let Some(profile) = &self.seccomp
            && !host.privileged
            && !says(host, "seccomp")
        {
            host.security_opt.get_or_insert_default().push(format!("seccomp={profile}"));
        }
    }
}

fn read_profile(path: &str) -> Result<String, String> {
    let text =
        std::fs::read_to_string(path).map_err(|e| format!("opening seccomp profile ({path}) failed: {e}"))?;
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&text) {
        Ok(_) => Ok(text),
        Err(e) => Err(format!("decoding seccomp profile ({path}) failed: {e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(name: &str, soft: i64) -> Ulimit {
        Ulimit { name: name.into(), hard: soft, soft }
    }

    fn defaults() -> Defaults {
        Defaults {
            ipc_mode: "private".into(),
            cgroupns_mode: "host".into(),
            ulimits: vec![limit("nofile", 1), limit("nproc", 2)],
            no_new_privileges: true,
            seccomp: Some("unconfined".into()),
        }
    }

    #[test]
    fn they_fill_what_a_container_does_not_say() {
        let mut host = HostConfig::default();
        defaults().apply(&mut host);
        assert_eq!((host.ipc_mode.as_str(), host.cgroupns_mode.as_str()), ("private", "host"));
        assert_eq!(host.ulimits.unwrap().len(), 2);
        assert_eq!(host.security_opt.unwrap(), ["no-new-privileges", "seccomp=unconfined"]);
    }

    #[test]
    fn what_a_container_says_wins() {
        let mut host = HostConfig {
            ipc_mode: "shareable".into(),
            ulimits: Some(vec![limit("nofile", 9)]),
            security_opt: Some(vec!["no-new-privileges=false".into(), "seccomp={}".into()]),
            ..HostConfig::default()
        };
        defaults().apply(&mut host);
        assert_eq!(host.ipc_mode, "shareable");
        assert_eq!(host.ulimits.unwrap(), [limit("nofile", 9), limit("nproc", 2)]);
        assert_eq!(host.security_opt.unwrap().len(), 2);
        let mut privileged = HostConfig { privileged: true, ..HostConfig::default() };
        defaults().apply(&mut privileged);
        assert_eq!((privileged.cgroupns_mode.as_str(), privileged.security_opt.unwrap().len()), ("", 1));
        let mut plain = HostConfig::default();
        Defaults::default().apply(&mut plain);
        assert_eq!(plain, HostConfig::default());
    }

    #[test]
    fn a_profile_that_is_none_is_refused() {
        assert!(read_profile("/nonexistent").unwrap_err().contains("(/nonexistent)"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[]").unwrap();
        assert!(read_profile(file.path().to_str().unwrap()).unwrap_err().starts_with("decoding"));
        std::fs::write(file.path(), r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#).unwrap();
        read_profile(file.path().to_str().unwrap()).unwrap();
    }
}
