//! How much room things take, and getting it back: `system df`, `system prune` and the other prunes.

use brig_e2e::{Host, with_both};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::path::PathBuf;

const ASK: &str = "\nAre you sure you want to continue? [y/N] ";

#[test]
fn df_tells_what_is_shared_and_what_nobody_uses() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        run(&[
            "run",
            "--name",
            "c1",
            "-v",
            "vol:/x",
            "busybox",
            "sh",
            "-c",
            "echo hello > /x/f; head -c 5000 /dev/zero > /f",
        ])
        .ok();
        run(&["commit", "c1", "made:1"]).ok();
        run(&["tag", "made:1", "made:2"]).ok();
        run(&["volume", "create", "unused"]).ok();
        let lines =
            run(&["system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}} {{.Reclaimable}}"]).ok();
        let lines: Vec<&str> = lines.lines().collect();
        assert!(lines[0].starts_with("Images 2 1 "), "{lines:?}");
        assert_eq!(
            lines[1..],
            ["Containers 1 0 5kB (100%)", "Local Volumes 2 1 0B (0%)", "Build Cache 0 0 0B"]
        );
        let format = "{{range .Images}}{{.Repository}} {{.Containers}} {{.UniqueSize}}|{{end}}\
                      {{range .Containers}}{{.Names}} {{.LocalVolumes}} {{.Size}}|{{end}}\
                      {{range .Volumes}}{{.Name}} {{.Links}} {{.Size}}|{{end}}";
        let told = run(&["system", "df", "-v", "--format", format]).ok();
        assert_eq!(told, "made 0 5kB|busybox 1 0B|c1 1 5kB|unused 0 0B|vol 1 6B|", "{told}");
        let json = run(&["system", "df", "-v", "--format", "json"]).ok();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&json["BuildCache"], json["Images"].as_array().unwrap().len()),
            (&serde_json::json!([]), 2)
        );
        let table = run(&["system", "df", "-v"]).ok();
        for header in [
            "Images space usage:\n\nREPOSITORY   TAG       IMAGE ID ",
            "\n\nContainers space usage:\n\nCONTAINER ID   IMAGE     COMMAND ",
            "\n\nLocal Volumes space usage:\n\nVOLUME NAME   LINKS     SIZE\n",
            "\n\nBuild cache usage: 0B\n\nCACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED",
        ] {
            assert!(table.contains(header), "{header:?} in {table}");
        }
        let only = host.api("GET", "/v1.45/system/df?type=volume&type=build-cache", None).json();
        assert_eq!(
            (&only["LayersSize"], &only["Images"], &only["Containers"]),
            (&0.into(), &serde_json::Value::Null, &serde_json::Value::Null)
        );
        assert_eq!(
            (only["Volumes"].as_array().unwrap().len(), &only["BuildCache"]),
            (2, &serde_json::json!([]))
        );
        let wrong = host.api("GET", "/v1.45/system/df?type=foo", None);
        assert_eq!((wrong.status, wrong.message().as_str()), (400, "unknown object type: foo"));
    });
}

#[test]
fn prunes_ask_first_and_remove_what_nobody_uses() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        let id = run(&["run", "-d", "--label", "keep=1", "--name", "runs", "busybox", "sleep", "1000"]).ok();
        let kept = run(&["create", "--label", "keep=1", "busybox", "true"]).ok();
        let gone = run(&["run", "-d", "busybox", "sh", "-c", "head -c 5000 /dev/zero > /f"]).ok();
        run(&["wait", &gone]).ok();
        run(&["commit", &gone]).ok();
        let used = "all networks not used by at least one container";
        let asks = |args: &[&str], what: &str| {
            let asked = client.run_with(host, &[&["system", "prune"], args].concat(), b"n\n");
            assert_eq!((asked.code, asked.stdout), (0, format!("WARNING! This will remove:\n{what}\n{ASK}")));
        };
        asks(
            &[],
            &format!(
                "  - all stopped containers\n  - {used}\n  - all dangling images\n  - unused build cache"
            ),
        );
        let all = "all images without at least one container associated to them";
        let volumes = "all anonymous volumes not used by at least one container";
        asks(
            &["-a", "--volumes", "--filter", "label=x"],
            &format!(
                "  - all stopped containers\n  - {used}\n  - {volumes}\n  - {all}\n  - all build cache\n\n  \
                 Items to be pruned will be filtered with:\n  - label=x"
            ),
        );
        run(&["system", "prune", "-f", "--volumes", "--filter", "until=24h"])
            .fails(1, "ERROR: The \"until\" filter is not supported with \"--volumes\"");
        run(&["system", "prune", "-f", "--filter", "foo=bar"]).fails(1, "invalid filter 'foo'");
        let pruned = run(&["system", "prune", "-f", "--filter", "label!=keep"]).ok();
        assert!(
            pruned.starts_with(&format!("Deleted Containers:\n{gone}\n\nDeleted Images:\ndeleted: sha256:")),
            "{pruned}"
        );
        assert!(pruned.ends_with("\n\nTotal reclaimed space: 10kB"), "{pruned}");
        let left = run(&["ps", "-aq", "--no-trunc"]).ok();
        assert_eq!(left, format!("{kept}\n{id}"));
        let pruned = run(&["container", "prune", "-f"]).ok();
        assert_eq!(pruned, format!("Deleted Containers:\n{kept}\n\nTotal reclaimed space: 0B"));
        // One that runs keeps its image.
        assert_eq!(run(&["image", "prune", "-af"]).ok(), "Total reclaimed space: 0B");
        assert_eq!(run(&["images", "-q"]).ok().lines().count(), 1);
        assert_eq!(run(&["network", "prune", "-f"]).ok(), "");
        run(&["network", "prune", "-f", "--filter", "foo=b"]).fails(1, "invalid filter 'foo'");
        let told = events(host);
        for (kind, reclaimed) in [("container", "5000"), ("image", "5000"), ("network", "0")] {
            let is = |e: &&serde_json::Value| {
                e["Action"] == "prune"
                    && e["Type"] == kind
                    && e["Actor"]["Attributes"]["reclaimed"] == reclaimed
            };
            assert!(told.iter().any(|e| is(&e)), "{kind} in {told:?}");
        }
    });
}

/// All events so far.
fn events(host: &brig_e2e::Host) -> Vec<serde_json::Value> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    // To the nanosecond: whole seconds would leave out what has just happened.
    let path = format!("/v1.45/events?since=0&until={}.{:09}", now.as_secs(), now.subsec_nanos());
    let answer = String::from_utf8(host.api("GET", &path, None).body).unwrap();
    answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A small disk, until it is dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: PathBuf) -> Self {
        std::fs::create_dir(&at).unwrap();
        mount("tmpfs", &at, "tmpfs", MountFlags::empty(), c"size=16m").unwrap();
        Self(at)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A test that has failed already says why.
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

#[test]
fn what_fills_the_disk_can_be_stopped_and_removed() {
    let host = Host::prepare(&[]);
    let disk = Disk::mount(host.path("data"));
    host.start_daemon(&[]);
    host.import_busybox();
    let run = |args: &[&str]| host.brig(args);
    for (name, policy) in [("calm", "always"), ("dies", "no"), ("fills", "no")] {
        run(&["run", "-d", "--name", name, "--restart", policy, "busybox", "sleep", "1000"]).ok();
    }
    let fill = |name: &str| {
        run(&["exec", name, "sh", "-c", "cat /dev/zero > /big"]).fails(1, "No space left on device");
        run(&["rename", name, "other"]).fails(1, "disk is full");
    };
    fill("fills");
    run(&["stop", "-t", "0", "calm"]).ok();
    run(&["kill", "dies"]).ok();
    run(&["kill", "fills"]).ok();
    let states = run(&["ps", "-a", "--format", "{{.Names}} {{.State}}"]).ok();
    assert_eq!(states, "fills exited\ndies exited\ncalm exited");
    run(&["rm", "fills"]).ok();
    // There is room again.
    run(&["start", "calm"]).ok();
    // The same where the end of a run and the removal are one step.
    fill("calm");
    run(&["rm", "-f", "calm"]).ok();
    run(&["start", "dies"]).ok();
    fill("dies");
    run(&["rm", "-f", "dies"]).ok();
    assert_eq!(run(&["ps", "-aq"]).ok(), "");
    host.stop_daemon();
    drop(disk);
}
