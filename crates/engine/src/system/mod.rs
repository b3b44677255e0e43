//! The engine and its machine: info, version, disk usage, events.

pub(crate) mod events;

use crate::{
    engine::Engine,
    error::{Error, Result},
    options::{DfOptions, EventsOptions},
    streams::EventStream,
};
use brig_api::{SystemDf, SystemInfo, SystemVersion};

impl Engine {
    /// The engine and its machine.
    ///
    /// # Errors
    /// When the records can't be read.
    pub async fn system_info(&self) -> Result<SystemInfo> {
        Err(Error::NotImplemented("system info"))
    }

    /// What answers, and its versions.
    #[must_use]
    pub fn system_version(&self) -> SystemVersion {
        SystemVersion::default()
    }

    /// What takes space on the disk.
    ///
    /// # Errors
    /// When the records can't be read.
    pub async fn system_df(&self, _options: DfOptions) -> Result<SystemDf> {
        Err(Error::NotImplemented("system df"))
    }

    /// Events, remembered ones first.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn events(&self, _options: EventsOptions) -> Result<EventStream> {
        Err(Error::NotImplemented("events"))
    }
}
