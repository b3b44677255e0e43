//! What all parts of the engine share.

use crate::{
    config::EngineConfig,
    error::{Error, Result},
    exec::Execs,
    images::Registries,
    networks::Networks,
    record::{CONTAINER_KIND, ContainerRecord, SANDBOX_KIND, SandboxRecord},
    registry::Registry,
    shipping::Shipping,
    spec::Programs,
    stats::Samplers,
    system::events::Events,
    volumes::{Claims, Mounted, Plugins},
};
use brig_core::{Id, atomic::Durability};
use brig_net::Net;
use brig_shim::zygote::ZygoteClient;
use brig_store::Store;
use std::sync::{Arc, atomic::AtomicBool};

/// What all parts of the engine share. Everything in it may be used from any task.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: EngineConfig,
    pub(crate) store: Store,
    pub(crate) net: Net,
    pub(crate) zygote: ZygoteClient,
    pub(crate) events: Events,
    pub(crate) registry: Registry,
    pub(crate) execs: Arc<Execs>,
    pub(crate) networks: Networks,
    /// What reads statistics, for those who listen.
    pub(crate) samplers: Samplers,
    /// What sends logs on.
    pub(crate) shipping: Shipping,
    /// Seccomp filters that were compiled lately.
    pub(crate) programs: Programs,
    pub(crate) registries: Registries,
    pub(crate) closing: AtomicBool,
    /// Who comes to use volumes, and who removes them.
    pub(crate) volume_claims: Claims,
    /// The volume drivers that are plugins.
    pub(crate) plugins: Plugins,
    /// Who uses volumes that are mounted.
    pub(crate) mounted: Mounted,
    /// The machine has the unified cgroup hierarchy only.
    pub(crate) cgroup_v2: bool,
}

impl Core {
    /// Runs blocking work on a thread for that.
    pub(crate) async fn blocking<T, F>(self: &Arc<Self>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Arc<Core>) -> Result<T> + Send + 'static,
    {
        let core = self.clone();
        let span = tracing::Span::current();
        let done = tokio::task::spawn_blocking(move || span.in_scope(|| work(&core))).await;
        done.map_err(|e| Error::System(format!("a worker thread failed: {e}")))?
    }

    /// Writes a container's record.
    pub(crate) fn put_container(&self, record: &ContainerRecord, durability: Durability) -> Result<()> {
        Ok(self.store.records().put(CONTAINER_KIND, &record.id.to_string(), record, durability)?)
    }

    /// Writes a sandbox's record.
    pub(crate) fn put_sandbox(&self, record: &SandboxRecord) -> Result<()> {
        let key = record.id.to_string();
        Ok(self.store.records().put(SANDBOX_KIND, &key, record, Durability::Process)?)
    }

    /// Removes a sandbox's record.
    pub(crate) fn delete_sandbox(&self, id: &Id) -> Result<()> {
        self.store.records().delete(SANDBOX_KIND, &id.to_string(), Durability::Process)?;
        Ok(())
    }

    /// Refuses new work while the engine ends.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closing.load(std::sync::atomic::Ordering::Acquire) {
            Err(Error::ShuttingDown)
        } else {
            Ok(())
        }
    }
}

/// Whether the machine has the unified cgroup hierarchy only.
pub(crate) fn has_cgroup_v2() -> bool {
    std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

impl Core {
    /// Tells that what is unused was removed.
    pub(crate) fn tell_pruned(&self, about: crate::system::events::About, reclaimed: u64) {
        let attributes = std::collections::BTreeMap::from([("reclaimed".to_owned(), reclaimed.to_string())]);
        self.events.tell(about, "prune", "", attributes);
    }

    /// Tells an event of a container.
    pub(crate) fn tell_container(
        &self,
        record: &ContainerRecord,
        action: &str,
        more: std::collections::BTreeMap<String, String>,
    ) {
        let mut attributes = record.config.labels.clone().unwrap_or_default();
        attributes.insert("image".to_owned(), record.config.image.clone());
        attributes.insert("name".to_owned(), record.name.clone());
        attributes.extend(more);
        self.events.tell(crate::system::events::About::Container, action, record.id.to_string(), attributes);
    }
}
