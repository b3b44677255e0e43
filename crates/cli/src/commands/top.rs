//! `top`.

use crate::{
    command::{Command, Operands, Running},
    flags::Mode,
    format::table,
    out,
};
use brig_api::ContainerTopResponse;

/// `brig top`
pub static TOP: Command = Command {
    paths: &["top", "container top"],
    synopsis: "CONTAINER [ps OPTIONS]",
    about: "Show the processes of a container",
    examples: &[],
    flags: &[],
    mode: Mode::UntilOperand,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> {
        Box::pin(async move {
            let path = format!("/containers/{}/top", flags.args[0]);
            let request = cli.client()?.get(&path).query_nonempty("ps_args", flags.args[1..].join(" "));
            let answer: ContainerTopResponse = request.json().await?;
            let mut text = answer.titles.unwrap_or_default().join("\t") + "\n";
            for process in answer.processes.unwrap_or_default() {
                text.push_str(&process.join("\t"));
                text.push('\n');
            }
            out::print(&table::align(&text, table::PROCESSES))
        })
    },
};
