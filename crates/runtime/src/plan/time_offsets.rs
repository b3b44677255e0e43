//! How far the clocks of a time namespace are from the machine's.

use super::namespaces::Namespaces;
use crate::error::Error;
use oci_spec::runtime::{LinuxNamespaceType, LinuxTimeOffset};
use std::fmt::Write;

/// What is written to `timens_offsets`.
pub(super) fn time_offsets<'a>(
    offsets: impl Iterator<Item = (&'a String, &'a LinuxTimeOffset)>,
    namespaces: &Namespaces,
) -> Result<String, Error> {
    let mut lines = Vec::new();
    for (clock, offset) in offsets {
        if !["monotonic", "boottime"].contains(&clock.as_str()) {
            return Err(Error::Spec(format!(
                "time namespace offsets: {clock:?} is no clock that has one: monotonic and boottime have"
            )));
        }
        let nanoseconds = offset.nanosecs().unwrap_or(0);
        if nanoseconds >= 1_000_000_000 {
            return Err(Error::Spec(format!(
                "time namespace offsets: {nanoseconds} nanosecs of {clock} are a second or more"
            )));
        }
        let mut line = String::new();
        // Writing to a string can't fail.
        let _ = writeln!(line, "{clock} {} {nanoseconds}", offset.secs().unwrap_or(0));
        lines.push(line);
    }
    if !lines.is_empty() && !namespaces.is_new(LinuxNamespaceType::Time) {
        return Err(Error::Spec(match namespaces.is_own(LinuxNamespaceType::Time) {
            true => "time namespace enabled, but both namespace path and time offsets specified: the offsets of a \
                     namespace that has processes can't be changed"
                .into(),
            false => "time namespace offsets specified, but time namespace isn't enabled in the config: add \
                      {\"type\": \"time\"} to linux.namespaces"
                .into(),
        }));
    }
    lines.sort();
    Ok(lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::Linux;

    fn read(offsets: &str, namespace: &str) -> Result<String, Error> {
        let json = format!(r#"{{"namespaces":[{{"type":"mount"}}{namespace}],"timeOffsets":{offsets}}}"#);
        let linux: Linux = serde_json::from_str(&json).unwrap();
        Namespaces::new(Some(&linux), vec![], false).map(|n| n.time_offsets)
    }

    #[test]
    fn clocks_are_named_as_the_kernel_names_them() {
        let new = r#",{"type":"time"}"#;
        let text = read(r#"{"monotonic":{"secs":-5,"nanosecs":7},"boottime":{"secs":86400}}"#, new).unwrap();
        assert_eq!(text, "boottime 86400 0\nmonotonic -5 7\n");
        assert_eq!(read("{}", new).unwrap(), "");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let new = r#",{"type":"time"}"#;
        let joined = r#",{"type":"time","path":"/proc/self/ns/time"}"#;
        for (offsets, namespace, expected) in [
            (r#"{"realtime":{"secs":1}}"#, new, "no clock that has one"),
            (r#"{"boottime":{"nanosecs":1000000000}}"#, new, "a second or more"),
            (r#"{"boottime":{"secs":1}}"#, "", "isn't enabled"),
            (r#"{"boottime":{"secs":1}}"#, joined, "both namespace path and time offsets"),
        ] {
            let error = read(offsets, namespace).unwrap_err().to_string();
            assert!(error.contains(expected), "{offsets}: {error}");
        }
    }
}
