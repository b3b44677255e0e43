//! `GET /containers/json`.

use super::{human, shape, sizes};
use crate::{
    actor::Snapshot,
    core::Core,
    engine::Engine,
    error::{Error, Result},
    filters::Filters,
    options::ListOptions,
    record::{ContainerRecord, State, Status},
    start::container_port,
};
use brig_api::{ContainerSummary, SummaryHostConfig, SummaryNetworkSettings};
use brig_core::{Digest, Id};
use jiff::Timestamp;
use std::{collections::BTreeSet, sync::Arc};

const KNOWN_FILTERS: [&str; 16] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "isolation",
    "is-task",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
    "until",
];

impl Engine {
    /// The containers that pass, newest first.
    ///
    /// # Errors
    /// When a filter is unknown or has an impossible value.
    pub async fn container_list(&self, options: ListOptions) -> Result<Vec<ContainerSummary>> {
        let core = self.core();
        let picked = pick(core, &options)?;
        let mut list = Vec::with_capacity(picked.len());
        for snapshot in picked {
            let mut shown = summary(core, &snapshot);
            if options.size {
                let record = snapshot.record.clone();
                let id = record.id;
                match core.blocking(move |core| sizes(core, &record)).await {
                    Ok((rw, all)) => (shown.size_rw, shown.size_root_fs) = (rw, all),
                    // Removed meanwhile: it need not be told of.
                    Err(_) if is_going(core, &id) => continue,
                    Err(error) => return Err(error),
                }
            }
            list.push(shown);
        }
        Ok(list)
    }
}

/// Whether a container is being removed, or gone.
fn is_going(core: &Core, id: &Id) -> bool {
    let handle = core.registry.get(id);
    handle.is_none_or(|handle| matches!(handle.snapshot().record.state, State::Removing { .. }))
}

/// The containers that pass, newest first.
fn pick(core: &Core, options: &ListOptions) -> Result<Vec<Arc<Snapshot>>> {
    let filter = Filter::read(core, options)?;
    let mut all: Vec<Arc<Snapshot>> =
        core.registry.all().iter().map(crate::actor::Handle::snapshot).collect();
    all.sort_by_key(|s| std::cmp::Reverse((s.record.created, s.record.id)));
    let mut picked = Vec::new();
    let mut seen_before = filter.before.is_none();
    for snapshot in all {
        let id = snapshot.record.id;
        if !seen_before {
            seen_before = filter.before == Some(id);
            continue;
        }
        if filter.since == Some(id) || filter.limit.is_some_and(|limit| picked.len() >= limit) {
            break;
        }
        if filter.passes(core, &snapshot) {
            picked.push(snapshot);
        }
    }
    Ok(picked)
}

/// The filters, read once.
struct Filter<'a> {
    filters: &'a Filters,
    stopped_too: bool,
    limit: Option<usize>,
    before: Option<brig_core::Id>,
    since: Option<brig_core::Id>,
    exited: Vec<i32>,
    is_task: Option<bool>,
    ancestors: Option<BTreeSet<Digest>>,
    publish: BTreeSet<(u16, String)>,
    expose: BTreeSet<(u16, String)>,
}

impl<'a> Filter<'a> {
    fn read(core: &Core, options: &'a ListOptions) -> Result<Self> {
        let filters = &options.filters;
        filters.validate(&KNOWN_FILTERS)?;
        let code = |v: &str| {
            let syntax = format!("strconv.Atoi: parsing {v:?}: invalid syntax");
            v.parse().map_err(|_| Error::Invalid(format!("invalid filter 'exited={v}': {syntax}")))
        };
        let exited = filters.get("exited").map(code).collect::<Result<Vec<i32>>>()?;
        for status in filters.get("status") {
            if Status::parse(status).is_none() {
                return Err(Error::Invalid(format!(
                    "invalid filter 'status={status}': invalid value for state ({status}): must be one of created, \
                     running, paused, restarting, removing, exited, dead"
                )));
            }
        }
        for health in filters.get("health") {
            if !matches!(health, "none" | "starting" | "healthy" | "unhealthy") {
                return Err(Error::Invalid(format!(
                    "invalid filter 'health={health}': invalid value for health ({health}): must be one of none, \
                     starting, healthy, unhealthy"
                )));
            }
        }
        let named = |key: &str| -> Result<Option<brig_core::Id>> {
            filters.get(key).last().map(|name| Ok(core.registry.resolve(name)?.id())).transpose()
        };
        Ok(Self {
            filters,
            stopped_too: options.all || filters.contains("status"),
            limit: options.limit.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0),
            before: named("before")?,
            since: named("since")?,
            exited,
            is_task: filters.flag("is-task")?,
            ancestors: ancestors(core, filters)?,
            publish: ports(filters, "publish")?,
            expose: ports(filters, "expose")?,
        })
    }

    fn passes(&self, core: &Core, snapshot: &Snapshot) -> bool {
        let record = &snapshot.record;
        let filters = self.filters;
        let status = record.state.status();
        if !record.state.is_running() && !self.stopped_too && self.limit.is_none() {
            return false;
        }
        let slashed = format!("/{}", record.name);
        (filters.matches("name", &slashed) || filters.matches("name", &record.name))
            && filters.prefix("id", &record.id.to_string())
            && filters.exact("status", status.as_str())
            && filters.exact("health", record.health.as_deref().map_or("none", |health| health.status.as_str()))
            && filters.labels("label", record.config.labels.as_ref())
            // There are no tasks without a swarm.
            && self.is_task != Some(true)
            && (self.exited.is_empty() || self.ended_with(&record.state))
            && self.ancestors.as_ref().is_none_or(|a| record.image.is_some_and(|image| a.contains(&image)))
            && self.mounts(snapshot)
            && self.on_network(core, snapshot)
            && self.has_port(snapshot)
    }

    fn ended_with(&self, state: &State) -> bool {
        matches!(state, State::Exited(exit) if self.exited.contains(&exit.code))
    }

    fn mounts(&self, snapshot: &Snapshot) -> bool {
        let wanted = |value: &str| {
            let fits = |m: &brig_api::MountPoint| {
                m.destination == value || m.name == value || (m.name.is_empty() && m.source == value)
            };
            snapshot.record.mounts.iter().any(|m| fits(&m.point))
        };
        !self.filters.contains("volume") || self.filters.get("volume").any(wanted)
    }

    fn on_network(&self, core: &Core, snapshot: &Snapshot) -> bool {
        let networks = shape::networks(core, &snapshot.record, snapshot.sandbox.as_ref());
        let on = |value: &str| {
            networks.iter().any(|(name, endpoint)| {
                name == value || (!endpoint.network_id.is_empty() && endpoint.network_id.starts_with(value))
            })
        };
        !self.filters.contains("network") || self.filters.get("network").any(on)
    }

    fn has_port(&self, snapshot: &Snapshot) -> bool {
        if self.publish.is_empty() && self.expose.is_empty() {
            return true;
        }
        shape::ports(&snapshot.record, snapshot.sandbox.as_ref()).into_iter().any(|port| {
            self.publish.contains(&(port.public_port, port.protocol.clone()))
                || self.expose.contains(&(port.private_port, port.protocol))
        })
    }
}

/// The images that `ancestor` names, with those built on them.
fn ancestors(core: &Core, filters: &Filters) -> Result<Option<BTreeSet<Digest>>> {
    if !filters.contains("ancestor") {
        return Ok(None);
    }
    let mut found = BTreeSet::new();
    for name in filters.get("ancestor") {
        match core.store.image_resolve(name) {
            Ok(image) => {
                found.insert(image.id);
            }
            Err(error) => tracing::warn!(name, %error, "the filter's image"),
        }
    }
    let all = core.store.image_list()?;
    loop {
        let before = found.len();
        for image in &all {
            if image.parent.is_some_and(|parent| found.contains(&parent)) {
                found.insert(image.id);
            }
        }
        if found.len() == before {
            return Ok(Some(found));
        }
    }
}

/// `80`, `80/udp` or `8000-8010/tcp`.
fn ports(filters: &Filters, key: &str) -> Result<BTreeSet<(u16, String)>> {
    let mut ports = BTreeSet::new();
    for value in filters.get(key) {
        if value.contains(':') {
            return Err(Error::Invalid(format!("filter for '{key}' should not contain ':': {value}")));
        }
        let wrong = |e: Error| Error::Invalid(format!("error while looking up for {key} {value}: {e}"));
        let (range, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, protocol) = container_port(&format!("{first}/{protocol}")).map_err(wrong)?;
        let (last, _) = container_port(last).map_err(wrong)?;
        ports.extend((first..=last).map(|port| (port, protocol.name().to_owned())));
    }
    Ok(ports)
}

/// Its name, and those that links give it: `/PARENT/ALIAS`.
fn names(core: &Core, record: &ContainerRecord) -> Vec<String> {
    let mut names = vec![format!("/{}", record.name)];
    for parent in core.registry.linking_to(&record.id) {
        let parent = parent.snapshot();
        let aliases = parent.record.links.iter().filter(|(_, child)| **child == record.id);
        names.extend(aliases.map(|(alias, _)| format!("/{}/{alias}", parent.record.name)));
    }
    names
}

/// One container of the list.
pub(crate) fn summary(core: &Core, snapshot: &Snapshot) -> ContainerSummary {
    let record = &snapshot.record;
    let own = snapshot.sandbox.as_ref().filter(|sandbox| sandbox.owner == record.id);
    ContainerSummary {
        id: record.id.to_string(),
        names: names(core, record),
        image: image_name(core, snapshot),
        image_id: record.image.map(|id| id.to_string()).unwrap_or_default(),
        image_manifest_descriptor: None,
        command: human::command(&record.command()),
        created: record.created.as_second(),
        ports: shape::ports(record, snapshot.sandbox.as_ref()),
        size_rw: 0,
        size_root_fs: 0,
        labels: record.config.labels.clone().unwrap_or_default(),
        state: record.state.status().as_str().to_owned(),
        status: human::status(record, Timestamp::now()),
        host_config: SummaryHostConfig {
            network_mode: record.host_config.network_mode.clone(),
            annotations: record.host_config.annotations.clone(),
        },
        network_settings: SummaryNetworkSettings { networks: shape::networks(core, record, own) },
        mounts: shape::mounts(record),
    }
}

/// The image as the user named it, unless that name means another image by now.
fn image_name(core: &Core, snapshot: &Snapshot) -> String {
    let record = &snapshot.record;
    let name = &record.config.image;
    let Some(id) = record.image else { return name.clone() };
    match core.store.image_resolve(name) {
        Ok(image) if image.id == id => name.clone(),
        _ => id.to_string(),
    }
}
