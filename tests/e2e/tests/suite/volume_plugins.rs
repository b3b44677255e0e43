//! Volume plugins, by Docker's plugin protocol: a small one that keeps volumes in folders, and ones that hang and lie.

use brig_e2e::{Host, with_both};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, mpsc},
    time::{Duration, Instant},
};

const SOCKETS: &str = "/run/docker/plugins";

type Respond = dyn Fn(&str, &serde_json::Value) -> String + Send + Sync;

/// A plugin that serves until this is dropped. What it was asked is in `asked`.
struct Plugin {
    name: String,
    socket: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Plugin {
    fn serve(socket: PathBuf, name: &str, respond: Arc<Respond>) -> Self {
        fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let log = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let (respond, log) = (respond.clone(), log.clone());
                std::thread::spawn(move || while one(&stream, &*respond, &log).is_some() {});
            }
        });
        Self { name: name.to_owned(), socket, asked }
    }

    /// With a name that no other test has.
    fn start(
        host: &Host,
        suffix: &str,
        respond: impl Fn(&str, &serde_json::Value) -> String + Send + Sync + 'static,
    ) -> Self {
        let unique = host.dir().file_name().unwrap().to_str().unwrap();
        let name = format!("{unique}-{suffix}").to_lowercase();
        Self::serve(Path::new(SOCKETS).join(format!("{name}.sock")), &name, Arc::new(respond))
    }

    fn asked(&self, what: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.starts_with(what)).count()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        fs::remove_file(&self.socket).unwrap();
        // Others' sockets may be there; so may have been the folder.
        let _ = fs::remove_dir(SOCKETS);
    }
}

/// Answers one request; `None` at the end of the connection.
fn one(stream: &UnixStream, respond: &Respond, log: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let method = first.split(' ').nth(1)?.trim_start_matches('/').to_owned();
    let question = serde_json::from_slice(&body).unwrap_or_default();
    log.lock().unwrap().push(format!("{method} {question}"));
    let answer = respond(&method, &question);
    let status = if answer.contains(r#""Err":"s"#) { "500 Internal Server Error" } else { "200 OK" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        answer.len()
    );
    let mut stream = stream;
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(answer.as_bytes()).ok()
}

const MEETS: &str = r#"{"Implements":["VolumeDriver"]}"#;

/// Keeps volumes as folders of `root`.
fn folders(root: PathBuf) -> impl Fn(&str, &serde_json::Value) -> String + Send + Sync {
    move |method, question| {
        let name = question["Name"].as_str().unwrap_or_default();
        let folder = root.join(name);
        let shape = |name: &str| serde_json::json!({"Name": name, "Mountpoint": root.join(name), "Status": {"kept": "well"}});
        match method {
            "Plugin.Activate" => MEETS.to_owned(),
            "VolumeDriver.Capabilities" => r#"{"Capabilities":{"Scope":"global"}}"#.to_owned(),
            "VolumeDriver.Create" if question["Opts"]["fail"].is_string() => {
                r#"{"Err":"some disk is full"}"#.to_owned()
            }
            "VolumeDriver.Create" => {
                fs::create_dir_all(&folder).unwrap();
                "{}".to_owned()
            }
            "VolumeDriver.Remove" => {
                fs::remove_dir_all(&folder).unwrap();
                r#"{"Err":""}"#.to_owned()
            }
            "VolumeDriver.Mount" | "VolumeDriver.Path" => {
                serde_json::json!({"Mountpoint": folder}).to_string()
            }
            "VolumeDriver.Unmount" => "{}".to_owned(),
            "VolumeDriver.Get" => serde_json::json!({"Volume": shape(name)}).to_string(),
            "VolumeDriver.List" => {
                let names = fs::read_dir(&root)
                    .unwrap()
                    .map(|entry| entry.unwrap().file_name().into_string().unwrap());
                serde_json::json!({"Volumes": names.map(|name| shape(&name)).collect::<Vec<_>>()}).to_string()
            }
            other => panic!("asked for {other}"),
        }
    }
}

#[test]
fn a_plugins_volumes_are_made_mounted_told_of_and_removed() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        let root = host.path("plugged");
        fs::create_dir(&root).unwrap();
        let plugin = Plugin::start(host, "good", folders(root.clone()));
        let driver = plugin.name.as_str();
        assert_eq!(run(&["volume", "create", "-d", driver, "-o", "speed=high", "far"]).ok(), "far");
        assert_eq!(plugin.asked(r#"VolumeDriver.Create {"Name":"far","Opts":{"speed":"high"}}"#), 1);
        let shown = "{{.Driver}} {{.Scope}} {{.Mountpoint}} {{.Status.kept}}";
        let expected = format!("{driver} global {} well", root.join("far").display());
        assert_eq!(run(&["volume", "inspect", "-f", shown, "far"]).ok(), expected);
        run(&["run", "-d", "--name", "one", "-v", "far:/etc", "busybox", "sleep", "1000"]).ok();
        assert!(root.join("far/passwd").exists(), "filled from the image");
        // One mount to fill it, one for the container.
        assert_eq!((plugin.asked("VolumeDriver.Mount"), plugin.asked("VolumeDriver.Unmount")), (2, 1));
        let id = run(&["inspect", "-f", "{{.Id}}", "one"]).ok();
        assert_eq!(plugin.asked(&format!(r#"VolumeDriver.Mount {{"ID":"{id}","Name":"far"}}"#)), 1);
        run(&["volume", "rm", "far"]).fails(1, "volume is in use");
        // The next daemon knows what it has to give back.
        host.kill_daemon();
        host.start_daemon(&[]);
        run(&["exec", "one", "ls", "/etc/passwd"]).ok();
        run(&["rm", "-f", "one"]).ok();
        assert_eq!(plugin.asked(&format!(r#"VolumeDriver.Unmount {{"ID":"{id}","Name":"far"}}"#)), 1);
        // By a container's own driver, named and not; copying into one that does not run.
        run(&[
            "create",
            "--name",
            "two",
            "--volume-driver",
            driver,
            "-v",
            "near:/n",
            "-v",
            "/anonymous",
            "busybox",
            "true",
        ])
        .ok();
        let file = host.path("file");
        fs::write(&file, "copied").unwrap();
        run(&["cp", file.to_str().unwrap(), "two:/n/file"]).ok();
        assert_eq!(fs::read_to_string(root.join("near/file")).unwrap(), "copied");
        let mount = format!("type=volume,src=third,dst=/t,volume-driver={driver},volume-opt=a=b");
        run(&["run", "--rm", "--mount", &mount, "busybox", "touch", "/t/x"]).ok();
        assert!(root.join("third/x").exists());
        assert_eq!(run(&["volume", "ls", "-q", "-f", &format!("driver={driver}")]).ok().lines().count(), 4);
        run(&["rm", "-v", "two"]).ok();
        // One that the plugin has and brig has not made is shown.
        fs::create_dir(root.join("theirs")).unwrap();
        assert_eq!(run(&["volume", "ls", "-q", "-f", "name=theirs"]).ok(), "theirs");
        assert_eq!(
            run(&["volume", "prune", "-af"]).ok(),
            "Total reclaimed space: 0B",
            "others' volumes are theirs"
        );
        run(&["volume", "rm", "far", "near", "third"]).ok();
        assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
        let failed = "create bad: VolumeDriver.Create: some disk is full";
        run(&["volume", "create", "-d", driver, "-o", "fail=1", "bad"]).fails(1, failed);
        let mounts = plugin.asked("VolumeDriver.Mount");
        assert_eq!(mounts, plugin.asked("VolumeDriver.Unmount"), "{:?}", plugin.asked);
        let info = run(&["info", "-f", "{{.Plugins.Volume}}"]).ok();
        assert_eq!(info, format!("[local {driver}]"));
    });
}

#[test]
fn a_plugin_that_hangs_or_lies_stalls_and_harms_nothing_else() {
    let host = Host::start();
    host.import_busybox();
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let hanging = Plugin::start(&host, "hangs", move |method, _| match method {
        "Plugin.Activate" => MEETS.to_owned(),
        "VolumeDriver.Create" => {
            // Until the test lets it go.
            let _ = held.lock().unwrap().recv();
            r#"{"Err":"never mind"}"#.to_owned()
        }
        _ => "{}".to_owned(),
    });
    std::thread::scope(|scope| {
        let stuck = scope.spawn(|| {
            host.brig(&["create", "--volume-driver", &hanging.name, "-v", "stuck:/x", "busybox", "true"])
        });
        while hanging.asked("VolumeDriver.Create") == 0 {
            std::thread::yield_now();
        }
        let begun = Instant::now();
        host.brig(&["volume", "create", "free"]).ok();
        host.brig(&["run", "--rm", "-v", "free:/x", "busybox", "true"]).ok();
        host.brig(&["volume", "rm", "free"]).ok();
        host.brig(&["volume", "prune", "-af"]).ok();
        host.brig(&["volume", "ls"]).ok();
        assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
        release.send(()).unwrap();
        stuck.join().unwrap().fails(1, "create stuck: VolumeDriver.Create: never mind");
    });
    assert_eq!(host.brig(&["volume", "ls", "-q"]).ok(), "");

    let lying = Plugin::start(&host, "lies", |method, question| {
        match (method, question["Name"].as_str().unwrap_or_default()) {
            ("Plugin.Activate", _) => MEETS.to_owned(),
            ("VolumeDriver.Mount", "relative") => r#"{"Mountpoint":"../etc"}"#.to_owned(),
            ("VolumeDriver.Mount", "gone") => r#"{"Mountpoint":"/nowhere/at/all"}"#.to_owned(),
            ("VolumeDriver.Mount", "file") => r#"{"Mountpoint":"/etc/passwd"}"#.to_owned(),
            ("VolumeDriver.Mount", "garbage") => "<html>".to_owned(),
            ("VolumeDriver.Mount", "status") => r#"{"Err":"some trouble"}"#.to_owned(),
            ("VolumeDriver.Get", _) => r#"{"Volume":null}"#.to_owned(),
            ("VolumeDriver.List", _) => "[]".to_owned(),
            _ => "{}".to_owned(),
        }
    });
    for (name, why) in [
        ("relative", "the mount point \"../etc\" is no folder"),
        ("gone", "the mount point \"/nowhere/at/all\" is no folder"),
        ("file", "the mount point \"/etc/passwd\" is no folder"),
        ("garbage", "can't be read"),
        ("status", "VolumeDriver.Mount: some trouble"),
    ] {
        host.brig(&["volume", "create", "-d", &lying.name, name]).ok();
        let run = host.brig(&["run", "--rm", "-v", &format!("{name}:/x"), "busybox", "true"]);
        assert!(run.code != 0 && run.stderr.contains(why), "{run:?}");
        host.brig(&["volume", "inspect", name]).fails(1, "tells nothing of volume");
        host.brig(&["volume", "ls", "-q"]).ok();
        host.brig(&["volume", "rm", name]).ok();
    }
    let other = Plugin::start(&host, "other", |_, _| r#"{"Implements":["NetworkDriver"]}"#.to_owned());
    let why = "does not implement the requested interface";
    host.brig(&["volume", "create", "-d", &other.name, "x-y"]).fails(1, why);
    for name in ["nope", "../../tmp/x"] {
        let why = format!("create x-y: error looking up volume plugin {name}: plugin \"{name}\" not found");
        host.brig(&["volume", "create", "-d", name, "x-y"]).fails(1, &why);
    }
    // One that is gone takes nothing with it.
    host.brig(&["volume", "create", "-d", &lying.name, "left"]).ok();
    drop(lying);
    host.brig(&["volume", "rm", "left"]).fails(1, "not found");
    assert_eq!(host.brig(&["volume", "ls", "-q"]).ok(), "left");
    host.brig(&["volume", "rm", "-f", "left"]).ok();
    assert_eq!(host.brig(&["volume", "ls", "-q"]).ok(), "");
}
