//! `history`.

use super::{FORMAT, images::platform_json, size3};
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    entry,
    error::Result,
    flags::{Flag, Mode, Parsed},
    format::{age, ellipsis, short_id, timestamp},
    list::{self, Headers},
    template::Object,
};
use brig_api::HistoryResponseItem;
use std::rc::Rc;

/// `brig history`
pub static HISTORY: Command = Command {
    paths: &["history", "image history"],
    synopsis: "IMAGE",
    about: "Show the steps by which an image was made",
    examples: &[],
    flags: &[&[
        FORMAT,
        Flag::switch("human", "Show sizes and dates for people").short('H').default("true", "true"),
        Flag::switch("no-trunc", "Don't shorten anything"),
        Flag::string("platform", "Show this platform's variant (e.g., \"linux/amd64\")"),
        Flag::switch("quiet", "Show IDs only").short('q'),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::Exactly(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { history(cli, &flags).await }) },
};

const HEADERS: Headers = &[
    ("ID", "IMAGE"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
];

async fn history(cli: &Cli, flags: &Parsed) -> Result {
    let platform = flags.non_empty("platform").map(|p| platform_json(&p)).unwrap_or_default();
    let path = format!("/images/{}/history", flags.args[0]);
    let steps: Vec<HistoryResponseItem> =
        cli.client()?.get(&path).query_nonempty("platform", platform).json().await?;
    let human = flags.on("human");
    let table = match (flags.on("quiet"), human) {
        (true, _) => "{{.ID}}",
        (false, true) => "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
        (false, false) => "table {{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}",
    };
    let (full, now) = (flags.on("no-trunc"), age::now());
    let entries =
        steps.into_iter().map(|s| Rc::new(Entry { s, full, human, now }) as Rc<dyn Object>).collect();
    list::print(flags.get("format"), table, HEADERS, entries)
}

#[derive(Debug)]
struct Entry {
    s: HistoryResponseItem,
    full: bool,
    human: bool,
    now: i64,
}

entry!(Entry as "*formatter.historyContext", this;
    "ID" => if this.full { this.s.id.as_str() } else { short_id(&this.s.id) },
    "CreatedSince" => if this.s.created <= 0 { "N/A".to_owned() } else { age::ago(this.s.created, this.now) },
    "CreatedAt" => timestamp::rfc3339_local(this.s.created),
    "CreatedBy" => this.created_by(),
    "Size" => if this.human { size3(this.s.size) } else { this.s.size.to_string() },
    "Comment" => &this.s.comment,
    ; label: None);

impl Entry {
    fn created_by(&self) -> String {
        let line = self.s.created_by.replace('\t', " ");
        if self.full { line } else { ellipsis(&line, 45) }
    }
}
