//! Start, stop, restart, kill, pause, unpause, rename, resize.

use crate::{
    engine::Engine,
    error::{Error, Result},
    options::StopOptions,
};

impl Engine {
    /// Starts a container.
    ///
    /// # Errors
    /// Of kind [`brig_core::Kind::NotModified`] when it runs already; [`Error::Start`] when its command can't be
    /// run.
    pub async fn container_start(&self, _name: &str) -> Result<()> {
        Err(Error::NotImplemented("container start"))
    }

    /// Stops a container: its stop signal, then SIGKILL after the timeout. Returns when it has ended.
    ///
    /// # Errors
    /// Of kind [`brig_core::Kind::NotModified`] when it does not run.
    pub async fn container_stop(&self, _name: &str, _options: StopOptions) -> Result<()> {
        Err(Error::NotImplemented("container stop"))
    }

    /// Stops a container if it runs, and starts it.
    ///
    /// # Errors
    /// As those of a stop and of a start.
    pub async fn container_restart(&self, _name: &str, _options: StopOptions) -> Result<()> {
        Err(Error::NotImplemented("container restart"))
    }

    /// Sends a signal to a container's first process; an empty `signal` is SIGKILL. After SIGKILL it returns
    /// when the container has ended.
    ///
    /// # Errors
    /// When the container does not run or the signal is none.
    pub async fn container_kill(&self, _name: &str, _signal: &str) -> Result<()> {
        Err(Error::NotImplemented("container kill"))
    }

    /// Freezes a container's processes.
    ///
    /// # Errors
    /// When it does not run or is frozen.
    pub async fn container_pause(&self, _name: &str) -> Result<()> {
        Err(Error::NotImplemented("container pause"))
    }

    /// Lets a container's processes go on.
    ///
    /// # Errors
    /// When it is not frozen.
    pub async fn container_unpause(&self, _name: &str) -> Result<()> {
        Err(Error::NotImplemented("container unpause"))
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// When the name is taken or is none.
    pub async fn container_rename(&self, _name: &str, _new: &str) -> Result<()> {
        Err(Error::NotImplemented("container rename"))
    }

    /// Sets the size of a container's terminal, in characters.
    ///
    /// # Errors
    /// When the container does not run.
    pub async fn container_resize(&self, _name: &str, _height: u32, _width: u32) -> Result<()> {
        Err(Error::NotImplemented("container resize"))
    }
}
