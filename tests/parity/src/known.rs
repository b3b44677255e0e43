//! Where brig answers otherwise than the recorded dockerd, each with the reason. `docs/compat.md` lists them.

/// What a difference bears on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Exchanges that have `%differs` with its key.
    Exchange,
    /// Fields of these names, wherever they are: not compared.
    Fields(&'static [&'static str]),
    /// The place of fields of these names among those of their object.
    Place(&'static [&'static str]),
    /// Words that are left out of texts on both sides.
    Words(&'static [&'static str]),
}

/// A known difference.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// As `%differs` names it.
    pub key: &'static str,
    /// What it bears on.
    pub rule: Rule,
    /// What it is about.
    pub what: &'static str,
    /// How the recorded dockerd (26.1) answers.
    pub docker: &'static str,
    /// How brig does.
    pub brig: &'static str,
    /// Why.
    pub why: &'static str,
}

/// All of them.
pub const KNOWN: &[Known] = &[
    Known {
        key: "graph-driver",
        rule: Rule::Fields(&["GraphDriver"]),
        what: "`GraphDriver.Data` of containers and images",
        docker: "folders of overlay2",
        brig: "folders of brig's own store",
        why: "the layers lie elsewhere",
    },
    Known {
        key: "masked-paths",
        rule: Rule::Fields(&["MaskedPaths"]),
        what: "`HostConfig.MaskedPaths`",
        docker: "the list of 26.1",
        brig: "the list of Docker 28, in order",
        why: "newer kernels have more to hide",
    },
    Known {
        key: "gateway-priority",
        rule: Rule::Fields(&["GwPriority"]),
        what: "`GwPriority` of a container's networks",
        docker: "absent in 26.1",
        brig: "there, as in Docker 28",
        why: "a newer version's field, which Docker shows to older clients as well",
    },
    Known {
        key: "driver-opts-order",
        rule: Rule::Place(&["DriverOpts"]),
        what: "the place of `DriverOpts` among a network's fields",
        docker: "second last in 26.1",
        brig: "after `MacAddress`, as in Docker 28",
        why: "order of a newer version",
    },
    Known {
        key: "container-init",
        rule: Rule::Words(&["error during container init: "]),
        what: "errors of a program that can't be started",
        docker: "`unable to start container process: exec: …` (runc 1.1)",
        brig: "`unable to start container process: error during container init: exec: …` (runc 1.2)",
        why: "words of a newer runc",
    },
    Known {
        key: "go-types",
        rule: Rule::Exchange,
        what: "names of Go's types in errors about JSON, and Go's structures in errors of templates",
        docker: "`ContainerConfigWrapper`, `[]string`",
        brig: "simplified names",
        why: "no client reads them",
    },
    Known {
        key: "refused-early",
        rule: Rule::Exchange,
        what: "values that no container can start with: ulimits, DNS servers, device rules, ports, paths of volumes, log options",
        docker: "taken by `create`, refused by `start`",
        brig: "refused by `create`, in the same words",
        why: "what can't start should not be made",
    },
    Known {
        key: "newer",
        rule: Rule::Exchange,
        what: "words and statuses that changed since 26.1",
        docker: "26.1",
        brig: "Docker 28",
        why: "brig speaks API 1.51",
    },
    Known {
        key: "bfq",
        rule: Rule::Exchange,
        what: "block I/O weights where the kernel has only BFQ's",
        docker: "discarded with a warning",
        brig: "used",
        why: "the runtime can set them",
    },
    Known {
        key: "no-image",
        rule: Rule::Exchange,
        what: "a container without an image, on an empty root",
        docker: "made",
        brig: "refused",
        why: "nothing to run in it",
    },
    Known {
        key: "detach-keys",
        rule: Rule::Exchange,
        what: "wrong detach keys",
        docker: "refused by the daemon, with status 500",
        brig: "refused by the client, or with status 400",
        why: "the request is wrong",
    },
    Known {
        key: "working-folder",
        rule: Rule::Exchange,
        what: "`--workdir` on a file",
        docker: "refused by `create`",
        brig: "refused by `start`",
        why: "the folder is made by the start",
    },
    Known {
        key: "event-filters",
        rule: Rule::Exchange,
        what: "unknown filters of events",
        docker: "ignored",
        brig: "refused",
        why: "a filter that does nothing misleads",
    },
    Known {
        key: "event-order",
        rule: Rule::Exchange,
        what: "order of `stop` and `die`",
        docker: "`stop` before `die` or after it, by chance",
        brig: "`die` before `stop`",
        why: "one order to count on",
    },
    Known {
        key: "redirect",
        rule: Rule::Exchange,
        what: "paths with `//` or `..`",
        docker: "`301` to the cleaned path",
        brig: "`404`",
        why: "no client sends them",
    },
    Known {
        key: "docker-typo",
        rule: Rule::Exchange,
        what: "`docker images a b`",
        docker: "`SRun 'docker images --help'`",
        brig: "`Run 'docker images --help'`",
        why: "a slip of Docker's",
    },
    Known {
        key: "archive-words",
        rule: Rule::Exchange,
        what: "words for archives that are none",
        docker: "Go's, with paths of temporary folders",
        brig: "what is wrong, and where",
        why: "says more",
    },
    Known {
        key: "info-facts",
        rule: Rule::Exchange,
        what: "`info`: live restore, init binary, networks' drivers, netfilter's bridge modules",
        docker: "dockerd's",
        brig: "brig's own",
        why: "containers always live on",
    },
    Known {
        key: "lookup",
        rule: Rule::Exchange,
        what: "errors about hosts of registries that can't be looked up",
        docker: "name the server that was asked",
        brig: "`no such host`",
        why: "all servers of the machine are asked",
    },
    Known {
        key: "not-there",
        rule: Rule::Exchange,
        what: "building and `swarm init`",
        docker: "served",
        brig: "`501`",
        why: "not there yet",
    },
    Known {
        key: "no-swarm",
        rule: Rule::Exchange,
        what: "`docker node`, `service` and `swarm`",
        docker: "there",
        brig: "unknown commands",
        why: "brig has no swarm mode",
    },
    Known {
        key: "own-name",
        rule: Rule::Exchange,
        what: "`version`, `info` and `--version` of the client",
        docker: "`Client: Docker Engine - Community`",
        brig: "`Client: brig`",
        why: "it is brig's version that is asked for",
    },
    Known {
        key: "own-help",
        rule: Rule::Exchange,
        what: "texts of the help",
        docker: "Docker's",
        brig: "brig's own, in Docker's layout",
        why: "written for brig",
    },
];

/// Names of fields that are not compared.
pub fn hidden() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().flat_map(|k| if let Rule::Fields(names) = k.rule { names } else { &[] }).copied()
}

/// Names of fields whose place is not compared.
pub fn movable() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().flat_map(|k| if let Rule::Place(names) = k.rule { names } else { &[] }).copied()
}

/// Words that are left out of texts.
pub fn silent() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().flat_map(|k| if let Rule::Words(words) = k.rule { words } else { &[] }).copied()
}

/// What stands before and after the generated part of the page.
pub const MARKS: [&str; 2] =
    ["<!-- parity: generated by `cargo xtask parity --docs` -->", "<!-- parity: end -->"];

/// The generated part.
#[must_use]
pub fn table() -> String {
    let rows: String =
        KNOWN.iter().map(|k| format!("| {} | {} | {} | {} |\n", k.what, k.docker, k.brig, k.why)).collect();
    format!("{}\n\n| what | dockerd 26.1 | brig | why |\n|---|---|---|---|\n{rows}\n{}", MARKS[0], MARKS[1])
}

/// The page with its generated part made anew; `None` when it has none.
#[must_use]
pub fn page(text: &str) -> Option<String> {
    let (before, rest) = text.split_once(MARKS[0])?;
    let (_, after) = rest.split_once(MARKS[1])?;
    Some(format!("{before}{}{after}", table()))
}
