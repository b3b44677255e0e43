//! Calls to systemd.

use super::Property;
use super::error::SystemdError;
use super::unit::Owner;
use crate::dbus::{Address, Call, Connection, DbusError, Deadline, Message, Value};
use std::path::{Path, PathBuf};
use std::time::Duration;

const SYSTEMD: &str = "org.freedesktop.systemd1";
const OBJECT: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const BUS: &str = "org.freedesktop.DBus";

const UNIT_EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// How long systemd may take for an answer, and for a job; runc's limit.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether there is a bus between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A bus, which carries to others, too.
    Bus,
    /// systemd's own socket.
    Direct,
}

/// A talk with a systemd.
#[derive(Debug)]
pub(in super::super) struct Manager {
    connection: Connection,
    /// systemd's name on the bus; signals of others are not its own. Empty on its own socket.
    sender: String,
    /// Which systemd it is.
    pub(super) version: u32,
    /// Its group, below which its units' are.
    pub(super) group: String,
    patience: Duration,
}

impl Manager {
    /// Reaches the machine's systemd, or the calling user's.
    ///
    /// # Errors
    /// No systemd, or none that answers.
    pub(in super::super) fn reach(owner: Owner) -> Result<Self, SystemdError> {
        let variable = match owner {
            Owner::System => "DBUS_SYSTEM_BUS_ADDRESS",
            Owner::User => "DBUS_SESSION_BUS_ADDRESS",
        };
        if let Some(given) = std::env::var(variable).ok().filter(|given| !given.is_empty()) {
            let buses = Address::list(&given)?;
            return Self::first(buses.into_iter().map(|address| (address, Way::Bus)));
        }
        if !Path::new("/run/systemd/system").is_dir() {
            return Err(SystemdError::NotRunning);
        }
        let (bus, direct) = match owner {
            Owner::System => ("/run/dbus/system_bus_socket".into(), "/run/systemd/private".into()),
            Owner::User => {
                let dir = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
                let dir = PathBuf::from(dir.ok_or(SystemdError::NoUserManager)?);
                let ways = (dir.join("bus"), dir.join("systemd/private"));
                if !ways.0.exists() && !ways.1.exists() {
                    return Err(SystemdError::NoUserManager);
                }
                ways
            }
        };
        Self::first([(Address::Path(bus), Way::Bus), (Address::Path(direct), Way::Direct)])
    }

    /// Takes the first that can be connected to.
    fn first(ways: impl IntoIterator<Item = (Address, Way)>) -> Result<Self, SystemdError> {
        let mut last = SystemdError::NotRunning;
        for (address, way) in ways {
            match Self::reach_at(&address, way, PATIENCE) {
                Err(error @ SystemdError::Talk(DbusError::Socket { step: "connect to", .. })) => last = error,
                other => return other,
            }
        }
        Err(last)
    }

    /// Reaches the systemd behind an address. All that is asked first goes out at once.
    pub(super) fn reach_at(address: &Address, way: Way, patience: Duration) -> Result<Self, SystemdError> {
        let deadline = Deadline::within(patience);
        let mut connection = Connection::open(address, deadline)?;
        let mut introduction = Vec::new();
        if way == Way::Bus {
            let bus = |member, body| Call {
                destination: BUS,
                path: "/org/freedesktop/DBus",
                interface: BUS,
                member,
                body,
            };
            let rule = format!("type='signal',sender='{SYSTEMD}',interface='{MANAGER}',member='JobRemoved'");
            introduction.push(bus("Hello", Vec::new()));
            introduction.push(bus("AddMatch", vec![Value::Text(rule)]));
        }
        let property = |name: &str| Call {
            interface: "org.freedesktop.DBus.Properties",
            ..manager("Get", vec![Value::text(MANAGER), Value::text(name)])
        };
        introduction.extend([
            property("Version"),
            property("ControlGroup"),
            manager("Subscribe", Vec::new()),
        ]);
        let sent =
            introduction.iter().map(|call| connection.send(call, deadline)).collect::<Result<Vec<_>, _>>()?;
        let mut answers = sent
            .into_iter()
            .map(|serial| connection.answer(serial, deadline))
            .collect::<Result<Vec<_>, _>>()?;
        let subscribed = answers.pop().ok_or(SystemdError::Answer("Subscribe"))?;
        let text = |answer: Option<Message>| answer.and_then(|answer| answer.text().map(str::to_owned));
        let group = text(answers.pop()).ok_or(SystemdError::Answer("ControlGroup"))?;
        let version = text(answers.pop()).ok_or(SystemdError::Answer("Version"))?;
        let version = number(&version).ok_or(SystemdError::Answer("Version"))?;
        Ok(Self { connection, sender: subscribed.sender, version, group, patience })
    }

    /// Starts a scope around a process.
    ///
    /// # Errors
    /// A unit of that name that runs; whatever systemd refuses.
    pub(super) fn start(&mut self, unit: &str, properties: &[Property]) -> Result<(), SystemdError> {
        let refused = |error| SystemdError::Refused { step: "start", unit: unit.to_owned(), error };
        let body = vec![
            Value::text(unit),
            Value::text("replace"),
            list(properties),
            Value::Array("(sa(sv))".into(), Vec::new()),
        ];
        let call = manager("StartTransientUnit", body);
        let deadline = Deadline::within(self.patience);
        let answer = match self.connection.call(&call, deadline) {
            Err(error) if error.is(UNIT_EXISTS) => {
                // One that has failed stays until somebody takes note of it.
                self.forget(unit)?;
                self.connection.call(&call, deadline)
            }
            other => other,
        };
        let job = self.wait("start", unit, &answer.map_err(refused)?, deadline);
        if job.is_err() {
            // The failed start is what the caller hears of.
            let _ = self.forget(unit);
        }
        match job?.as_str() {
            "done" => Ok(()),
            result => {
                let _ = self.forget(unit);
                Err(SystemdError::Job { step: "start", unit: unit.to_owned(), result: result.to_owned() })
            }
        }
    }

    /// Stops a unit, and has its failure forgotten. One that is not there is good.
    ///
    /// # Errors
    /// Whatever systemd refuses.
    pub(super) fn stop(&mut self, unit: &str) -> Result<(), SystemdError> {
        let call = manager("StopUnit", vec![Value::text(unit), Value::text("replace")]);
        let deadline = Deadline::within(self.patience);
        match self.connection.call(&call, deadline) {
            Ok(answer) => {
                // Whatever it came to: what is left of the group is removed by its folder.
                self.wait("stop", unit, &answer, deadline)?;
            }
            Err(error) if error.is(NO_SUCH_UNIT) => return Ok(()),
            Err(error) => return Err(SystemdError::Refused { step: "stop", unit: unit.to_owned(), error }),
        }
        self.forget(unit)
    }

    /// Has the failure of a unit forgotten, and with it the unit.
    pub(super) fn forget(&mut self, unit: &str) -> Result<(), SystemdError> {
        let call = manager("ResetFailedUnit", vec![Value::text(unit)]);
        match self.connection.call(&call, Deadline::within(self.patience)) {
            Ok(_) => Ok(()),
            Err(error) if error.is(NO_SUCH_UNIT) => Ok(()),
            Err(error) => Err(SystemdError::Refused { step: "reset", unit: unit.to_owned(), error }),
        }
    }

    /// Changes properties of a unit, until it ends.
    ///
    /// # Errors
    /// Whatever systemd refuses.
    pub(super) fn set(&mut self, unit: &str, properties: &[Property]) -> Result<(), SystemdError> {
        let body = vec![Value::text(unit), Value::Bool(true), list(properties)];
        let answer =
            self.connection.call(&manager("SetUnitProperties", body), Deadline::within(self.patience));
        answer.map(|_| ()).map_err(|error| SystemdError::Refused {
            step: "set properties of",
            unit: unit.to_owned(),
            error,
        })
    }

    /// Has systemd move a process into a unit's group.
    ///
    /// # Errors
    /// Whatever systemd refuses.
    pub(super) fn attach(&mut self, unit: &str, pid: u32) -> Result<(), SystemdError> {
        let pids = Value::Array("u".into(), vec![Value::U32(pid)]);
        let call = manager("AttachProcessesToUnit", vec![Value::text(unit), Value::text("/"), pids]);
        let answer = self.connection.call(&call, Deadline::within(self.patience));
        answer.map(|_| ()).map_err(|error| SystemdError::Refused {
            step: "attach a process to",
            unit: unit.to_owned(),
            error,
        })
    }

    /// Waits for the end of the job that an answer names.
    fn wait(
        &mut self,
        step: &'static str,
        unit: &str,
        answer: &Message,
        deadline: Deadline,
    ) -> Result<String, SystemdError> {
        let job = answer.text().ok_or(SystemdError::Answer(step))?;
        let (sender, refused) =
            (&self.sender, |error| SystemdError::Refused { step, unit: unit.to_owned(), error });
        let is_it = |signal: &Message| {
            signal.sender == *sender
                && signal.interface == MANAGER
                && signal.member == "JobRemoved"
                && matches!(signal.body.get(1), Some(Value::Path(path)) if path == job)
        };
        let removed = self.connection.signal(deadline, is_it).map_err(refused)?;
        removed
            .body
            .get(3)
            .and_then(Value::as_text)
            .map(str::to_owned)
            .ok_or(SystemdError::Answer("JobRemoved"))
    }
}

fn manager(member: &str, body: Vec<Value>) -> Call<'_> {
    Call { destination: SYSTEMD, path: OBJECT, interface: MANAGER, member, body }
}

fn list(properties: &[Property]) -> Value {
    let one = |(name, value): &Property| {
        Value::Struct(vec![Value::text(name), Value::Variant(Box::new(value.clone()))])
    };
    Value::Array("(sv)".into(), properties.iter().map(one).collect())
}

/// The number of a version: `252`, `v245.4-1.fc32`, `252.38-1~deb12u1`.
fn number(version: &str) -> Option<u32> {
    let version = version.trim_start_matches(['"', 'v']);
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, expected) in [
            ("252", Some(252)),
            ("v245.4-1.fc32", Some(245)),
            ("252.38-1~deb12u1", Some(252)),
            ("\"257~rc1\"", Some(257)),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
