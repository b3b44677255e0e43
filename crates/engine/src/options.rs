//! What operations take beside a name: the query parameters of the API, read and typed.

use crate::filters::Filters;
use brig_api::ContainerCreateRequest;
use jiff::Timestamp;

/// `POST /containers/create`.
#[derive(Debug, Clone, Default)]
pub struct CreateOptions {
    /// The name asked for, with or without a slash; `None` or empty for a random one.
    pub name: Option<String>,
    /// `os[/architecture[/variant]]` that the image must have; `None` or empty for any.
    pub platform: Option<String>,
    /// The body.
    pub request: ContainerCreateRequest,
}

/// `POST /images/create` from a registry.
#[derive(Debug, Clone, Default)]
pub struct PullOptions {
    /// The image; without tag and digest all of its repository.
    pub image: String,
    /// `os[/architecture[/variant]]`; `None` or empty for this machine's.
    pub platform: Option<String>,
    /// `X-Registry-Auth` as it came.
    pub credentials: String,
}

/// `POST /images/{name}/push`.
#[derive(Debug, Clone, Default)]
pub struct PushOptions {
    /// The image, perhaps with its tag.
    pub name: String,
    /// The tag; without one all of the repository.
    pub tag: String,
    /// `X-Registry-Auth` as it came.
    pub credentials: String,
}

/// `GET /containers/json`.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Those that don't run, too.
    pub all: bool,
    /// So many of the newest, running or not; `None`, 0 or less for no limit.
    pub limit: Option<i64>,
    /// Tell sizes, which takes time.
    pub size: bool,
    /// Only those that pass.
    pub filters: Filters,
}

/// `POST /containers/{id}/stop` and `/restart`.
#[derive(Debug, Clone, Default)]
pub struct StopOptions {
    /// The signal, by name or number; `None` or empty for the container's stop signal.
    pub signal: Option<String>,
    /// Seconds until SIGKILL; negative for never; `None` for the container's own, or 10.
    pub timeout: Option<i64>,
}

/// `GET /containers/{id}/stats`.
#[derive(Debug, Clone, Copy, Default)]
pub struct StatsOptions {
    /// One sample each second.
    pub stream: bool,
    /// One sample at once, without another before it to compare with.
    pub one_shot: bool,
}

/// `DELETE /containers/{id}`.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveOptions {
    /// Kill it when it runs.
    pub force: bool,
    /// Remove its anonymous volumes.
    pub volumes: bool,
    /// Remove a legacy link and not the container.
    pub link: bool,
}

/// What a wait waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WaitCondition {
    /// That it does not run; at once if it doesn't.
    #[default]
    NotRunning,
    /// The next end of a run.
    NextExit,
    /// That it is gone.
    Removed,
}

impl WaitCondition {
    /// Reads the API's word; empty for the default.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "" | "not-running" => Some(Self::NotRunning),
            "next-exit" => Some(Self::NextExit),
            "removed" => Some(Self::Removed),
            _ => None,
        }
    }
}

/// `POST /containers/{id}/attach`.
#[derive(Debug, Clone, Default)]
pub struct AttachOptions {
    /// Send what the client sends to the container's stdin.
    pub stdin: bool,
    /// Send the container's stdout.
    pub stdout: bool,
    /// Send the container's stderr.
    pub stderr: bool,
    /// First send what was logged so far.
    pub logs: bool,
    /// Then send what comes, until the container ends.
    pub stream: bool,
    /// The keys that end the attachment; `None` or empty for `ctrl-p,ctrl-q`.
    pub detach_keys: Option<String>,
}

/// `GET /containers/{id}/logs`.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    /// Send stdout.
    pub stdout: bool,
    /// Send stderr.
    pub stderr: bool,
    /// Go on sending until the container ends.
    pub follow: bool,
    /// Only what was written from then on.
    pub since: Option<Timestamp>,
    /// Only what was written until then.
    pub until: Option<Timestamp>,
    /// Put the time before each line.
    pub timestamps: bool,
    /// Put labels and environment of the log before each line.
    pub details: bool,
    /// So many last lines; `None` for all.
    pub tail: Option<u64>,
}

/// `GET /images/json`.
#[derive(Debug, Clone, Default)]
pub struct ImageListOptions {
    /// Intermediate images too.
    pub all: bool,
    /// Only those that pass.
    pub filters: Filters,
    /// Compute the size shared with other images.
    pub shared_size: bool,
    /// Tell the manifests.
    pub manifests: bool,
}

/// `POST /images/create?fromSrc=-`.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The repository; `None` or empty for an image without a name.
    pub repository: Option<String>,
    /// The tag; `None` or empty for `latest`, or for what `repository` says.
    pub tag: Option<String>,
    /// The commit message.
    pub message: String,
    /// Dockerfile instructions to apply.
    pub changes: Vec<String>,
    /// `os[/architecture[/variant]]`; `None` or empty for this machine's.
    pub platform: Option<String>,
}

/// `PUT /containers/{name}/archive`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExtractOptions {
    /// Refuse to put a file where a folder is, and the other way round.
    pub no_overwrite_dir_non_dir: bool,
    /// The files belong to the container's user.
    pub copy_uid_gid: bool,
}

/// `POST /commit`.
#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    /// The container's name, id or prefix of an id.
    pub container: String,
    /// The new image's repository; empty for an image without a name.
    pub repository: String,
    /// Its tag; empty for `latest`.
    pub tag: String,
    /// Who makes it.
    pub author: String,
    /// The commit message.
    pub comment: String,
    /// Dockerfile instructions to apply.
    pub changes: Vec<String>,
    /// The configuration to begin with; the container's when absent.
    pub config: Option<brig_api::ContainerConfig>,
    /// Freeze the container meanwhile.
    pub pause: bool,
}

/// `GET /events`.
#[derive(Debug, Clone, Default)]
pub struct EventsOptions {
    /// Also those from then on that are remembered.
    pub since: Option<Timestamp>,
    /// Until then; a time in the past ends the stream after the remembered ones.
    pub until: Option<Timestamp>,
    /// Only those that pass.
    pub filters: Filters,
}

/// What `GET /system/df` is to tell.
#[derive(Debug, Clone, Copy)]
pub struct DfOptions {
    /// Containers.
    pub containers: bool,
    /// Images.
    pub images: bool,
    /// Volumes.
    pub volumes: bool,
    /// The build cache.
    pub build_cache: bool,
}

impl Default for DfOptions {
    fn default() -> Self {
        Self { containers: true, images: true, volumes: true, build_cache: true }
    }
}

/// What becomes of running containers when the daemon ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// They are stopped, each with its own signal and timeout.
    Stop,
    /// They go on, and the next daemon finds them.
    Leave,
}
