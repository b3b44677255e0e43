//! `brig registry serve`.

use super::{Htpasswd, Mode, Registry, Storage, Tls, Upstream, serve};
use crate::client::{config::RegistryConfig, credentials::Credentials};
use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

const HELP: &str = "Usage:  brig registry serve [OPTIONS]

Serve a registry (OCI distribution) from a folder

Examples:
  # For this machine alone
  brig registry serve --root /srv/registry
  # For others, by TLS and with passwords
  brig registry serve --root /srv/registry --addr 0.0.0.0:5000 \\
      --tls-cert cert.pem --tls-key key.pem --htpasswd users

Options:
      --addr HOST:PORT       Where to listen (default 127.0.0.1:5000)
      --gc-grace SECONDS     Keep what nothing leads to for so long (default 3600)
      --gc-interval SECONDS  Collect garbage so often, 0 for never (default 3600)
      --htpasswd FILE        Let only these users in (made by htpasswd -B)
      --insecure-upstream    The upstream may speak plain HTTP and have any certificate
      --read-only            Let nobody push or delete
      --root FOLDER          Where to keep everything (default /var/lib/brig-registry)
      --tls-cert FILE        Certificate, with those that vouch for it (PEM)
      --tls-key FILE         Its key (PEM)
      --upstream HOST        Fetch what is not here from this registry, and keep it
";

/// What was asked for.
#[derive(Debug)]
struct Options {
    address: SocketAddr,
    root: PathBuf,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    htpasswd: Option<PathBuf>,
    read_only: bool,
    upstream: Option<String>,
    insecure_upstream: bool,
    interval: Duration,
    grace: Duration,
}

/// `brig registry …`
#[must_use]
pub fn main(args: &[String]) -> ExitCode {
    match args.split_first() {
        Some((verb, rest)) if verb == "serve" => match parse(rest) {
            Ok(Some(options)) => match run(options) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("brig registry: {error}");
                    ExitCode::FAILURE
                }
            },
            Ok(None) => {
                print!("{HELP}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{error}\n\nRun 'brig registry serve --help' for more information");
                ExitCode::from(125)
            }
        },
        Some((verb, _)) if !matches!(verb.as_str(), "help" | "--help" | "-h") => {
            eprintln!(
                "brig: unknown command: brig registry {verb}\n\nRun 'brig registry --help' for more information"
            );
            ExitCode::FAILURE
        }
        _ => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
    }
}

fn parse(args: &[String]) -> Result<Option<Options>, String> {
    let mut options = Options {
        address: SocketAddr::from(([127, 0, 0, 1], 5000)),
        root: "/var/lib/brig-registry".into(),
        certificate: None,
        key: None,
        htpasswd: None,
        read_only: false,
        upstream: None,
        insecure_upstream: false,
        interval: Duration::from_secs(3600),
        grace: Duration::from_secs(3600),
    };
    let mut rest = args.iter();
    while let Some(word) = rest.next() {
        let (name, given) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let mut value = || {
            given
                .clone()
                .or_else(|| rest.next().cloned())
                .ok_or_else(|| format!("flag needs an argument: {name}"))
        };
        let seconds = |text: String| {
            text.parse().map(Duration::from_secs).map_err(|_| format!("invalid argument {text:?} for {name}"))
        };
        match name {
            "--help" | "-h" => return Ok(None),
            "--read-only" => options.read_only = true,
            "--insecure-upstream" => options.insecure_upstream = true,
            "--addr" => {
                let text = value()?;
                options.address =
                    text.parse().map_err(|_| format!("invalid argument {text:?} for {name}"))?;
            }
            "--root" => options.root = value()?.into(),
            "--tls-cert" => options.certificate = Some(value()?.into()),
            "--tls-key" => options.key = Some(value()?.into()),
            "--htpasswd" => options.htpasswd = Some(value()?.into()),
            "--upstream" => options.upstream = Some(value()?),
            "--gc-interval" => options.interval = seconds(value()?)?,
            "--gc-grace" => options.grace = seconds(value()?)?,
            _ => return Err(format!("unknown flag: {word}")),
        }
    }
    if options.certificate.is_some() != options.key.is_some() {
        return Err("--tls-cert and --tls-key go together".to_owned());
    }
    Ok(Some(options))
}

fn run(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let tls = match (&options.certificate, &options.key) {
            (Some(certificate), Some(key)) => Some(Tls::open(certificate, key)?),
            _ => None,
        };
        let access = options.htpasswd.as_deref().map(Htpasswd::open).transpose()?;
        if access.is_some() && tls.is_none() && !options.address.ip().is_loopback() {
            eprintln!("WARNING: passwords come in plain text: use --tls-cert and --tls-key");
        }
        let mode = match &options.upstream {
            Some(host) => Mode::PullThrough(Box::new(upstream(host, options.insecure_upstream))),
            None if options.read_only => Mode::ReadOnly,
            None => Mode::ReadWrite,
        };
        let registry = Registry::new(Storage::open(&options.root)?, access, mode);
        let listening = serve(registry.clone(), options.address, tls.clone()).await?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        println!("serving {} at {scheme}://{}", options.root.display(), listening.address);
        if !options.interval.is_zero() {
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(options.interval).await;
                    if let Err(error) = registry.collect_garbage(options.grace).await {
                        eprintln!("garbage collection: {error}");
                    }
                }
            });
        }
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            error = listening.serving => Err(error?.into()),
            _ = terminate.recv() => Ok(()),
            interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        }
    })
}

fn upstream(host: &str, insecure: bool) -> Upstream {
    let host = if matches!(host, "docker.io" | "registry-1.docker.io") { "docker.io" } else { host };
    let mut config = RegistryConfig::default();
    if insecure {
        config.insecure.push(host.to_owned());
    }
    Upstream {
        host: host.to_owned(),
        config,
        credentials: Credentials::default(),
        turn: tokio::sync::Mutex::new(()),
    }
}
