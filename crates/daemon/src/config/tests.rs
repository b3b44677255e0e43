use super::{Command, Config, Host, LogLevel, StorageDriver, load};
use std::{path::Path, time::Duration};

struct File(tempfile::NamedTempFile);

impl File {
    fn new(text: &str) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Self(file)
    }

    fn args(&self, more: &[&str]) -> Vec<String> {
        let mut args = vec!["--config-file".to_owned(), self.0.path().display().to_string()];
        args.extend(more.iter().map(|a| (*a).to_owned()));
        args
    }
}

fn config(file: &str, flags: &[&str]) -> Config {
    match load(&File::new(file).args(flags)) {
        Ok(Command::Run(config)) => *config,
        other => panic!("{other:?}"),
    }
}

fn error(file: &str, flags: &[&str]) -> String {
    load(&File::new(file).args(flags)).unwrap_err().to_string()
}

#[test]
fn defaults() {
    let config = config("", &[]);
    assert_eq!(config.paths.data_root(), Path::new("/var/lib/brig"));
    assert_eq!(config.pidfile, Path::new("/run/brig/brig.pid"));
    assert_eq!((config.log_level, config.shm_size, config.hosts.len()), (LogLevel::Info, 64 << 20, 0));
    assert!(config.network.firewall && config.network.userland_proxy && config.network.bridge.is_none());
    assert!(config.warnings.is_empty());
}

#[test]
fn flags_are_read_as_pflag_reads_them() {
    let config = config(
        "",
        &[
            "-Dl",
            "warn",
            "-H",
            "unix:///a",
            "-Htcp://:1",
            "--host=tcp://[::1]:2",
            "-g=/data",
            "--iptables=false",
            "--log-opt",
            "max-size=1m",
            "--log-opt",
            "max-file=2",
            "--default-ulimit",
            "nofile=1:2",
            "-s",
            "vfs",
            "--default-shm-size",
            "1m",
            "--exec-root",
            "/run/x",
            "--shutdown-timeout=3",
            "--mtu",
            "1400",
        ],
    );
    assert_eq!(
        config.hosts,
        [
            Host::Unix("/a".into()),
            Host::Tcp { host: "127.0.0.1".into(), port: 1 },
            Host::Tcp { host: "::1".into(), port: 2 },
        ]
    );
    assert!(config.debug() && !config.network.firewall);
    assert_eq!(config.paths.data_root(), Path::new("/data"));
    assert_eq!(config.pidfile, Path::new("/run/x/brig.pid"));
    assert_eq!(config.log_options.len(), 2);
    assert_eq!(
        (config.ulimits[0].name.as_str(), config.ulimits[0].soft, config.ulimits[0].hard),
        ("nofile", 1, 2)
    );
    assert_eq!((config.storage_driver, config.shm_size), (StorageDriver::Copies, 1 << 20));
    assert_eq!((config.shutdown_timeout, config.network.mtu), (Duration::from_secs(3), Some(1400)));
}

#[test]
fn wrong_flags_are_told() {
    for (flags, message) in [
        (&["--nope"][..], "unknown flag: --nope\nSee 'brig daemon --help'."),
        (&["-z"], "unknown shorthand flag: 'z' in -z\nSee 'brig daemon --help'."),
        (&["--host"], "flag needs an argument: --host\nSee 'brig daemon --help'."),
        (&["-H"], "flag needs an argument: 'H' in -H\nSee 'brig daemon --help'."),
        (&["extra"], "\"brig daemon\" accepts no arguments.\nSee 'brig daemon --help'."),
        (
            &["--mtu", "x"],
            "invalid argument \"x\" for \"--mtu\" flag: strconv.ParseInt: parsing \"x\": invalid syntax\nSee 'brig daemon --help'.",
        ),
        (
            &["--debug=maybe"],
            "invalid argument \"maybe\" for \"--debug\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax\nSee 'brig daemon --help'.",
        ),
        (&["-l", "loud"], "invalid logging level: loud"),
        (&["-H", "ftp://x"], "invalid bind address (ftp://x): unsupported proto 'ftp'"),
        (&["--dns", "x"], "x is not an ip address"),
        (&["--label", "x"], "bad attribute format: x"),
        (&["--mtu=-1"], "invalid default MTU: -1"),
        (&["--default-shm-size", "1x"], "invalid size: '1x'"),
        (
            &["--default-ulimit", "nofile=3:2"],
            "ulimit soft limit must be less than or equal to hard limit: 3 > 2",
        ),
    ] {
        assert_eq!(error("", flags), message, "{flags:?}");
    }
    assert!(error("", &["--tlsverify"]).starts_with("--tlsverify can't be used: "));
}

#[test]
fn the_file_is_dockerds() {
    let config = config(
        r#"{"hosts":["unix:///a"],"labels":["a=b"],"debug":true,"log-opts":{"max-size":"1m"},
            "default-ulimits":{"nofile":{"Name":"nofile","Hard":2,"Soft":1}},"live-restore":true,
            "proxies":{"http-proxy":"http://p"},"features":{"buildkit":true},"iptables":false,
            "runtimes":{"runc":{"path":"runc"}},"exec-opts":["native.cgroupdriver=cgroupfs"],"bip":null}"#,
        &[],
    );
    assert!(config.debug() && !config.network.firewall);
    assert_eq!((config.labels.as_slice(), config.hosts.len()), (&["a=b".to_owned()][..], 1));
    assert_eq!((config.ulimits[0].soft, config.ulimits[0].hard), (1, 2));
    assert_eq!(config.log_options["max-size"], "1m");
    assert_eq!(config.warnings.len(), 4, "{:?}", config.warnings);
}

#[test]
fn wrong_files_are_told_in_the_words_of_dockerd() {
    for (file, flags, message) in [
        (
            r#"{"frobnicate":1,"debug":true}"#,
            &[][..],
            "the following directives don't match any configuration option: frobnicate",
        ),
        (
            r#"{"debug":false,"hosts":["unix:///b"]}"#,
            &["--debug", "-H", "unix:///a"],
            "the following directives are specified both as a flag and in the configuration file: debug: (from flag: true, from file: false), hosts: (from flag: [unix:///a], from file: [unix:///b])",
        ),
        (r#"{"debug": tr"#, &[], "unexpected end of JSON input"),
        (
            r#"{"debug": "x"}"#,
            &[],
            "json: cannot unmarshal string into Go struct field Config.debug of type bool",
        ),
        (
            r#"{"hosts": [1]}"#,
            &[],
            "json: cannot unmarshal array into Go struct field Config.hosts of type []string",
        ),
    ] {
        let found = error(file, flags);
        assert!(found.starts_with("unable to configure the Docker daemon with file /"), "{found}");
        assert!(found.ends_with(message), "{found}");
    }
    let args = ["--config-file", "/nonexistent/daemon.json"].map(str::to_owned);
    assert!(load(&args).unwrap_err().to_string().contains("No such file"));
}

#[test]
fn a_reload_takes_the_level_of_the_file() {
    let file = File::new(r#"{"log-level":"info"}"#);
    let Ok(Command::Run(config)) = load(&file.args(&[])) else { panic!() };
    std::fs::write(file.0.path(), r#"{"debug":true}"#).unwrap();
    assert_eq!(config.reloaded_level().unwrap(), LogLevel::Debug);
    std::fs::write(file.0.path(), "{").unwrap();
    config.reloaded_level().unwrap_err();
}

#[test]
fn help_and_validate() {
    let ask = |flags: &[&str]| load(&File::new("").args(flags)).unwrap();
    let Command::Help(help) = ask(&["--help"]) else { panic!() };
    for expected in ["Usage:  brig daemon", "-H, --host", "Examples:", "--cgroup-parent"] {
        assert!(help.contains(expected), "{help}");
    }
    assert!(!help.contains("--tlsverify "));
    assert!(matches!(ask(&["-v"]), Command::Version));
    assert!(matches!(ask(&["--validate"]), Command::Validate));
}
