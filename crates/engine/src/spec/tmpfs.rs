//! Options of a tmpfs: of those that exclude each other the last one holds.

use super::SpecError;

/// Words that set or clear one thing, and the thing.
const FLAGS: &[(&str, &str)] = &[
    ("ro", "ro"),
    ("rw", "ro"),
    ("suid", "suid"),
    ("nosuid", "suid"),
    ("dev", "dev"),
    ("nodev", "dev"),
    ("exec", "exec"),
    ("noexec", "exec"),
    ("sync", "sync"),
    ("async", "sync"),
    ("dirsync", "dirsync"),
    ("mand", "mand"),
    ("nomand", "mand"),
    ("atime", "atime"),
    ("noatime", "atime"),
    ("diratime", "diratime"),
    ("nodiratime", "diratime"),
    ("relatime", "relatime"),
    ("norelatime", "relatime"),
    ("strictatime", "strictatime"),
    ("nostrictatime", "strictatime"),
    ("bind", "bind"),
    ("rbind", "rbind"),
    ("private", "propagation"),
    ("rprivate", "propagation"),
    ("shared", "propagation"),
    ("rshared", "propagation"),
    ("slave", "propagation"),
    ("rslave", "propagation"),
    ("unbindable", "propagation"),
    ("runbindable", "propagation"),
];

/// Options of tmpfs itself, each with a value.
const VALUES: &[&str] = &["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"];

/// The given options over Docker's own.
pub(super) fn options(given: &[String]) -> Result<Vec<String>, SpecError> {
    let own = ["noexec", "nosuid", "nodev", "rprivate"];
    let all = own.into_iter().chain(given.iter().map(String::as_str));
    let mut merged: Vec<(&str, &str)> = Vec::new();
    for option in all.filter(|option| !option.is_empty() && *option != "defaults") {
        let sets = match FLAGS.iter().find(|(word, _)| *word == option) {
            Some((_, sets)) => *sets,
            None => match option.split_once('=') {
                Some((name, _)) if VALUES.contains(&name) => name,
                _ => {
                    let name = option.split('=').next().unwrap_or_default();
                    return Err(SpecError::Invalid(format!("invalid tmpfs option {name:?}")));
                }
            },
        };
        merged.retain(|(known, _)| *known != sets);
        merged.push((sets, option));
    }
    Ok(merged.into_iter().map(|(_, option)| option.to_owned()).collect())
}
