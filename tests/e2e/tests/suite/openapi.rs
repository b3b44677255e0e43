//! Answers beside the Engine API's OpenAPI file.

use brig_e2e::{Host, openapi::spec};
use serde_json::Value;

/// Asks, and checks the answer's status and shape by the operation's entry in the file.
fn checked(
    host: &Host,
    problems: &mut Vec<String>,
    method: &str,
    entry: &str,
    path: &str,
    status: u16,
) -> Value {
    checked_with(host, problems, method, entry, path, status, None)
}

fn checked_with(
    host: &Host,
    problems: &mut Vec<String>,
    method: &str,
    entry: &str,
    path: &str,
    status: u16,
    body: Option<&str>,
) -> Value {
    let answer = host.api(&method.to_uppercase(), &format!("/v1.51{path}"), body);
    assert_eq!(answer.status, status, "{method} {path}: {}", String::from_utf8_lossy(&answer.body));
    let value = if answer.body.is_empty() { Value::Null } else { answer.json() };
    problems.extend(spec().answer(method, entry, status, &value));
    value
}

#[test]
fn answers_are_as_the_file_says() {
    let host = Host::start();
    host.import_busybox();
    let mut problems = Vec::new();
    let p = &mut problems;
    for path in ["/version", "/info", "/images/json", "/networks", "/volumes", "/system/df"] {
        checked(&host, p, "get", path, path, 200);
    }
    checked(&host, p, "get", "/images/{name}/json", "/images/busybox/json", 200);
    checked(&host, p, "get", "/images/{name}/history", "/images/busybox/history", 200);
    checked(&host, p, "get", "/networks/{id}", "/networks/bridge", 200);
    let body = r#"{"Image":"busybox","Cmd":["sleep","1000"],"ExposedPorts":{"80/tcp":{}},"Labels":{"a":"b"},
        "HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":""}]},"Memory":104857600,"Tmpfs":{"/scratch":""}}}"#;
    let create = "/containers/create";
    let made = checked_with(&host, p, "post", create, "/containers/create?name=shape", 201, Some(body));
    let id = made["Id"].as_str().expect("an id").to_owned();
    let (inspect, list) = ("/containers/{id}/json", "/containers/json");
    checked(&host, p, "get", inspect, "/containers/shape/json", 200);
    checked(&host, p, "get", list, "/containers/json?all=1&size=1", 200);
    checked(&host, p, "post", "/containers/{id}/start", "/containers/shape/start", 204);
    let running = checked(&host, p, "get", inspect, "/containers/shape/json?size=1", 200);
    assert_eq!(running["State"]["Running"], true);
    let (stats, update) = ("/containers/{id}/stats", "/containers/{id}/update");
    checked(&host, p, "get", stats, "/containers/shape/stats?stream=0&one-shot=1", 200);
    let limits = Some(r#"{"CpuShares":512}"#);
    checked_with(&host, p, "post", update, "/containers/shape/update", 200, limits);
    checked(&host, p, "get", list, "/containers/json", 200);
    let exec = checked_with(
        &host,
        p,
        "post",
        "/containers/{id}/exec",
        "/containers/shape/exec",
        201,
        Some(r#"{"Cmd":["true"]}"#),
    );
    let exec = exec["Id"].as_str().expect("an id");
    checked(&host, p, "get", "/exec/{id}/json", &format!("/exec/{exec}/json"), 200);
    checked(&host, p, "get", "/networks/{id}", "/networks/bridge", 200);
    checked(&host, p, "post", "/containers/{id}/kill", "/containers/shape/kill", 204);
    checked(&host, p, "post", "/containers/{id}/wait", "/containers/shape/wait", 200);
    checked(&host, p, "get", inspect, "/containers/shape/json", 200);
    checked(&host, p, "get", "/containers/{id}/json", "/containers/nope/json", 404);
    checked(&host, p, "get", "/images/{name}/json", "/images/nope/json", 404);
    checked(&host, p, "delete", "/containers/{id}", "/containers/shape", 204);
    checked(&host, p, "delete", "/images/{name}", "/images/busybox", 200);
    problems.sort();
    problems.dedup();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    events(&host, &id);
}

/// Events are a stream of objects, which the file can't say.
fn events(host: &Host, container: &str) {
    let answer = host.api("GET", "/v1.51/events?since=1&until=1&filters=%7B%7D", None);
    assert_eq!(answer.status, 200);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let now = format!("{}.{:09}", now.as_secs(), now.subsec_nanos());
    let answer = host.api("GET", &format!("/v1.51/events?since=1&until={now}"), None);
    let text = String::from_utf8(answer.body).expect("events are text");
    let events: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line is an event")).collect();
    let problems: Vec<String> =
        events.iter().flat_map(|event| spec().definition("EventMessage", event)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let of_container = events.iter().filter(|event| event["Actor"]["ID"] == container);
    assert!(of_container.count() >= 4, "{text}");
}
