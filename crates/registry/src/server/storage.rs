//! The registry's folder.

use super::route::{Name, Tag, UploadId};
use brig_core::{
    Digest,
    atomic::{self, Durability},
};
use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Longest manifest in bytes.
pub(super) const MANIFEST_MAX: u64 = 4 << 20;

/// A registry's folder.
#[derive(Debug, Clone)]
pub struct Storage {
    root: PathBuf,
}

/// What a repository has under a kind of link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Blobs,
    Manifests,
}

impl Kind {
    fn folder(self) -> &'static str {
        match self {
            Self::Blobs => "_blobs",
            Self::Manifests => "_manifests",
        }
    }
}

impl Storage {
    /// Opens a folder, making it at first.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let storage = Self { root: root.into() };
        for folder in [
            storage.root.join("blobs/sha256"),
            storage.root.join("repositories"),
            storage.root.join("uploads"),
        ] {
            fs::create_dir_all(folder)?;
        }
        Ok(storage)
    }

    pub(super) fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    pub(super) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    pub(super) fn upload(&self, id: &UploadId) -> PathBuf {
        self.uploads().join(id.as_str())
    }

    fn repositories(&self) -> PathBuf {
        self.root.join("repositories")
    }

    pub(super) fn repository(&self, name: &Name) -> PathBuf {
        self.repositories().join(name.as_str())
    }

    fn links(&self, name: &Name, kind: Kind) -> PathBuf {
        self.repository(name).join(kind.folder())
    }

    pub(super) fn link(&self, name: &Name, kind: Kind, digest: &Digest) -> PathBuf {
        self.links(name, kind).join(digest.hex())
    }

    /// Whether a repository is there.
    pub(super) fn has_repository(&self, name: &Name) -> bool {
        [Kind::Blobs, Kind::Manifests].iter().any(|kind| self.links(name, *kind).is_dir())
    }

    /// Whether a repository has a blob; the garbage collection hears that somebody wants it.
    pub(super) fn has_blob(&self, name: &Name, digest: &Digest) -> io::Result<bool> {
        let link = self.link(name, Kind::Blobs, digest);
        match File::open(&link) {
            Ok(file) => {
                file.set_modified(std::time::SystemTime::now())?;
                Ok(self.blob(digest).exists())
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Lets a repository have something.
    pub(super) fn add_link(&self, name: &Name, kind: Kind, digest: &Digest, content: &str) -> io::Result<()> {
        let link = self.link(name, kind, digest);
        fs::create_dir_all(self.links(name, kind))?;
        atomic::write(&link, content.as_bytes(), 0o600, Durability::Process)
    }

    /// A manifest and its media type; `None` when the repository has none such.
    pub(super) fn manifest(&self, name: &Name, digest: &Digest) -> io::Result<Option<(String, Vec<u8>)>> {
        let media_type = match fs::read_to_string(self.link(name, Kind::Manifests, digest)) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let mut bytes = Vec::new();
        File::open(self.blob(digest))?.take(MANIFEST_MAX + 1).read_to_end(&mut bytes)?;
        if Digest::of(&bytes) != *digest {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the manifest {digest} is damaged"),
            ));
        }
        Ok(Some((media_type, bytes)))
    }

    /// Puts a document into the content.
    pub(super) fn put_document(&self, bytes: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(bytes);
        atomic::write(&self.blob(&digest), bytes, 0o600, Durability::Power)?;
        Ok(digest)
    }

    /// What a tag leads to.
    pub(super) fn tag(&self, name: &Name, tag: &Tag) -> io::Result<Option<Digest>> {
        match fs::read_to_string(self.repository(name).join("_tags").join(tag.as_str())) {
            Ok(text) => text.trim().parse().map(Some).map_err(io::Error::other),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Lets a tag lead to a manifest.
    pub(super) fn set_tag(&self, name: &Name, tag: &Tag, digest: &Digest) -> io::Result<()> {
        let folder = self.repository(name).join("_tags");
        fs::create_dir_all(&folder)?;
        atomic::write(&folder.join(tag.as_str()), digest.to_string().as_bytes(), 0o600, Durability::Power)
    }

    /// Removes a tag; answers whether there was one.
    pub(super) fn remove_tag(&self, name: &Name, tag: &Tag) -> io::Result<bool> {
        removed(&self.repository(name).join("_tags").join(tag.as_str()))
    }

    /// Removes a link; answers whether there was one.
    pub(super) fn remove_link(&self, name: &Name, kind: Kind, digest: &Digest) -> io::Result<bool> {
        removed(&self.link(name, kind, digest))
    }

    /// All tags, sorted.
    pub(super) fn tags(&self, name: &Name) -> io::Result<Vec<Tag>> {
        let mut tags: Vec<Tag> =
            names(&self.repository(name).join("_tags"))?.iter().filter_map(|tag| Tag::parse(tag)).collect();
        tags.sort();
        Ok(tags)
    }

    /// All that a repository has of a kind.
    pub(super) fn all(&self, name: &Name, kind: Kind) -> io::Result<Vec<Digest>> {
        digests(&self.links(name, kind))
    }

    /// One manifest is about another.
    pub(super) fn add_referrer(&self, name: &Name, subject: &Digest, referrer: &Digest) -> io::Result<()> {
        let folder = self.repository(name).join("_referrers").join(subject.hex());
        fs::create_dir_all(&folder)?;
        atomic::write(&folder.join(referrer.hex()), b"", 0o600, Durability::Process)
    }

    /// One manifest is about another no more.
    pub(super) fn remove_referrer(
        &self,
        name: &Name,
        subject: &Digest,
        referrer: &Digest,
    ) -> io::Result<bool> {
        removed(&self.repository(name).join("_referrers").join(subject.hex()).join(referrer.hex()))
    }

    /// The manifests that are about another, sorted.
    pub(super) fn referrers(&self, name: &Name, subject: &Digest) -> io::Result<Vec<Digest>> {
        let mut found = digests(&self.repository(name).join("_referrers").join(subject.hex()))?;
        found.sort();
        Ok(found)
    }

    /// All repositories, sorted.
    pub(super) fn catalog(&self) -> io::Result<Vec<Name>> {
        let mut found = Vec::new();
        let top = self.repositories();
        let mut queue = vec![String::new()];
        while let Some(prefix) = queue.pop() {
            for part in names(&top.join(&prefix))? {
                if part.starts_with('_') {
                    continue;
                }
                let name = if prefix.is_empty() { part } else { format!("{prefix}/{part}") };
                if let Some(name) = Name::parse(&name).filter(|name| self.has_repository(name)) {
                    found.push(name);
                }
                queue.push(name);
            }
        }
        found.sort();
        Ok(found)
    }
}

fn removed(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// The names in a folder, if there is one.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<_>>(),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Vec::new())
        }
        Err(e) => Err(e),
    }
}

fn digests(folder: &Path) -> io::Result<Vec<Digest>> {
    Ok(names(folder)?.iter().filter_map(|hex| format!("sha256:{hex}").parse().ok()).collect())
}
