//! From the files that the other driver writes to the properties that say the same. One plan for both drivers: they
//! can't come to different limits.

use super::super::plan::Write;
use super::error::SystemdError;
use super::{Property, property};
use crate::dbus::Value;
use oci_spec::runtime::LinuxResources;

/// The kernel's own period.
const PERIOD: u64 = 100_000;

/// Without limit.
const INFINITY: u64 = u64::MAX;

// Since when systemd knows what.
const QUOTA_PERIOD: u32 = 242;
const CPUSET: u32 = 244;
const CPU_IDLE: u32 = 252;
const OOM_POLICY: u32 = 253;

/// Rounds a quota of CPU time up to whole percents of a CPU, which is what systemd keeps: both drivers then write the
/// same.
pub(super) fn round_quota(resources: &LinuxResources) -> LinuxResources {
    let mut rounded = resources.clone();
    if let Some(cpu) = resources.cpu()
        && let Some(quota) =
            cpu.quota().and_then(|quota| u64::try_from(quota).ok()).filter(|quota| *quota > 0)
    {
        let period = cpu.period().filter(|period| *period != 0).unwrap_or(PERIOD);
        let share = u128::from(per_second(quota, period));
        let mut cpu = cpu.clone();
        // More than can be said is as good as no limit, and stays as it is.
        if share < u128::from(INFINITY - 1) {
            let quota = share * u128::from(period) / 1_000_000;
            cpu.set_quota(i64::try_from(quota).ok().or(cpu.quota()));
        }
        rounded.set_cpu(Some(cpu));
    }
    rounded
}

/// Microseconds of CPU time a second, in whole percents of a CPU.
fn per_second(quota: u64, period: u64) -> u64 {
    let exact = u128::from(quota) * 1_000_000 / u128::from(period.max(1));
    u64::try_from(exact.div_ceil(10_000) * 10_000).unwrap_or(INFINITY - 1)
}

/// The properties of a plan. What systemd has no property for is left to the file system.
pub(super) fn of_writes(writes: &[Write], systemd: u32) -> Result<Vec<Property>, SystemdError> {
    let mut found = Found { systemd, properties: Vec::new(), quota: None, period: None };
    let idle = |write: &Write| write.files[0] == "cpu.idle" && write.values[0].trim() == "1";
    let is_idle = systemd >= CPU_IDLE && writes.iter().any(idle);
    for write in writes {
        for (file, value) in write.files.iter().zip(&write.values) {
            // Idle is a weight of none to systemd.
            if !(is_idle && file == "cpu.weight") {
                found.add(file, value.trim()).map_err(|reason| SystemdError::Limit {
                    file: file.clone(),
                    value: value.clone(),
                    reason,
                })?;
            }
        }
    }
    Ok(found.all())
}

struct Found {
    systemd: u32,
    properties: Vec<Property>,
    quota: Option<i64>,
    period: Option<u64>,
}

impl Found {
    fn add(&mut self, file: &str, value: &str) -> Result<(), String> {
        let name = match file {
            "cpu.weight" => "CPUWeight",
            "cpu.shares" => "CPUShares",
            "memory.min" => "MemoryMin",
            "memory.low" => "MemoryLow",
            "memory.high" => "MemoryHigh",
            "memory.max" => "MemoryMax",
            "memory.swap.max" => "MemorySwapMax",
            "memory.limit_in_bytes" => "MemoryLimit",
            "blkio.weight" => "BlockIOWeight",
            "pids.max" => "TasksMax",
            "io.weight" => match value.strip_prefix("default ") {
                Some(weight) => return self.number("IOWeight", weight.trim()),
                // Of one device.
                None => return Ok(()),
            },
            "cpu.idle" if value == "1" && self.systemd >= CPU_IDLE => return self.number("CPUWeight", "0"),
            "cpu.max" => {
                let mut words = value.split_whitespace();
                let quota = words.next().ok_or("no quota")?;
                self.quota = Some(if quota == "max" { -1 } else { quota.parse().map_err(said)? });
                self.period = Some(words.next().map_or(Ok(PERIOD), str::parse).map_err(said)?);
                return if words.next().is_none() { Ok(()) } else { Err("more than two numbers".into()) };
            }
            "cpu.cfs_quota_us" => {
                self.quota = Some(value.parse().map_err(said)?);
                return Ok(());
            }
            "cpu.cfs_period_us" => {
                self.period = Some(value.parse().map_err(said)?);
                return Ok(());
            }
            "cpuset.cpus" | "cpuset.mems" => {
                let name = if file == "cpuset.cpus" { "AllowedCPUs" } else { "AllowedMemoryNodes" };
                let bits = bits(value)?;
                if self.systemd >= CPUSET {
                    self.properties.push(property(name, Value::bytes(bits)));
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
        self.number(name, value)
    }

    fn number(&mut self, name: &str, value: &str) -> Result<(), String> {
        let number = match value {
            "max" | "-1" => INFINITY,
            // systemd takes no 0 for it.
            "0" if name == "TasksMax" => 1,
            digits => digits.parse().map_err(said)?,
        };
        self.properties.push(property(name, Value::U64(number)));
        Ok(())
    }

    fn all(mut self) -> Vec<Property> {
        let (quota, period) = (self.quota, self.period);
        if let Some(period) = period.filter(|period| *period != 0 && self.systemd >= QUOTA_PERIOD) {
            self.properties.push(property("CPUQuotaPeriodUSec", Value::U64(period)));
        }
        if quota.is_some() || period.is_some() {
            let quota = quota.and_then(|quota| u64::try_from(quota).ok()).filter(|quota| *quota > 0);
            let period = period.filter(|period| *period != 0).unwrap_or(PERIOD);
            let share = quota.map_or(INFINITY, |quota| per_second(quota, period));
            self.properties.push(property("CPUQuotaPerSecUSec", Value::U64(share)));
        }
        self.properties
    }
}

/// What can be said only when the scope is made.
pub(super) fn at_start(resources: Option<&LinuxResources>, systemd: u32) -> Option<Property> {
    let unified = resources?.unified().as_ref()?;
    let policy = match unified.get("memory.oom.group")?.trim() {
        "0" => "continue",
        "1" => "kill",
        _ => return None,
    };
    (systemd >= OOM_POLICY).then(|| property("OOMPolicy", Value::text(policy)))
}

fn said(error: std::num::ParseIntError) -> String {
    error.to_string()
}

/// The most CPUs or memory nodes that a list may name; kernels are built for 8192 at most.
const MOST: u32 = 1 << 16;

/// A list of numbers (`0-2,5`) as bits, the lowest first.
fn bits(list: &str) -> Result<Vec<u8>, String> {
    let number = |text: &str| {
        let number: u32 = text.trim().parse().map_err(said)?;
        if number < MOST { Ok(number) } else { Err("number too large".to_owned()) }
    };
    let mut bits = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = match part.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(part)?, number(part)?),
        };
        if first > last {
            return Err(format!("invalid range: {part}"));
        }
        for bit in first..=last {
            let byte = bit as usize / 8;
            if bits.len() <= byte {
                bits.resize(byte + 1, 0);
            }
            bits[byte] |= 1 << (bit % 8);
        }
    }
    if bits.is_empty() { Err("empty value".into()) } else { Ok(bits) }
}

#[cfg(test)]
mod tests {
    use super::super::super::plan::{self, Present};
    use super::*;
    use crate::cgroup::Version;
    use serde_json::{Value as Json, json};

    fn of(version: Version, systemd: u32, resources: Json) -> Result<Vec<Property>, SystemdError> {
        let resources: LinuxResources = serde_json::from_value(resources).unwrap();
        let (writes, _) = plan::plan(&round_quota(&resources), |_| Some(version), Present::default());
        of_writes(&writes, systemd)
    }

    fn numbers(expected: &[(&str, u64)]) -> Vec<Property> {
        expected.iter().map(|(name, number)| property(name, Value::U64(*number))).collect()
    }

    #[test]
    fn limits_of_version_2() {
        let limits = json!({
            "cpu": {"shares": 1024, "quota": 50000, "period": 200000, "cpus": "0-2,9", "mems": "0"},
            "memory": {"limit": 1048576, "reservation": 4096, "swap": 3145728},
            "pids": {"limit": 20}, "blockIO": {"weight": 500},
        });
        let mut found = of(Version::V2, 252, limits).unwrap();
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut expected = numbers(&[
            ("CPUWeight", 39),
            ("CPUQuotaPeriodUSec", 200_000),
            ("CPUQuotaPerSecUSec", 250_000),
            ("MemoryMax", 1 << 20),
            ("MemoryLow", 4096),
            ("MemorySwapMax", 2 << 20),
            ("TasksMax", 20),
            ("IOWeight", 4950),
        ]);
        expected.push(property("AllowedCPUs", Value::bytes([7, 2])));
        expected.push(property("AllowedMemoryNodes", Value::bytes([1])));
        expected.sort_by(|(one, _), (other, _)| one.cmp(other));
        assert_eq!(found, expected);
    }

    #[test]
    fn limits_of_version_1() {
        let limits = json!({
            "cpu": {"shares": 1024, "quota": 50000, "period": 100000}, "memory": {"limit": 4096},
            "pids": {"limit": -1}, "blockIO": {"weight": 500},
        });
        let expected = numbers(&[
            ("CPUShares", 1024),
            ("MemoryLimit", 4096),
            ("TasksMax", INFINITY),
            ("BlockIOWeight", 500),
            ("CPUQuotaPerSecUSec", 500_000),
        ]);
        // Too old for a period.
        assert_eq!(of(Version::V1, 241, limits).unwrap(), expected);
    }

    #[test]
    fn files_of_version_2_by_name() {
        let unified = json!({"unified": {
            "cpu.max": "max 50000", "cpu.weight": "200", "memory.high": " 4096 ", "memory.min": "max", "pids.max": "0",
            "cpuset.cpus": "1", "hugetlb.2MB.max": "0", "memory.oom.group": "1",
        }});
        let mut found = of(Version::V2, 252, unified).unwrap();
        found.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut expected = numbers(&[
            ("CPUQuotaPerSecUSec", INFINITY),
            ("CPUQuotaPeriodUSec", 50_000),
            ("CPUWeight", 200),
            ("MemoryHigh", 4096),
            ("MemoryMin", INFINITY),
            ("TasksMax", 1),
        ]);
        expected.insert(0, property("AllowedCPUs", Value::bytes([2])));
        assert_eq!(found, expected);
        for (file, value) in
            [("cpu.max", "a"), ("cpu.max", "1 2 3"), ("memory.max", "x"), ("cpuset.cpus", "3-1")]
        {
            let error = of(Version::V2, 252, json!({"unified": {file: value}})).unwrap_err().to_string();
            assert!(error.contains(file), "{error}");
        }
    }

    #[test]
    fn idle_is_no_weight() {
        let idle = json!({"cpu": {"idle": 1, "shares": 1024}});
        assert_eq!(of(Version::V2, 252, idle.clone()).unwrap(), numbers(&[("CPUWeight", 0)]));
        assert_eq!(of(Version::V2, 251, idle).unwrap(), numbers(&[("CPUWeight", 39)]));
    }

    #[test]
    fn quotas_are_whole_percents() {
        let quota = |quota: i64, period: u64| {
            let resources = json!({"cpu": {"quota": quota, "period": period}});
            round_quota(&serde_json::from_value(resources).unwrap()).cpu().as_ref().unwrap().quota().unwrap()
        };
        assert_eq!(quota(50_000, 100_000), 50_000);
        assert_eq!(quota(5_001, 100_000), 6_000);
        assert_eq!(quota(-1, 100_000), -1);
        assert_eq!(quota(i64::MAX, 1), i64::MAX, "more than can be said stays");
        assert_eq!(per_second(33_333, 100_000), 340_000);
    }

    #[test]
    fn policies_at_the_start() {
        let resources =
            |value: &str| serde_json::from_value(json!({"unified": {"memory.oom.group": value}})).unwrap();
        assert_eq!(at_start(Some(&resources("1")), 253), Some(property("OOMPolicy", Value::text("kill"))));
        assert_eq!(at_start(Some(&resources("1")), 252), None);
        assert_eq!(at_start(Some(&resources("x")), 255), None);
        assert_eq!(at_start(None, 255), None);
    }

    #[test]
    fn lists_as_bits() {
        assert_eq!(bits("0"), Ok(vec![1]));
        assert_eq!(bits(" 1, 3-5 ,,"), Ok(vec![0b11_1010]));
        assert_eq!(bits("16"), Ok(vec![0, 0, 1]));
        for bad in ["", ",", "a", "1-", "-1", "2-1", "4294967295", "0-99999999"] {
            assert!(bits(bad).is_err(), "{bad}");
        }
    }
}
