//! `network ls`.

use super::super::{FILTER, FORMAT, filters, filters_json, ps::labels};
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    entry,
    error::Result,
    flags::{Flag, Mode, Parsed},
    format::short_id,
    list::{self, Headers},
    template::Object,
};
use brig_api::Network;
use std::rc::Rc;

/// `brig network ls`
pub static LS: Command = Command {
    paths: &["network ls", "network list"],
    synopsis: "",
    about: "List networks",
    examples: &[],
    flags: &[&[
        FILTER,
        FORMAT,
        Flag::switch("no-trunc", "Don't shorten anything"),
        Flag::switch("quiet", "Show IDs only").short('q'),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::None,
    run: |cli, flags| -> Running<'_> { Box::pin(async move { ls(cli, &flags).await }) },
};

const HEADERS: Headers = &[
    ("ID", "NETWORK ID"),
    ("Name", "NAME"),
    ("Driver", "DRIVER"),
    ("Scope", "SCOPE"),
    ("IPv4", "IPV4"),
    ("IPv6", "IPV6"),
    ("Internal", "INTERNAL"),
    ("Labels", "LABELS"),
    ("CreatedAt", "CREATED AT"),
];

async fn ls(cli: &Cli, flags: &Parsed) -> Result {
    let filters = filters_json(&filters(flags.all("filter")));
    let mut networks: Vec<Network> =
        cli.client()?.get("/networks").query_nonempty("filters", filters).json().await?;
    networks.sort_by(|a, b| crate::format::natural::compare(&a.name, &b.name));
    let full = flags.on("no-trunc");
    let entries = networks.into_iter().map(|n| Rc::new(Entry { n, full }) as Rc<dyn Object>).collect();
    let format = match flags.non_empty("format") {
        Some(format) => format,
        None if flags.on("quiet") => String::new(),
        None => cli.config().networks_format.clone().unwrap_or_default(),
    };
    let table =
        if flags.on("quiet") { "{{.ID}}" } else { "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}" };
    list::print(&format, table, HEADERS, entries)
}

#[derive(Debug)]
struct Entry {
    n: Network,
    full: bool,
}

entry!(Entry as "*network.networkContext", this;
    "ID" => if this.full { this.n.id.as_str() } else { short_id(&this.n.id) },
    "Name" => &this.n.name,
    "Driver" => &this.n.driver,
    "Scope" => &this.n.scope,
    "IPv4" => this.n.enable_ipv4.to_string(),
    "IPv6" => this.n.enable_ipv6.to_string(),
    "Internal" => this.n.internal.to_string(),
    "Labels" => labels(&this.n.labels),
    "CreatedAt" => this.n.created.to_string().replace('T', " ").replace('Z', " +0000 UTC"),
    ; label: Some(&this.n.labels));
