//! Wiring: from the command line to a daemon that serves, and its end in order.

use crate::{
    config::{self, Command, Config, Host, StorageDriver},
    http::server::Server,
    process::{
        listen::{Bound, ListenError},
        lock::DataRootLock,
        logging,
        notify::Notifier,
        pidfile::PidFile,
        signals::{Asked, Signals},
    },
    routes::{self, Api, Defaults},
};
use brig_engine::{Backends, Engine, EngineConfig, options::Running};
use brig_net::{Net, NetConfig};
use brig_shim::zygote::{self, ZygoteClient};
use brig_store::{Backend, Store, StoreOptions};
use std::{
    error::Error, fs, io, os::unix::fs::DirBuilderExt, path::Path, process::ExitCode, sync::Arc,
    time::Duration,
};

/// How long work on disks that is still under way may hold up the end.
const LAST_WORK: Duration = Duration::from_secs(1);
/// Where Docker's clients look for a daemon when nobody tells them.
const DOCKER_SOCKET: &str = "/var/run/docker.sock";
/// Stop signals after which the daemon ends without waiting for anything, as dockerd does.
const IMPATIENT: usize = 3;
/// How long threads that wait for disks are kept when there is nothing to wait for.
const BLOCKING_KEEP_ALIVE: Duration = Duration::from_secs(2);

/// `brig daemon`: runs it with the arguments after `daemon`. Must be called before any thread is started.
#[must_use]
pub fn main(args: &[String]) -> ExitCode {
    match config::load(args) {
        Ok(Command::Help(help)) => {
            print!("{help}");
            ExitCode::SUCCESS
        }
        Ok(Command::Version) => {
            println!("brig version {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Ok(Command::Validate) => {
            eprintln!("configuration OK");
            ExitCode::SUCCESS
        }
        Ok(Command::Run(config)) => match run(*config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("failed to start daemon: {error}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What must exist before the first thread starts.
#[derive(Debug)]
struct Prepared {
    sockets: Vec<Bound>,
    zygote: ZygoteClient,
    // In the order in which they are let go of.
    _pidfile: PidFile,
    _lock: DataRootLock,
}

fn run(config: Config) -> Result<(), Box<dyn Error>> {
    let level = logging::start(config.log_level, config.log_format, !config.raw_logs)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let prepared = prepare(&config)?;
    // What takes long is on threads of its own. Between workers, a request that hops costs a wake-up of the other
    // processor each time, which takes longer than most of what there is to do: small machines get one.
    let workers = (std::thread::available_parallelism().map_or(1, usize::from) / 2).clamp(1, 8);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_keep_alive(BLOCKING_KEEP_ALIVE)
        .thread_name("brig-worker")
        .enable_all()
        .build()?;
    let served = runtime.block_on(serve(&config, prepared, level));
    // Ends all tasks, and with the last of them the zygote. Blocking work that nobody waits for any more must
    // not hold up the end for long.
    runtime.shutdown_timeout(LAST_WORK);
    served
}

fn prepare(config: &Config) -> Result<Prepared, Box<dyn Error>> {
    make_folder(config.paths.data_root(), 0o710)?;
    // Others must get through to the socket.
    make_folder(config.paths.exec_root(), 0o711)?;
    let lock = DataRootLock::take(&config.paths)?;
    let pidfile = PidFile::create(&config.pidfile)?;
    let sockets = bind(config)?;
    let zygote = zygote::spawn()?;
    Ok(Prepared { sockets, zygote, _pidfile: pidfile, _lock: lock })
}

fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(|e| io::Error::new(e.kind(), format!("create {}: {e}", path.display())))
}

fn bind(config: &Config) -> Result<Vec<Bound>, ListenError> {
    let group = config.group.as_deref();
    if config.hosts.is_empty() {
        let mut sockets = vec![Bound::bind(&Host::Unix(config.paths.socket()), group)?];
        match Bound::bind(&Host::Unix(DOCKER_SOCKET.into()), group) {
            Ok(bound) => sockets.push(bound),
            // Docker's own daemon has it; clients find brig by its own socket.
            Err(error) => tracing::info!("{DOCKER_SOCKET} is not served: {error}"),
        }
        return Ok(sockets);
    }
    for host in config.hosts.iter().filter(|host| matches!(host, Host::Tcp { .. })) {
        tracing::warn!(
            "serving on {host} without TLS: everyone who can connect to it is root on this machine"
        );
    }
    config.hosts.iter().map(|host| Bound::bind(host, group)).collect()
}

async fn serve(config: &Config, prepared: Prepared, level: logging::Level) -> Result<(), Box<dyn Error>> {
    let Prepared { mut sockets, zygote, _pidfile, _lock } = prepared;
    let mut signals = Signals::listen()?;
    let notifier = Notifier::from_env();
    let defaults = Defaults::from_config(config)?;
    let backends = open_backends(config, zygote).await?;
    let engine = Engine::open(engine_config(config), backends).await?;
    let api = Api { engine: Arc::clone(&engine), defaults };
    let server = Server::new(routes::all(), Arc::new(api));
    for socket in &mut sockets {
        let listener = socket.listener()?;
        tracing::info!("API listen on {}", socket.host());
        tokio::spawn(Arc::clone(&server).serve(listener));
    }
    notifier.ready();
    loop {
        match signals.next().await {
            Asked::Stop => break,
            Asked::Reload => reload(config, &level, &engine),
        }
    }
    tracing::info!("stopping; containers go on");
    notifier.stopping();
    let ended = async {
        // New clients find no socket, instead of one that nobody accepts on.
        drop(sockets);
        server.stop(config.shutdown_timeout).await;
        engine.shutdown(Running::Leave).await;
    };
    let impatient = async {
        for _ in 1..IMPATIENT {
            while signals.next().await != Asked::Stop {}
        }
    };
    tokio::select! {
        () = ended => tracing::info!("stopped"),
        () = impatient => tracing::warn!("forced to stop by {IMPATIENT} signals"),
    }
    Ok(())
}

fn reload(config: &Config, level: &logging::Level, engine: &Engine) {
    match config.reloaded_registries() {
        Ok(registries) => engine.set_registries(registries),
        Err(error) => {
            tracing::error!("{error}");
            return;
        }
    }
    match config.reloaded_level() {
        Ok(new) => {
            level.set(new);
            tracing::info!(level = ?new, "configuration read again");
        }
        Err(error) => tracing::error!("{error}"),
    }
}

async fn open_backends(config: &Config, zygote: ZygoteClient) -> Result<Backends, Box<dyn Error>> {
    let backend = match config.storage_driver {
        StorageDriver::Auto => Backend::Auto,
        StorageDriver::Overlay => Backend::Overlay,
        StorageDriver::Copies => Backend::Native,
    };
    let paths = config.paths.clone();
    let options = StoreOptions { backend, ..StoreOptions::default() };
    let store = tokio::task::spawn_blocking(move || Store::open(&paths, options)).await??;
    for repair in store.repairs() {
        tracing::warn!("{repair}");
    }
    let net = Net::open(net_config(config)?)?;
    Ok(Backends { store, net, zygote })
}

fn net_config(config: &Config) -> Result<NetConfig, Box<dyn Error>> {
    let wanted = &config.network;
    let cidr = |flag: &str, text: &Option<String>| {
        let parsed = text.as_deref().map(str::parse::<ipnet::IpNet>).transpose();
        parsed.map_err(|_| {
            format!("--{flag} {}: no network such as 172.17.0.1/16", text.as_deref().unwrap_or_default())
        })
    };
    let mut net = NetConfig::new(&config.paths);
    if let Some(bridge) = &wanted.bridge {
        net.bridge.clone_from(bridge);
    }
    net.bip = cidr("bip", &wanted.bip)?;
    net.fixed_cidr = cidr("fixed-cidr", &wanted.fixed_cidr)?;
    net.mtu = wanted.mtu;
    net.firewall = wanted.firewall;
    net.ip_forward = wanted.ip_forward;
    net.ip_masquerade = wanted.ip_masquerade;
    net.icc = wanted.icc;
    net.userland_proxy = wanted.userland_proxy;
    net.host_ip = wanted.host_ip;
    Ok(net)
}

fn engine_config(config: &Config) -> EngineConfig {
    let mut engine = EngineConfig::new(config.paths.clone());
    engine.cgroup_parent.clone_from(&config.cgroup_parent);
    engine.dns.clone_from(&config.dns);
    engine.dns_options.clone_from(&config.dns_options);
    engine.dns_search.clone_from(&config.dns_search);
    if !config.cdi_folders.is_empty() {
        engine.cdi_folders.clone_from(&config.cdi_folders);
    }
    engine.log_driver.clone_from(&config.log_driver);
    engine.log_options.clone_from(&config.log_options);
    engine.shutdown_timeout = config.shutdown_timeout;
    engine.shm_size = config.shm_size;
    engine.registries = config.registries.clone();
    engine.downloads = config.downloads;
    engine.init = config.init;
    engine.ephemeral = config.ephemeral;
    engine.labels.clone_from(&config.labels);
    engine.debug = config.debug();
    engine
}
