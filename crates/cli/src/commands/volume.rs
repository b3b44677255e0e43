//! `volume create`, `volume ls`, `volume rm` and `volume update`.

use super::{FILTER, FORMAT, each, filters, filters_json, ps::labels};
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    entry,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
    format::{natural, size},
    list::{self, Headers},
    out,
    template::Object,
};
use brig_api::{Volume, VolumeCreateRequest, VolumeListResponse};
use std::{collections::BTreeMap, rc::Rc};

/// `brig volume create`
pub static CREATE: Command = Command {
    paths: &["volume create"],
    synopsis: "[VOLUME]",
    about: "Make a volume",
    examples: &[
        ("volume create data", "A folder of its own"),
        ("volume create -o type=none -o o=bind -o device=/srv/data data", "A folder of the host"),
    ],
    flags: &[&[
        Flag::string("driver", "The volume's driver").short('d').default("local", "local"),
        Flag::list("label", "Give it a label"),
        Flag::string("name", "").hide(),
        Flag::list("opt", "An option of the driver (type, o, device)").short('o').label("map"),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::AtMost(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { create(cli, &flags).await }) },
};

/// `brig volume ls`
pub static LS: Command = Command {
    paths: &["volume ls", "volume list"],
    synopsis: "",
    about: "List volumes",
    examples: &[("volume ls -f dangling=true", "Those that no container has")],
    flags: &[&[FILTER, FORMAT, Flag::switch("quiet", "Show names only").short('q')]],
    mode: Mode::Interspersed,
    operands: Operands::None,
    run: |cli, flags| -> Running<'_> { Box::pin(async move { ls(cli, &flags).await }) },
};

/// `brig volume rm`
pub static RM: Command = Command {
    paths: &["volume rm", "volume remove"],
    synopsis: "VOLUME [VOLUME...]",
    about: "Remove one or more volumes that no container has",
    examples: &[],
    flags: &[&[Flag::switch("force", "It is fine when one is not there").short('f')]],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> {
        Box::pin(async move {
            let client = cli.client()?;
            let force = flags.on("force");
            each(&flags.args, |name| {
                let request = client.delete(&format!("/volumes/{name}")).query_flag("force", force);
                async move {
                    request.send().await?;
                    Ok(Some(name.to_owned()))
                }
            })
            .await
        })
    },
};

/// `brig volume update`
pub static UPDATE: Command = Command {
    paths: &["volume update"],
    synopsis: "VOLUME",
    about: "Change a volume of a cluster, which brig's are not",
    examples: &[],
    flags: &[&[Flag::string("availability", "active, pause or drain")]],
    mode: Mode::Interspersed,
    operands: Operands::Exactly(1),
    run: |cli, flags| -> Running<'_> {
        Box::pin(async move {
            let _: Volume = cli.client()?.get(&format!("/volumes/{}", flags.args[0])).json().await?;
            Err("can only update cluster volumes".into())
        })
    },
};

/// `name=value`, or a name alone.
pub(super) fn pairs<'a>(given: impl Iterator<Item = &'a str>) -> Option<BTreeMap<String, String>> {
    let pair = |text: &str| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (text.to_owned(), String::new()),
    };
    Some(given.map(pair).collect::<BTreeMap<_, _>>()).filter(|pairs| !pairs.is_empty())
}

async fn create(cli: &Cli, flags: &Parsed) -> Result {
    let named = flags.non_empty("name");
    if named.is_some() && !flags.args.is_empty() {
        return Err(Error::Message(
            "conflicting options: cannot specify a volume-name through both --name and as a positional arg"
                .to_owned(),
        ));
    }
    let request = VolumeCreateRequest {
        name: named.or_else(|| flags.args.first().cloned()).unwrap_or_default(),
        driver: flags.get("driver").to_owned(),
        driver_opts: pairs(flags.all("opt")),
        labels: pairs(flags.all("label")),
    };
    let volume: Volume = cli.client()?.post("/volumes/create").body_json(&request).json().await?;
    out::line(&volume.name)
}

pub(super) const HEADERS: Headers = &[
    ("Name", "VOLUME NAME"),
    ("Driver", "DRIVER"),
    ("Scope", "SCOPE"),
    ("Mountpoint", "MOUNTPOINT"),
    ("Labels", "LABELS"),
    ("Links", "LINKS"),
    ("Size", "SIZE"),
    ("Group", "GROUP"),
    ("Availability", "AVAILABILITY"),
    ("Status", "STATUS"),
];

async fn ls(cli: &Cli, flags: &Parsed) -> Result {
    let filters = filters_json(&filters(flags.all("filter")));
    let mut answer: VolumeListResponse =
        cli.client()?.get("/volumes").query_nonempty("filters", filters).json().await?;
    answer.volumes.sort_by(|a, b| natural::compare(&a.name, &b.name));
    let format = match flags.non_empty("format") {
        Some(format) => format,
        None if flags.on("quiet") => String::new(),
        None => cli.config().volumes_format.clone().unwrap_or_default(),
    };
    let table = if flags.on("quiet") { "{{.Name}}" } else { "table {{.Driver}}\t{{.Name}}" };
    list::print(&format, table, HEADERS, entries(answer.volumes))
}

/// Volumes as entries of lists.
pub(super) fn entries(volumes: Vec<Volume>) -> Vec<Rc<dyn Object>> {
    let entry = |v: Volume| {
        let labels = v.labels.clone().unwrap_or_default();
        Rc::new(Entry { v, labels }) as Rc<dyn Object>
    };
    volumes.into_iter().map(entry).collect()
}

#[derive(Debug)]
struct Entry {
    v: Volume,
    labels: BTreeMap<String, String>,
}

entry!(Entry as "*formatter.volumeContext", this;
    "Availability" => "N/A",
    "Driver" => &this.v.driver,
    "Group" => "N/A",
    "Labels" => labels(&this.labels),
    "Links" => this.v.usage_data.as_ref().map_or("N/A".to_owned(), |usage| usage.ref_count.to_string()),
    "Mountpoint" => &this.v.mountpoint,
    "Name" => &this.v.name,
    "Scope" => &this.v.scope,
    "Size" => this.v.usage_data.as_ref().map_or("N/A".to_owned(), |usage| size::human(usage.size as f64)),
    "Status" => "N/A",
    ; label: Some(&this.labels));
