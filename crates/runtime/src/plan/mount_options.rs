//! The options of a mount as runc reads them: fstab words, `r`-words for all mounts below, propagation, and
//! whatever is left for the file system.

use crate::mountfd::{Change, Depth, Setting, attr};

/// The words that `parse` knows, for who asks what the runtime can do; all others are the file system's.
pub const MOUNT_OPTIONS: &[&str] = &[
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "idmap",
    "iversion",
    "lazytime",
    "loud",
    "mand",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "noiversion",
    "nolazytime",
    "nomand",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "private",
    "ratime",
    "rbind",
    "rdev",
    "rdiratime",
    "relatime",
    "remount",
    "rexec",
    "ridmap",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnorelatime",
    "rnostrictatime",
    "rnosuid",
    "rnosymfollow",
    "ro",
    "rprivate",
    "rrelatime",
    "rro",
    "rrw",
    "rshared",
    "rslave",
    "rstrictatime",
    "rsuid",
    "rsymfollow",
    "runbindable",
    "rw",
    "shared",
    "silent",
    "slave",
    "strictatime",
    "suid",
    "symfollow",
    "sync",
    "tmpcopyup",
    "unbindable",
];

/// The options of one mount, sorted by what they act on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct MountOptions {
    /// A bind mount, and whether with what is mounted below its source.
    pub(crate) bind: Option<Depth>,
    /// Changes a mount that is there instead of making one.
    pub(crate) remount: bool,
    /// Bits of the mount itself.
    pub(crate) top: Change,
    /// Bits of the mount and of all below it.
    pub(crate) recursive: Change,
    /// Propagation (`MS_*`), in the order given.
    pub(crate) propagation: Vec<(u64, Depth)>,
    /// Settings of the file system.
    pub(crate) settings: Vec<Setting>,
    /// Start a tmpfs with a copy of what its mount point holds.
    pub(crate) copy_up: bool,
    /// Files belong to others than on their file system; in this mount, or in all below it, too.
    pub(crate) idmap: Option<Depth>,
    /// Of a bind: what is mounted is at this path in its source, and never outside of that.
    pub(crate) beneath: Option<String>,
}

/// The option that says what of a bind's source is mounted. Whoever writes to the source may put links into it at any
/// moment: the runtime opens the path so that none leads out.
pub const BENEATH: &str = "x-brig.beneath=";

enum Effect {
    Set(u64),
    Clear(u64),
    /// Clears the access time mode, then sets this one.
    Atime(u64),
}

/// A word that sets or clears bits of a mount, without the leading `r` of its recursive form.
fn bit_word(word: &str) -> Option<Effect> {
    Some(match word {
        "ro" => Effect::Set(attr::RDONLY),
        "rw" => Effect::Clear(attr::RDONLY),
        "nosuid" => Effect::Set(attr::NOSUID),
        "suid" => Effect::Clear(attr::NOSUID),
        "nodev" => Effect::Set(attr::NODEV),
        "dev" => Effect::Clear(attr::NODEV),
        "noexec" => Effect::Set(attr::NOEXEC),
        "exec" => Effect::Clear(attr::NOEXEC),
        "nodiratime" => Effect::Set(attr::NODIRATIME),
        "diratime" => Effect::Clear(attr::NODIRATIME),
        "nosymfollow" => Effect::Set(attr::NOSYMFOLLOW),
        "symfollow" => Effect::Clear(attr::NOSYMFOLLOW),
        "relatime" | "atime" | "norelatime" | "nostrictatime" => Effect::Atime(0),
        "noatime" => Effect::Atime(attr::NOATIME),
        "strictatime" => Effect::Atime(attr::STRICTATIME),
        _ => return None,
    })
}

fn propagation_word(word: &str) -> Option<(u64, Depth)> {
    let (word, depth) = match word {
        "rprivate" | "rshared" | "rslave" | "runbindable" => (&word[1..], Depth::Recursive),
        _ => (word, Depth::Top),
    };
    let flag = match word {
        "private" => libc::MS_PRIVATE,
        "shared" => libc::MS_SHARED,
        "slave" => libc::MS_SLAVE,
        "unbindable" => libc::MS_UNBINDABLE,
        _ => return None,
    };
    Some((flag, depth))
}

impl Effect {
    fn apply(self, change: &mut Change) {
        let (set, clear) = match self {
            Self::Set(bit) => (bit, 0),
            Self::Clear(bit) => (0, bit),
            Self::Atime(mode) => (mode, attr::ATIME),
        };
        // The last word wins.
        change.set = change.set & !clear | set;
        change.clear = change.clear & !set | clear;
    }
}

impl MountOptions {
    /// Sorts a list of options.
    pub(crate) fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut options = Self::default();
        for word in words {
            match word {
                "" | "defaults" | "async" | "loud" | "nomand" | "noiversion" | "nolazytime" => {}
                "bind" => options.bind = options.bind.or(Some(Depth::Top)),
                "rbind" => options.bind = Some(Depth::Recursive),
                "remount" => options.remount = true,
                "tmpcopyup" => options.copy_up = true,
                "idmap" => options.idmap = Some(Depth::Top),
                "ridmap" => options.idmap = Some(Depth::Recursive),
                "sync" | "dirsync" | "lazytime" | "mand" | "silent" => {
                    options.settings.push(Setting::Flag(word.into()));
                }
                "iversion" => {}
                _ if word.starts_with(BENEATH) => {
                    options.beneath = Some(word[BENEATH.len()..].to_owned());
                }
                _ => options.other(word),
            }
        }
        options
    }

    fn other(&mut self, word: &str) {
        if let Some(propagation) = propagation_word(word) {
            self.propagation.push(propagation);
        } else if let Some(effect) = bit_word(word) {
            effect.apply(&mut self.top);
        } else if let Some(effect) = word.strip_prefix('r').and_then(bit_word) {
            effect.apply(&mut self.recursive);
        } else if let Some((key, value)) = word.split_once('=') {
            self.settings.push(Setting::Text(key.into(), value.into()));
        } else {
            self.settings.push(Setting::Flag(word.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_that_is_promised_does_something_or_is_the_kernels_own() {
        assert!(MOUNT_OPTIONS.is_sorted());
        let kernels = ["dirsync", "lazytime", "mand", "silent", "sync"];
        for word in MOUNT_OPTIONS {
            let options = MountOptions::parse([*word]);
            assert_eq!(!options.settings.is_empty(), kernels.contains(word), "{word}");
        }
    }

    fn parse(words: &[&str]) -> MountOptions {
        MountOptions::parse(words.iter().copied())
    }

    #[test]
    fn dockers_defaults() {
        let o = parse(&["nosuid", "strictatime", "mode=755", "size=65536k"]);
        assert_eq!(o.top, Change { set: attr::NOSUID | attr::STRICTATIME, clear: attr::ATIME });
        assert_eq!(
            o.settings,
            [Setting::Text("mode".into(), "755".into()), Setting::Text("size".into(), "65536k".into())]
        );
        let o = parse(&["rbind", "rprivate", "ro"]);
        assert_eq!(o.bind, Some(Depth::Recursive));
        assert_eq!(o.propagation, [(libc::MS_PRIVATE, Depth::Recursive)]);
        assert_eq!(o.top, Change { set: attr::RDONLY, clear: 0 });
        assert!(o.recursive.is_empty());
    }

    #[test]
    fn the_last_word_wins() {
        assert_eq!(parse(&["ro", "rw"]).top, Change { set: 0, clear: attr::RDONLY });
        assert_eq!(parse(&["rw", "ro"]).top, Change { set: attr::RDONLY, clear: 0 });
        assert_eq!(parse(&["noatime", "relatime"]).top, Change { set: 0, clear: attr::ATIME });
        assert_eq!(parse(&["rbind", "bind"]).bind, Some(Depth::Recursive));
    }

    #[test]
    fn recursive_words_are_not_their_namesakes() {
        let o = parse(&["rro", "rnosuid"]);
        assert_eq!(o.recursive.set, attr::RDONLY | attr::NOSUID);
        assert!(o.top.is_empty());
        // These begin with an r that is part of the word.
        let o = parse(&["relatime", "rw", "ro"]);
        assert!(o.recursive.is_empty());
        assert_eq!(parse(&["rrelatime"]).recursive.clear, attr::ATIME);
        assert_eq!(parse(&["rrw"]).recursive.clear, attr::RDONLY);
    }

    #[test]
    fn what_is_unknown_goes_to_the_file_system() {
        assert_eq!(parse(&["newinstance"]).settings, [Setting::Flag("newinstance".into())]);
        assert_eq!(parse(&["a=b=c"]).settings, [Setting::Text("a".into(), "b=c".into())]);
        assert_eq!(parse(&["idmap", "ridmap"]).idmap, Some(Depth::Recursive));
    }

    proptest::proptest! {
        #[test]
        fn any_words_parse(words in proptest::collection::vec(".{0,12}", 0..8)) {
            let _ = MountOptions::parse(words.iter().map(String::as_str));
        }
    }
}
