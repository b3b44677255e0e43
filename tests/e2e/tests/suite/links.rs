//! Legacy links between containers on the default network.

use brig_e2e::Client;
use brig_e2e::{Host, host::follow_until, with_both};

#[test]
fn hosts_environment_and_names() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        let box_ = |name: &str, flags: &[&str]| {
            run(&[&["run", "-d", "--name", name], flags, &["busybox", "sleep", "1000"]].concat())
        };
        let db = box_("db", &["-e", "PW=a b", "--expose", "5432", "--expose", "53/udp"]).ok();
        box_("web", &["--link", "db:store", "--link", "db"]).ok();
        let ip = run(&["inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "db"]).ok();
        let hosts = run(&["exec", "web", "cat", "/etc/hosts"]).ok();
        assert!(hosts.contains(&format!("{ip}\tstore {} db\n", &db[..12])), "{hosts}");
        assert!(hosts.contains(&format!("{ip}\tdb {}\n", &db[..12])), "{hosts}");
        let env = run(&["exec", "web", "env"]).ok();
        for line in [
            format!("STORE_PORT=udp://{ip}:53"),
            format!("STORE_PORT_5432_TCP=tcp://{ip}:5432"),
            "STORE_NAME=/web/store".to_owned(),
            "DB_ENV_PW=a b".to_owned(),
        ] {
            assert!(env.lines().any(|known| known == line), "{line}: {env}");
        }
        assert_eq!(
            run(&["inspect", "-f", "{{json .HostConfig.Links}}", "web"]).ok(),
            "[\"/db:/web/db\",\"/db:/web/store\"]"
        );
        let all = run(&["ps", "--no-trunc", "--format", "{{.Names}}"]).ok();
        assert_eq!(all, "web\ndb,web/db,web/store");
        assert_eq!(run(&["ps", "--format", "{{.Names}}"]).ok(), "web\ndb");
        assert_eq!(run(&["exec", "web/store", "hostname"]).ok(), db[..12]);

        // It comes back with another address, and under another name: who links to it knows.
        run(&["stop", "-t", "0", "db"]).ok();
        box_("other", &[]).ok();
        run(&["start", "db"]).ok();
        let now = run(&["inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "db"]).ok();
        let hosts = run(&["exec", "web", "cat", "/etc/hosts"]).ok();
        assert!(hosts.contains(&format!("{now}\tstore ")), "{now}: {hosts}");
        run(&["rename", "db", "base"]).ok();
        let links = run(&["inspect", "-f", "{{json .HostConfig.Links}}", "web"]).ok();
        assert_eq!(links, "[\"/base:/web/db\",\"/base:/web/store\"]");

        run(&["rm", "--link", "web/db"]).ok();
        run(&["rm", "--link", "web/db"]).fails(1, "No such container: web/db");
        run(&["rm", "--link", "web"]).fails(1, "cannot remove the default link name of the container");
        run(&["stop", "-t", "0", "base"]).ok();
        run(&["exec", "web", "true"]).ok();
        run(&["restart", "-t", "0", "web"])
            .fails(1, "Cannot link to a non running container: /base AS /web/store");
        run(&["create", "--link", "nobody", "busybox"])
            .fails(1, "could not get container for nobody: No such container: nobody");
        run(&["create", "--link", "a:b:c", "busybox", "true"]).fails(125, "bad format for links: a:b:c");
        // One that is gone is left out.
        run(&["rm", "base"]).ok();
        run(&["start", "web"]).ok();
        assert_eq!(run(&["inspect", "-f", "{{json .HostConfig.Links}}", "web"]).ok(), "null");
        run(&["rm", "-f", "web", "other"]).ok();
    });
}

/// Where containers don't reach one another, a link opens the ports that are exposed, and no more.
#[test]
fn what_a_link_opens() {
    let host = Host::start_with(&["--icc=false"], &[]);
    host.import_busybox();
    let run = |args: &[&str]| host.brig(args);
    // Each start says which one it is.
    let serve =
        "echo x >> /n; httpd -p 80 -h / && httpd -p 81 -h / && echo serving $(wc -l < /n) && exec sleep 1000";
    run(&["run", "-d", "--name", "db", "--expose", "80", "busybox", "sh", "-c", serve]).ok();
    run(&["run", "-d", "--name", "web", "--link", "db", "busybox", "sleep", "1000"]).ok();
    run(&["run", "-d", "--name", "other", "busybox", "sleep", "1000"]).ok();
    let fetch = |from: &str, port: u16| {
        let ip = run(&["inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", "db"]).ok();
        let url = format!("http://{ip}:{port}/etc/hostname");
        run(&["exec", from, "timeout", "1", "wget", "-q", "-O", "-", &url]).code == 0
    };
    let check = |start: &str, when: &str| {
        follow_until(&host, Client::Brig, "db", &format!("serving {start}"));
        assert!(fetch("web", 80), "{when}");
        assert!(!fetch("web", 81) && !fetch("other", 80), "{when}");
    };
    check("1", "at first");
    // It comes back with another address.
    run(&["stop", "-t", "0", "db"]).ok();
    run(&["run", "-d", "--name", "taker", "busybox", "sleep", "1000"]).ok();
    run(&["start", "db"]).ok();
    check("2", "after its start");
    host.kill_daemon();
    host.start_daemon(&[]);
    check("2", "after the daemon's");
    run(&["restart", "-t", "0", "web"]).ok();
    check("2", "after the other's");
}
