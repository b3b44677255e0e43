//! `container prune`, `image prune`, `volume prune` and `system prune`.

use super::{confirm, filters, filters_json};
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
    format::size,
    out,
};
use brig_api::{
    BuildPruneResponse, ContainersPruneResponse, ImagesPruneResponse, NetworksPruneResponse,
    VolumesPruneResponse, filters::Filters,
};

pub(super) const FILTER: Flag =
    Flag::filter("filter", "Remove only what meets a condition (e.g. \"until=<timestamp>\")");
pub(super) const FORCE: Flag = Flag::switch("force", "Don't ask").short('f');

/// `brig container prune`
pub static CONTAINER_PRUNE: Command = Command {
    paths: &["container prune"],
    synopsis: "",
    about: "Remove all stopped containers",
    examples: &[],
    flags: &[&[FILTER, FORCE]],
    mode: Mode::Interspersed,
    operands: Operands::None,
    run: |cli, flags| -> Running<'_> { Box::pin(async move { containers(cli, &flags).await }) },
};

/// `brig image prune`
pub static IMAGE_PRUNE: Command = Command {
    paths: &["image prune"],
    synopsis: "",
    about: "Remove unused images",
    examples: &[],
    flags: &[&[Flag::switch("all", "Remove images that have a name too").short('a'), FILTER, FORCE]],
    mode: Mode::Interspersed,
    operands: Operands::None,
    run: |cli, flags| -> Running<'_> { Box::pin(async move { images(cli, &flags).await }) },
};

/// `brig volume prune`
pub static VOLUME_PRUNE: Command = Command {
    paths: &["volume prune"],
    synopsis: "",
    about: "Remove unused volumes",
    examples: &[],
    flags: &[&[
        Flag::switch("all", "Remove volumes that have a name, too").short('a'),
        Flag::filter("filter", "Remove only what meets a condition (e.g. \"label=<label>\")"),
        FORCE,
    ]],
    mode: Mode::Interspersed,
    operands: Operands::None,
    run: |cli, flags| -> Running<'_> { Box::pin(async move { volumes(cli, &flags).await }) },
};

/// `brig system prune`
pub static SYSTEM_PRUNE: Command = Command {
    paths: &["system prune"],
    synopsis: "",
    about: "Remove what nothing uses",
    examples: &[("system prune -a --volumes", "All that no container uses")],
    flags: &[&[
        Flag::switch("all", "Remove images that have a name too").short('a'),
        Flag::filter("filter", "Remove only what meets a condition (e.g. \"label=<key>=<value>\")"),
        FORCE,
        Flag::switch("volumes", "Remove anonymous volumes too"),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::None,
    run: |cli, flags| -> Running<'_> { Box::pin(async move { system(cli, &flags).await }) },
};

pub(super) fn agreed(flags: &Parsed, warning: &str) -> Result<bool> {
    if flags.on("force")
        || confirm(&format!("WARNING! {warning}\nAre you sure you want to continue? [y/N] "))?
    {
        return Ok(true);
    }
    // As Docker: who says no gets what was asked for.
    Err(Error::silent(0))
}

fn reclaimed(bytes: u64) -> Result {
    out::line(&format!("Total reclaimed space: {}", size::human(bytes as f64)))
}

/// What one kind of pruning removed: its list as it is shown (empty for none), and the bytes.
type Pruned = (String, u64);

fn list(header: &str, removed: Option<Vec<String>>) -> String {
    match removed.unwrap_or_default() {
        removed if removed.is_empty() => String::new(),
        removed => format!("{header}:\n{}\n\n", removed.join("\n")),
    }
}

async fn prune_containers(cli: &Cli, filters: &Filters) -> Result<Pruned> {
    let request = cli.client()?.post("/containers/prune").query_nonempty("filters", filters_json(filters));
    let answer: ContainersPruneResponse = request.json().await?;
    Ok((list("Deleted Containers", answer.containers_deleted), answer.space_reclaimed))
}

async fn prune_networks(cli: &Cli, filters: &Filters) -> Result<Pruned> {
    let request = cli.client()?.post("/networks/prune").query_nonempty("filters", filters_json(filters));
    let answer: NetworksPruneResponse = request.json().await?;
    Ok((list("Deleted Networks", answer.networks_deleted), 0))
}

async fn prune_volumes(cli: &Cli, filters: &Filters) -> Result<Pruned> {
    let request = cli.client()?.post("/volumes/prune").query_nonempty("filters", filters_json(filters));
    let answer: VolumesPruneResponse = request.json().await?;
    Ok((list("Deleted Volumes", answer.volumes_deleted), answer.space_reclaimed))
}

async fn prune_images(cli: &Cli, mut filters: Filters, all: bool) -> Result<Pruned> {
    filters.add("dangling", if all { "false" } else { "true" });
    let request = cli.client()?.post("/images/prune").query("filters", filters.to_json());
    let answer: ImagesPruneResponse = request.json().await?;
    let line = |item: brig_api::ImageDeleteResponseItem| {
        if item.untagged.is_empty() {
            format!("deleted: {}", item.deleted)
        } else {
            format!("untagged: {}", item.untagged)
        }
    };
    let removed = answer.images_deleted.map(|items| items.into_iter().map(line).collect());
    Ok((list("Deleted Images", removed), answer.space_reclaimed))
}

async fn prune_builds(cli: &Cli, filters: &Filters, all: bool) -> Result<Pruned> {
    let request = cli
        .client()?
        .post("/build/prune")
        .query_flag("all", all)
        .query_nonempty("filters", filters_json(filters));
    let answer: BuildPruneResponse = request.json().await?;
    Ok((list("Deleted build cache objects", answer.caches_deleted), answer.space_reclaimed))
}

async fn containers(cli: &Cli, flags: &Parsed) -> Result {
    agreed(flags, "This will remove all stopped containers.")?;
    let (removed, bytes) = prune_containers(cli, &filters(flags.all("filter"))).await?;
    out::print(&removed)?;
    reclaimed(bytes)
}

const DANGLING: &str = "all dangling images";
const UNUSED: &str = "all images without at least one container associated to them";

async fn images(cli: &Cli, flags: &Parsed) -> Result {
    let all = flags.on("all");
    agreed(flags, &format!("This will remove {}.", if all { UNUSED } else { DANGLING }))?;
    let (removed, bytes) = prune_images(cli, filters(flags.all("filter")), all).await?;
    out::print(&removed)?;
    reclaimed(bytes)
}

async fn volumes(cli: &Cli, flags: &Parsed) -> Result {
    let mut filters = filters(flags.all("filter"));
    let all = flags.on("all");
    if all {
        if filters.contains("all") {
            return Err("conflicting options: cannot specify both --all and --filter all=1".into());
        }
        filters.add("all", "true");
    }
    let which = if all { "all local volumes" } else { "anonymous local volumes" };
    agreed(flags, &format!("This will remove {which} not used by at least one container."))?;
    let (removed, bytes) = prune_volumes(cli, &filters).await?;
    out::print(&removed)?;
    reclaimed(bytes)
}

async fn system(cli: &Cli, flags: &Parsed) -> Result {
    let (all, volumes) = (flags.on("all"), flags.on("volumes"));
    let filters = filters(flags.all("filter"));
    if volumes && filters.contains("until") {
        return Err("ERROR: The \"until\" filter is not supported with \"--volumes\"".into());
    }
    agreed(flags, &warning(all, volumes, flags.all("filter")))?;
    let mut bytes = 0;
    let mut show = |(removed, reclaimed): Pruned| {
        bytes += reclaimed;
        out::print(&removed)
    };
    show(prune_containers(cli, &filters).await?)?;
    show(prune_networks(cli, &filters).await?)?;
    if volumes {
        show(prune_volumes(cli, &filters).await?)?;
    }
    show(prune_images(cli, filters.clone(), all).await?)?;
    show(prune_builds(cli, &filters, all).await?)?;
    reclaimed(bytes)
}

/// What `system prune` is about to remove.
fn warning<'a>(all: bool, volumes: bool, given: impl Iterator<Item = &'a str>) -> String {
    let mut kinds = vec!["all stopped containers", "all networks not used by at least one container"];
    if volumes {
        kinds.push("all anonymous volumes not used by at least one container");
    }
    kinds.push(if all { UNUSED } else { DANGLING });
    kinds.push(if all { "all build cache" } else { "unused build cache" });
    let mut text = "This will remove:".to_owned();
    let mut lines = |items: &[&str]| items.iter().for_each(|item| text.push_str(&format!("\n  - {item}")));
    lines(&kinds);
    let mut given: Vec<&str> = given.collect();
    given.sort_unstable();
    if !given.is_empty() {
        text.push_str("\n\n  Items to be pruned will be filtered with:");
        let mut lines =
            |items: &[&str]| items.iter().for_each(|item| text.push_str(&format!("\n  - {item}")));
        lines(&given);
    }
    text.push('\n');
    text
}
