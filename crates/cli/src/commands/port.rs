//! `port`.

use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::{Error, Result},
    flags::{Mode, Parsed},
    out,
};
use brig_api::{ContainerInspectResponse, PortBinding};

/// `brig port`
pub static PORT: Command = Command {
    paths: &["port", "container port"],
    synopsis: "CONTAINER [PRIVATE_PORT[/PROTO]]",
    about: "Show where a container's ports are published",
    examples: &[],
    flags: &[],
    mode: Mode::Interspersed,
    operands: Operands::Between(1, 2),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { port(cli, &flags).await }) },
};

fn address(binding: &PortBinding) -> String {
    let PortBinding { host_ip, host_port } = binding;
    if host_ip.contains(':') { format!("[{host_ip}]:{host_port}") } else { format!("{host_ip}:{host_port}") }
}

async fn port(cli: &Cli, flags: &Parsed) -> Result {
    let name = &flags.args[0];
    let container: ContainerInspectResponse =
        cli.client()?.get(&format!("/containers/{name}/json")).json().await?;
    let ports = container.network_settings.ports.unwrap_or_default();
    let mut lines = Vec::new();
    match flags.args.get(1) {
        Some(wanted) => {
            let (number, protocol) = wanted.split_once('/').unwrap_or((wanted, "tcp"));
            if number.parse::<u16>().is_err() {
                return Err(format!("Error: invalid port ({number}): invalid syntax").into());
            }
            let bindings = ports.get(&format!("{number}/{protocol}")).cloned().flatten();
            let Some(bindings) = bindings.filter(|b| !b.is_empty()) else {
                return Err(Error::Message(format!("Error: No public port '{wanted}' published for {name}")));
            };
            lines.extend(bindings.iter().map(address));
        }
        None => {
            for (port, bindings) in &ports {
                lines.extend(bindings.iter().flatten().map(|b| format!("{port} -> {}", address(b))));
            }
        }
    }
    for line in lines {
        out::line(&line)?;
    }
    Ok(())
}
