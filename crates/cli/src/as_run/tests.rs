use super::*;
use crate::{
    flags::{Mode, Outcome, parse},
    opts::{container, flags as options},
};
use brig_api::{ContainerCreateRequest, EndpointSettings, HealthConfig};

/// What a command line asks for.
fn request(words: &[&str]) -> ContainerCreateRequest {
    const RUN: &[crate::flags::Flag] = &[crate::flags::Flag::switch("detach", "").short('d')];
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    match parse(&[options::CONTAINER, options::CREATE, RUN], Mode::UntilOperand, &words).unwrap() {
        Outcome::Parsed(parsed) => container::request(&parsed).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// What a daemon says of the container that is made of it, as far as it matters here.
fn inspected(request: &ContainerCreateRequest, name: &str) -> ContainerInspectResponse {
    let mut container = ContainerInspectResponse {
        id: "ab".repeat(32),
        name: format!("/{name}"),
        config: request.config.clone(),
        host_config: request.host_config.clone().unwrap(),
        ..ContainerInspectResponse::default()
    };
    let asked = request.networking_config.clone().unwrap().endpoints_config.unwrap_or_default();
    container.network_settings.networks =
        asked.into_iter().map(|(name, endpoint)| (name, endpoint.unwrap_or_default())).collect();
    container
}

fn defaults() -> Defaults {
    Defaults { cgroupns: "private".to_owned(), log_driver: "json-file".to_owned() }
}

/// The words that come back make the same container, and so it comes back from them.
fn returns(words: &[&str]) -> Vec<String> {
    let asked = request(words);
    let back = super::words(&inspected(&asked, "c1"), None, &defaults());
    let again = request(&back[1..].iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(asked, again, "{back:?}");
    back
}

#[test]
fn what_is_asked_for_is_asked_for_again() {
    for line in [
        "-d busybox",
        "-it --rm busybox sh -c x",
        "-d --name c1 -p 80 -p 127.0.0.1:8080:80/udp -p 127.0.0.1::81 -P --expose 99 busybox",
        "-a stdout busybox true",
        "-d -e A=1 -l x=y -l z -w /w -u 1:2 --hostname h --domainname d busybox",
        "-d -v /a:/b:ro -v vol:/v -v /anon --tmpfs /t:size=1m --tmpfs /u --volumes-from o:ro busybox",
        "-d --mount type=bind,src=/a,dst=/b,ro,bind-propagation=rshared,bind-recursive=writable busybox",
        "-d --mount type=volume,src=v,dst=/b,volume-nocopy,volume-opt=o=1,volume-label=a=b busybox",
        "-d --mount type=tmpfs,dst=/b,tmpfs-size=1m,tmpfs-mode=1770 busybox",
        "-d --mount type=image,src=alpine,dst=/b,image-subpath=etc busybox",
        "-d --restart on-failure:3 --privileged --cap-add NET_ADMIN --cap-drop ALL --group-add 7 busybox",
        "-d --read-only --init --ipc host --pid host --uts host --userns host --cgroupns host busybox",
        "-d --security-opt no-new-privileges --security-opt systempaths=unconfined busybox",
        "-d --memory 100m --memory-swap 300m --memory-swappiness 5 --oom-kill-disable --cpus 1.5 busybox",
        "-d --memory-swap -1 -m 64m --cpu-shares 5 --cpu-period 9 --cpu-quota 8 --cpuset-cpus 0 busybox",
        "-d --pids-limit 7 --blkio-weight 100 --device-read-bps /dev/sda:1mb --device-write-iops /dev/sda:9 busybox",
        "-d --ulimit nofile=1:2 --ulimit core=5 --shm-size 1g --sysctl net.a=b --annotation a=b busybox",
        "-d --device /dev/null --device /dev/zero:/dev/z:r --device-cgroup-rule c_1:3_r busybox",
        "-d --gpus all --device vendor.com/class=x busybox",
        "-d --log-driver local --log-opt max-size=1m --oom-score-adj 5 --runtime x --storage-opt size=1g busybox",
        "-d --dns 1.1.1.1 --dns-search a.b --dns-option x --add-host a:1.2.3.4 --link o:p busybox",
        "-d --network n --network-alias a --ip 10.0.0.9 busybox",
        "-d --network name=n,alias=a,driver-opt=x=y,gw-priority=4 --network m busybox",
        "-d --network host busybox",
        "-d --network container:x busybox",
        "-d --stop-signal 9 --stop-timeout 3 --cgroup-parent p --volume-driver local busybox",
        "-d --health-cmd x --health-interval 1m30s --health-timeout 300ms --health-retries 4 busybox",
        "-d --health-http :80/x busybox",
        "-d --no-healthcheck busybox",
        "-d --entrypoint /bin/x busybox a b",
    ] {
        let line = line.replace("c_1:3_r", "c\u{a0}1:3\u{a0}r");
        let words: Vec<String> = line.split(' ').map(|word| word.replace('\u{a0}', " ")).collect();
        returns(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn what_the_image_says_is_left_out() {
    let strings = |all: &[&str]| Some(brig_api::StrSlice(all.iter().map(|s| (*s).to_owned()).collect()));
    let image = ContainerConfig {
        env: Some(vec!["PATH=/bin".to_owned()]),
        entrypoint: strings(&["/e"]),
        cmd: strings(&["serve"]),
        user: "u".to_owned(),
        labels: Some([("of".to_owned(), "image".to_owned())].into()),
        healthcheck: Some(HealthConfig { retries: 3, ..HealthConfig::default() }),
        ..ContainerConfig::default()
    };
    let mut container = inspected(&request(&["-d", "web"]), "w");
    container.config = ContainerConfig { image: "web".to_owned(), ..image.clone() };
    container.config.hostname = "abababababab".to_owned();
    container.host_config.network_mode = "bridge".to_owned();
    let settings =
        EndpointSettings { aliases: Some(vec!["abababababab".to_owned()]), ..EndpointSettings::default() };
    container.network_settings.networks = [("bridge".to_owned(), settings)].into();
    let words = |container: &_| quoted(&super::words(container, Some(&image), &defaults()));
    assert_eq!(words(&container), "run --detach --name w web");
    container.config.entrypoint = strings(&["/other", "x"]);
    container.config.env = Some(vec!["PATH=/bin".to_owned(), "A=it's".to_owned()]);
    assert_eq!(words(&container), "run --detach --name w --env 'A=it'\\''s' --entrypoint /other web x serve");
    container.config.entrypoint = None;
    container.config.cmd = strings(&["a b"]);
    container.config.env = None;
    assert_eq!(words(&container), "run --detach --name w --entrypoint '' web 'a b'");
}
