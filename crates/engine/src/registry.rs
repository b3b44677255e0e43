//! Containers by id, name and prefix of an id.

use crate::{
    actor::Handle,
    error::{Error, Result},
    names,
};
use brig_core::Id;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

/// How often a random name is tried before the short id becomes the name.
const NAME_TRIES: u32 = 6;

/// All containers. Locks are held for look-ups only, never over an await.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    tables: RwLock<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    /// By id as text, in order, so that a prefix is a range.
    handles: BTreeMap<String, Handle>,
    /// Names without a slash; a reserved one may have no handle yet.
    names: HashMap<String, Id>,
    /// Who may have a link to a container; their records say it.
    linking: HashMap<Id, BTreeSet<Id>>,
}

impl Registry {
    // A panic under the lock can't leave the tables half changed: each change is one insertion or removal.
    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves a name for a container; a random one when `wanted` is `None` or empty. Answers it without a slash.
    pub(crate) fn reserve(&self, id: Id, wanted: Option<&str>) -> Result<String> {
        let mut tables = self.write();
        if let Some(wanted) = wanted.filter(|name| !name.is_empty()) {
            let name = names::validate(wanted)?;
            if let Some(holder) = tables.names.get(name) {
                return Err(Error::NameTaken { name: name.to_owned(), holder: *holder });
            }
            tables.names.insert(name.to_owned(), id);
            return Ok(name.to_owned());
        }
        let random = (0..NAME_TRIES).map(names::random).find(|name| !tables.names.contains_key(name));
        let name = random.unwrap_or_else(|| id.short());
        tables.names.insert(name.clone(), id);
        Ok(name)
    }

    /// Gives a name back, if it is that container's.
    pub(crate) fn release(&self, id: Id, name: &str) {
        let mut tables = self.write();
        if tables.names.get(name) == Some(&id) {
            tables.names.remove(name);
        }
    }

    /// Adds a container whose name is reserved.
    pub(crate) fn insert(&self, handle: Handle) {
        let parent = handle.snapshot();
        let mut tables = self.write();
        for child in parent.record.links.values() {
            tables.linking.entry(*child).or_default().insert(handle.id());
        }
        tables.handles.insert(handle.id().to_string(), handle);
    }

    /// Takes a container and its names out.
    pub(crate) fn remove(&self, id: Id) {
        let mut tables = self.write();
        tables.handles.remove(&id.to_string());
        tables.names.retain(|_, holder| *holder != id);
        tables.linking.remove(&id);
        tables.linking.retain(|_, parents| {
            parents.remove(&id);
            !parents.is_empty()
        });
    }

    /// The container that `name` means: an id, else a name with or without a slash, else a prefix of one id.
    pub(crate) fn resolve(&self, name: &str) -> Result<Handle> {
        if name.is_empty() {
            return Err(Error::EmptyName(String::new()));
        }
        let tables = self.read();
        if let Some(handle) = tables.handles.get(name) {
            return Ok(handle.clone());
        }
        let bare = name.strip_prefix('/').unwrap_or(name);
        if let Some(handle) = tables.names.get(bare).and_then(|id| tables.handles.get(&id.to_string())) {
            return Ok(handle.clone());
        }
        // What a link gives it: the name of the other container, and the alias.
        if let Some((parent, alias)) = bare.split_once('/') {
            let parent = tables.names.get(parent).and_then(|id| tables.handles.get(&id.to_string()));
            let child = parent.and_then(|parent| parent.snapshot().record.links.get(alias).copied());
            let found = child.and_then(|child| tables.handles.get(&child.to_string()));
            return found.cloned().ok_or_else(|| Error::NoSuchContainer(name.to_owned()));
        }
        let mut fits = tables
            .handles
            .range::<str, _>((std::ops::Bound::Included(name), std::ops::Bound::Unbounded))
            .take_while(|(id, _)| id.starts_with(name));
        match (fits.next(), fits.next()) {
            (Some((_, handle)), None) => Ok(handle.clone()),
            (Some(_), Some(_)) => Err(Error::Ambiguous(name.to_owned())),
            (None, _) => Err(Error::NoSuchContainer(name.to_owned())),
        }
    }

    /// The container of that id.
    pub(crate) fn get(&self, id: &Id) -> Option<Handle> {
        self.read().handles.get(&id.to_string()).cloned()
    }

    /// The containers that link to another.
    pub(crate) fn linking_to(&self, child: &Id) -> Vec<Handle> {
        let tables = self.read();
        let parents = tables.linking.get(child).into_iter().flatten();
        parents.filter_map(|parent| tables.handles.get(&parent.to_string()).cloned()).collect()
    }

    /// All containers, by id.
    pub(crate) fn all(&self) -> Vec<Handle> {
        self.read().handles.values().cloned().collect()
    }
}
