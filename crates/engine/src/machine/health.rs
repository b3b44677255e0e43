//! What checks say of a container's health. Pure; the rules and the numbers are Docker's.

use super::target::HttpTarget;
use crate::record::{HealthRecord, HealthStatus};
use brig_api::{ContainerConfig, HealthConfig, HealthcheckResult};
use jiff::Timestamp;
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// How many results are kept.
const KEPT: usize = 5;
const RETRIES: u32 = 3;
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const START_INTERVAL: Duration = Duration::from_secs(5);

/// How a container is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// By a program in it.
    Exec(Vec<String>),
    /// By a request to a server in it, without a process there.
    Http(HttpTarget),
    /// By a connection to a server in it, without a process there.
    Tcp(SocketAddr),
}

impl Probe {
    /// Whether a container is checked.
    #[must_use]
    pub fn is_in(config: &ContainerConfig) -> bool {
        config.healthcheck.as_ref().is_some_and(|check| Self::of(check, None).is_some())
    }

    /// The check of a configuration; `None` for none. `shell` is the image's.
    #[must_use]
    pub fn of(config: &HealthConfig, shell: Option<&[String]>) -> Option<Self> {
        let (kind, words) = config.test.as_deref()?.split_first()?;
        match kind.as_str() {
            "CMD" if !words.is_empty() => Some(Self::Exec(words.to_vec())),
            "CMD-SHELL" => {
                let default = ["/bin/sh".to_owned(), "-c".to_owned()];
                let shell = shell.filter(|shell| !shell.is_empty()).unwrap_or(&default);
                Some(Self::Exec([shell, words].concat()))
            }
            "HTTP" => HttpTarget::parse(words.first()?).map(Self::Http),
            "TCP" => super::target::tcp(words.first()?).map(Self::Tcp),
            _ => None,
        }
    }
}

/// The label that has a container restarted that is not well, as if a client asked for it.
pub const RESTART_LABEL: &str = "brig.health.restart";

/// Whether a container that is not well is restarted.
pub(super) fn restarts(config: &ContainerConfig) -> bool {
    let label = config.labels.as_ref().and_then(|labels| labels.get(RESTART_LABEL));
    label.is_some_and(|value| matches!(value.as_str(), "" | "1" | "true"))
}

/// How long such a container has to stop; `None` for ever.
pub(super) fn stop_timeout(config: &ContainerConfig) -> Option<Duration> {
    match config.stop_timeout {
        None => Some(STOP_TIMEOUT),
        Some(seconds) => u64::try_from(seconds).ok().map(Duration::from_secs),
    }
}

fn or(nanos: i64, default: Duration) -> Duration {
    u64::try_from(nanos).ok().filter(|nanos| *nanos > 0).map_or(default, Duration::from_nanos)
}

/// After which time a check counts as failed.
#[must_use]
pub fn timeout(config: &HealthConfig) -> Duration {
    or(config.timeout, TIMEOUT)
}

/// How long until the next check of a run that began at `started`.
#[must_use]
pub fn pause(config: &HealthConfig, health: &HealthRecord, started: Timestamp, now: Timestamp) -> Duration {
    if health.status == HealthStatus::Starting && is_in_start_period(config, started, now) {
        or(config.start_interval, START_INTERVAL)
    } else {
        or(config.interval, INTERVAL)
    }
}

fn is_in_start_period(config: &HealthConfig, started: Timestamp, at: Timestamp) -> bool {
    let period = or(config.start_period, Duration::ZERO);
    at.duration_since(started).unsigned_abs() < period || at < started
}

/// At the begin of a run. What was found before it stays to be read.
pub(super) fn begin(before: Option<&HealthRecord>) -> HealthRecord {
    let before = before.cloned().unwrap_or_default();
    HealthRecord { status: HealthStatus::Starting, failing_streak: 0, ..before }
}

/// At its end.
pub(super) fn end(before: &HealthRecord) -> HealthRecord {
    HealthRecord { status: HealthStatus::Unhealthy, failing_streak: 0, ..before.clone() }
}

/// After check number `number` of a run that began at `started`.
pub(super) fn after(
    before: &HealthRecord,
    config: &HealthConfig,
    started: Timestamp,
    number: u64,
    result: Arc<HealthcheckResult>,
) -> HealthRecord {
    let mut health = before.clone();
    health.checks = number;
    if result.exit_code == 0 {
        health.failing_streak = 0;
        health.status = HealthStatus::Healthy;
    } else if health.status != HealthStatus::Starting || !is_in_start_period(config, started, result.start.0)
    {
        let retries = u32::try_from(config.retries).ok().filter(|retries| *retries > 0).unwrap_or(RETRIES);
        health.failing_streak = health.failing_streak.saturating_add(1);
        if health.failing_streak >= retries {
            health.status = HealthStatus::Unhealthy;
        }
    }
    let surplus = (health.log.len() + 1).saturating_sub(KEPT);
    health.log.drain(..surplus);
    health.log.push(result);
    health
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTED: Timestamp = Timestamp::constant(1000, 0);

    fn result(second: i64, exit_code: i64) -> Arc<HealthcheckResult> {
        let at = Timestamp::constant(second, 0).into();
        Arc::new(HealthcheckResult { start: at, end: at, exit_code, output: String::new() })
    }

    fn story(config: &HealthConfig, results: &[(i64, i64)]) -> Vec<(HealthStatus, u32)> {
        let mut health = begin(None);
        results
            .iter()
            .zip(1..)
            .map(|((second, code), number)| {
                health = after(&health, config, STARTED, number, result(*second, *code));
                (health.status, health.failing_streak)
            })
            .collect()
    }

    #[test]
    fn failures_in_a_row_make_it_unhealthy_and_a_success_well() {
        use HealthStatus::{Healthy, Starting, Unhealthy};
        let all = story(
            &HealthConfig::default(),
            &[(1001, 1), (1002, 2), (1003, -1), (1004, 1), (1005, 0), (1006, 1), (1007, 0)],
        );
        assert_eq!(
            all,
            [
                (Starting, 1),
                (Starting, 2),
                (Unhealthy, 3),
                (Unhealthy, 4),
                (Healthy, 0),
                (Healthy, 1),
                (Healthy, 0)
            ]
        );
    }

    #[test]
    fn failures_while_it_starts_do_not_count_unless_it_was_well_before() {
        let config = HealthConfig { start_period: 10_000_000_000, retries: 1, ..HealthConfig::default() };
        use HealthStatus::{Healthy, Starting, Unhealthy};
        assert_eq!(
            story(&config, &[(1001, 1), (1009, 1), (1010, 1)]),
            [(Starting, 0), (Starting, 0), (Unhealthy, 1)]
        );
        assert_eq!(story(&config, &[(1001, 0), (1002, 1)]), [(Healthy, 0), (Unhealthy, 1)]);
    }

    #[test]
    fn five_results_are_kept_over_a_restart() {
        let mut health = begin(None);
        for number in 1..=7 {
            let of = i64::try_from(number).unwrap();
            health = after(&health, &HealthConfig::default(), STARTED, number, result(1000 + of, 0));
        }
        assert_eq!(health.log.len(), 5);
        assert_eq!(health.log[0].start.unix(), 1003);
        let ended = end(&health);
        assert_eq!((ended.status, ended.log.len()), (HealthStatus::Unhealthy, 5));
        let again = begin(Some(&ended));
        assert_eq!((again.status, again.log.len(), again.checks), (HealthStatus::Starting, 5, 7));
    }

    #[test]
    fn the_pace_is_another_while_it_starts() {
        let config = HealthConfig { start_period: 60_000_000_000, interval: 7, ..HealthConfig::default() };
        let at = |second| Timestamp::constant(second, 0);
        let starting = begin(None);
        assert_eq!(pause(&config, &starting, STARTED, at(1001)), START_INTERVAL);
        assert_eq!(pause(&config, &starting, STARTED, at(1060)), Duration::from_nanos(7));
        let well = HealthRecord { status: HealthStatus::Healthy, ..starting };
        assert_eq!(pause(&config, &well, STARTED, at(1001)), Duration::from_nanos(7));
        assert_eq!(pause(&HealthConfig::default(), &well, STARTED, at(1001)), INTERVAL);
    }

    #[test]
    fn tests_are_read_as_docker_reads_them() {
        let probe = |words: &[&str], shell: Option<&[String]>| {
            let test = Some(words.iter().map(|w| (*w).to_owned()).collect());
            Probe::of(&HealthConfig { test, ..HealthConfig::default() }, shell)
        };
        let exec = |words: &[&str]| Some(Probe::Exec(words.iter().map(|w| (*w).to_owned()).collect()));
        assert_eq!(probe(&["CMD", "a", "b"], None), exec(&["a", "b"]));
        assert_eq!(probe(&["CMD-SHELL", "a b"], None), exec(&["/bin/sh", "-c", "a b"]));
        let bash = ["bash".to_owned(), "-ec".to_owned()];
        assert_eq!(probe(&["CMD-SHELL", "a b"], Some(&bash)), exec(&["bash", "-ec", "a b"]));
        for none in [&[][..], &["NONE"], &["CMD"], &["what", "x"]] {
            assert_eq!(probe(none, None), None, "{none:?}");
        }
        assert_eq!(Probe::of(&HealthConfig::default(), None), None);
    }
}
