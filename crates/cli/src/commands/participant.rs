//! Taking part in a container that is there already: what `attach` and `start --attach` have in common.

use super::detach_keys;
use crate::{
    context::Cli,
    error::{Error, Result},
    out,
    stream::{Ended, Pump, detach::Watch, signals::Proxy},
    terminal,
};
use brig_api::{ContainerInspectResponse, ContainerWaitResponse, client::Client};

/// The client's streams on one side, a container on the other.
#[derive(Debug)]
pub(super) struct Participant<'a> {
    client: &'a Client,
    /// The container as it was before.
    pub container: ContainerInspectResponse,
    keys: String,
    watch: Watch,
}

impl<'a> Participant<'a> {
    /// Looks at the container. `keys` is the flag for those that detach.
    ///
    /// # Errors
    /// When the keys can't be read, or there is no such container.
    pub async fn of(cli: &'a Cli, name: &str, keys: &str) -> Result<Self> {
        let client = cli.client()?;
        let keys = detach_keys(cli, keys);
        let watch = Watch::new(&keys).map_err(Error::Message)?;
        let container = client.get(&format!("/containers/{name}/json")).json().await?;
        Ok(Self { client, container, keys, watch })
    }

    /// Attaches, waits for the `condition` (empty: for the end of this run), lets `started` see to it that the container
    /// runs, and carries its streams until it ends: its code is the result.
    ///
    /// # Errors
    /// When the client has no terminal to give, the daemon refuses, or the container ends with another code than 0.
    pub async fn take_part(
        self,
        stdin: bool,
        proxied: bool,
        condition: &str,
        started: impl Future<Output = Result>,
    ) -> Result {
        let Self { client, container, keys, watch } = self;
        let (id, tty) = (&container.id, container.config.tty);
        let stdin = stdin && container.config.open_stdin;
        if tty && stdin && !terminal::is_terminal(std::io::stdin()) {
            return Err("the input device is not a TTY".into());
        }
        // Signals that come from now on are the container's.
        let proxy = (proxied && !tty).then(Proxy::new);
        let attaching = client
            .post(&format!("/containers/{id}/attach"))
            .query_nonempty("detachKeys", keys)
            .query("stderr", "1")
            .query_flag("stdin", stdin)
            .query("stdout", "1")
            .query("stream", "1")
            .hijack();
        let waiting =
            client.post(&format!("/containers/{id}/wait")).query_nonempty("condition", condition).response();
        let (attached, waiting) = tokio::join!(attaching, waiting);
        let (connection, waiting) = (attached?.stream, waiting?);
        let pump = Pump {
            client,
            resize: Some(format!("/containers/{id}")),
            connection,
            tty,
            stdin,
            stdout: true,
            stderr: true,
            detach: tty.then_some(watch),
        };
        let streams = pump.run(started);
        let ended = match proxy {
            None => streams.await?,
            Some(proxy) => tokio::select! {
                ended = streams => ended?,
                () = proxy.run(client, id) => Ended::Detached,
            },
        };
        if ended == Ended::Detached {
            out::warn("read escape sequence");
            return Ok(());
        }
        let answer: ContainerWaitResponse = waiting.json().await?;
        match answer.status_code {
            0 => Ok(()),
            code => Err(Error::silent((code & 0xff) as u8)),
        }
    }
}
