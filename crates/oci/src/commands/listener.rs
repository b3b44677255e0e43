//! Seccomp notifications: whoever listens at `listenerPath` is sent the descriptor that they come from, with the
//! specification's container process state.

use super::terminal;
use crate::bundle;
use crate::error::Error;
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, Spec};
use serde_json::{Value, json};
use std::os::fd::OwnedFd;
use std::path::Path;

fn seccomp(spec: &Spec) -> Option<&LinuxSeccomp> {
    spec.linux().as_ref().and_then(|linux| linux.seccomp().as_ref())
}

/// Sees to it that notifications have somewhere to go.
pub(super) fn check(spec: &Spec) -> Result<(), Error> {
    let Some(seccomp) = seccomp(spec) else { return Ok(()) };
    let rules = seccomp.syscalls().iter().flatten();
    let notifies = rules.map(|rule| rule.action()).any(|action| action == LinuxSeccompAction::ScmpActNotify);
    let listens = seccomp.listener_path().as_ref().is_some_and(|path| !path.as_os_str().is_empty());
    match (notifies, listens) {
        (true, false) => Err(Error::Usage(
            "linux.seccomp: SCMP_ACT_NOTIFY needs listenerPath, the unix socket of who answers the calls"
                .into(),
        )),
        (false, _) if seccomp.listener_metadata().as_ref().is_some_and(|m| !m.is_empty()) && !listens => Err(
            Error::Usage("linux.seccomp: listenerMetadata must not be set when listenerPath is not".into()),
        ),
        _ => Ok(()),
    }
}

/// Sends the descriptor. `state` is the container's, `pid` the process under the filter.
pub(super) fn send(
    spec: &Spec,
    state: &State<'_>,
    pid: i32,
    fd: &OwnedFd,
) -> Result<(), brig_runtime::Error> {
    let seccomp = seccomp(spec);
    let path = seccomp.and_then(|s| s.listener_path().as_deref()).unwrap_or(Path::new(""));
    let metadata = seccomp.and_then(|s| s.listener_metadata().as_deref()).unwrap_or_default();
    let message = json!({
        "ociVersion": bundle::NEWEST,
        "fds": ["seccompFd"],
        "pid": pid,
        "metadata": metadata,
        "state": state.describe(spec),
    });
    let failed = |e: Error| {
        let hint = "is an agent listening at linux.seccomp.listenerPath?";
        brig_runtime::Error::Seccomp(format!("hand over the listener: {e} ({hint})"))
    };
    terminal::send(path, fd, &message.to_string()).map_err(failed)
}

/// The container, as far as it is known when its filter is loaded.
pub(super) struct State<'a> {
    pub(super) id: &'a str,
    pub(super) status: &'a str,
    pub(super) pid: i32,
    pub(super) bundle: &'a Path,
}

impl State<'_> {
    fn describe(&self, spec: &Spec) -> Value {
        json!({
            "ociVersion": bundle::NEWEST,
            "id": self.id,
            "status": self.status,
            "pid": self.pid,
            "bundle": self.bundle,
            "annotations": spec.annotations().clone().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_need_somewhere_to_go() {
        let read = |seccomp: Value| -> Spec {
            serde_json::from_value(json!({"ociVersion": "1.2.0", "linux": {"seccomp": seccomp}})).unwrap()
        };
        let notify = json!([{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]);
        let allow = "SCMP_ACT_ALLOW";
        assert!(check(&read(json!({"defaultAction": allow}))).is_ok());
        assert!(
            check(&read(json!({"defaultAction": allow, "syscalls": notify, "listenerPath": "/s"}))).is_ok()
        );
        let error =
            check(&read(json!({"defaultAction": allow, "syscalls": notify}))).unwrap_err().to_string();
        assert!(error.contains("needs listenerPath"), "{error}");
        let error = check(&read(json!({"defaultAction": allow, "listenerMetadata": "x"}))).unwrap_err();
        assert!(error.to_string().contains("listenerMetadata must not be set"), "{error}");
    }
}
