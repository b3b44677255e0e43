//! Names of hosts become addresses without the C library, whose static form can't load what it would need.

use hickory_resolver::{TokioResolver, net::runtime::TokioRuntimeProvider};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{io, net::SocketAddr, sync::Arc};

/// The system's resolver, by `/etc/resolv.conf` and `/etc/hosts` as they are when it is made.
#[derive(Clone)]
pub(super) struct Names(Arc<TokioResolver>);

impl Names {
    pub(super) fn open() -> io::Result<Self> {
        let builder = TokioResolver::builder(TokioRuntimeProvider::default()).map_err(io::Error::other)?;
        Ok(Self(Arc::new(builder.build().map_err(io::Error::other)?)))
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.0.clone();
        Box::pin(async move {
            // As Go says it.
            let lookup = |_| format!("lookup {}: no such host", name.as_str());
            let found = resolver.lookup_ip(name.as_str()).await.map_err(lookup)?;
            let addresses: Vec<SocketAddr> = found.iter().map(|ip| SocketAddr::new(ip, 0)).collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
