//! What containers use and may use: stats, update.

use brig_e2e::{Client, Host, http, with_both};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
};

/// Reads a file of a container's cgroup; of version 1's controller, or of the only hierarchy.
fn limit(host: &Host, id: &str, controller: &str, v1: &str, v2: &str) -> String {
    let root = PathBuf::from("/sys/fs/cgroup");
    let below = format!("{}/{id}", host.cgroup().trim_start_matches('/'));
    let path = if root.join("cgroup.controllers").exists() {
        root.join(below).join(v2)
    } else {
        root.join(controller).join(below).join(v1)
    };
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).trim().to_owned()
}

fn busy(host: &Host, client: Client, name: &str) -> String {
    let program = "dd if=/dev/zero of=/f bs=4k count=50 2>/dev/null; echo up; while :; do :; done";
    let id =
        client.run(host, &["run", "-d", "--name", name, "-m", "64m", "busybox", "sh", "-c", program]).ok();
    brig_e2e::host::follow_until(host, client, name, "up");
    id
}

#[test]
fn stats_show_what_a_container_uses() {
    with_both(|host, client| {
        let id = busy(host, client, "busy");
        client.run(host, &["create", "--name", "idle", "busybox", "true"]).ok();
        let format = "{{.Name}}|{{.ID}}|{{.CPUPerc}}|{{.MemUsage}}|{{.MemPerc}}|{{.NetIO}}|{{.PIDs}}";
        let line = client.run(host, &["stats", "--no-stream", "--format", format, "busy"]).ok();
        let cells: Vec<&str> = line.split('|').collect();
        assert_eq!((cells[0], cells[1], cells[6]), ("busy", &id[..12], "1"), "{line}");
        assert!(cells[2].trim_end_matches('%').parse::<f64>().unwrap() > 5.0, "{line}");
        assert!(cells[3].ends_with(" / 64MiB"), "{line}");
        let table = client.run(host, &["stats", "--no-stream", "--all", "--no-trunc"]).ok();
        let columns: Vec<&str> =
            table.lines().next().unwrap().split("  ").map(str::trim).filter(|c| !c.is_empty()).collect();
        let all =
            ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"];
        assert_eq!(columns, all);
        assert!(table.contains(&id) && table.contains("idle"), "{table}");
        client.run(host, &["stats", "--no-stream", "nobody"]).fails(1, "No such container: nobody");
    });
}

#[test]
fn stats_by_the_api_in_all_their_forms() {
    let host = Host::start();
    host.import_busybox();
    let id = busy(&host, Client::Brig, "busy");
    let get = |path: &str| host.api("GET", &format!("/v1.45/containers/{path}"), None);

    let once = get("busy/stats?stream=0&one-shot=1").json();
    assert_eq!(once["preread"], "0001-01-01T00:00:00Z");
    assert_eq!(once["precpu_stats"]["cpu_usage"]["total_usage"], 0);
    assert!(once["memory_stats"]["limit"] == 64 << 20 && once["pids_stats"]["current"] == 1, "{once}");
    assert!(once["networks"]["eth0"]["rx_bytes"].is_u64() && once["networks"]["lo"].is_null(), "{once}");
    assert!(once["cpu_stats"]["online_cpus"].as_u64() > Some(0), "{once}");

    let two = get("busy/stats?stream=0").json();
    assert_eq!((two["name"].as_str(), two["id"].as_str()), (Some("/busy"), Some(&*id)));
    let spent = |of: &str| two[of]["cpu_usage"]["total_usage"].as_u64().unwrap();
    let machine = |of: &str| two[of]["system_cpu_usage"].as_u64().unwrap();
    assert!(spent("cpu_stats") > spent("precpu_stats") && spent("precpu_stats") > 0, "{two}");
    assert!(machine("cpu_stats") > machine("precpu_stats"), "{two}");

    // A stream: the first sample has none before it, and it ends with the container.
    let mut stream = http::connect(&host.socket());
    stream.write_all(b"GET /v1.45/containers/busy/stats HTTP/1.0\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap).filter(|line| line.starts_with('{'));
    let sample = |line: Option<String>| serde_json::from_str::<Value>(&line.unwrap()).unwrap();
    let first = sample(lines.next());
    assert_eq!(first["preread"], "0001-01-01T00:00:00Z");
    assert_eq!(sample(lines.next())["preread"], first["read"]);
    host.brig(&["stop", "-t", "0", "busy"]).ok();
    let empty = loop {
        let next = sample(lines.next());
        if next["read"] == "0001-01-01T00:00:00Z" {
            break next;
        }
    };
    assert_eq!((empty["name"].as_str(), empty["memory_stats"].to_string()), (Some("/busy"), "{}".into()));
    host.brig(&["start", "busy"]).ok();
    host.brig(&["rm", "-f", "busy"]).ok();
    assert!(lines.by_ref().last().is_none_or(|line| line.contains("/busy")));

    host.brig(&["run", "-d", "--net", "host", "--name", "none", "busybox", "sleep", "1000"]).ok();
    assert!(get("none/stats?stream=0&one-shot=1").json()["networks"].is_null());
    host.brig(&["stop", "-t", "0", "none"]).ok();
    let empty = get("none/stats?stream=0").json();
    assert!(empty["blkio_stats"]["io_service_bytes_recursive"].is_null() && empty["name"] == "/none");
    assert_eq!(get("none/stats?stream=1&one-shot=1").status, 400);
    assert_eq!(get("nobody/stats").status, 404);
}

#[test]
fn update_changes_a_running_container_and_a_stopped_one() {
    with_both(|host, client| {
        let id = client.run(host, &["run", "-d", "--name", "c1", "busybox", "sleep", "1000"]).ok();
        let memory =
            || limit(host, &id, "memory", "memory.limit_in_bytes", "memory.max").parse::<u64>().unwrap();
        let update = |args: &[&str]| client.run(host, &[&["update"], args].concat());
        let shown = |format: &str| client.run(host, &["inspect", "-f", format, "c1"]).ok();

        assert_eq!(update(&["-m", "100m", "--memory-swap", "200m", "c1"]).ok(), "c1");
        assert_eq!(memory(), 100 << 20);
        assert_eq!(update(&["--pids-limit", "20", "--cpus", "0.5", "--cpuset-cpus", "0", "c1"]).ok(), "c1");
        assert_eq!(limit(host, &id, "pids", "pids.max", "pids.max"), "20");
        assert_eq!(limit(host, &id, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
        let quota = limit(host, &id, "cpu", "cpu.cfs_quota_us", "cpu.max");
        assert!(["50000", "50000 100000"].contains(&&*quota), "{quota}");
        update(&["--pids-limit", "-1", "c1"]).ok();
        assert_eq!(limit(host, &id, "pids", "pids.max", "pids.max"), "max");

        let cannot = format!("Cannot update container {id}: ");
        update(&["-m", "300m", "c1"])
            .fails(1, &format!("{cannot}Memory limit should be smaller than already"));
        update(&["--cpu-quota", "9000", "c1"])
            .fails(1, &format!("{cannot}Conflicting options: CPU Quota cannot be updated as NanoCPUs"));
        update(&["--restart", "foo", "c1"]).fails(1, "unknown policy 'foo'");
        update(&["-m", "1m", "c1"]).fails(1, "Minimum memory limit allowed is 6MB");
        update(&["--cpuset-cpus", "777", "c1"]).fails(1, "Requested CPUs are not available - requested 777");
        update(&["--restart", "on-failure:3", "c1", "nobody"]).fails(1, "No such container: nobody");
        assert_eq!(memory(), 100 << 20);
        let policy = "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}";
        assert_eq!(shown(policy), "on-failure 3");

        // What was written down is there after the daemon and the container begin again.
        host.kill_daemon();
        host.start_daemon(&[]);
        let limits = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.CpusetCpus}}";
        assert_eq!(shown(limits), "104857600 500000000 0");
        client.run(host, &["stop", "-t", "0", "c1"]).ok();
        update(&["-m", "150m", "c1"]).ok();
        client.run(host, &["start", "c1"]).ok();
        assert_eq!(memory(), 150 << 20);

        client.run(host, &["run", "-d", "--rm", "--name", "c2", "busybox", "sleep", "1000"]).ok();
        update(&["--restart", "always", "c2"]).fails(1, "cannot be updated because AutoRemove is enabled");
        update(&["c2"]).fails(1, "you must provide one or more flags when using this command");
    });
}
