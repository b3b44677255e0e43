//! `search`.

use super::{filters, filters_json};
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    credentials, entry,
    error::Result,
    flags::{Flag, Mode, Parsed},
    format::ellipsis,
    list::{self, Headers},
    template::Object,
};
use serde::Deserialize;
use std::rc::Rc;

/// `brig search`
pub static SEARCH: Command = Command {
    paths: &["search"],
    synopsis: "TERM",
    about: "Look for images at Docker Hub, or at the registry that the term begins with",
    examples: &[],
    flags: &[&[
        Flag::filter("filter", "Show only what meets a condition").short('f'),
        Flag::string("format", "Format of the output: a Go template"),
        Flag::int("limit", "So many results at most"),
        Flag::switch("no-trunc", "Don't shorten anything"),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::Exactly(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { search(cli, &flags).await }) },
};

const HEADERS: Headers = &[
    ("Name", "NAME"),
    ("Description", "DESCRIPTION"),
    ("StarCount", "STARS"),
    ("IsOfficial", "OFFICIAL"),
    ("IsAutomated", "AUTOMATED"),
];

const TABLE: &str = "table {{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Found {
    name: String,
    description: Option<String>,
    star_count: i64,
    is_official: bool,
    is_automated: bool,
}

async fn search(cli: &Cli, flags: &Parsed) -> Result {
    let term = &flags.args[0];
    let registry = match term.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => credentials::key(first),
        _ => credentials::HUB.to_owned(),
    };
    let auth = credentials::encode(&credentials::find(cli.config(), &registry)?);
    let wanted = filters(flags.all("filter"));
    let found: Vec<Found> = cli
        .client()?
        .get("/images/search")
        .query("term", term)
        .query_nonempty("limit", if flags.changed("limit") { flags.get("limit") } else { "" })
        .query_nonempty("filters", filters_json(&wanted))
        .header(http::HeaderName::from_static("x-registry-auth"), &auth)
        .json()
        .await?;
    let full = flags.on("no-trunc");
    let entries = found.into_iter().map(|found| Rc::new(Entry { found, full }) as Rc<dyn Object>).collect();
    list::print(flags.get("format"), TABLE, HEADERS, entries)
}

#[derive(Debug)]
struct Entry {
    found: Found,
    full: bool,
}

entry!(Entry as "*formatter.searchContext", this;
    "Name" => &this.found.name,
    "Description" => this.description(),
    "StarCount" => this.found.star_count.to_string(),
    "IsOfficial" => if this.found.is_official { "[OK]" } else { "" },
    "IsAutomated" => if this.found.is_automated { "[OK]" } else { "" },
    ; label: None);

impl Entry {
    fn description(&self) -> String {
        let text = self.found.description.as_deref().unwrap_or_default().replace(['\n', '\r'], " ");
        if self.full { text } else { ellipsis(&text, 45) }
    }
}
