//! Published ports.

use crate::{Endpoint, Error, Net, PortBinding, PortRequest};

impl Net {
    /// Gives the endpoint's addresses back and unpublishes its ports. The interface dies with its namespace.
    ///
    /// # Errors
    /// When the rules can't be changed or `brig net` can't be reached; the addresses are free in any case.
    pub fn release(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let unpublished = self.unpublish(&endpoint.ports);
        self.release_addresses(endpoint);
        unpublished
    }

    /// Publishes ports of an endpoint: reserves them on the host, then translates. All or none. The engine keeps
    /// what comes back in [`Endpoint::ports`].
    ///
    /// # Errors
    /// [`Error::Publish`] when a port is taken or a rule can't be made; nothing is left then.
    pub fn publish(&self, endpoint: &Endpoint, requests: &[PortRequest]) -> Result<Vec<PortBinding>, Error> {
        let _ = (endpoint, requests);
        Err(Error::InvalidPool("under construction".to_owned()))
    }

    /// Takes published ports back.
    ///
    /// # Errors
    /// When the rules can't be changed or `brig net` can't be reached; the ports are free in any case.
    pub fn unpublish(&self, ports: &[PortBinding]) -> Result<(), Error> {
        let _ = ports;
        Ok(())
    }
}
