//! `network rm` and `network prune`.

use crate::{
    command::{Command, Operands, Running},
    commands::{filters, filters_json, prune},
    context::Cli,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
    out,
};
use brig_api::NetworksPruneResponse;

/// `brig network rm`
pub static RM: Command = Command {
    paths: &["network rm", "network remove"],
    synopsis: "NETWORK [NETWORK...]",
    about: "Remove one or more networks",
    examples: &[],
    flags: &[&[Flag::switch("force", "No error for a network that is not there").short('f')]],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { remove(cli, &flags).await }) },
};

/// `brig network prune`
pub static PRUNE: Command = Command {
    paths: &["network prune"],
    synopsis: "",
    about: "Remove all networks that no container is on",
    examples: &[],
    flags: &[&[prune::FILTER, prune::FORCE]],
    mode: Mode::Interspersed,
    operands: Operands::None,
    run: |cli, flags| -> Running<'_> { Box::pin(async move { prune(cli, &flags).await }) },
};

async fn remove(cli: &Cli, flags: &Parsed) -> Result {
    let client = cli.client()?;
    let mut failed = false;
    for name in &flags.args {
        match client.delete(&format!("/networks/{name}")).send().await {
            Ok(()) => out::line(name)?,
            Err(e) if flags.on("force") && e.status().is_some_and(|s| s.as_u16() == 404) => {}
            Err(e) => {
                failed = true;
                out::warn(&Error::from(e).to_string());
            }
        }
    }
    if failed { Err(Error::Exit { message: "exit status 1".to_owned(), code: 1 }) } else { Ok(()) }
}

async fn prune(cli: &Cli, flags: &Parsed) -> Result {
    prune::agreed(flags, "This will remove all custom networks not used by at least one container.")?;
    let filters = filters_json(&filters(flags.all("filter")));
    let request = cli.client()?.post("/networks/prune").query_nonempty("filters", filters);
    let answer: NetworksPruneResponse = request.json().await?;
    let removed = answer.networks_deleted.unwrap_or_default();
    if !removed.is_empty() {
        out::print(&format!("Deleted Networks:\n{}\n\n", removed.join("\n")))?;
    }
    Ok(())
}
