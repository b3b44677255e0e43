//! `network connect` and `network disconnect`.

use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
};
use brig_api::{EndpointIpamConfig, EndpointSettings, NetworkConnectRequest, NetworkDisconnectRequest};
use std::collections::BTreeMap;

/// `brig network connect`
pub static CONNECT: Command = Command {
    paths: &["network connect"],
    synopsis: "NETWORK CONTAINER",
    about: "Put a container on a network",
    examples: &[("network connect --alias db backend postgres", "By another name there")],
    flags: &[&[
        Flag::list("alias", "One more name of the container on this network").label("strings"),
        Flag::list("driver-opt", "Options of the network's driver").label("strings"),
        Flag::int("gw-priority", "The network of the highest priority is the way out"),
        Flag::string("ip", "IPv4 address (e.g., \"172.30.100.104\")"),
        Flag::string("ip6", "IPv6 address (e.g., \"2001:db8::33\")"),
        Flag::list("link", "Add a link to another container"),
        Flag::list("link-local-ip", "Add a link-local address").label("strings"),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::Exactly(2),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { connect(cli, &flags).await }) },
};

/// `brig network disconnect`
pub static DISCONNECT: Command = Command {
    paths: &["network disconnect"],
    synopsis: "NETWORK CONTAINER",
    about: "Take a container off a network",
    examples: &[],
    flags: &[&[Flag::switch("force", "Even if the container does not run any more").short('f')]],
    mode: Mode::Interspersed,
    operands: Operands::Exactly(2),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { disconnect(cli, &flags).await }) },
};

async fn connect(cli: &Cli, flags: &Parsed) -> Result {
    let options = flags.list("driver-opt").into_iter().map(|option| {
        let split =
            option.split_once('=').map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
        split.ok_or_else(|| Error::from("invalid key/value pair format in driver options"))
    });
    let options: BTreeMap<String, String> = options.collect::<Result<_>>()?;
    let given = |name: &str| flags.changed(name).then(|| flags.list(name));
    let request = NetworkConnectRequest {
        container: flags.args[1].clone(),
        endpoint_config: Some(EndpointSettings {
            ipam_config: Some(EndpointIpamConfig {
                ipv4_address: flags.get("ip").to_owned(),
                ipv6_address: flags.get("ip6").to_owned(),
                link_local_ips: given("link-local-ip"),
            }),
            links: given("link"),
            aliases: Some(flags.list("alias")),
            driver_opts: Some(options),
            gw_priority: flags.int("gw-priority"),
            ..EndpointSettings::default()
        }),
    };
    let network = &flags.args[0];
    Ok(cli.client()?.post(&format!("/networks/{network}/connect")).body_json(&request).send().await?)
}

async fn disconnect(cli: &Cli, flags: &Parsed) -> Result {
    let request = NetworkDisconnectRequest { container: flags.args[1].clone(), force: flags.on("force") };
    let network = &flags.args[0];
    Ok(cli.client()?.post(&format!("/networks/{network}/disconnect")).body_json(&request).send().await?)
}
