//! Named places between an intent and its effect where a test can stop brig.
//!
//! `BRIG_FAILPOINTS=name=action[;name=action…]`, where action is `kill` (SIGKILL to this process), `error`
//! (the call answers an error) or `file:PATH` (creates PATH, then waits until it is removed). Only
//! in builds with debug assertions; release builds carry none of it.

/// The error of a failpoint set to `error`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("failpoint {0}")]
pub struct FailpointError(pub &'static str);

impl From<FailpointError> for std::io::Error {
    fn from(e: FailpointError) -> Self {
        Self::other(e)
    }
}

/// Passes, fails or dies here, as the environment says.
///
/// # Errors
/// When the failpoint is set to `error`.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn hit(_name: &'static str) -> Result<(), FailpointError> {
    Ok(())
}

/// Passes, fails or dies here, as the environment says.
///
/// # Errors
/// When the failpoint is set to `error`.
#[cfg(debug_assertions)]
pub fn hit(name: &'static str) -> Result<(), FailpointError> {
    use std::sync::OnceLock;
    static SET: OnceLock<Vec<(String, String)>> = OnceLock::new();
    let set = SET.get_or_init(|| {
        std::env::var("BRIG_FAILPOINTS")
            .unwrap_or_default()
            .split(';')
            .filter_map(|pair| pair.split_once('='))
            .map(|(n, a)| (n.trim().to_owned(), a.trim().to_owned()))
            .collect()
    });
    match set.iter().find(|(n, _)| n == name).map(|(_, a)| a.as_str()) {
        None => Ok(()),
        Some("kill") => {
            // kill(2) on ourselves with SIGKILL: delivered before it returns.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            Ok(())
        }
        Some("error") => Err(FailpointError(name)),
        Some(action) => {
            if let Some(path) = action.strip_prefix("file:") {
                let path = std::path::Path::new(path);
                if std::fs::write(path, name).is_ok() {
                    while path.exists() {
                        std::thread::sleep(std::time::Duration::from_millis(2));
                    }
                }
            }
            Ok(())
        }
    }
}
