//! What a container has changed: `diff`, `export`, `commit`.

use brig_e2e::{Client, Host, host::follow_until, image, with_both};
use std::{fs, process::Stdio};

/// Changes of each kind.
const PROGRAM: &str = "echo a > /new; ln /new /hard; ln -s a /lnk; mkdir -p /etc/x/y; touch /etc/x/y/z; rm /bin/vi; \
    chmod 600 /etc/group; rm -rf /www; mkdir /www; touch /www/n; mkfifo /tmp/p; touch /vol/a /mem/b; \
    touch -c /bin; mv /var /var2 2>/dev/null || { cp -a /var /var2; rm -rf /var; }; echo >> /etc/hosts; echo done; sleep 1000";

const CHANGES: &str = "A /etc/x\nA /etc/x/y\nA /etc/x/y/z\nA /hard\nA /lnk\nA /mem\nA /new\nA /tmp/p\nA /var2\nA /vol\n\
    A /www/n\nC /bin\nC /etc\nC /etc/group\nC /tmp\nC /www\nD /bin/vi\nD /var\nD /www/index.html";

fn names(bytes: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(bytes);
    let name = |e: std::io::Result<tar::Entry<'_, &[u8]>>| {
        String::from_utf8_lossy(&e.unwrap().path_bytes()).trim_end_matches('/').to_owned()
    };
    archive.entries().unwrap().map(name).filter(|name| !name.starts_with("bin/")).collect()
}

fn export(host: &Host, client: Client, container: &str) -> Vec<u8> {
    let path = host.path("export.tar");
    client.run(host, &["export", "-o", path.to_str().unwrap(), container]).ok();
    fs::read(path).unwrap()
}

fn check_all(host: &Host, client: Client) {
    let run = |args: &[&str]| client.run(host, args);
    let make = [
        "run", "-d", "--name", "c1", "-e", "A=b", "-l", "x=y", "-v", "/vol", "--tmpfs", "/mem", "busybox",
        "sh", "-c", PROGRAM,
    ];
    run(&make).ok();
    follow_until(host, client, "c1", "done");
    let check = || {
        let mut changes: Vec<String> = run(&["diff", "c1"]).ok().lines().map(str::to_owned).collect();
        changes.sort();
        assert_eq!(changes.join("\n"), CHANGES);
        let all = export(host, client, "c1");
        let all = names(&all);
        for (name, there) in [
            ("new", true),
            ("www/n", true),
            ("www/index.html", false),
            ("var2", true),
            ("var", false),
            ("vol", true),
            ("vol/a", false),
            ("mem/b", false),
            ("etc/x/y/z", true),
            ("proc/1", false),
            ("proc", true),
        ] {
            assert_eq!(all.iter().any(|n| n == name), there, "{name} in {all:?}");
        }
    };
    check();
    let id = run(&[
        "commit",
        "-m",
        "msg",
        "-a",
        "me",
        "-c",
        "CMD [\"cat\",\"/new\"]",
        "-c",
        "ENV X=$A",
        "c1",
        "made:1",
    ])
    .ok();
    assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
    assert_eq!(run(&["inspect", "-f", "{{.State.Status}}", "c1"]).ok(), "running");
    // The same image of one that does not run.
    run(&["stop", "-t", "0", "c1"]).ok();
    check();
    run(&["commit", "c1", "still"]).ok();
    let layers = |image: &str| run(&["image", "inspect", "-f", "{{json .RootFS.Layers}}", image]).ok();
    let shown = "{{.Comment}} {{.Author}} {{json .Config.Cmd}} {{json .Config.Env}} {{json .Config.Labels}} {{len .RootFS.Layers}}";
    let shown = run(&["image", "inspect", "-f", shown, "made:1"]).ok();
    let defaults = "[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",";
    assert_eq!(shown.replace(defaults, "["), "msg me [\"cat\",\"/new\"] [\"A=b\",\"X=b\"] {\"x\":\"y\"} 2");
    let history = run(&["history", "--no-trunc", "--format", "{{.Comment}} {{.CreatedBy}}", "made:1"]).ok();
    assert!(history.starts_with("msg sh -c echo a > /new"), "{history}");
    assert_eq!(run(&["run", "--rm", "made:1"]).ok(), "a");
    let look = "ls /bin/vi /var /www; stat -c %h,%a /new /etc/group; ls -A /vol /mem; readlink /lnk";
    let seen = run(&["run", "--rm", "still", "sh", "-c", look]);
    assert_eq!(seen.stdout, "/www:\nn\n2,644\n1,600\n/mem:\n\n/vol:\na\n", "{}", seen.stderr);
    assert_eq!(layers("made:1").len(), layers("still").len());
    // Out and in again: the archive is an image's.
    run(&["import", host.path("export.tar").to_str().unwrap(), "again"]).ok();
    assert_eq!(run(&["run", "--rm", "again", "cat", "/new"]).ok(), "a");
    // What was saved can be loaded elsewhere, so the layer's digest is its archive's.
    let saved = host.path("saved.tar");
    run(&["save", "-o", saved.to_str().unwrap(), "made:1"]).ok();
    run(&["rm", "-vf", "c1"]).ok();
    run(&["rmi", "made:1", "still"]).ok();
    run(&["load", "-i", saved.to_str().unwrap()]).ok();
    assert_eq!(run(&["run", "--rm", "made:1"]).ok(), "a");
}

#[test]
fn what_was_changed_is_told_exported_and_committed() {
    with_both(check_all);
}

#[test]
fn the_same_where_layers_are_native_copies() {
    let host = Host::start_with(&["--storage-driver", "vfs"], &[]);
    host.import_busybox();
    check_all(&host, Client::Brig);
}

#[test]
fn what_can_not_be_committed_is_refused_in_dockers_words() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        run(&["create", "--name", "c1", "busybox", "true"]).ok();
        for (args, why) in [
            (&["nope"][..], "No such container: nope"),
            (&["c1", "BAD"], "must be lowercase"),
            (&["-c", "FOO x", "c1"], "FOO is not a valid change command"),
            (&["-c", "RUN x", "c1"], "RUN is not a valid change command"),
            (&["-c", "EXPOSE", "c1"], "EXPOSE requires at least one argument"),
        ] {
            run(&[&["commit"], args].concat()).fails(1, why);
        }
        run(&["diff", "nope"]).fails(1, "No such container: nope");
        run(&["export", "nope"]).fails(1, "No such container: nope");
        run(&["export", "-o", "/nodir/x", "c1"])
            .fails(1, "invalid output path: stat /nodir: no such file or directory");
        assert_eq!(run(&["diff", "c1"]).ok(), "");
        // Nothing changed: no layer.
        run(&["commit", "c1", "same"]).ok();
        assert_eq!(run(&["image", "inspect", "-f", "{{len .RootFS.Layers}}", "same"]).ok(), "1");
        assert_eq!(run(&["images", "-q", "-f", "dangling=true"]).ok(), "");
    });
}

#[test]
fn an_event_tells_of_a_commit_and_a_pause() {
    let host = Host::start();
    host.import_busybox();
    host.brig(&["run", "-d", "--name", "c1", "busybox", "sleep", "1000"]).ok();
    let id = host.brig(&["commit", "-m", "said", "c1", "made"]).ok();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let path = format!("/v1.45/events?since=0&until={}.{:09}", now.as_secs(), now.subsec_nanos());
    let told = String::from_utf8(host.api("GET", &path, None).body).unwrap();
    let told: Vec<serde_json::Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let commit = told.iter().find(|e| e["Action"] == "commit").unwrap();
    let attributes = &commit["Actor"]["Attributes"];
    assert_eq!((&attributes["imageID"], &attributes["imageRef"]), (&id.into(), &"made:latest".into()));
    assert_eq!(attributes["comment"], "said");
    let paused: Vec<_> =
        told.iter().map(|e| &e["Action"]).filter(|a| *a == "pause" || *a == "unpause").collect();
    assert_eq!(paused, ["pause", "unpause"]);
    host.brig(&["commit", "--pause=false", "c1"]).ok();
}

#[test]
fn an_export_that_is_cut_off_holds_nothing() {
    let host = Host::start();
    host.import_busybox();
    host.brig(&["create", "--name", "c1", "busybox", "true"]).ok();
    let mut reader = Client::Brig.command(&host, &["export", "c1"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 512];
    std::io::Read::read_exact(reader.stdout.as_mut().unwrap(), &mut first).unwrap();
    reader.kill().unwrap();
    reader.wait().unwrap();
    host.brig(&["start", "-a", "c1"]).ok();
    assert!(image::busybox_tar().len() > 1 << 20, "more than pipes hold");
}

#[test]
fn a_commit_while_the_daemon_is_killed_leaves_nothing_half() {
    let host = Host::start_with(&[], &[("BRIG_FAILPOINTS", "store.layer.recorded=kill")]);
    // The import of the image comes to the failpoint first.
    let _ = Client::Brig.run_with(&host, &["import", "-", image::BUSYBOX], image::busybox_tar());
    host.await_daemon_death();
    host.start_daemon(&[]);
    host.import_busybox();
    host.brig(&["run", "--name", "c1", "busybox", "touch", "/new"]).ok();
    host.stop_daemon();
    host.start_daemon(&[("BRIG_FAILPOINTS", "store.image.record=kill")]);
    let _ = host.brig(&["commit", "c1", "made"]);
    host.await_daemon_death();
    host.start_daemon(&[]);
    host.brig(&["image", "inspect", "made"]).fails(1, "No such image: made");
    host.brig(&["commit", "c1", "made"]).ok();
    host.brig(&["run", "--rm", "made", "ls", "/new"]).ok();
}
