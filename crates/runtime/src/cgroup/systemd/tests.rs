//! The driver against a bus that says what each test wants it to: what systemd answers, and when it does not.

mod fake;

use super::manager::{Manager, Way};
use super::{SystemdError, property};
use crate::dbus::{DbusError, Value};
use fake::{Bus, Say, call};
use std::time::Duration;

const UNIT: &str = "brig-web.scope";
const LONG: Duration = Duration::from_secs(20);

fn reach(bus: &Bus) -> Result<Manager, SystemdError> {
    Manager::reach_at(&bus.address, Way::Bus, LONG)
}

fn start(bus: &Bus) -> Result<(), SystemdError> {
    reach(bus)?.start(UNIT, &[property("Delegate", Value::Bool(true))])
}

#[test]
fn a_scope_is_started_and_stopped() {
    let bus = Bus::new(fake::well_behaved);
    let mut manager = reach(&bus).unwrap();
    assert_eq!((manager.version, &*manager.group), (252, ""));
    manager.start(UNIT, &[property("Delegate", Value::Bool(true))]).unwrap();
    manager.set(UNIT, &[property("TasksMax", Value::U64(5))]).unwrap();
    manager.attach(UNIT, 7).unwrap();
    manager.stop(UNIT).unwrap();
    drop(manager);
    let heard = bus.heard();
    let members: Vec<_> = heard.iter().map(|call| call.member.as_str()).collect();
    let expected = [
        "Hello",
        "AddMatch",
        "Get",
        "Get",
        "Subscribe",
        "StartTransientUnit",
        "SetUnitProperties",
        "AttachProcessesToUnit",
        "StopUnit",
        "ResetFailedUnit",
    ];
    assert_eq!(members, expected);
    let properties =
        Value::Struct(vec![Value::text("Delegate"), Value::Variant(Box::new(Value::Bool(true)))]);
    let started = [
        Value::text(UNIT),
        Value::text("replace"),
        Value::Array("(sv)".into(), vec![properties]),
        Value::Array("(sa(sv))".into(), Vec::new()),
    ];
    assert_eq!(heard[5].body, started);
}

#[test]
fn systemds_own_socket_has_no_bus() {
    let bus = Bus::new(fake::without_bus);
    let mut manager = Manager::reach_at(&bus.address, Way::Direct, LONG).unwrap();
    manager.start(UNIT, &[]).unwrap();
    drop(manager);
    assert!(bus.heard().iter().all(|call| call.member != "Hello" && call.member != "AddMatch"));
}

#[test]
fn a_job_that_fails_is_an_error_and_forgotten() {
    let bus = Bus::new(|heard| match &*heard.member {
        "StartTransientUnit" => fake::job(heard, "failed"),
        _ => fake::well_behaved(heard),
    });
    let error = start(&bus).unwrap_err();
    let expected = SystemdError::Job { step: "start", unit: UNIT.into(), result: "failed".into() };
    assert_eq!(error, expected);
    assert!(error.to_string().contains("systemctl status brig-web.scope"), "{error}");
    assert_eq!(bus.heard().last().unwrap().member, "ResetFailedUnit");
}

#[test]
fn a_failed_unit_of_that_name_makes_way() {
    let mut tries = 0;
    let bus = Bus::new(move |heard| match &*heard.member {
        "StartTransientUnit" => {
            tries += 1;
            match tries {
                1 => vec![Say::Error("org.freedesktop.systemd1.UnitExists", "Unit brig-web.scope exists.")],
                _ => fake::job(heard, "done"),
            }
        }
        _ => fake::well_behaved(heard),
    });
    start(&bus).unwrap();
    let members: Vec<_> = bus.heard().into_iter().skip(5).map(|call| call.member).collect();
    assert_eq!(members, ["StartTransientUnit", "ResetFailedUnit", "StartTransientUnit"]);
}

#[test]
fn a_unit_of_that_name_that_runs_is_an_error() {
    let bus = Bus::new(|heard| match &*heard.member {
        "StartTransientUnit" => {
            vec![Say::Error("org.freedesktop.systemd1.UnitExists", "Unit brig-web.scope was already loaded")]
        }
        _ => fake::well_behaved(heard),
    });
    let error = start(&bus).unwrap_err().to_string();
    assert!(error.contains("start unit \"brig-web.scope\"") && error.contains("already loaded"), "{error}");
}

#[test]
fn what_is_refused_says_why() {
    let bus = Bus::new(|heard| match &*heard.member {
        "SetUnitProperties" => vec![Say::Error("org.freedesktop.DBus.Error.InvalidArgs", "Cannot set that")],
        _ => fake::well_behaved(heard),
    });
    let error = reach(&bus).unwrap().set(UNIT, &[]).unwrap_err().to_string();
    assert!(error.contains("Cannot set that (org.freedesktop.DBus.Error.InvalidArgs)"), "{error}");
}

#[test]
fn a_unit_that_is_gone_is_stopped() {
    let gone = "org.freedesktop.systemd1.NoSuchUnit";
    let bus = Bus::new(move |heard| match &*heard.member {
        "StopUnit" => vec![Say::Error(gone, "Unit brig-web.scope not loaded.")],
        _ => fake::well_behaved(heard),
    });
    reach(&bus).unwrap().stop(UNIT).unwrap();
}

#[test]
fn silence_has_an_end() {
    let within = Duration::from_millis(50);
    let quiet = |members: &'static [&'static str]| {
        Bus::new(move |heard| match members.contains(&&*heard.member) {
            true => Vec::new(),
            false => fake::well_behaved(heard),
        })
    };
    let bus = quiet(&["Hello"]);
    let error = Manager::reach_at(&bus.address, Way::Bus, within).unwrap_err();
    assert!(matches!(error, SystemdError::Talk(DbusError::Timeout { .. })), "{error}");
    // The answer comes, and never the job's end.
    let bus = Bus::new(|heard| match &*heard.member {
        "StartTransientUnit" => vec![Say::Answer(vec![Value::Path("/job/9".into())])],
        _ => fake::well_behaved(heard),
    });
    let mut manager = Manager::reach_at(&bus.address, Way::Bus, within).unwrap();
    let error = manager.start(UNIT, &[]).unwrap_err();
    assert!(matches!(error, SystemdError::Refused { error: DbusError::Timeout { .. }, .. }), "{error}");
    drop(manager);
    assert_eq!(bus.heard().last().unwrap().member, "ResetFailedUnit");
}

#[test]
fn signals_of_others_are_not_believed() {
    let bus = Bus::new(|heard| match &*heard.member {
        "StartTransientUnit" => {
            let mut said = vec![
                Say::Signal(":1.66", call("JobRemoved", fake::removed("/job/1", "done"))),
                Say::Signal(fake::SYSTEMD, call("JobRemoved", fake::removed("/job/77", "done"))),
            ];
            said.extend(fake::job(heard, "canceled"));
            said
        }
        _ => fake::well_behaved(heard),
    });
    let error = start(&bus).unwrap_err();
    assert!(matches!(&error, SystemdError::Job { result, .. } if result == "canceled"), "{error}");
}

#[test]
fn an_end_that_comes_before_the_answer_counts() {
    let bus = Bus::new(|heard| match &*heard.member {
        "StartTransientUnit" => {
            let mut said = fake::job(heard, "done");
            said.reverse();
            said
        }
        _ => fake::well_behaved(heard),
    });
    start(&bus).unwrap();
}

#[test]
fn a_bus_that_goes_away_is_told() {
    let bus = Bus::new(|heard| match &*heard.member {
        "StartTransientUnit" => vec![Say::Close],
        _ => fake::well_behaved(heard),
    });
    let error = start(&bus).unwrap_err().to_string();
    assert!(error.contains("closed the connection"), "{error}");
}

#[test]
fn who_is_not_let_in_is_told() {
    let bus = Bus::refusing();
    let error = reach(&bus).unwrap_err().to_string();
    assert!(error.contains("refuses user") && error.contains("REJECTED"), "{error}");
}

#[test]
fn nonsense_is_an_error() {
    let bus = Bus::new(|_| vec![Say::Bytes(vec![b'x'; 64])]);
    let error = reach(&bus).unwrap_err().to_string();
    assert!(error.contains("D-Bus message from"), "{error}");
    let bus = Bus::new(|heard| match &*heard.member {
        "Get" => vec![Say::Answer(vec![Value::U32(1)])],
        _ => fake::well_behaved(heard),
    });
    assert!(matches!(reach(&bus), Err(SystemdError::Answer("ControlGroup"))));
}
