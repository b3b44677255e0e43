//! What containers' events say, beside what dockerd tells of the same commands.

use brig_e2e::{Client, Host, with_both};
use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

/// All events since `since` up to the first whose line has `last` in it, ids and lengths of time left out.
fn events_until(host: &Host, client: Client, since: &str, last: &str) -> Vec<String> {
    let format = "{{.Type}} {{.Action}} {{range $k, $v := .Actor.Attributes}} {{$k}}={{$v}}{{end}}";
    let args = ["events", "--since", since, "--format", format];
    let mut events = client.command(host, &args).stdout(Stdio::piped()).spawn().expect("events starts");
    let mut seen = Vec::new();
    for line in BufReader::new(events.stdout.take().expect("piped")).lines().map_while(Result::ok) {
        let is_id = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let words = line.split(' ').filter(|word| !word.is_empty()).map(|word| match word.split_once('=') {
            Some((key, value)) if is_id(value) => format!("{key}=ID"),
            Some(("execDuration", _)) => "execDuration=N".to_owned(),
            _ => word.to_owned(),
        });
        seen.push(words.collect::<Vec<_>>().join(" "));
        if line.contains(last) {
            break;
        }
    }
    events.kill().expect("kill");
    events.wait().expect("wait");
    seen
}

#[test]
fn events_of_a_life_have_dockers_attributes() {
    with_both(|host, client| {
        let run = |args: &[&str]| client.run(host, args);
        run(&["create", "--name", "c1", "--label", "k=v", "-it", "busybox", "sh"]).ok();
        run(&["start", "c1"]).ok();
        run(&["exec", "c1", "sh", "-c", "exit 3"]);
        run(&["exec", "c1", "nope"]);
        run(&["top", "c1"]).ok();
        run(&["pause", "c1"]).ok();
        run(&["unpause", "c1"]).ok();
        run(&["update", "--cpu-shares", "100", "c1"]).ok();
        run(&["rename", "c1", "c2"]).ok();
        run(&["kill", "-s", "CONT", "c2"]).ok();
        run(&["kill", "c2"]).ok();
        run(&["rm", "c2"]).ok();
        let of = "image=busybox k=v name=c1";
        let expected = [
            format!("container create {of}"),
            "network connect container=ID name=bridge type=bridge".to_owned(),
            format!("container start {of}"),
            format!("container exec_create: sh -c exit 3 execID=ID {of}"),
            format!("container exec_start: sh -c exit 3 execID=ID {of}"),
            format!("container exec_die execID=ID exitCode=3 {of}"),
            format!("container exec_create: nope execID=ID {of}"),
            format!("container exec_start: nope execID=ID {of}"),
            format!("container top {of}"),
            format!("container pause {of}"),
            format!("container unpause {of}"),
            format!("container update {of}"),
            "container rename image=busybox k=v name=c2 oldName=/c1".to_owned(),
            "container kill image=busybox k=v name=c2 signal=18".to_owned(),
            "container kill image=busybox k=v name=c2 signal=9".to_owned(),
            "network disconnect container=ID name=bridge type=bridge".to_owned(),
            "container die execDuration=N exitCode=137 image=busybox k=v name=c2".to_owned(),
            "container destroy image=busybox k=v name=c2".to_owned(),
        ];
        let seen = events_until(host, client, "1h", "destroy");
        let from = seen.iter().position(|line| line.starts_with("container create")).unwrap();
        assert_eq!(seen[from..], expected);

        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let since = format!("{}.{:09}", now.as_secs(), now.subsec_nanos());
        let hog = "dd if=/dev/zero of=/dev/null bs=100M count=1";
        let args = ["run", "--rm", "--net", "host", "-m", "8m", "-v", "vol:/v", "--name", "c3", "busybox"];
        assert_eq!(run(&[&args[..], &["sh", "-c", hog]].concat()).code, 137);
        let of = "image=busybox name=c3";
        let expected = [
            "volume create driver=local".to_owned(),
            format!("container create {of}"),
            format!("container attach {of}"),
            "volume mount container=ID destination=/v driver=local propagation= read/write=true".to_owned(),
            format!("container start {of}"),
            format!("container oom {of}"),
            "volume unmount container=ID driver=local".to_owned(),
            format!("container die execDuration=N exitCode=137 {of}"),
            format!("container destroy {of}"),
        ];
        let seen = events_until(host, client, &since, "destroy");
        let seen: Vec<&String> = seen.iter().filter(|line| !line.starts_with("network ")).collect();
        assert_eq!(seen, expected.iter().collect::<Vec<_>>());
    });
}
