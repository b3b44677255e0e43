//! `docker save`: one tar stream that is a docker-archive and an OCI layout at once, as Docker writes it since 25.
//!
//! Layers are written uncompressed, rebuilt byte by byte; the bytes of the whole depend on the images and names alone.

use crate::db::Transaction;
use crate::{
    Inner, Store,
    error::{Error, Result},
    image::{
        Image,
        manifest::{self, Descriptor, Index, Manifest},
        record,
        resolve::{self, Name},
    },
    layer::{self, rebuild},
    layers::Lease,
    tar::writer::TarWriter,
};
use brig_core::{Digest, Reference, digest::Hashing};
use rusqlite::OptionalExtension;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::PathBuf,
};

/// An image to save, with the names to save it under.
struct Chosen {
    image: Image,
    tags: Vec<Reference>,
}

/// What goes under `blobs/sha256/`.
enum Blob {
    Document(Vec<u8>),
    Layer { dir: PathBuf, size: u64 },
}

struct Dated {
    blob: Blob,
    /// Seconds since 1970.
    mtime: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<Digest>,
    layer_sources: BTreeMap<Digest, Descriptor>,
}

impl Store {
    /// Writes images into one tar stream that is a `docker save` archive and an OCI layout at once. The bytes depend
    /// on the images and `names` alone. A repository without a tag means all of its tags.
    ///
    /// # Errors
    /// [`Error::NoSuchImage`]; [`Error::Damaged`] when a layer does not come out as it went in; [`Error::Output`].
    pub fn save(&self, names: &[&str], out: &mut dyn Write) -> Result<()> {
        let inner = &self.inner;
        let chosen = inner.read_steadily(|tx| inner.choose(tx, names))?;
        // From here on nobody can remove the layers.
        let mut lease = Lease::new(inner);
        for chosen in &chosen {
            if let Some(chain) = &chosen.image.chain
                && !lease.hold(chain)?
            {
                return Err(Error::NoSuchImage(chosen.image.id.to_string()));
            }
        }
        let layout = inner.db.read(|tx| inner.lay_out(tx, &chosen))?;
        layout.write(out)
    }
}

impl Inner {
    fn choose(&self, tx: &Transaction<'_>, names: &[&str]) -> Result<Vec<Chosen>> {
        let mut chosen: Vec<Chosen> = Vec::new();
        let mut add = |id: Digest, tag: Option<Reference>| -> Result<()> {
            let at = match chosen.iter().position(|c| c.image.id == id) {
                Some(at) => at,
                None => {
                    let image =
                        self.read_image(tx, &id)?.ok_or_else(|| Error::NoSuchImage(id.to_string()))?;
                    chosen.push(Chosen { image, tags: Vec::new() });
                    chosen.len() - 1
                }
            };
            let tags = &mut chosen[at].tags;
            if let Some(tag) = tag.filter(|t| !tags.contains(t)) {
                tags.push(tag);
            }
            Ok(())
        };
        for name in names {
            match Name::parse(name)? {
                Name::Reference(r) if r.tag().is_none() && r.digest().is_none() => {
                    let tags = tags_of(tx, &r)?;
                    if tags.is_empty() {
                        add(resolve::resolve(tx, name)?, None)?;
                    }
                    for (tag, id) in tags {
                        add(id, Some(tag))?;
                    }
                }
                Name::Reference(r) => {
                    let key = resolve::key(&r);
                    match record::lookup(tx, &key)? {
                        Some(id) => add(id, Some(key).filter(|k| k.digest().is_none()))?,
                        None => add(resolve::resolve(tx, name)?, None)?,
                    }
                }
                Name::Id(_) => add(resolve::resolve(tx, name)?, None)?,
            }
        }
        Ok(chosen)
    }

    fn lay_out(&self, tx: &Transaction<'_>, chosen: &[Chosen]) -> Result<Layout> {
        let mut layout = Layout::default();
        for Chosen { image, tags } in chosen {
            let mtime = image.created.and_then(|t| u64::try_from(t.as_second()).ok()).unwrap_or(0);
            let mut descriptors = Vec::new();
            let mut chain = None;
            for diff in image.layers() {
                let id = layer::chain_id(chain.as_ref(), diff);
                let (dir, size) = self.layer_of(tx, &id)?;
                layout.blobs.entry(diff.hex()).or_insert(Dated { blob: Blob::Layer { dir, size }, mtime });
                descriptors.push(Descriptor::new(manifest::LAYER, *diff, size));
                chain = Some(id);
            }
            layout.image(image, tags, descriptors, mtime)?;
        }
        // Parents outside of the archive are not named.
        let ids: Vec<_> = chosen.iter().map(|c| c.image.id).collect();
        for (item, chosen) in layout.items.iter_mut().zip(chosen) {
            item.parent = chosen.image.parent.filter(|p| ids.contains(p));
        }
        Ok(layout)
    }

    pub(crate) fn layer_of(&self, tx: &Transaction<'_>, chain: &Digest) -> Result<(PathBuf, u64)> {
        let mut query = tx.prepare_cached("SELECT dir, tar_size FROM layers WHERE chain = ?1")?;
        let row: Option<(u64, u64)> =
            query.query_row([chain.to_string()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let (dir, size) = row.ok_or_else(|| Error::Damaged {
            what: format!("layer {chain}"),
            reason: "it is not in the metadata database".to_owned(),
        })?;
        Ok((self.snapshot_dir(dir), size))
    }
}

pub(crate) fn tags_of(tx: &Transaction<'_>, repository: &Reference) -> Result<Vec<(Reference, Digest)>> {
    let prefix = format!("{}:", repository.repository());
    let mut query = tx.prepare_cached(
        "SELECT name, image FROM image_references WHERE substr(name, 1, ?2) = ?1 ORDER BY name",
    )?;
    let length = i64::try_from(prefix.len()).unwrap_or(i64::MAX);
    let rows =
        query.query_map((prefix, length), |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| {
        let (name, image) = row?;
        Ok((record::reference_of(&name)?, crate::db::digest(&image)?))
    })
    .collect()
}

/// All that goes into the archive.
#[derive(Default)]
struct Layout {
    /// By the hex part of their digests.
    blobs: BTreeMap<String, Dated>,
    manifests: Vec<Descriptor>,
    items: Vec<Item>,
    repositories: BTreeMap<String, BTreeMap<String, String>>,
}

impl Layout {
    fn image(
        &mut self,
        image: &Image,
        tags: &[Reference],
        layers: Vec<Descriptor>,
        mtime: u64,
    ) -> Result<()> {
        let config = Descriptor::new(manifest::CONFIG, image.id, image.config_json.len() as u64);
        let document = json(&Manifest {
            schema_version: 2,
            media_type: manifest::MANIFEST.to_owned(),
            config,
            layers: layers.clone(),
        })?;
        let digest = Digest::of(&document);
        let descriptor = Descriptor::new(manifest::MANIFEST, digest, document.len() as u64);
        let mut put = |digest: Digest, bytes: Vec<u8>, mtime| {
            self.blobs.entry(digest.hex()).or_insert(Dated { blob: Blob::Document(bytes), mtime });
        };
        put(image.id, image.config_json.to_vec(), mtime);
        put(digest, document, 0);
        for tag in tags {
            let short = tag.tag().unwrap_or_default().to_owned();
            if let Some(top) = image.layers().last() {
                self.repositories.entry(tag.familiar_name()).or_default().insert(short.clone(), top.hex());
            }
            let mut named = descriptor.clone();
            named.annotations.insert(manifest::NAME_ANNOTATION.to_owned(), tag.to_string());
            named.annotations.insert(manifest::REF_ANNOTATION.to_owned(), short);
            self.manifests.push(named);
        }
        if tags.is_empty() {
            self.manifests.push(descriptor);
        }
        let path = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
        self.items.push(Item {
            config: path(&image.id),
            repo_tags: Some(tags.iter().map(Reference::familiar).collect())
                .filter(|t: &Vec<_>| !t.is_empty()),
            layers: image.layers().iter().map(path).collect(),
            parent: None,
            layer_sources: layers.into_iter().map(|l| (l.digest, l)).collect(),
        });
        Ok(())
    }

    fn write(self, out: &mut dyn Write) -> Result<()> {
        let mut tar = TarWriter::new(io::BufWriter::with_capacity(1 << 16, out));
        (|| {
            tar.directory("blobs/", 0)?;
            tar.directory("blobs/sha256/", 0)
        })()
        .map_err(Error::Output)?;
        for (hex, Dated { blob, mtime }) in &self.blobs {
            let name = format!("blobs/sha256/{hex}");
            match blob {
                Blob::Document(bytes) => tar.file(&name, bytes, *mtime).map_err(Error::Output)?,
                Blob::Layer { dir, size } => {
                    tar.stream(&name, *size, *mtime, |out| write_layer(hex, dir, out))?;
                }
            }
        }
        let index = json(&Index {
            schema_version: 2,
            media_type: manifest::INDEX.to_owned(),
            manifests: self.manifests,
        })?;
        let mut items = json(&self.items)?;
        items.push(b'\n');
        let mut repositories = json(&self.repositories)?;
        repositories.push(b'\n');
        (|| {
            tar.file("index.json", &index, 0)?;
            tar.file("manifest.json", &items, 0)?;
            tar.file("oci-layout", br#"{"imageLayoutVersion": "1.0.0"}"#, 0)?;
            if !self.repositories.is_empty() {
                tar.file("repositories", &repositories, 0)?;
            }
            tar.finish().map(drop)
        })()
        .map_err(Error::Output)
    }
}

pub(crate) fn write_layer(hex: &str, dir: &std::path::Path, out: &mut dyn Write) -> Result<()> {
    let mut hashing = Hashing::new(out);
    rebuild::rebuild(dir, &mut hashing)?;
    let actual = hashing.finish().1;
    if actual.hex() != hex {
        return Err(Error::Damaged {
            what: format!("layer sha256:{hex}"),
            reason: format!("its files make an archive with digest {actual}"),
        });
    }
    Ok(())
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|source| Error::Record {
        kind: "archive".to_owned(),
        key: "document".to_owned(),
        source,
    })
}
