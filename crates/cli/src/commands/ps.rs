//! `ps`.

use super::{FILTER, FORMAT, filters, filters_json, size3};
use crate::{
    command::{Command, Operands, Running},
    context::Cli,
    entry,
    error::Result,
    flags::{Flag, Mode, Parsed},
    format::{age, ellipsis, go_quote, short_id, timestamp},
    list::{self, Headers},
    template::{Object, Value},
};
use brig_api::{ContainerSummary, Port};
use std::{collections::BTreeMap, rc::Rc};

/// `brig ps`
pub static PS: Command = Command {
    paths: &["ps", "container ls", "container list", "container ps"],
    synopsis: "",
    about: "List containers",
    examples: &[
        ("ps -a --filter status=exited", "Those that ended"),
        ("ps --format '{{.Names}}: {{.Ports}}'", "Names and ports only"),
    ],
    flags: &[&[
        Flag::switch("all", "Show stopped containers too").short('a'),
        FILTER,
        FORMAT,
        Flag::int("last", "Show the n containers made last, in any state").short('n').default("-1", "-1"),
        Flag::switch("latest", "Show the container made last, in any state").short('l'),
        Flag::switch("no-trunc", "Don't shorten anything"),
        Flag::switch("quiet", "Show IDs only").short('q'),
        Flag::switch("size", "Show sizes").short('s'),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::None,
    run: |cli, flags| -> Running<'_> { Box::pin(async move { ps(cli, &flags).await }) },
};

pub(super) const HEADERS: Headers = &[
    ("ID", "CONTAINER ID"),
    ("Names", "NAMES"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("RunningFor", "CREATED"),
    ("Ports", "PORTS"),
    ("State", "STATE"),
    ("Status", "STATUS"),
    ("Size", "SIZE"),
    ("Labels", "LABELS"),
    ("Mounts", "MOUNTS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Networks", "NETWORKS"),
    ("Platform", "PLATFORM"),
];
const TABLE: &str =
    "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";
const RAW: &str = "container_id: {{.ID}}\nimage: {{.Image}}\ncommand: {{.Command}}\ncreated_at: {{.CreatedAt}}\nstate: {{- pad .State 1 0}}\nstatus: {{- pad .Status 1 0}}\nnames: {{.Names}}\nlabels: {{- pad .Labels 1 0}}\nports: {{- pad .Ports 1 0}}\n";

async fn ps(cli: &Cli, flags: &Parsed) -> Result {
    let format = match flags.non_empty("format") {
        Some(format) => format,
        None if flags.on("quiet") => String::new(),
        None => cli.config().ps_format.clone().unwrap_or_default(),
    };
    let plain = matches!(format.as_str(), "" | "table" | "raw");
    let size = flags.on("size") || (!plain && (format.contains(".Size") || format.contains("json .}}")));
    let last = if flags.on("latest") && !flags.changed("last") { 1 } else { flags.int("last") };
    let containers: Vec<ContainerSummary> = cli
        .client()?
        .get("/containers/json")
        .query_flag("all", flags.on("all") || last > 0)
        .query_nonempty("filters", filters_json(&filters(flags.all("filter"))))
        .query_nonempty("limit", if last > 0 { last.to_string() } else { String::new() })
        .query_flag("size", size)
        .json()
        .await?;
    let now = age::now();
    let full = flags.on("no-trunc");
    let entries = containers.into_iter().map(|c| Rc::new(Entry { c, full, now }) as Rc<dyn Object>).collect();
    let sized = format!("{TABLE}\t{{{{.Size}}}}");
    let table = match (flags.on("quiet"), flags.on("size")) {
        (true, _) => "{{.ID}}",
        (false, true) => &sized,
        (false, false) => TABLE,
    };
    let raw = if flags.on("size") { format!("{RAW}size: {{{{- pad .Size 1 0}}}}\n") } else { RAW.to_owned() };
    let format = match format.as_str() {
        "raw" if flags.on("quiet") => "container_id: {{.ID}}",
        "raw" => &raw,
        other => other,
    };
    list::print(format, table, HEADERS, entries)
}

/// One container of a list.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) c: ContainerSummary,
    pub(super) full: bool,
    pub(super) now: i64,
}

entry!(Entry as "*formatter.ContainerContext", this;
    "ID" => if this.full { this.c.id.as_str() } else { short_id(&this.c.id) },
    "Names" => this.names(),
    "Image" => this.image(),
    "Command" => go_quote(&if this.full { this.c.command.clone() } else { ellipsis(&this.c.command, 20) }),
    "CreatedAt" => timestamp::local(this.c.created),
    "RunningFor" => age::ago(this.c.created, this.now),
    "Ports" => ports(&this.c.ports),
    "State" => &this.c.state,
    "Status" => &this.c.status,
    "Size" => this.size(),
    "Labels" => labels(&this.c.labels),
    "Mounts" => this.mounts(),
    "LocalVolumes" => this.c.mounts.iter().filter(|m| m.driver == "local").count().to_string(),
    "Networks" => this.c.network_settings.networks.keys().map(String::as_str).collect::<Vec<_>>().join(","),
    "Platform" => this.platform(),
    ; label: Some(&this.c.labels));

/// `a=b,c=d`
pub(super) fn labels(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
}

impl Entry {
    fn names(&self) -> String {
        let names = self.c.names.iter().map(|n| n.strip_prefix('/').unwrap_or(n));
        // Names with a further slash are links of other containers.
        names.filter(|n| self.full || !n.contains('/')).collect::<Vec<_>>().join(",")
    }

    fn image(&self) -> String {
        let image = &self.c.image;
        if image.is_empty() {
            return "<no image>".to_owned();
        }
        if self.full {
            return image.clone();
        }
        let short = short_id(&self.c.image_id);
        if !short.is_empty() && short == short_id(image) {
            return short.to_owned();
        }
        match image.split_once('@') {
            Some((name, _)) => name.to_owned(),
            None => image.clone(),
        }
    }

    fn size(&self) -> String {
        let own = size3(self.c.size_rw);
        match self.c.size_root_fs {
            0 => own,
            all => format!("{own} (virtual {})", size3(all)),
        }
    }

    fn mounts(&self) -> String {
        let name = |m: &brig_api::MountPoint| {
            let name = if m.name.is_empty() { &m.source } else { &m.name };
            if self.full { name.clone() } else { ellipsis(name, 15) }
        };
        self.c.mounts.iter().map(name).collect::<Vec<_>>().join(",")
    }

    fn platform(&self) -> Value {
        let platform = self.c.image_manifest_descriptor.as_ref().and_then(|d| d.platform.as_ref());
        platform
            .map_or(Value::Nil("*formatter.Platform"), |p| Value::str(format!("{}/{}", p.os, p.architecture)))
    }
}

fn join_host_port(ip: &str, port: &str) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

/// Ports as Docker shows them: neighbours that are published on themselves, or not at all, as ranges.
pub(super) fn ports(given: &[Port]) -> String {
    struct Group<'a> {
        ip: &'a str,
        protocol: &'a str,
        first: u16,
        last: u16,
    }
    let show = |g: &Group<'_>| {
        let range = if g.first == g.last { g.first.to_string() } else { format!("{}-{}", g.first, g.last) };
        let host =
            if g.ip.is_empty() { String::new() } else { format!("{}->", join_host_port(g.ip, &range)) };
        format!("{host}{range}/{}", g.protocol)
    };
    let mut sorted: Vec<&Port> = given.iter().collect();
    sorted.sort_by_key(|p| (p.private_port, &p.ip, p.public_port, &p.protocol));
    let mut groups: Vec<Group<'_>> = Vec::new();
    let (mut done, mut mapped) = (Vec::new(), Vec::new());
    for port in sorted {
        if !port.ip.is_empty() && port.public_port != port.private_port {
            let host = join_host_port(&port.ip, &port.public_port.to_string());
            mapped.push(format!("{host}->{}/{}", port.private_port, port.protocol));
            continue;
        }
        let fresh = Group {
            ip: &port.ip,
            protocol: &port.protocol,
            first: port.private_port,
            last: port.private_port,
        };
        match groups.iter_mut().find(|g| g.ip == port.ip && g.protocol == port.protocol) {
            None => groups.push(fresh),
            Some(group) if u32::from(port.private_port) == u32::from(group.last) + 1 => {
                group.last = port.private_port
            }
            Some(group) => {
                done.push(show(group));
                *group = fresh;
            }
        }
    }
    done.extend(groups.iter().map(show));
    done.extend(mapped);
    done.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: &str, private: u16, public: u16) -> Port {
        Port { ip: ip.to_owned(), private_port: private, public_port: public, protocol: "tcp".to_owned() }
    }

    #[test]
    fn ports_are_shown_in_ranges() {
        for (given, want) in [
            (vec![], ""),
            (vec![port("", 80, 0)], "80/tcp"),
            (vec![port("", 81, 0), port("", 80, 0), port("", 90, 0)], "80-81/tcp, 90/tcp"),
            (
                vec![port("0.0.0.0", 80, 8080), port("::", 80, 8080)],
                "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp",
            ),
            (vec![port("0.0.0.0", 80, 80), port("0.0.0.0", 81, 81)], "0.0.0.0:80-81->80-81/tcp"),
        ] {
            assert_eq!(ports(&given), want);
        }
    }

    #[test]
    fn the_table_is_dockers() {
        let c = ContainerSummary {
            id: "9b9f72d523ac09d3af3982b1e4c2a28366df03b5ad5318c35436618aa76ad782".to_owned(),
            names: vec!["/clitest".to_owned()],
            image: "busybox".to_owned(),
            command: "sh -c 'echo hello; sleep 1000'".to_owned(),
            created: 1000,
            status: "Up Less than a second".to_owned(),
            ports: vec![port("0.0.0.0", 80, 8080), port("::", 80, 8080)],
            ..ContainerSummary::default()
        };
        let entries: Vec<Rc<dyn Object>> = vec![Rc::new(Entry { c, full: false, now: 1001 })];
        assert_eq!(
            list::render("", TABLE, HEADERS, entries.clone()).unwrap(),
            "CONTAINER ID   IMAGE     COMMAND                  CREATED        STATUS                  PORTS                                     NAMES\n\
             9b9f72d523ac   busybox   \"sh -c 'echo hello; …\"   1 second ago   Up Less than a second   0.0.0.0:8080->80/tcp, [::]:8080->80/tcp   clitest\n"
        );
        assert_eq!(
            list::render(
                "table {{upper .ID}} {{.Label \"a.b-c\"}}|{{truncate .Image 3}}",
                TABLE,
                HEADERS,
                entries.clone()
            )
            .unwrap(),
            "CONTAINER ID b c|IMAGE\n9B9F72D523AC |bus\n"
        );
        assert!(
            list::render("json", TABLE, HEADERS, entries.clone())
                .unwrap()
                .starts_with("{\"Command\":\"\\\"sh -c 'echo hello; …\\\"\"")
        );
        assert_eq!(
            list::render("{{.Nope}}", TABLE, HEADERS, entries).unwrap_err().to_string(),
            "failed to execute template: template: :1:2: executing \"\" at <.Nope>: can't evaluate field Nope in type *formatter.ContainerContext"
        );
    }
}
