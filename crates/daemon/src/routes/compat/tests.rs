use super::*;
use brig_api::{BindOptions, ImageConfig, Mount, VolumeOptions};
use serde_json::json;

fn version(minor: u32) -> ApiVersion {
    ApiVersion::new(1, minor)
}

fn request(body: &str) -> ContainerCreateRequest {
    brig_api::json::from_slice(body.as_bytes()).unwrap()
}

fn adapted(body: &str, minor: u32) -> (ContainerCreateRequest, Vec<String>) {
    let mut request = request(body);
    let warnings = create_request(&mut request, version(minor)).unwrap();
    (request, warnings)
}

fn refused(body: &str, minor: u32) -> String {
    create_request(&mut request(body), version(minor)).unwrap_err().message().to_owned()
}

#[test]
fn the_default_network_is_the_bridge() {
    let body = r#"{"Image":"i","HostConfig":{"NetworkMode":"default"},"NetworkingConfig":{"EndpointsConfig":{"default":{"GwPriority":1}}}}"#;
    let (request, _) = adapted(body, 51);
    assert_eq!(request.host_config.unwrap().network_mode, "bridge");
    let endpoints = request.networking_config.unwrap().endpoints_config.unwrap();
    assert_eq!(endpoints["bridge"].as_ref().unwrap().gw_priority, 1);
    assert_eq!(adapted(r#"{"Image":"i"}"#, 51).0.host_config.unwrap().network_mode, "bridge");
}

#[test]
fn old_clients_get_what_they_meant() {
    let body = r#"{"Image":"i","HostConfig":{"AutoRemove":true,"KernelMemory":5,"ConsoleSize":[1,2],"Annotations":{"a":"b"},"PidsLimit":-1,
        "Mounts":[{"Type":"bind","ReadOnly":true,"VolumeOptions":{}}]}}"#;
    let old = adapted(body, 24).0.host_config.unwrap();
    assert!(!old.auto_remove && old.annotations.is_none() && old.pids_limit.is_none());
    assert_eq!((old.ipc_mode.as_str(), old.console_size, old.kernel_memory), ("shareable", [0, 0], 5));
    let mount = &old.mounts.unwrap()[0];
    assert!(mount.volume_options.is_none() && mount.bind_options.as_ref().unwrap().read_only_non_recursive);
    assert_eq!(refused(body, 51), "VolumeOptions must not be specified on mount type \"bind\"");
}

#[test]
fn what_is_too_new_for_a_version_is_refused() {
    let mounts = |mount: Mount| {
        let host = HostConfig { mounts: Some(vec![mount]), ..HostConfig::default() };
        let mut request = ContainerCreateRequest { host_config: Some(host), ..Default::default() };
        create_request(&mut request, version(43)).unwrap_err().message().to_owned()
    };
    let volume = VolumeOptions { subpath: "x".into(), ..VolumeOptions::default() };
    assert_eq!(
        mounts(Mount { kind: "volume".into(), volume_options: Some(volume), ..Mount::default() }),
        "VolumeOptions.Subpath needs API v1.45 or newer"
    );
    let bind = BindOptions { read_only_force_recursive: true, ..BindOptions::default() };
    assert_eq!(
        mounts(Mount { kind: "bind".into(), bind_options: Some(bind), ..Mount::default() }),
        "BindOptions.ReadOnlyForceRecursive needs API v1.44 or newer"
    );
    let two = r#"{"Image":"i","NetworkingConfig":{"EndpointsConfig":{"a":{},"b":{}}}}"#;
    assert_eq!(refused(two, 43), "Container cannot be created with multiple network endpoints: a, b");
}

#[test]
fn the_mac_address_moves_to_the_endpoint() {
    let body = r#"{"Image":"i","MacAddress":"02:42:ac:11:00:05"}"#;
    for (minor, warnings) in [(43, 0), (51, 1)] {
        let (request, told) = adapted(body, minor);
        assert_eq!(told.len(), warnings);
        assert!(request.config.mac_address.is_empty());
        let endpoints = request.networking_config.unwrap().endpoints_config.unwrap();
        assert_eq!(endpoints["bridge"].as_ref().unwrap().mac_address, "02:42:ac:11:00:05");
    }
    let clash = r#"{"Image":"i","MacAddress":"02:42:ac:11:00:05","NetworkingConfig":{"EndpointsConfig":{"bridge":{"MacAddress":"02:42:ac:11:00:06"}}}}"#;
    assert!(refused(clash, 51).starts_with("the container-wide MAC address must match"));
    let old = r#"{"Image":"i","NetworkingConfig":{"EndpointsConfig":{"bridge":{"MacAddress":"02:42:ac:11:00:06"}}}}"#;
    let endpoints = adapted(old, 43).0.networking_config.unwrap().endpoints_config.unwrap();
    assert!(endpoints["bridge"].as_ref().unwrap().mac_address.is_empty());
}

#[test]
fn images_as_each_version_has_them() {
    let list = |minor| {
        image_list(vec![ImageSummary { size: 7, ..ImageSummary::default() }], version(minor)).remove(0)
    };
    assert_eq!((list(42).repo_tags, list(43).repo_tags), (vec!["<none>:<none>".to_owned()], vec![]));
    assert_eq!((list(43).virtual_size, list(44).virtual_size), (7, 0));
    let inspect = |minor| {
        let image = ImageInspect { size: 7, config: Some(ImageConfig::default()), ..ImageInspect::default() };
        serde_json::to_value(image_inspect(image, version(minor))).unwrap()
    };
    assert_eq!(inspect(43)["VirtualSize"], 7);
    assert!(inspect(44).get("VirtualSize").is_none());
    assert!(inspect(44).get("ContainerConfig").is_some() && inspect(45).get("ContainerConfig").is_none());
    assert_eq!(inspect(49)["Config"]["Hostname"], "");
    assert!(inspect(50)["Config"].get("Hostname").is_none());
    assert_eq!(inspect(51)["Config"]["Cmd"], Value::Null);
    assert!(inspect(51)["Config"].as_object().unwrap().contains_key("Cmd"));
}

#[test]
fn info_as_each_version_has_it() {
    let base =
        SystemInfo { security_options: vec!["name=seccomp,profile=builtin".into()], ..SystemInfo::default() };
    let at = |minor| serde_json::to_value(info(base.clone(), version(minor)).unwrap()).unwrap();
    assert_eq!(
        (&at(24)["SecurityOptions"][0], &at(24)["ExecutionDriver"]),
        (&json!("seccomp"), &json!("<not supported>"))
    );
    assert_eq!(at(25)["SecurityOptions"][0], "name=seccomp,profile=builtin");
    assert_eq!(at(38)["KernelVersion"], "<unknown>");
    assert_eq!(at(49)["BridgeNfIptables"], false);
    assert!(at(50).get("BridgeNfIptables").is_none());
}
