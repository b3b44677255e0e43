//! Names of containers on networks.

use crate::{
    Error, Net,
    dns::{Host, Resolver},
};
use brig_core::Id;
use std::os::fd::OwnedFd;

impl Net {
    /// Names a container on a network, until its endpoint is released.
    ///
    /// # Errors
    /// When the network is unknown, or `brig net` does not answer.
    pub fn name(&self, network: &Id, host: Host) -> Result<(), Error> {
        let name = {
            let state = self.state();
            let known = state.networks.get(network).ok_or(Error::UnknownNetwork(*network))?;
            known.record.name.clone()
        };
        self.process.name(*network, &name, host)
    }

    /// Answers names at 127.0.0.11 in a network namespace, which is kept until [`Net::forsake`].
    ///
    /// # Errors
    /// When the kernel refuses the sockets or rules, or `brig net` does not answer.
    pub fn resolve(&self, resolver: Resolver, netns: OwnedFd) -> Result<(), Error> {
        self.process.resolve(resolver, netns)
    }

    /// Changes what a resolver knows; nothing where there is no such resolver.
    ///
    /// # Errors
    /// When `brig net` does not answer.
    pub fn change_resolver(&self, resolver: Resolver) -> Result<(), Error> {
        self.process.change_resolver(resolver)
    }

    /// Answers names there no more; nothing where it wasn't done.
    ///
    /// # Errors
    /// When `brig net` does not answer.
    pub fn forsake(&self, resolver: &Id) -> Result<(), Error> {
        self.process.forsake(resolver)
    }
}
