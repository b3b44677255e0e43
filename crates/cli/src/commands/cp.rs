//! `cp`.

use super::load::upload;
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    copy::{
        landing,
        pack::pack,
        path::{self, Place},
        progress::Progress,
        unpack::unpack,
    },
    error::{Error, Result},
    flags::{Flag, Mode, Parsed},
    stream::stdio::Output,
    terminal,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use brig_api::{ContainerPathStat, client::Response};
use bytes::Bytes;
use futures_util::StreamExt;
use std::{
    io::{self, Read},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

/// `brig cp`
pub static CP: Command = Command {
    paths: &["cp", "container cp"],
    synopsis: "CONTAINER:SRC_PATH DEST_PATH|-\n\tPROGRAM cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    about: "Copy files between a container and this machine, or an archive by '-'",
    examples: &[
        ("cp web:/etc/nginx/nginx.conf .", "Out of a container"),
        ("cp site/. web:/srv/www", "What is in a folder, into one of a container"),
        ("cp web:/var/log - | tar tv", "As an archive"),
    ],
    flags: &[&[
        Flag::switch("archive", "Give files to the container's user").short('a'),
        Flag::switch("follow-link", "Copy what a link leads to").short('L'),
        Flag::switch("quiet", "Show no progress (as without a terminal)").short('q'),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::Exactly(2),
    run: |cli, flags| -> Running<'_> { Box::pin(async move { copy(cli, &flags).await }) },
};

/// What was asked for.
struct Copy<'a> {
    cli: &'a Cli,
    container: &'a str,
    from: &'a str,
    to: &'a str,
    follow: bool,
    archive: bool,
    quiet: bool,
}

async fn copy(cli: &Cli, flags: &Parsed) -> Result {
    let (source, destination) = (&flags.args[0], &flags.args[1]);
    if source.is_empty() {
        return Err("source can not be empty".into());
    }
    if destination.is_empty() {
        return Err("destination can not be empty".into());
    }
    let quiet = if flags.changed("quiet") { flags.on("quiet") } else { !terminal::is_terminal(io::stdout()) };
    let ((out_of, from), (into, to)) = (path::split_operand(source), path::split_operand(destination));
    let container = match (out_of, into) {
        (Some(_), Some(_)) => return Err("copying between containers is not supported".into()),
        (None, None) => return Err("must specify at least one container source".into()),
        (Some(container), None) | (None, Some(container)) => container,
    };
    let copy = Copy {
        cli,
        container,
        from,
        to,
        follow: flags.on("follow-link"),
        archive: flags.on("archive"),
        quiet,
    };
    if out_of.is_some() { copy.copy_out().await } else { copy.copy_in().await }
}

fn stat_of(response: &Response<'_>) -> Result<ContainerPathStat> {
    let header = response.header("x-docker-container-path-stat").unwrap_or_default();
    let unreadable = |e: String| Error::Message(format!("unable to decode container path stat header: {e}"));
    let json = STANDARD.decode(header).map_err(|e| unreadable(e.to_string()))?;
    brig_api::json::from_slice(&json).map_err(|e| unreadable(e.to_string()))
}

impl Copy<'_> {
    fn route(&self) -> String {
        format!("/containers/{}/archive", self.container)
    }

    /// What is at a path of the container; `None` when nothing is, or nobody knows: the copy itself says why then.
    async fn stat(&self, path: &str) -> Result<Option<ContainerPathStat>> {
        let response = self.cli.client()?.head(&self.route()).query("path", path).response().await;
        response.ok().as_ref().map(stat_of).transpose()
    }

    async fn copy_out(&self) -> Result {
        let to = if self.to == "-" { "-".to_owned() } else { path::local(self.to)? };
        path::check_output(&to)?;
        let mut from = Place { path: self.from.to_owned(), exists: true, ..Place::default() };
        if self.follow
            && let Some(stat) = self.stat(self.from).await?.filter(ContainerPathStat::is_link)
        {
            (from.path, from.rename) = path::followed(self.from, &path::beside(self.from, &stat.link_target));
        }
        let response =
            self.cli.client()?.get(&self.route()).query("path", from.path.as_str()).response().await?;
        from.is_folder = stat_of(&response)?.is_folder();
        let mut body = response.into_reader();
        if to == "-" {
            let out = Output::stdout();
            while let Some(piece) = body.chunk().await? {
                out.write_all(&piece).await?;
            }
            return Ok(());
        }
        let given = path::base(&from.path);
        let wanted = from.rename.clone().unwrap_or_else(|| given.clone());
        let landing = landing(&from, &path::destination(&to)?)?;
        // A followed link has its target's name in the archive.
        let rename = match landing.rename {
            Some(rename) => Some(rename.of(&given)),
            None if given != wanted => Some(crate::copy::Rename::new(&given, &wanted)),
            None => None,
        };
        let (pieces, archive) = sync_channel(PIECES);
        let folder = landing.folder;
        let unpacker = std::thread::spawn(move || {
            unpack(Pieces { pieces: archive, rest: Bytes::new() }, Path::new(&folder), rename.as_ref())
        });
        let mut progress = Progress::new("Copying from container - ", self.quiet);
        let sent = feed(&mut body, &pieces, &mut progress).await;
        drop(pieces);
        let unpacked = match unpacker.join() {
            Ok(unpacked) => unpacked,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        progress.finish(&to);
        sent?;
        unpacked
    }

    async fn copy_in(&self) -> Result {
        let from = if self.from == "-" { "-".to_owned() } else { path::local(self.from)? };
        let mut to = Place { path: self.to.to_owned(), ..Place::default() };
        let mut found = self.stat(self.to).await?;
        if let Some(link) = found.as_ref().filter(|stat| stat.is_link()) {
            to.path = path::beside(self.to, &link.link_target);
            found = self.stat(&to.path).await?;
        }
        if let Some(stat) = &found {
            // Go's os.ModeDevice.
            if stat.mode & (1 << 26) != 0 {
                return Err(format!(
                    "destination \"{}:{}\" must be a directory or a regular file: got a device",
                    self.container, self.to
                )
                .into());
            }
            (to.exists, to.is_folder) = (true, stat.is_folder());
        }
        if from == "-" {
            if !to.is_folder {
                return Err(
                    format!("destination \"{}:{}\" must be a directory", self.container, self.to).into()
                );
            }
            return self.put(&to.path, upload(None)?).await;
        }
        let source = path::source(&from, self.follow)?;
        let landing = landing(&source, &to)?;
        let progress = Arc::new(Mutex::new(Progress::new("Copying to container - ", self.quiet)));
        let counter = progress.clone();
        let archive = pack(&source, landing.rename).inspect(move |piece| {
            if let Ok(piece) = piece {
                counter.lock().unwrap_or_else(PoisonError::into_inner).add(piece.len());
            }
        });
        let sent = self.put(&landing.folder, archive).await;
        if let Some(progress) = Arc::into_inner(progress) {
            let progress = progress.into_inner().unwrap_or_else(PoisonError::into_inner);
            progress.finish(&format!("{}:{}", self.container, to.path));
        }
        sent
    }

    async fn put(
        &self,
        folder: &str,
        archive: impl futures_util::Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result {
        let request = self
            .cli
            .client()?
            .put(&self.route())
            .query("path", folder)
            .query("noOverwriteDirNonDir", "true")
            .query_nonempty("copyUIDGID", if self.archive { "true" } else { "" })
            .body_stream("application/x-tar", archive);
        Ok(request.send().await?)
    }
}

/// Pieces that wait for the disk.
const PIECES: usize = 4;

/// Hands an answer over piece by piece. That nobody takes any more is no failure here: who unpacks says why.
async fn feed(
    body: &mut brig_api::client::BodyReader,
    pieces: &SyncSender<Bytes>,
    progress: &mut Progress,
) -> Result {
    while let Some(piece) = body.chunk().await? {
        progress.add(piece.len());
        if pieces.send(piece).is_err() {
            break;
        }
    }
    Ok(())
}

struct Pieces {
    pieces: Receiver<Bytes>,
    rest: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.pieces.recv() {
                Ok(piece) => self.rest = piece,
                Err(_) => return Ok(0),
            }
        }
        let length = buffer.len().min(self.rest.len());
        buffer[..length].copy_from_slice(&self.rest.split_to(length));
        Ok(length)
    }
}
