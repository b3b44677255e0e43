//! Volumes: made, listed, used, removed, pruned.

use brig_e2e::{Host, with_both};
use std::fs;

#[test]
fn a_volume_is_made_listed_inspected_used_and_removed() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        assert_eq!(run(&["volume", "create", "--label", "a=b", "--label", "c", "data"]).ok(), "data");
        assert_eq!(run(&["volume", "create", "data"]).ok(), "data");
        let anonymous = run(&["volume", "create"]).ok();
        assert_eq!(anonymous.len(), 64);
        run(&["volume", "create", "other"]).ok();
        let list = |filter: &str| run(&["volume", "ls", "-q", "-f", filter]).ok();
        assert_eq!(list("name=dat"), "data");
        assert_eq!(list("label=a"), "data");
        assert_eq!(list("label=a=x"), "");
        assert_eq!(list("driver=local").lines().count(), 3);
        let table = run(&["volume", "ls", "-f", "name=^other$"]).ok();
        assert_eq!(table, "DRIVER    VOLUME NAME\nlocal     other");
        let line =
            run(&["volume", "ls", "-f", "label=a", "--format", "{{.Name}} {{.Label \"a\"}} {{.Size}}"]);
        assert_eq!(line.ok(), "data b N/A");
        let shown =
            run(&["volume", "inspect", "-f", "{{.Driver}} {{.Scope}} {{.Labels}} {{.Options}}", "data"]).ok();
        assert_eq!(shown, "local local map[a:b c:] map[]");

        let id = run(&["create", "-v", "data:/x", "busybox", "sh", "-c", "echo in > /x/f"]).ok();
        assert_eq!(list("dangling=false"), "data");
        assert_eq!(list("dangling=true").lines().count(), 2);
        let in_use = format!("remove data: volume is in use - [{id}]");
        run(&["volume", "rm", "data"]).fails(1, &in_use);
        run(&["volume", "rm", "-f", "data"]).fails(1, &in_use);
        run(&["start", "-a", &id]).ok();
        let folder = run(&["volume", "inspect", "-f", "{{.Mountpoint}}", "data"]).ok();
        assert_eq!(fs::read_to_string(format!("{folder}/f")).unwrap(), "in\n");
        run(&["rm", &id]).ok();
        let both = run(&["volume", "rm", "data", "nope", "other"]).fails(1, "get nope: no such volume");
        assert_eq!(both.stdout, "data\nother\n");
        assert!(!std::path::Path::new(&folder).exists());
        assert_eq!(run(&["volume", "rm", "-f", "nope"]).ok(), "nope");
        run(&["volume", "rm", &anonymous]).ok();
    });
}

#[test]
fn what_is_no_volume_is_refused_in_dockers_words() {
    with_both(|host, client| {
        for (args, why) in [
            (
                &["-d", "nope", "vol"][..],
                "create vol: error looking up volume plugin nope: plugin \"nope\" not found",
            ),
            (
                &["v"],
                "create v: volume name is too short, names should be at least two alphanumeric characters",
            ),
            (&["bad/name"], "includes invalid characters for a local volume name"),
            (&["../up"], "includes invalid characters for a local volume name"),
            (&["-o", "foo=bar", "vol"], "create vol: invalid option: \"foo\""),
            (&["-o", "type=tmpfs", "vol"], "create vol: missing required option: \"device\""),
            (&["-o", "device=tmpfs", "vol"], "create vol: missing required option: \"type\""),
            (&["-o", "size=10m", "vol"], "create vol: quota size requested but no quota support"),
            (
                &["--name", "one", "two"],
                "cannot specify a volume-name through both --name and as a positional arg",
            ),
        ] {
            client.run(host, &[&["volume", "create"], args].concat()).fails(1, why);
        }
        for (filter, why) in
            [("foo=bar", "invalid filter 'foo'"), ("dangling=x", "invalid filter 'dangling=[x]'")]
        {
            client.run(host, &["volume", "ls", "-f", filter]).fails(1, why);
        }
        client.run(host, &["volume", "inspect", "nope"]).fails(1, "get nope: no such volume");
        assert_eq!(client.run(host, &["volume", "ls", "-q"]).ok(), "");
        client.run(host, &["volume", "create", "vol"]).ok();
        client.run(host, &["volume", "update", "vol"]).fails(1, "can only update cluster volumes");
        let put = host.api("PUT", "/volumes/vol?version=1", Some("{}"));
        assert_eq!((put.status, put.message().contains("swarm is unavailable")), (503, true));
    });
}

#[test]
fn volumes_with_options_are_what_they_say() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        let outside = host.path("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("f"), "of the host").unwrap();
        let device = format!("device={}", outside.display());
        run(&["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", &device, "bound"]).ok();
        let tmpfs = ["-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,uid=7"];
        run(&[&["volume", "create"], &tmpfs[..], &["memory"]].concat()).ok();
        let program =
            "cat /b/f; echo; echo new > /b/g; echo x > /m/x; grep ' /m ' /proc/mounts; stat -c '%u %a' /m";
        let create =
            ["create", "--name", "c1", "-v", "bound:/b", "-v", "memory:/m", "busybox", "sh", "-c", program];
        run(&create).ok();
        for _ in 0..2 {
            let said = run(&["start", "-a", "c1"]).ok();
            let lines: Vec<&str> = said.lines().collect();
            assert_eq!((lines[0], lines[2]), ("of the host", "7 1777"), "{said}");
            assert!(lines[1].starts_with("tmpfs /m tmpfs rw,") && lines[1].contains("size=1024k"), "{said}");
        }
        assert_eq!(fs::read_to_string(outside.join("g")).unwrap(), "new\n");
        // Copying sees the same.
        let copied = host.path("copied");
        run(&["cp", "c1:/b/g", copied.to_str().unwrap()]).ok();
        assert_eq!(fs::read_to_string(copied).unwrap(), "new\n");
        run(&["rm", "c1"]).ok();
        run(&["volume", "rm", "bound", "memory"]).ok();
        assert!(outside.join("f").exists(), "what is bound is not the volume's to remove");
    });
}

#[test]
fn unused_volumes_are_pruned() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        for name in ["plain", "used"] {
            run(&["volume", "create", name]).ok();
        }
        for label in ["k=v", "k=w"] {
            run(&["volume", "create", "--label", label, &label.replace('=', "-")]).ok();
        }
        let anonymous = run(&["volume", "create"]).ok();
        run(&["run", "-v", "used:/u", "-v", "/held", "busybox", "true"]).ok();
        fs::write(host.path(&format!("data/volumes/{anonymous}/_data/f")), [0; 1000]).unwrap();
        let pruned = run(&["volume", "prune", "-f"]).ok();
        assert_eq!(pruned, format!("Deleted Volumes:\n{anonymous}\n\nTotal reclaimed space: 1kB"));
        let pruned = run(&["volume", "prune", "-af", "--filter", "label=k=v"]).ok();
        assert_eq!(pruned, "Deleted Volumes:\nk-v\n\nTotal reclaimed space: 0B");
        let pruned = run(&["volume", "prune", "-af", "--filter", "label!=k=w"]).ok();
        assert_eq!(pruned, "Deleted Volumes:\nplain\n\nTotal reclaimed space: 0B");
        run(&["volume", "prune", "-f", "--filter", "foo=b"]).fails(1, "invalid filter 'foo'");
        let asked = client.run_with(host, &["volume", "prune", "-a"], b"n\n");
        let warning = "WARNING! This will remove all local volumes not used by at least one container.\n\
                       Are you sure you want to continue? [y/N] ";
        assert_eq!((asked.code, asked.stdout.as_str()), (0, warning));
        let asked = client.run_with(host, &["volume", "prune", "-a"], b"y\n").ok();
        assert!(asked.ends_with("Deleted Volumes:\nk-w\n\nTotal reclaimed space: 0B"), "{asked}");
        assert_eq!(run(&["volume", "ls", "-q", "-f", "name=used"]).ok(), "used");
        assert_eq!(run(&["volume", "ls", "-q"]).ok().lines().count(), 2);
    });
}

#[test]
fn a_volume_in_use_by_a_container_under_way_is_not_pruned() {
    let host = Host::start();
    host.import_busybox();
    std::thread::scope(|scope| {
        for n in 0..3 {
            let host = &host;
            scope.spawn(move || {
                for round in 0..8 {
                    let (name, volume) = (format!("c{n}-{round}"), format!("vol-{n}-{round}:/x"));
                    host.brig(&["create", "--name", &name, "-v", &volume, "busybox", "true"]).ok();
                    host.brig(&["start", "-a", &name]).ok();
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..20 {
                host.brig(&["volume", "prune", "-af"]).ok();
            }
        });
    });
    assert_eq!(host.brig(&["volume", "ls", "-q"]).ok().lines().count(), 24);
}
