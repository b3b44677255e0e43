//! Start, stop, restart, kill, pause, unpause, rename, resize.

use crate::{
    actor::{Handle, Until},
    engine::Engine,
    error::{Error, Result},
    machine::{Input, Refusal, StopOrder},
    names,
    options::StopOptions,
    start,
};
use brig_core::{HasKind, Kind, signal};
use brig_shim::protocol::{Request, Target};
use std::{collections::BTreeMap, time::Duration};

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;
/// How long a container has to stop when nobody says.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(10);

impl Engine {
    /// Starts a container.
    ///
    /// # Errors
    /// Of kind [`brig_core::Kind::NotModified`] when it runs already; [`Error::Start`] when its command can't be
    /// run.
    pub async fn container_start(&self, name: &str) -> Result<()> {
        self.core().check_open()?;
        self.core().registry.resolve(name)?.act(Input::Start, Until::Done).await
    }

    /// Stops a container: its stop signal, then SIGKILL after the timeout. Returns when it has ended.
    ///
    /// # Errors
    /// Of kind [`brig_core::Kind::NotModified`] when it does not run.
    pub async fn container_stop(&self, name: &str, options: StopOptions) -> Result<()> {
        let handle = self.core().registry.resolve(name)?;
        let order = stop_order(&handle, &options).map_err(|e| cannot_stop(name, e))?;
        match handle.act(Input::Stop(order), Until::Ended).await {
            Err(error) if error.kind() != Kind::NotModified => Err(cannot_stop(name, error)),
            done => done,
        }
    }

    /// Stops a container if it runs, and starts it.
    ///
    /// # Errors
    /// As those of a stop and of a start.
    pub async fn container_restart(&self, name: &str, options: StopOptions) -> Result<()> {
        self.core().check_open()?;
        let handle = self.core().registry.resolve(name)?;
        let restarted = match stop_order(&handle, &options) {
            Ok(order) => handle.act(Input::Restart(order), Until::Restarted).await,
            Err(error) => Err(error),
        };
        restarted.map_err(|e| e.context(format!("Cannot restart container {name}")))
    }

    /// Sends a signal to a container's first process; an empty `signal` is SIGKILL. After SIGKILL it returns
    /// when the container has ended.
    ///
    /// # Errors
    /// When the container does not run or the signal is none.
    pub async fn container_kill(&self, name: &str, signal: &str) -> Result<()> {
        self.kill(name, signal).await.map_err(|e| e.context(format!("cannot kill container: {name}")))
    }

    async fn kill(&self, name: &str, signal: &str) -> Result<()> {
        let signal = match signal {
            "" => SIGKILL,
            text => parse_signal(text)?,
        };
        let handle = self.core().registry.resolve(name)?;
        let until = if signal == SIGKILL { Until::Ended } else { Until::Done };
        handle.act(Input::Kill { signal }, until).await
    }

    /// Freezes a container's processes.
    ///
    /// # Errors
    /// When it does not run or is frozen.
    pub async fn container_pause(&self, name: &str) -> Result<()> {
        self.core().registry.resolve(name)?.act(Input::Pause, Until::Done).await
    }

    /// Lets a container's processes go on.
    ///
    /// # Errors
    /// When it is not frozen.
    pub async fn container_unpause(&self, name: &str) -> Result<()> {
        self.core().registry.resolve(name)?.act(Input::Unpause, Until::Done).await
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// When the name is taken or is none.
    pub async fn container_rename(&self, name: &str, new: &str) -> Result<()> {
        if name.is_empty() || new.is_empty() {
            return Err(Error::Invalid("Neither old nor new names may be empty".to_owned()));
        }
        let registry = &self.core().registry;
        let handle = registry.resolve(name)?;
        if handle.snapshot().record.name == new.strip_prefix('/').unwrap_or(new) {
            let same = "Renaming a container with the same name as its current name";
            return Err(Error::Invalid(same.to_owned()));
        }
        let allocate = |e: Error| e.context("Error when allocating new name");
        let asked = format!("/{}", new.strip_prefix('/').unwrap_or(new));
        names::validate(new).map_err(|_| allocate(Error::InvalidName(asked)))?;
        let new = registry.reserve(handle.id(), Some(new)).map_err(allocate)?;
        let renamed = handle.act(Input::Rename { name: new.clone() }, Until::Done).await;
        if renamed.is_err() && handle.snapshot().record.name != new {
            registry.release(handle.id(), &new);
        }
        renamed
    }

    /// Sets the size of a container's terminal, in characters.
    ///
    /// # Errors
    /// When the container does not run.
    pub async fn container_resize(&self, name: &str, height: u32, width: u32) -> Result<()> {
        let snapshot = self.core().registry.resolve(name)?.snapshot();
        let record = &snapshot.record;
        let link = snapshot.link.as_ref().filter(|_| record.state.run().is_some());
        let link = link.ok_or(Refusal::NotRunning(record.id))?;
        let size = start::console_size(height, width);
        link.call(Request::Resize { target: Target::Init, size }).await?;
        let more = BTreeMap::from([
            ("height".to_owned(), height.to_string()),
            ("width".to_owned(), width.to_string()),
        ]);
        self.core().tell_container(record, "resize", more);
        Ok(())
    }
}

fn cannot_stop(name: &str, error: Error) -> Error {
    let message = format!("cannot stop container: {name}: {error}");
    match error.kind() {
        // What Docker finds out while it stops a container is an internal error, save a signal that is none.
        Kind::InvalidParameter => error.context(format!("cannot stop container: {name}")),
        _ => Error::System(message),
    }
}

fn parse_signal(text: &str) -> Result<i32> {
    signal::parse(text).ok_or_else(|| {
        Error::Invalid(match text.parse::<i32>() {
            Ok(number) if number > 0 => format!("the linux daemon does not support signal {number}"),
            _ => format!("invalid signal: {text}"),
        })
    })
}

fn stop_order(handle: &Handle, options: &StopOptions) -> Result<StopOrder> {
    let snapshot = handle.snapshot();
    let config = &snapshot.record.config;
    let signal = match options.signal.as_deref().filter(|s| !s.is_empty()) {
        Some(text) => parse_signal(text)?,
        None => signal::parse(&config.stop_signal).unwrap_or(SIGTERM),
    };
    let timeout = match options.timeout.or(config.stop_timeout) {
        None => Some(STOP_TIMEOUT),
        // Negative: never.
        Some(seconds) => u64::try_from(seconds).ok().map(Duration::from_secs),
    };
    Ok(StopOrder { signal, timeout })
}
