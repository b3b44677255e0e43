//! What a container uses, as the runtime tells it.

use brig_oci_contract::Runtime;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};

#[test]
fn stats_have_the_fields_that_callers_read() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle("exec sleep 1000", |c| {
        c["linux"]["resources"] = json!({"memory": {"limit": 50_000_000}, "pids": {"limit": 20}});
    });
    runtime.start("c", &bundle);
    let line = runtime.call(["events", "--stats", "c"]).ok();
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&event["type"], &event["id"]), (&json!("stats"), &json!("c")));
    let data = &event["data"];
    for field in ["cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt"] {
        assert!(data[field].is_object(), "{field}: {line}");
    }
    assert_eq!(data["pids"], json!({"current": 1, "limit": 20}));
    for kind in ["usage", "swap", "kernel", "kernelTCP"] {
        assert!(
            data["memory"][kind]["limit"].is_u64() && data["memory"][kind]["failcnt"].is_u64(),
            "{kind}: {line}"
        );
    }
    // Whole pages.
    assert_eq!(data["memory"]["usage"]["limit"], 50_000_000 / 4096 * 4096);
    assert!(data["memory"]["usage"]["usage"].as_u64() > Some(0));
    assert!(data["cpu"]["usage"]["total"].as_u64() > Some(0) && data["cpu"]["usage"]["kernel"].is_u64());
    assert_eq!(line.lines().count(), 1);
    runtime.call(["delete", "--force", "c"]).ok();
    assert!(runtime.call(["events", "--stats", "c"]).failed().contains("does not exist"));
}

#[test]
fn running_out_of_memory_is_told() {
    let runtime = Runtime::new();
    if runtime.leaves_out("runc 1.1 did not tell of it on a kernel where brig did") {
        return;
    }
    let bundle = runtime.bundle("exec sleep 1000", |c| {
        c["linux"]["resources"] = json!({"memory": {"limit": 30_000_000}});
    });
    runtime.start("c", &bundle);
    let mut events = runtime.spawn(["events", "--interval", "300ms", "c"]);
    let mut lines = BufReader::new(events.stdout.take().unwrap()).lines();
    let mut kinds = || -> Option<Value> {
        let line = lines.next()?.unwrap();
        Some(serde_json::from_str::<Value>(&line).unwrap()["type"].clone())
    };
    assert_eq!(kinds(), Some("stats".into()), "it listens now");
    assert_eq!(runtime.call(["exec", "c", "busybox", "tail", "/dev/zero"]).code, Some(137));
    assert!(std::iter::from_fn(&mut kinds).any(|kind| kind == "oom"));
    // It ends with the container.
    runtime.call(["kill", "c", "KILL"]).ok();
    runtime.await_status("c", "stopped");
    std::iter::from_fn(kinds).for_each(drop);
    assert!(events.wait().unwrap().success());
    runtime.call(["delete", "c"]).ok();
}
