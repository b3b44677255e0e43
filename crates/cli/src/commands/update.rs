//! `update`.

use super::each;
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
    format::size,
    opts::{host, text},
    out,
};
use brig_api::{ContainerUpdateRequest, ContainerUpdateResponse};
use std::{cell::RefCell, collections::BTreeMap};

/// `brig update`
pub static UPDATE: Command = Command {
    paths: &["update", "container update"],
    synopsis: "CONTAINER [CONTAINER...]",
    about: "Change the limits of one or more containers",
    examples: &[("update -m 512m --memory-swap 1g web", "Another limit of memory")],
    flags: &[&[
        Flag::string("blkio-weight", "Relative weight of block I/O, 10 to 1000, 0 for none")
            .label("uint16")
            .default("0", "0")
            .check(text::uint16),
        Flag::int("cpu-period", "Length of a CFS period in microseconds"),
        Flag::int("cpu-quota", "CPU time within a CFS period in microseconds"),
        Flag::int("cpu-rt-period", "Length of a real-time period in microseconds"),
        Flag::int("cpu-rt-runtime", "Real-time CPU time within a period in microseconds"),
        Flag::int("cpu-shares", "Relative weight of CPU time").short('c'),
        Flag::string("cpus", "Number of CPUs, such as 1.5").label("decimal").check(text::cpus),
        Flag::string("cpuset-cpus", "CPUs that may be used (0-3, 0,1)"),
        Flag::string("cpuset-mems", "Memory nodes that may be used (0-3, 0,1)"),
        Flag::list("label-add", "Set a label").check(text::label),
        Flag::list("label-rm", "Take a label away"),
        Flag::bytes("memory", "Limit of memory").short('m'),
        Flag::bytes("memory-reservation", "Soft limit of memory"),
        Flag::bytes("memory-swap", "Limit of memory and swap together: -1 for unlimited swap"),
        Flag::int("pids-limit", "Limit of processes (-1 for none)"),
        Flag::string("restart", "What to do when the container exits"),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::AtLeast(1),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { update(cli, &flags).await }) },
};

fn bytes(flags: &Parsed, name: &str) -> i64 {
    match flags.get(name) {
        "-1" => -1,
        text => size::ram_in_bytes(text).unwrap_or(0),
    }
}

/// The labels that are set, and those that are taken away.
fn labels(flags: &Parsed) -> Option<BTreeMap<String, Option<String>>> {
    let removed = flags.all("label-rm").map(|name| (name.to_owned(), None));
    let added = flags.all("label-add").map(|text| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), Some(value.to_owned()))
    });
    Some(removed.chain(added).collect::<BTreeMap<_, _>>()).filter(|all| !all.is_empty())
}

async fn update(cli: &Cli, flags: &Parsed) -> Result {
    const NAMES: [&str; 16] = [
        "blkio-weight",
        "cpu-period",
        "cpu-quota",
        "cpu-rt-period",
        "cpu-rt-runtime",
        "cpu-shares",
        "cpus",
        "cpuset-cpus",
        "cpuset-mems",
        "label-add",
        "label-rm",
        "memory",
        "memory-reservation",
        "memory-swap",
        "pids-limit",
        "restart",
    ];
    if !NAMES.iter().any(|name| flags.changed(name)) {
        return Err("you must provide one or more flags when using this command".into());
    }
    let restart_policy = match flags.get("restart") {
        "" => brig_api::RestartPolicy::default(),
        text => host::restart_policy(text).map_err(Error::Message)?,
    };
    let request = ContainerUpdateRequest {
        cpu_shares: flags.int("cpu-shares"),
        memory: bytes(flags, "memory"),
        nano_cpus: flags.non_empty("cpus").and_then(|n| text::nano_cpus(&n).ok()).unwrap_or(0),
        blkio_weight: u16::try_from(flags.int("blkio-weight")).unwrap_or(0),
        cpu_period: flags.int("cpu-period"),
        cpu_quota: flags.int("cpu-quota"),
        cpu_realtime_period: flags.int("cpu-rt-period"),
        cpu_realtime_runtime: flags.int("cpu-rt-runtime"),
        cpuset_cpus: flags.get("cpuset-cpus").to_owned(),
        cpuset_mems: flags.get("cpuset-mems").to_owned(),
        memory_reservation: bytes(flags, "memory-reservation"),
        memory_swap: bytes(flags, "memory-swap"),
        pids_limit: flags.changed("pids-limit").then(|| flags.int("pids-limit")),
        restart_policy,
        labels: labels(flags),
        ..ContainerUpdateRequest::default()
    };
    let client = cli.client()?;
    let request = &request;
    let warnings = RefCell::new(Vec::new());
    let warnings_of_all = &warnings;
    let updated = each(&flags.args, |name| async move {
        let answer: ContainerUpdateResponse =
            client.post(&format!("/containers/{name}/update")).body_json(request).json().await?;
        warnings_of_all.borrow_mut().extend(answer.warnings.unwrap_or_default());
        Ok(Some(name.to_owned()))
    })
    .await;
    // After all names, as Docker has it.
    for warning in warnings.into_inner() {
        out::print(&format!("{warning}\n"))?;
    }
    updated
}
