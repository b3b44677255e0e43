//! The engine itself: opening and ending it.

use crate::{
    config::EngineConfig,
    core::Core,
    error::Result,
    exec::Execs,
    images::Registries,
    machine::{Input, StopOrder},
    networks::Networks,
    options::Running,
    reconcile,
    registry::Registry,
    shipping::Shipping,
    spec::Programs,
    stats::Samplers,
    system::events::Events,
};
use brig_net::Net;
use brig_shim::zygote::ZygoteClient;
use brig_store::Store;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// What the engine stands on.
#[derive(Debug)]
pub struct Backends {
    /// Images, snapshots and records.
    pub store: Store,
    /// Networks.
    pub net: Net,
    /// What forks shims.
    pub zygote: ZygoteClient,
}

/// All of brig behind the API: one of it a daemon.
#[derive(Debug)]
pub struct Engine {
    core: Arc<Core>,
}

impl Engine {
    /// Opens the engine: reads the records, finds what still runs, finishes or undoes what a crash left half
    /// done, and applies restart policies.
    ///
    /// # Errors
    /// When the records can't be read, or the network can't be made.
    pub async fn open(config: EngineConfig, backends: Backends) -> Result<Arc<Self>> {
        let Backends { store, net, zygote } = backends;
        let networks = Networks::open(&store, &net)?;
        let registries = Registries::new(config.registries.clone(), config.downloads);
        let core = Arc::new(Core {
            registries,
            cgroup_v2: crate::core::has_cgroup_v2(),
            config,
            store,
            net,
            zygote,
            events: Events::default(),
            registry: Registry::default(),
            execs: Arc::new(Execs::default()),
            networks,
            samplers: Samplers::default(),
            shipping: Shipping::default(),
            programs: Programs::default(),
            closing: AtomicBool::new(false),
            volume_claims: crate::volumes::Claims::default(),
            plugins: crate::volumes::Plugins::default(),
            mounted: crate::volumes::Mounted::default(),
        });
        reconcile::reconcile(&core).await?;
        Ok(Arc::new(Self { core }))
    }

    /// What it was opened with.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.core.config
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Ends the engine: refuses new starts, and stops or leaves what runs. The next daemon finds what is left.
    pub async fn shutdown(&self, running: Running) {
        self.core.closing.store(true, Ordering::Release);
        if running == Running::Stop {
            self.stop_all().await;
        }
        let running =
            self.core.registry.all().iter().any(|handle| handle.snapshot().record.state.is_running());
        let remove = self.core.config.ephemeral && !running;
        if let Err(error) = self.core.blocking(move |core| Ok(core.net.shutdown(remove)?)).await {
            tracing::error!(%error, "the network could not be closed");
        }
        let settled = self.core.blocking(|core| {
            core.store.settle();
            Ok(())
        });
        if let Err(error) = settled.await {
            tracing::error!(%error, "removed snapshots may still be there; the next start removes them");
        }
    }

    async fn stop_all(&self) {
        let all = self.core.registry.all();
        let stops = all.into_iter().map(|handle| {
            let core = self.core.clone();
            async move {
                let snapshot = handle.snapshot();
                let config = &snapshot.record.config;
                let own = config.stop_timeout.and_then(|t| u64::try_from(t).ok()).map(Duration::from_secs);
                // Whatever a container asks for, the daemon itself is given only so long.
                let limit = core.config.shutdown_timeout;
                let timeout = own.unwrap_or(crate::containers::STOP_TIMEOUT).min(limit);
                let signal = brig_core::signal::parse(&config.stop_signal).unwrap_or(15);
                let order = StopOrder { signal, timeout: Some(timeout) };
                if let Err(error) = handle.act(Input::Shutdown(order), crate::actor::Until::Ended).await {
                    tracing::error!(container = %handle.id(), %error, "could not be stopped");
                }
            }
        });
        let tasks: Vec<_> = stops.map(tokio::spawn).collect();
        for task in tasks {
            // A task that panicked has said so.
            let _ = task.await;
        }
    }
}
