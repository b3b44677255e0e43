//! What a client is told of a start that failed: runc's words in containerd's in Docker's, for clients look for
//! parts of them and make 126 and 127 of them. The words are those of Docker 28.5 with its containerd 1.7 and runc 1.3.

use crate::error::Error;
use brig_shim::protocol::Failure;

/// What Docker puts before runc's words when a container can't be created.
const CREATE: &str = "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: ";
/// The same of an exec.
const EXEC: &str = "OCI runtime exec failed: exec failed: unable to start container process: ";

/// How containerd ends an error of a class that it does not know.
const UNKNOWN: &str = ": unknown";

/// The error of a container that could not be created or started.
pub(crate) fn of_start(failure: Failure) -> Error {
    classify(CREATE, failure)
}

/// The error of an exec that could not be started.
pub(crate) fn of_exec(failure: Failure) -> Error {
    classify(EXEC, failure)
}

fn classify(prefix: &str, failure: Failure) -> Error {
    let Failure { kind, message, exec_exit_code } = failure;
    match exec_exit_code {
        Some(126) if message.contains("is a directory") => by_words(prefix, &message, kind),
        Some(code @ (126 | 127)) => Error::Start { code, message: format!("{prefix}{message}{UNKNOWN}") },
        _ if exec_exit_code.is_some() => by_words(prefix, &message, kind),
        _ => Error::Copied { kind, message: format!("{prefix}{message}{UNKNOWN}") },
    }
}

/// Docker goes by the words where there is no code: mounts that can't be made count as a command that is not
/// there.
fn by_words(prefix: &str, message: &str, kind: brig_core::Kind) -> Error {
    let lower = message.to_lowercase();
    let text = format!("{prefix}{message}{UNKNOWN}");
    if lower.contains("permission denied") {
        Error::Start { code: 126, message: text }
    } else if lower.contains("is a directory") {
        Error::Start { code: 126, message: format!("{text}: permission denied") }
    } else if lower.contains("not a directory") {
        let hint = "Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host \
                    path exists and is the expected type";
        Error::Start { code: 127, message: format!("{text}: {hint}") }
    } else if lower.contains("executable file not found") || lower.contains("no such file or directory") {
        Error::Start { code: 127, message: text }
    } else {
        Error::Copied { kind, message: text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brig_core::{HasKind, Kind};

    fn failure(message: &str, code: Option<i32>) -> Failure {
        Failure { kind: Kind::System, message: message.to_owned(), exec_exit_code: code }
    }

    #[test]
    fn commands_that_are_not_there_or_not_executable() {
        let missing = of_start(failure("exec: \"foo\": executable file not found in $PATH", Some(127)));
        assert!(matches!(missing, Error::Start { code: 127, .. }));
        assert_eq!(missing.kind(), Kind::InvalidParameter);
        assert_eq!(
            missing.to_string(),
            "failed to create task for container: failed to create shim task: OCI runtime create failed: runc \
             create failed: unable to start container process: error during container init: exec: \"foo\": \
             executable file not found in $PATH: unknown"
        );
        let folder = of_exec(failure("exec: \"/etc\": is a directory", Some(126)));
        assert_eq!(
            folder.to_string(),
            "OCI runtime exec failed: exec failed: unable to start container process: exec: \"/etc\": is a directory: \
             unknown: permission denied"
        );
        let denied = of_exec(failure("exec: \"/x\": permission denied", Some(126)));
        assert!(matches!(denied, Error::Start { code: 126, .. }));
        assert!(denied.to_string().starts_with("OCI runtime exec failed: exec failed: "));
    }

    #[test]
    fn other_failures_go_by_their_words() {
        let mount = of_start(failure("mount /a to /b: not a directory", Some(125)));
        assert!(matches!(mount, Error::Start { code: 127, .. }));
        assert!(mount.to_string().contains("Are you trying to mount a directory onto a file"));
        let other = of_start(failure("out of memory", Some(125)));
        assert_eq!(other.kind(), Kind::System);
        assert!(matches!(of_start(failure("x", None)), Error::Copied { .. }));
    }
}
