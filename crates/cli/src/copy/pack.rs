//! Files of this machine as an archive, packed on a thread while it is sent.

use super::{
    Rename,
    path::{Place, base, dir},
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use std::{
    collections::HashMap,
    fs, io,
    io::Write,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};
use tokio::sync::mpsc;

/// Chunks that wait for the network.
const CHUNKS: usize = 4;
const CHUNK: usize = 128 << 10;

/// The archive of a file or folder, under another name if need be.
pub fn pack(from: &Place, rename: Option<Rename>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    let (chunks, receiver) = mpsc::channel(CHUNKS);
    // With `-L`, the archive has the link's name in it.
    let own = base(&from.path);
    let name = from.rename.clone().unwrap_or_else(|| own.clone());
    let top = Path::new(&dir(&from.path)).join(&own);
    std::thread::spawn(move || {
        let out = io::BufWriter::with_capacity(CHUNK, Chunks(chunks.clone()));
        if let Err(error) = write(&top, &name, rename.as_ref(), out) {
            // A daemon that hung up says itself why.
            let _ = chunks.blocking_send(Err(error));
        }
    });
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

struct Chunks(mpsc::Sender<io::Result<Bytes>>);

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(top: &Path, name: &str, rename: Option<&Rename>, out: impl Write) -> io::Result<()> {
    let mut archive = tar::Builder::new(out);
    archive.sparse(false);
    let named = |path: &Path| {
        use std::os::unix::ffi::OsStrExt;
        match rename {
            Some(rename) => rename.apply(path.as_os_str().as_bytes()),
            None => path.as_os_str().as_bytes().to_vec(),
        }
    };
    let mut linked: HashMap<(u64, u64), PathBuf> = HashMap::new();
    // Paths here and in the archive, the next one last.
    let mut todo = vec![(top.to_path_buf(), PathBuf::from(name))];
    while let Some((path, inside)) = todo.pop() {
        let at = |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", path.display()));
        let found = fs::symlink_metadata(&path).map_err(at)?;
        if found.file_type().is_socket() {
            continue;
        }
        let new = path_of(&named(&inside));
        let mut header = tar::Header::new_gnu();
        header.set_metadata(&found);
        if found.is_dir() {
            header.set_size(0);
            let slash = path_of(&[named(&inside).as_slice(), b"/"].concat());
            archive.append_data(&mut header, slash, io::empty()).map_err(at)?;
            let mut names = fs::read_dir(&path)
                .and_then(|entries| entries.map(|e| Ok(e?.file_name())).collect::<io::Result<Vec<_>>>())
                .map_err(at)?;
            names.sort_unstable_by(|a, b| b.cmp(a));
            todo.extend(names.into_iter().map(|name| (path.join(&name), inside.join(&name))));
        } else if found.is_symlink() {
            header.set_size(0);
            let target = fs::read_link(&path).map_err(at)?;
            archive.append_link(&mut header, new, target).map_err(at)?;
        } else if found.is_file() {
            if found.nlink() > 1 {
                if let Some(first) = linked.get(&(found.dev(), found.ino())) {
                    header.set_entry_type(tar::EntryType::Link);
                    header.set_size(0);
                    archive.append_link(&mut header, new, first).map_err(at)?;
                    continue;
                }
                linked.insert((found.dev(), found.ino()), new.clone());
            }
            let mut file = fs::File::open(&path).map_err(at)?;
            header.set_size(found.len());
            archive.append_data(&mut header, new, io::Read::take(&mut file, found.len())).map_err(at)?;
        } else {
            header.set_size(0);
            archive.append_data(&mut header, new, io::empty()).map_err(at)?;
        }
    }
    archive.into_inner()?.flush()
}

fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;

    #[test]
    fn a_folder_in_order_with_its_links() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("top");
        fs::create_dir_all(top.join("sub")).unwrap();
        fs::write(top.join("a"), "one").unwrap();
        fs::hard_link(top.join("a"), top.join("b")).unwrap();
        std::os::unix::fs::symlink("a", top.join("sub/link")).unwrap();
        let from =
            Place { path: top.to_str().unwrap().to_owned(), exists: true, is_folder: true, rename: None };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let bytes = runtime.block_on(async {
            let pieces = pack(&from, Some(Rename::new("top", "new")));
            pieces
                .fold(Vec::new(), |mut all, piece| async move {
                    all.extend_from_slice(&piece.unwrap());
                    all
                })
                .await
        });
        let mut archive = tar::Archive::new(bytes.as_slice());
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|e| {
                let e = e.unwrap();
                let link = e.link_name().unwrap().map(|l| format!(" -> {}", l.display())).unwrap_or_default();
                format!("{}{link}", String::from_utf8_lossy(&e.path_bytes()))
            })
            .collect();
        assert_eq!(names, ["new/", "new/a", "new/b -> new/a", "new/sub/", "new/sub/link -> a"]);
    }
}
