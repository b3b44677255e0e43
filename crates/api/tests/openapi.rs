//! The types beside the OpenAPI file: each field has a name that the file knows, and each field that the file
//! requires is written.

use brig_api::*;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

fn spec() -> Value {
    let text = include_str!("../../../tests/reference/engine-api-v1.51.yaml");
    serde_yaml_ng::from_str(text).expect("the OpenAPI file is YAML")
}

fn collect(spec: &Value, schema: &Value, known: &mut BTreeSet<String>, required: &mut BTreeSet<String>) {
    if let Some(name) = schema["$ref"].as_str().and_then(|r| r.strip_prefix("#/definitions/")) {
        return collect(spec, &spec["definitions"][name], known, required);
    }
    known.extend(schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
    let names = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    required.extend(names.map(str::to_owned));
    for part in schema["allOf"].as_array().into_iter().flatten() {
        collect(spec, part, known, required);
    }
}

fn check<T: Serialize + Default>(spec: &Value, definition: &str, problems: &mut Vec<String>) {
    let schema = &spec["definitions"][definition];
    assert!(schema.is_object(), "no definition {definition}");
    let (mut known, mut required) = (BTreeSet::new(), BTreeSet::new());
    collect(spec, schema, &mut known, &mut required);
    let value = serde_json::to_value(T::default()).expect("types are written as JSON");
    let object = value.as_object().expect("an object");
    for name in object.keys() {
        if !known.contains(name) {
            problems.push(format!("{definition}.{name} is not in the file"));
        }
    }
    for name in &required {
        if !object.contains_key(name) {
            problems.push(format!("{definition}.{name} is required and not written"));
        }
    }
}

#[test]
fn fields_are_named_as_in_the_file() {
    let spec = spec();
    let mut problems = Vec::new();
    macro_rules! all {
        ($($ty:ident: $name:literal),* $(,)?) => { $(check::<$ty>(&spec, $name, &mut problems);)* };
    }
    all!(
        HostConfig: "HostConfig", ContainerConfig: "ContainerConfig", RestartPolicy: "RestartPolicy",
        Mount: "Mount", MountPoint: "MountPoint", DeviceMapping: "DeviceMapping", DeviceRequest: "DeviceRequest",
        ThrottleDevice: "ThrottleDevice", HealthConfig: "HealthConfig", Health: "Health",
        HealthcheckResult: "HealthcheckResult", NetworkingConfig: "NetworkingConfig",
        NetworkSettings: "NetworkSettings", Address: "Address", PortBinding: "PortBinding", Port: "Port",
        DriverData: "DriverData", FilesystemChange: "FilesystemChange", ImageInspect: "ImageInspect",
        ImageSummary: "ImageSummary", ImageConfig: "ImageConfig", ProcessConfig: "ProcessConfig",
        Volume: "Volume", VolumeCreateRequest: "VolumeCreateOptions", VolumeListResponse: "VolumeListResponse",
        Network: "Network", Ipam: "IPAM", IpamConfig: "IPAMConfig", NetworkContainer: "NetworkContainer",
        PeerInfo: "PeerInfo", NetworkCreateResponse: "NetworkCreateResponse", ErrorResponse: "ErrorResponse",
        IdResponse: "IDResponse", EndpointSettings: "EndpointSettings", EndpointIpamConfig: "EndpointIPAMConfig",
        ImageDeleteResponseItem: "ImageDeleteResponseItem", ContainerInspectResponse: "ContainerInspectResponse",
        ContainerSummary: "ContainerSummary", ContainerState: "ContainerState",
        ContainerCreateResponse: "ContainerCreateResponse", ContainerUpdateResponse: "ContainerUpdateResponse",
        ContainerStatsResponse: "ContainerStatsResponse", ContainerTopResponse: "ContainerTopResponse",
        ContainerWaitResponse: "ContainerWaitResponse", ContainerWaitExitError: "ContainerWaitExitError",
        SystemVersion: "SystemVersion", SystemInfo: "SystemInfo", PluginsInfo: "PluginsInfo",
        RegistryServiceConfig: "RegistryServiceConfig", IndexInfo: "IndexInfo", RuntimeInfo: "Runtime",
        Commit: "Commit", SwarmInfo: "SwarmInfo", PeerNode: "PeerNode", ContainerdInfo: "ContainerdInfo",
        FirewallInfo: "FirewallInfo", DeviceInfo: "DeviceInfo", EventMessage: "EventMessage",
        EventActor: "EventActor", OciDescriptor: "OCIDescriptor", OciPlatform: "OCIPlatform",
        ImageManifestSummary: "ImageManifestSummary", BlkioStats: "ContainerBlkioStats",
        BlkioStatEntry: "ContainerBlkioStatEntry", CpuStats: "ContainerCPUStats", CpuUsage: "ContainerCPUUsage",
        PidsStats: "ContainerPidsStats", ThrottlingData: "ContainerThrottlingData",
        MemoryStats: "ContainerMemoryStats", NetworkStats: "ContainerNetworkStats",
    );
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn everything_written_is_read_back() {
    fn both_ways<T: Serialize + serde::de::DeserializeOwned + Default + PartialEq + std::fmt::Debug>() {
        let value = T::default();
        let text = json::to_plain_line(&value).expect("types are written as JSON");
        assert_eq!(json::from_slice::<T>(&text).expect("what was written is read"), value);
        assert_eq!(json::from_slice::<T>(b"{}").expect("every field may be missing"), value);
        assert_eq!(json::from_slice::<T>(b"null").expect("null is the default"), value);
    }
    both_ways::<ContainerInspectResponse>();
    both_ways::<ContainerSummary>();
    both_ways::<ContainerCreateRequest>();
    both_ways::<ContainerStatsResponse>();
    both_ways::<ExecCreateRequest>();
    both_ways::<ExecInspectResponse>();
    both_ways::<ImageInspect>();
    both_ways::<ImageSummary>();
    both_ways::<HistoryResponseItem>();
    both_ways::<Network>();
    both_ways::<NetworkCreateRequest>();
    both_ways::<Volume>();
    both_ways::<EventMessage>();
    both_ways::<JsonMessage>();
    both_ways::<SystemInfo>();
    both_ways::<SystemVersion>();
    both_ways::<SystemDf>();
}
