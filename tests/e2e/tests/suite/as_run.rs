//! `inspect --as-run`: what it says makes the same container again; and labels that change.

use brig_e2e::{Client, Host, client::finish};
use std::process::Command;

/// What is a container's own although it was made by the same words.
fn configuration(host: &Host, name: &str) -> serde_json::Value {
    let mut all = host.api("GET", &format!("/containers/{name}/json"), None).json();
    let hostname = all["Config"]["Hostname"].as_str().unwrap_or_default().to_owned();
    if all["Id"].as_str().unwrap().starts_with(&hostname) {
        all["Config"]["Hostname"] = "".into();
    }
    serde_json::json!({ "config": all["Config"], "host": all["HostConfig"] })
}

#[test]
fn a_container_is_made_again_as_it_was() {
    let host = Host::start();
    host.import_busybox();
    host.brig(&["network", "create", "--subnet", "10.77.0.0/24", "n"]).ok();
    let command = |words: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", words]).env("DOCKER_HOST", host.endpoint()).env("BRIG", host.binary());
        command.env("DOCKER_CONFIG", host.path("client-config"));
        finish(&mut command)
    };
    for words in [
        "run -d --name c1 busybox sleep 1000",
        "run -d --name c1 -e 'A=b c' -l x=y -p 127.0.0.1:9000:80 -v vol:/v -v /tmp:/t:ro --tmpfs /m --restart always \
            --memory 100m --cpus 0.5 --init --cap-add NET_ADMIN --read-only --ulimit nofile=100 busybox sleep 1000",
        "run -d --name c1 --network n --ip 10.77.0.9 --network-alias al --hostname h --health-tcp :80 \
            --log-opt max-size=1m --entrypoint sh --workdir /tmp --user 1:2 busybox -c 'sleep 1000'",
        "run -d --name c1 --network host --pid host --privileged --stop-timeout 1 busybox sleep 1000",
    ] {
        command(&format!("\"$BRIG\" {words}")).ok();
        let before = configuration(&host, "c1");
        let again = host.brig(&["inspect", "--as-run", "c1"]).ok();
        let words = again.strip_prefix("brig ").expect("the program's name");
        host.brig(&["rm", "-f", "c1"]).ok();
        command(&format!("\"$BRIG\" {words}")).ok();
        assert_eq!(before, configuration(&host, "c1"), "{again}");
        host.brig(&["rm", "-f", "c1"]).ok();
    }
    host.brig(&["inspect", "--as-run", "c1"]).fails(1, "No such container: c1");

    host.brig(&["run", "-d", "--name", "c1", "-l", "a=1", "-l", "b=2", "busybox", "sleep", "1000"]).ok();
    host.brig(&["update", "--label-add", "a=3", "--label-add", "c", "--label-rm", "b", "c1"]).ok();
    let labels = |client: Client| client.run(&host, &["inspect", "-f", "{{.Config.Labels}}", "c1"]).ok();
    for client in Client::available() {
        assert_eq!(labels(client), "map[a:3 c:]");
        assert_ne!(client.run(&host, &["ps", "-q", "--filter", "label=a=3"]).ok(), "");
    }
    host.kill_daemon();
    host.start_daemon(&[]);
    assert_eq!(labels(Client::Brig), "map[a:3 c:]");
}
