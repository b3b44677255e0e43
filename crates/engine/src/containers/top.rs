//! `GET /containers/{id}/top`: what `ps` on the host would show of a container's processes, read from /proc.

use crate::{
    engine::Engine,
    error::{Error, Result},
    machine::Refusal,
    record::State,
};
use brig_api::ContainerTopResponse;
use brig_shim::protocol::{Reply, Request};
use jiff::{Timestamp, tz::TimeZone};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
};

/// The columns of `ps -ef`, what Docker shows when nothing is asked for.
const FULL: [&str; 8] = ["uid", "pid", "ppid", "c", "stime", "tty", "time", "cmd"];
/// The columns of `ps aux`.
const BSD: [&str; 11] =
    ["user", "pid", "%cpu", "%mem", "vsz", "rss", "tty", "stat", "start", "time", "command"];

impl Engine {
    /// The processes of a container. `arguments` are those of `ps`: `-ef` (also when empty), `aux`, or `-o` with
    /// names of columns.
    ///
    /// # Errors
    /// When there is no such container, it does not run, or the arguments are others.
    pub async fn container_top(&self, name: &str, arguments: &str) -> Result<ContainerTopResponse> {
        let columns = columns(arguments)?;
        let snapshot = self.core().registry.resolve(name)?.snapshot();
        let id = snapshot.record.id;
        if matches!(snapshot.record.state, State::Restarting { .. }) {
            return Err(Refusal::Restarting(id).into());
        }
        let link = snapshot.link.as_ref().ok_or(Refusal::NotRunning(id))?;
        let Reply::Pids(pids) = link.call(Request::Pids).await? else {
            return Err(Error::System("the shim answered with something else than pids".to_owned()));
        };
        self.core().tell_container(&snapshot.record, "top", BTreeMap::new());
        self.core()
            .blocking(move |_| {
                let machine = Machine::read();
                // One that has ended since is left out.
                let processes = pids.into_iter().filter_map(Process::read);
                let lines = processes.map(|p| columns.iter().map(|c| p.show(c, &machine)).collect());
                let titles = columns.iter().map(|c| title(c).to_owned()).collect();
                Ok(ContainerTopResponse { processes: Some(lines.collect()), titles: Some(titles) })
            })
            .await
    }
}

/// The columns that `ps` would show.
fn columns(arguments: &str) -> Result<Vec<&'static str>> {
    let mut words = arguments.split_whitespace();
    let known = |name: &str| {
        let name = name.to_ascii_lowercase();
        let all = FULL.iter().chain(&BSD).chain(&["args", "comm"]);
        let found = all.copied().find(|column| *column == name);
        found.ok_or_else(|| Error::Invalid(format!("ps: unknown user-defined format specifier \"{name}\"")))
    };
    match words.next() {
        None | Some("-ef" | "-e" | "-f" | "ef") => Ok(FULL.to_vec()),
        Some("aux" | "-aux" | "au" | "ax") => Ok(BSD.to_vec()),
        Some(first) => {
            let first = first
                .strip_prefix("-e")
                .map_or(first, |rest| if rest.starts_with('o') { rest } else { first });
            let list = first.trim_start_matches('-').strip_prefix('o');
            let list = list.map(|list| std::iter::once(list).chain(words).collect::<Vec<_>>().join(","));
            let list = list.ok_or_else(|| Error::NotImplemented("top with these arguments of ps"))?;
            let names = list.split([',', ' ']).filter(|name| !name.is_empty() && *name != "-o");
            let mut columns = names.map(known).collect::<Result<Vec<_>>>()?;
            // Docker finds the container's processes by this column.
            if !columns.contains(&"pid") {
                return Err(Error::Invalid("Couldn't find PID field in ps output".to_owned()));
            }
            columns.dedup();
            Ok(columns)
        }
    }
}

fn title(column: &str) -> &'static str {
    match column {
        "uid" => "UID",
        "user" => "USER",
        "pid" => "PID",
        "ppid" => "PPID",
        "c" => "C",
        "stime" => "STIME",
        "start" => "START",
        "tty" => "TTY",
        "time" => "TIME",
        "cmd" => "CMD",
        "command" | "args" | "comm" => "COMMAND",
        "%cpu" => "%CPU",
        "%mem" => "%MEM",
        "vsz" => "VSZ",
        "rss" => "RSS",
        _ => "STAT",
    }
}

/// What is the same for all processes.
struct Machine {
    users: HashMap<u32, String>,
    boot: i64,
    uptime: f64,
    ticks: u64,
    page: u64,
    memory: u64,
}

impl Machine {
    fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let user = |line: &str| {
            let mut fields = line.split(':');
            let name = fields.next()?.to_owned();
            Some((fields.nth(1)?.parse().ok()?, name))
        };
        let uptime = text("/proc/uptime").split(' ').next().and_then(|s| s.parse().ok()).unwrap_or(1.0);
        let boot = text("/proc/stat").lines().find_map(|l| l.strip_prefix("btime ")?.trim().parse().ok());
        let memory = text("/proc/meminfo").lines().find_map(|l| {
            l.strip_prefix("MemTotal:")?.trim().trim_end_matches("kB").trim().parse::<u64>().ok()
        });
        Self {
            users: text("/etc/passwd").lines().filter_map(user).collect(),
            boot: boot.unwrap_or(0),
            uptime,
            ticks: rustix::param::clock_ticks_per_second().max(1),
            page: u64::try_from(rustix::param::page_size()).unwrap_or(4096),
            memory: memory.unwrap_or(1).max(1) * 1024,
        }
    }

    fn user(&self, uid: u32) -> String {
        self.users.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
    }
}

/// One process.
struct Process {
    pid: i32,
    uid: u32,
    name: String,
    command: String,
    /// The fields of /proc/PID/stat from the third on.
    stat: Vec<String>,
}

impl Process {
    fn read(pid: i32) -> Option<Self> {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).ok();
        let stat = String::from_utf8_lossy(&read("stat")?).into_owned();
        let (head, rest) = stat.rsplit_once(") ")?;
        let name = head.split_once('(')?.1.to_owned();
        let status = String::from_utf8_lossy(&read("status")?).into_owned();
        let uid =
            status.lines().find_map(|l| l.strip_prefix("Uid:")?.split_whitespace().nth(1)?.parse().ok())?;
        let words: Vec<String> = read("cmdline")?
            .split(|b| *b == 0)
            .filter(|word| !word.is_empty())
            .map(|word| String::from_utf8_lossy(word).replace(|c: char| c.is_control(), "?"))
            .collect();
        let command = if words.is_empty() { format!("[{name}]") } else { words.join(" ") };
        Some(Self { pid, uid, name, command, stat: rest.split_whitespace().map(str::to_owned).collect() })
    }

    /// A field of stat by its number in proc(5).
    fn field(&self, number: usize) -> u64 {
        self.stat.get(number - 3).and_then(|f| f.parse().ok()).unwrap_or(0)
    }

    fn cpu_seconds(&self, machine: &Machine) -> u64 {
        (self.field(14) + self.field(15)) / machine.ticks
    }

    /// Seconds from boot to its start.
    fn start(&self, machine: &Machine) -> u64 {
        self.field(22) / machine.ticks
    }

    fn cpu_percent(&self, machine: &Machine) -> f64 {
        let lived = machine.uptime - self.start(machine) as f64;
        let used = (self.field(14) + self.field(15)) as f64 / machine.ticks as f64;
        if lived > 0.0 { (used * 100.0 / lived).min(999.0) } else { 0.0 }
    }

    fn show(&self, column: &str, machine: &Machine) -> String {
        let resident = self.field(24) * machine.page;
        let seconds = self.cpu_seconds(machine);
        match column {
            "uid" | "user" => machine.user(self.uid),
            "pid" => self.pid.to_string(),
            "ppid" => self.field(4).to_string(),
            "c" => (self.cpu_percent(machine) as u64).min(99).to_string(),
            "stime" | "start" => self.started(machine),
            "tty" => terminal(self.field(7)),
            "time" => {
                format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
            }
            "%cpu" => format!("{:.1}", self.cpu_percent(machine)),
            "%mem" => format!("{:.1}", resident as f64 * 100.0 / machine.memory as f64),
            "vsz" => (self.field(23) / 1024).to_string(),
            "rss" => (resident / 1024).to_string(),
            "stat" => self.stat.first().cloned().unwrap_or_default(),
            "comm" => self.name.clone(),
            _ => self.command.clone(),
        }
    }

    /// When it began: the time of day, or the day when that is not today.
    fn started(&self, machine: &Machine) -> String {
        let begun = machine.boot.saturating_add(i64::try_from(self.start(machine)).unwrap_or(0));
        let zone = TimeZone::system();
        let Ok(begun) = Timestamp::from_second(begun) else { return "?".to_owned() };
        let begun = begun.to_zoned(zone.clone());
        let now = Timestamp::now().to_zoned(zone);
        let form = if begun.date() == now.date() { "%H:%M" } else { "%b%d" };
        begun.strftime(form).to_string()
    }
}

/// A terminal's device number as `ps` names it.
fn terminal(device: u64) -> String {
    let major = device >> 8 & 0xfff;
    let minor = device & 0xff | device >> 12 & 0xfff00;
    match major {
        4 => format!("tty{minor}"),
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        _ => "?".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_ps() {
        assert_eq!(columns("").unwrap(), FULL);
        assert_eq!(columns("-ef").unwrap(), FULL);
        assert_eq!(columns("aux").unwrap(), BSD);
        assert_eq!(columns("-o pid,comm").unwrap(), ["pid", "comm"]);
        assert_eq!(columns("-eo pid,args").unwrap(), ["pid", "args"]);
        assert!(columns("-o comm").unwrap_err().to_string().contains("Couldn't find PID field"));
        columns("-o pid,nosuch").unwrap_err();
        columns("--forest").unwrap_err();
    }

    #[test]
    fn terminals() {
        assert_eq!(terminal(0), "?");
        assert_eq!(terminal(136 << 8 | 3), "pts/3");
        assert_eq!(terminal(4 << 8 | 1), "tty1");
    }

    #[test]
    fn this_process_can_be_shown() {
        let own = Process::read(i32::try_from(std::process::id()).unwrap()).unwrap();
        let machine = Machine::read();
        for column in FULL.iter().chain(&BSD) {
            assert!(!own.show(column, &machine).is_empty(), "{column}");
        }
    }
}
