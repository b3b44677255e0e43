//! `container prune`, `image prune` and `volume prune`.

use super::{confirm, filters, filters_json};
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
    format::size,
    out,
};
use brig_api::{ContainersPruneResponse, ImagesPruneResponse, VolumesPruneResponse};

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

async fn containers(cli: &Cli, flags: &Parsed) -> Result {
    agreed(flags, "This will remove all stopped containers.")?;
    let filters = filters_json(&filters(flags.all("filter")));
    let request = cli.client()?.post("/containers/prune").query_nonempty("filters", filters);
    let answer: ContainersPruneResponse = request.json().await?;
    let removed = answer.containers_deleted.unwrap_or_default();
    if !removed.is_empty() {
        out::print(&format!("Deleted Containers:\n{}\n\n", removed.join("\n")))?;
    }
    reclaimed(answer.space_reclaimed)
}

async fn images(cli: &Cli, flags: &Parsed) -> Result {
    let all = flags.on("all");
    agreed(
        flags,
        if all {
            "This will remove all images without at least one container associated to them."
        } else {
            "This will remove all dangling images."
        },
    )?;
    let mut filters = filters(flags.all("filter"));
    filters.add("dangling", if all { "false" } else { "true" });
    let request = cli.client()?.post("/images/prune").query("filters", filters.to_json());
    let answer: ImagesPruneResponse = request.json().await?;
    let removed = answer.images_deleted.unwrap_or_default();
    if !removed.is_empty() {
        let mut text = String::from("Deleted Images:\n");
        for item in removed {
            if item.untagged.is_empty() {
                text.push_str(&format!("deleted: {}\n", item.deleted));
            } else {
                text.push_str(&format!("untagged: {}\n", item.untagged));
            }
        }
        text.push('\n');
        out::print(&text)?;
    }
    reclaimed(answer.space_reclaimed)
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
    agreed(
        flags,
        if all {
            "This will remove all local volumes not used by at least one container."
        } else {
            "This will remove anonymous local volumes not used by at least one container."
        },
    )?;
    let request = cli.client()?.post("/volumes/prune").query_nonempty("filters", filters_json(&filters));
    let answer: VolumesPruneResponse = request.json().await?;
    let removed = answer.volumes_deleted.unwrap_or_default();
    if !removed.is_empty() {
        out::print(&format!("Deleted Volumes:\n{}\n\n", removed.join("\n")))?;
    }
    reclaimed(answer.space_reclaimed)
}
