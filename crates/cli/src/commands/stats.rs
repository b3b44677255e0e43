//! `stats`.

use super::FORMAT;
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    entry,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
    format::{short_id, size},
    list::{self, Headers},
    out,
    template::Object,
    terminal,
};
use brig_api::{ContainerStatsResponse, ContainerSummary};
use futures_util::future::join_all;
use std::rc::Rc;

/// `brig stats`
pub static STATS: Command = Command {
    paths: &["stats", "container stats"],
    synopsis: "[CONTAINER...]",
    about: "Show what containers use",
    examples: &[("stats --no-stream", "Once, of all running containers")],
    flags: &[&[
        Flag::switch("all", "Show stopped containers too").short('a'),
        FORMAT,
        Flag::switch("no-stream", "Show it once"),
        Flag::switch("no-trunc", "Don't shorten anything"),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(0),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { stats(cli, &flags).await }) },
};

const HEADERS: Headers = &[
    ("Container", "CONTAINER"),
    ("Name", "NAME"),
    ("ID", "CONTAINER ID"),
    ("CPUPerc", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET I/O"),
    ("BlockIO", "BLOCK I/O"),
    ("PIDs", "PIDS"),
];
const TABLE: &str = "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";

async fn stats(cli: &Cli, flags: &Parsed) -> Result {
    let client = cli.client()?;
    let format =
        flags.non_empty("format").unwrap_or_else(|| cli.config().stats_format.clone().unwrap_or_default());
    let full = flags.on("no-trunc");
    let redraws = !flags.on("no-stream") && terminal::is_terminal(std::io::stdout());
    loop {
        let names = if flags.args.is_empty() {
            let list = client.get("/containers/json").query_flag("all", flags.on("all"));
            list.json::<Vec<ContainerSummary>>().await?.into_iter().map(|c| c.id).collect()
        } else {
            flags.args.clone()
        };
        // The daemon takes two samples for an answer, a second apart: that is the pace of this loop. It takes
        // no time only when there is nothing to sample.
        let one = |name: String| async move {
            let path = format!("/containers/{name}/stats");
            let answer = client.get(&path).query("stream", "0").json::<ContainerStatsResponse>().await;
            (name, answer)
        };
        let mut entries: Vec<Rc<dyn Object>> = Vec::new();
        for (container, answer) in join_all(names.into_iter().map(one)).await {
            match answer {
                Ok(stats) => entries.push(Rc::new(Entry { container, stats, full })),
                // One of all may have gone meanwhile; one that was asked for must be there.
                Err(e) if flags.args.is_empty() && e.status().is_some_and(|s| s.as_u16() == 404) => {}
                Err(e) => return Err(e.into()),
            }
        }
        let idle = entries.is_empty();
        let text = list::render(&format, TABLE, HEADERS, entries)?;
        if redraws {
            out::print("\x1b[2J\x1b[H")?;
        }
        out::print(&text)?;
        if flags.on("no-stream") {
            return Ok(());
        }
        if idle {
            next_start(cli).await?;
        }
    }
}

/// Waits until a container starts.
async fn next_start(cli: &Cli) -> Result {
    let filters = super::filters(["type=container", "event=start"].into_iter());
    let answer = cli.client()?.get("/events").query("filters", filters.to_json()).response().await?;
    match answer.into_values::<serde_json::Value>().next().await? {
        Some(_) => Ok(()),
        None => Err(Error::Message("the daemon went away".to_owned())),
    }
}

#[derive(Debug)]
struct Entry {
    container: String,
    stats: ContainerStatsResponse,
    full: bool,
}

entry!(Entry as "*container.statsContext", this;
    "Container" => &this.container,
    "Name" => this.stats.name.strip_prefix('/').unwrap_or(&this.stats.name),
    "ID" => if this.full { this.stats.id.as_str() } else { short_id(&this.stats.id) },
    "CPUPerc" => format!("{:.2}%", this.cpu()),
    "MemUsage" => this.memory_text(),
    "MemPerc" => format!("{:.2}%", this.memory_share()),
    "NetIO" => this.network(),
    "BlockIO" => this.block(),
    "PIDs" => this.stats.pids_stats.current.to_string(),
    ; label: None);

fn size3(bytes: u64) -> String {
    size::with_precision(bytes as f64, 3)
}

impl Entry {
    fn cpu(&self) -> f64 {
        let (now, before) = (&self.stats.cpu_stats, &self.stats.precpu_stats);
        let used = now.cpu_usage.total_usage as f64 - before.cpu_usage.total_usage as f64;
        let system = now.system_cpu_usage as f64 - before.system_cpu_usage as f64;
        let cpus = match now.online_cpus {
            0 => now.cpu_usage.percpu_usage.as_ref().map_or(0, Vec::len) as f64,
            n => f64::from(n),
        };
        if system > 0.0 && used > 0.0 { used / system * cpus * 100.0 } else { 0.0 }
    }

    /// Without what the kernel would give back at once.
    fn memory(&self) -> u64 {
        let memory = &self.stats.memory_stats;
        let inactive = memory
            .stats
            .as_ref()
            .and_then(|s| s.get("total_inactive_file").or_else(|| s.get("inactive_file")));
        match inactive {
            Some(inactive) if *inactive < memory.usage => memory.usage - inactive,
            _ => memory.usage,
        }
    }

    fn memory_text(&self) -> String {
        format!(
            "{} / {}",
            size::binary(self.memory() as f64),
            size::binary(self.stats.memory_stats.limit as f64)
        )
    }

    fn memory_share(&self) -> f64 {
        match self.stats.memory_stats.limit {
            0 => 0.0,
            limit => self.memory() as f64 / limit as f64 * 100.0,
        }
    }

    fn network(&self) -> String {
        let all = self.stats.networks.iter().flat_map(|n| n.values());
        let (rx, tx) = all.fold((0, 0), |(rx, tx), n| (rx + n.rx_bytes, tx + n.tx_bytes));
        format!("{} / {}", size3(rx), size3(tx))
    }

    fn block(&self) -> String {
        let sum = |first: char| -> u64 {
            let all = self.stats.blkio_stats.io_service_bytes_recursive.iter().flatten();
            all.filter(|e| e.op.to_ascii_lowercase().starts_with(first)).map(|e| e.value).sum()
        };
        format!("{} / {}", size3(sum('r')), size3(sum('w')))
    }
}
