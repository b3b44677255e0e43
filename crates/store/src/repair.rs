//! What an opening store does about a crash: it removes what nothing refers to and tells of what is referred to but gone.

use crate::db::Transaction;
use crate::{
    Inner,
    error::{At, Error, Result},
    layout, tree,
};
use brig_core::atomic::Durability;
use std::collections::BTreeSet;

impl Inner {
    /// Repairs the store; answers a sentence for each thing done or found.
    pub(crate) fn repair(&self) -> Result<Vec<String>> {
        let mut said = Vec::new();
        let released = self.db.write(Durability::Process, |tx| self.release_unneeded(tx))?;
        if released > 0 {
            said.push(format!("removed {released} layers that no image needs"));
        }
        self.compare_folders(&mut said)?;
        self.compare_blobs(&mut said)?;
        Ok(said)
    }

    fn release_unneeded(&self, tx: &Transaction<'_>) -> Result<usize> {
        let mut query = tx.prepare(
            "SELECT chain FROM layers l
             WHERE NOT EXISTS (SELECT 1 FROM layers c WHERE c.parent = l.chain)
               AND NOT EXISTS (SELECT 1 FROM images WHERE chain = l.chain)
               AND NOT EXISTS (SELECT 1 FROM snapshots WHERE chain = l.chain)",
        )?;
        let chains: Vec<String> = query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        let mut released = 0;
        for chain in chains {
            released += self.release_chain(tx, Some(&chain))?.len();
        }
        Ok(released)
    }

    fn compare_folders(&self, said: &mut Vec<String>) -> Result<()> {
        let known = self.db.read(|tx| {
            let mut query = tx.prepare(
                "SELECT dir, 'layer ' || chain FROM layers
                 UNION ALL SELECT dir, 'init layer of ' || chain FROM init_layers
                 UNION ALL SELECT dir, 'snapshot ' || key FROM snapshots",
            )?;
            let rows = query.query_map([], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        })?;
        let numbers: BTreeSet<u64> = known.iter().map(|(dir, _)| *dir).collect();
        let top = layout::open_dir(&self.layout.snapshots)?;
        let mut there = BTreeSet::new();
        for name in layout::names(&self.layout.snapshots)? {
            match name.to_str().and_then(|n| n.parse::<u64>().ok()) {
                Some(number) if numbers.contains(&number) => {
                    there.insert(number);
                }
                Some(_) => {
                    let path = self.layout.snapshots.join(&name);
                    tree::remove(&top, &name).at("remove", &path)?;
                    said.push(format!("removed the orphaned folder {}", path.display()));
                }
                None => said.push(format!("{} is none of the store's folders", name.display())),
            }
        }
        for (dir, what) in &known {
            if !there.contains(dir) {
                said.push(format!("the folder of {what} is gone: {}", self.snapshot_dir(*dir).display()));
            }
        }
        self.forget_init_layers(&numbers - &there)?;
        let next = numbers.last().map_or(1, |n| n + 1);
        self.next_dir.store(next, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }

    /// An init layer whose folder is gone is made again for the next container.
    fn forget_init_layers(&self, gone: BTreeSet<u64>) -> Result<()> {
        if gone.is_empty() {
            return Ok(());
        }
        self.db.write(Durability::Process, |tx| {
            let mut delete = tx.prepare("DELETE FROM init_layers WHERE dir = ?1")?;
            for dir in gone {
                delete.execute([dir])?;
            }
            Ok(())
        })
    }

    fn compare_blobs(&self, said: &mut Vec<String>) -> Result<()> {
        let needed: BTreeSet<String> = self.db.read(|tx| {
            let mut query = tx.prepare(
                "SELECT id FROM images
                 UNION SELECT manifest FROM images WHERE manifest IS NOT NULL
                 UNION SELECT index_digest FROM images WHERE index_digest IS NOT NULL",
            )?;
            let rows = query.query_map([], |row| row.get::<_, String>(0))?;
            rows.map(|text| Ok::<_, Error>(crate::db::digest(&text?)?.hex())).collect()
        })?;
        let top = layout::open_dir(&self.layout.blobs)?;
        let mut there = BTreeSet::new();
        for name in layout::names(&self.layout.blobs)? {
            let hex = name.to_string_lossy().into_owned();
            if needed.contains(&hex) {
                there.insert(hex);
            } else {
                let path = self.layout.blobs.join(&name);
                tree::remove(&top, &name).at("remove", &path)?;
                said.push(format!("removed the orphaned blob {}", path.display()));
            }
        }
        said.extend(needed.difference(&there).map(|hex| format!("the blob sha256:{hex} is gone")));
        Ok(())
    }
}
