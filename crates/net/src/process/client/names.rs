//! Names that the process answers.

use super::{Absent, Client, Link, ask, ask_with, nonsense};
use crate::{
    dns::{Host, Resolver, listen, zones::Zones},
    error::Error,
    netns,
    process::protocol::{MAX_HOSTS, Reply, Request},
};
use brig_core::Id;
use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::{AsFd, OwnedFd},
};

/// The names that live containers have and need.
#[derive(Debug, Default)]
pub struct LiveNames {
    /// By network: its id, its name, and who is on it.
    pub networks: Vec<(Id, String, Vec<Host>)>,
    /// The resolvers, with the network namespaces that they are in.
    pub resolvers: Vec<(Resolver, OwnedFd)>,
}

/// The names that the process should answer.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    zones: Zones,
    resolvers: BTreeMap<Id, (Resolver, OwnedFd)>,
}

impl Wanted {
    pub(super) fn of(live: LiveNames) -> Self {
        let mut zones = Zones::default();
        for (id, name, hosts) in live.networks {
            zones.network(id, &name, true);
            for host in hosts {
                zones.add(id, host);
            }
        }
        let resolvers =
            live.resolvers.into_iter().map(|(resolver, netns)| (resolver.id, (resolver, netns))).collect();
        Self { zones, resolvers }
    }

    /// Whether nobody asks for them.
    pub(super) fn have_no_askers(&self) -> bool {
        self.resolvers.is_empty()
    }

    /// Whether there is nothing to tell the process.
    pub(super) fn are_none(&self) -> bool {
        self.resolvers.is_empty() && self.zones.all().next().is_none()
    }
}

impl Client {
    /// Answers names in a network namespace at 127.0.0.11, until [`Client::forsake`]. The namespace is kept until then.
    ///
    /// # Errors
    /// When the sockets can't be made there, or the process can't be started or does not answer.
    pub fn resolve(&self, resolver: Resolver, netns: OwnedFd) -> Result<(), Error> {
        let mut link = self.link();
        self.connect(&mut link, Absent::Start)?;
        match serve(&mut link, &resolver, &netns) {
            // It died since the last call: once more with a new one.
            Err(_) if link.stream.is_none() => {
                self.connect(&mut link, Absent::Start)?;
                serve(&mut link, &resolver, &netns)?;
            }
            served => served?,
        }
        link.names.resolvers.insert(resolver.id, (resolver, netns));
        Ok(())
    }

    /// Changes what a resolver knows. One that isn't there stays away.
    ///
    /// # Errors
    /// When the process does not answer.
    pub fn change_resolver(&self, resolver: Resolver) -> Result<(), Error> {
        let mut link = self.link();
        let Some((known, _)) = link.names.resolvers.get_mut(&resolver.id) else { return Ok(()) };
        *known = resolver.clone();
        self.tell(&mut link, &Request::Resolve { resolver })
    }

    /// Answers names there no more, and lets go of the network namespace. It is no error where it wasn't done.
    ///
    /// # Errors
    /// When the process does not answer.
    pub fn forsake(&self, resolver: &Id) -> Result<(), Error> {
        let mut link = self.link();
        if link.names.resolvers.remove(resolver).is_none() {
            return Ok(());
        }
        self.tell(&mut link, &Request::Forsake { resolver: *resolver })
    }

    /// Names a container on a network, in place of the endpoint's earlier names.
    ///
    /// # Errors
    /// When the process can't be started or does not answer.
    pub fn name(&self, network: Id, name: &str, host: Host) -> Result<(), Error> {
        let mut link = self.link();
        link.names.zones.network(network, name, false);
        link.names.zones.add(network, host.clone());
        let request = Request::Names { network, name: name.to_owned(), anew: false, hosts: vec![host] };
        self.tell(&mut link, &request)
    }

    /// Takes an endpoint's names away. It is no error where there are none.
    ///
    /// # Errors
    /// When the process does not answer.
    pub fn forget_names(&self, network: &Id, endpoint: &Id) -> Result<(), Error> {
        let mut link = self.link();
        if !link.names.zones.remove(network, endpoint) {
            return Ok(());
        }
        self.tell(&mut link, &Request::Forget { network: *network, endpoint: *endpoint })
    }

    /// Tells the process something that it is told anyway when it is started: where there is none, nothing is to be
    /// done.
    fn tell(&self, link: &mut Link, request: &Request) -> Result<(), Error> {
        self.connect(link, Absent::Leave)?;
        if link.stream.is_none() {
            return Ok(());
        }
        match ask(link, request) {
            Ok(Reply::Done) => Ok(()),
            Ok(other) => Err(nonsense(&other)),
            // It died; the next one will be told.
            Err(_) if link.stream.is_none() => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Makes the names that the process answers equal to those that it should.
    pub(super) fn restore_names(&self, link: &mut Link) -> Result<(), Error> {
        let mut requests = vec![Request::Retain {
            resolvers: link.names.resolvers.keys().copied().collect(),
            networks: link.names.zones.all().map(|(id, ..)| *id).collect::<BTreeSet<_>>(),
        }];
        for (network, name, hosts) in link.names.zones.all() {
            let hosts: Vec<Host> = hosts.cloned().collect();
            requests.extend(hosts.chunks(MAX_HOSTS).enumerate().map(|(n, hosts)| Request::Names {
                network: *network,
                name: name.to_owned(),
                anew: n == 0,
                hosts: hosts.to_vec(),
            }));
        }
        for request in &requests {
            done(ask(link, request)?)?;
        }
        let wanted = std::mem::take(&mut link.names.resolvers);
        let mut lost = Ok(());
        for (resolver, netns) in wanted.values() {
            let request = Request::Resolve { resolver: resolver.clone() };
            let served = ask(link, &request).and_then(|reply| match reply {
                Reply::Missing => serve(link, resolver, netns),
                reply => done(reply),
            });
            match served {
                Ok(()) => {}
                // One namespace's trouble is not the others'.
                Err(error) if link.stream.is_some() => {
                    tracing::error!(sandbox = %resolver.id, %error, "names are not answered in a container");
                }
                Err(error) => {
                    lost = Err(error);
                    break;
                }
            }
        }
        link.names.resolvers = wanted;
        lost
    }
}

/// Hands the process the sockets of a resolver.
fn serve(link: &mut Link, resolver: &Resolver, netns: &OwnedFd) -> Result<(), Error> {
    let home = netns::current()?;
    let sockets = listen::open(home.as_fd(), netns.as_fd())?;
    let request = Request::Resolve { resolver: resolver.clone() };
    done(ask_with(link, &request, &[sockets.udp.as_fd(), sockets.tcp.as_fd(), netns.as_fd()])?)
}

fn done(reply: Reply) -> Result<(), Error> {
    match reply {
        Reply::Done => Ok(()),
        other => Err(nonsense(&other)),
    }
}
