//! The API as a surface: versions, status codes, shapes.

use brig_e2e::Host;

#[test]
fn ping_and_versions() {
    let host = Host::start();
    let ping = host.api("GET", "/_ping", None);
    assert_eq!((ping.status, ping.body.as_slice()), (200, &b"OK"[..]));
    assert_eq!(ping.header("api-version"), Some("1.51"));
    assert_eq!(ping.header("ostype"), Some("linux"));
    assert_eq!(host.api("HEAD", "/_ping", None).status, 200);
    let old = host.api("GET", "/v1.10/info", None);
    assert_eq!(old.status, 400);
    assert!(old.message().contains("client version 1.10 is too old. Minimum supported API version is 1.24"));
    let new = host.api("GET", "/v1.99/info", None);
    assert_eq!(
        (new.status, new.message().as_str()),
        (400, "client version 1.99 is too new. Maximum supported API version is 1.51")
    );
    for version in ["", "/v1.24", "/v1.40", "/v1.51"] {
        assert_eq!(
            host.api("GET", &format!("{version}/containers/json"), None).json(),
            serde_json::json!([]),
            "{version}"
        );
    }
    assert_eq!(host.api("GET", "/version", None).json()["ApiVersion"], "1.51");
}

#[test]
fn what_is_not_there_and_what_comes_later() {
    let host = Host::start();
    let none = host.api("GET", "/v1.51/nope", None);
    assert_eq!((none.status, none.message().as_str()), (404, "page not found"));
    let swarm = host.api("GET", "/v1.51/services", None);
    assert_eq!(swarm.status, 503);
    assert!(swarm.message().starts_with("This node is not a swarm manager."), "{}", swarm.message());
    let later = host.api("POST", "/v1.51/build", None);
    assert_eq!(later.status, 501);
    assert!(!later.message().is_empty());
}

#[test]
fn keys_in_any_case_and_null_are_read_as_go_reads_them() {
    let host = Host::start();
    host.import_busybox();
    let body = r#"{"image":"busybox","CMD":["true"],"Env":null,"hostconfig":{"memory":null,"AUTOREMOVE":false,"PortBindings":null},"Unknown":1}"#;
    let made = host.api("POST", "/v1.51/containers/create?name=c1", Some(body));
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(host.api("GET", "/v1.51/containers/c1/json", None).json()["Path"], "true");
}

#[test]
fn status_codes_of_a_life() {
    let host = Host::start();
    host.import_busybox();
    let create = host.api(
        "POST",
        "/v1.51/containers/create?name=c1",
        Some(r#"{"Image":"busybox","Cmd":["sleep","1000"]}"#),
    );
    assert_eq!(create.status, 201);
    assert_eq!(create.json()["Warnings"], serde_json::json!([]));
    let post = |path: &str| host.api("POST", &format!("/v1.51/containers/{path}"), None).status;
    assert_eq!(post("c1/start"), 204);
    assert_eq!(post("c1/start"), 304);
    assert_eq!(post("c1/kill?signal=0x99"), 400);
    assert_eq!(post("c1/pause"), 204);
    assert_eq!(post("c1/unpause"), 204);
    assert_eq!(host.api("DELETE", "/v1.51/containers/c1", None).status, 409);
    assert_eq!(post("c1/stop?t=0"), 204);
    assert_eq!(post("c1/stop"), 304);
    assert_eq!(post("c1/rename?name=d2"), 204);
    assert_eq!(host.api("DELETE", "/v1.51/containers/d2", None).status, 204);
    assert_eq!(host.api("DELETE", "/v1.51/containers/d2", None).status, 404);
    assert_eq!(post("d2/start"), 404);
}
