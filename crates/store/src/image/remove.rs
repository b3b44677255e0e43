//! Which references and images a removal takes: Docker's rules, as a pure function of the references, the parents and
//! the containers.

use super::{Activity, ImageUser, RemoveOptions, resolve};
use crate::error::{Error, Result};
use brig_core::{Digest, Reference};
use std::collections::{BTreeMap, BTreeSet};

/// What the rules look at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Catalog {
    /// Every reference, by its full text, which is also the order in which Docker goes through them.
    pub(crate) references: BTreeMap<String, (Reference, Digest)>,
    /// Every image with its parent.
    pub(crate) parents: BTreeMap<Digest, Option<Digest>>,
}

/// One step of a removal, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Untag { reference: Reference, image: Digest },
    Delete(Digest),
}

/// Whether soft conflicts stop a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Soft {
    /// Tags and stopped containers stop it.
    Stop,
    /// Only stopped containers do.
    StopForContainers,
    /// They do not.
    Ignore,
}

/// Whether a conflict is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Report {
    /// It is.
    Always,
    /// Only when the image would be left dangling and unused.
    OnlyDangling,
}

enum ConflictKind {
    /// By a container.
    Used,
    /// By anything else.
    Other,
}

struct Conflict {
    kind: ConflictKind,
    text: String,
}

/// Plans the removal of `name`, which means `image`.
pub(crate) fn plan(
    catalog: &Catalog,
    name: &str,
    image: Digest,
    options: RemoveOptions,
    users: &[ImageUser],
) -> Result<Vec<Step>> {
    let mut removal = Removal { catalog: catalog.clone(), users, steps: Vec::new() };
    removal.run(name, image, options)?;
    Ok(removal.steps)
}

struct Removal<'a> {
    catalog: Catalog,
    users: &'a [ImageUser],
    steps: Vec<Step>,
}

impl Removal<'_> {
    fn run(&mut self, name: &str, image: Digest, options: RemoveOptions) -> Result<()> {
        let references = self.references(&image);
        let soft = if options.force { Soft::Ignore } else { Soft::Stop };
        let mut report = Report::Always;
        if is_id_prefix(&image, name) {
            if is_single(&references) {
                let soft = if options.force { Soft::Ignore } else { Soft::StopForContainers };
                if let Some(conflict) = self.conflict(&image, soft) {
                    return Err(Error::Conflict(conflict.text));
                }
                references.into_iter().for_each(|r| self.untag(r, image));
            }
        } else {
            if !options.force
                && is_single(&references)
                && let Some(user) = self.users.iter().find(|u| u.image == image)
            {
                return Err(Error::Conflict(format!(
                    "conflict: unable to remove repository reference {name:?} (must force) - container {} is using its \
                     referenced image {}",
                    user.container.short(),
                    image.short()
                )));
            }
            let reference = resolve::key(&name.parse()?);
            self.untag(reference.clone(), image);
            self.untag_digests_of(&reference, &image);
            if !self.references(&image).is_empty() {
                return Ok(());
            }
            report = Report::OnlyDangling;
        }
        self.delete(image, soft, options, report)
    }

    /// When the last tag of a repository goes, the repository's digest references go with it.
    fn untag_digests_of(&mut self, removed: &Reference, image: &Digest) {
        if removed.digest().is_some() {
            return;
        }
        let same: Vec<_> =
            self.references(image).into_iter().filter(|r| r.repository() == removed.repository()).collect();
        if same.iter().all(|r| r.digest().is_some()) {
            same.into_iter().for_each(|r| self.untag(r, *image));
        }
    }

    fn delete(
        &mut self,
        mut image: Digest,
        mut soft: Soft,
        options: RemoveOptions,
        mut report: Report,
    ) -> Result<()> {
        loop {
            if let Some(conflict) = self.conflict(&image, soft) {
                let dangling = self.references(&image).is_empty() && self.children(&image).next().is_none();
                let used = matches!(conflict.kind, ConflictKind::Used);
                if report == Report::OnlyDangling && (!dangling || used) {
                    return Ok(());
                }
                return Err(Error::Conflict(conflict.text));
            }
            let parent = self.catalog.parents.get(&image).copied().flatten();
            self.references(&image).into_iter().for_each(|r| self.untag(r, image));
            self.catalog.parents.remove(&image);
            self.steps.push(Step::Delete(image));
            match parent.filter(|p| !options.no_prune && self.catalog.parents.contains_key(p)) {
                None => return Ok(()),
                // Parents go without force and without complaint.
                Some(parent) => (image, soft, report) = (parent, Soft::Stop, Report::OnlyDangling),
            }
        }
    }

    fn conflict(&self, image: &Digest, soft: Soft) -> Option<Conflict> {
        let conflict = |kind, force: &str, why: String| {
            Some(Conflict {
                kind,
                text: format!("conflict: unable to delete {} ({force}) - {why}", image.short()),
            })
        };
        let user = |activity| self.users.iter().find(|u| u.image == *image && u.activity == activity);
        if self.children(image).next().is_some() {
            return conflict(
                ConflictKind::Other,
                "cannot be forced",
                "image has dependent child images".to_owned(),
            );
        }
        if let Some(user) = user(Activity::Running) {
            let why = format!("image is being used by running container {}", user.container.short());
            return conflict(ConflictKind::Used, "cannot be forced", why);
        }
        if soft == Soft::Stop && !self.references(image).is_empty() {
            let why = "image is referenced in multiple repositories".to_owned();
            return conflict(ConflictKind::Other, "must be forced", why);
        }
        if soft != Soft::Ignore
            && let Some(user) = user(Activity::Stopped)
        {
            let why = format!("image is being used by stopped container {}", user.container.short());
            return conflict(ConflictKind::Used, "must be forced", why);
        }
        None
    }

    fn untag(&mut self, reference: Reference, image: Digest) {
        self.catalog.references.remove(&reference.to_string());
        self.steps.push(Step::Untag { reference, image });
    }

    fn references(&self, image: &Digest) -> Vec<Reference> {
        self.catalog.references.values().filter(|(_, id)| id == image).map(|(r, _)| r.clone()).collect()
    }

    fn children(&self, image: &Digest) -> impl Iterator<Item = &Digest> {
        let image = *image;
        self.catalog.parents.iter().filter(move |(_, parent)| **parent == Some(image)).map(|(id, _)| id)
    }
}

/// At most one tag, and no other repository.
fn is_single(references: &[Reference]) -> bool {
    let (digests, tags): (Vec<_>, Vec<_>) = references.iter().partition(|r| r.digest().is_some());
    let repositories: BTreeSet<_> = digests.iter().map(|r| r.repository()).collect();
    match (references.len(), tags.as_slice()) {
        (0, _) => false,
        (1, _) => true,
        (_, []) => repositories.len() == 1,
        (_, [tag]) => repositories.len() == 1 && repositories.contains(&tag.repository()),
        _ => false,
    }
}

/// Whether a name is the start of an image's id, and so not a reference.
fn is_id_prefix(image: &Digest, name: &str) -> bool {
    image.to_string().starts_with(name) || image.hex().starts_with(name)
}

#[cfg(test)]
mod tests;
