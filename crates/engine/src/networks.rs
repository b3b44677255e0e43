//! Networks as the API sees them: the three that are always there.

use crate::{
    engine::Engine,
    error::{Error, Result},
    filters::Filters,
};
use brig_api::Network;

impl Engine {
    /// The networks that pass.
    ///
    /// # Errors
    /// When a filter is unknown.
    pub async fn network_list(&self, _filters: &Filters) -> Result<Vec<Network>> {
        Err(Error::NotImplemented("network list"))
    }

    /// Everything about a network.
    ///
    /// # Errors
    /// When there is no such network.
    pub async fn network_inspect(&self, _name: &str) -> Result<Network> {
        Err(Error::NotImplemented("network inspect"))
    }
}
