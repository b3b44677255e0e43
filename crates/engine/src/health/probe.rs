//! One check.

use super::native;
use crate::{actor::Handle, core::Core, error::Error, exec, machine::Probe};
use brig_api::{HealthcheckResult, Time, stream::Decoder};
use brig_core::Id;
use std::{sync::Arc, time::Duration};
use tokio::io::{AsyncReadExt, DuplexStream};

/// How many bytes of its output are kept.
const OUTPUT: usize = 4096;
/// How much of it is read at once.
const CHUNK: usize = 4096;

/// Checks a container once.
pub(super) async fn run(
    core: &Arc<Core>,
    handle: &Handle,
    probe: &Probe,
    id: Id,
    limit: Duration,
) -> HealthcheckResult {
    let start = Time::now();
    let mut output = Output::default();
    let outcome = match probe {
        Probe::Exec(command) => in_container(core, handle, command, id, limit, &mut output).await,
        Probe::Tcp(address) => {
            answered(tokio::time::timeout(limit, native::tcp(handle, *address)).await, &mut output)
        }
        Probe::Http(target) => {
            answered(tokio::time::timeout(limit, native::http(handle, target)).await, &mut output)
        }
    };
    let (exit_code, output) = match outcome {
        Ok(Some(code)) => (i64::from(code), output.text()),
        Ok(None) => {
            let exceeded = format!("Health check exceeded timeout ({})", go_duration(limit));
            let text = output.text();
            (-1, if text.is_empty() { exceeded } else { format!("{exceeded}: {text}") })
        }
        Err(error) => (-1, error.to_string()),
    };
    HealthcheckResult { start, end: Time::now(), exit_code, output }
}

/// What a check without a process comes to: 0 for well, 1 for not.
fn answered(
    answer: Result<Result<String, String>, tokio::time::error::Elapsed>,
    output: &mut Output,
) -> Result<Option<i32>, Error> {
    let Ok(answer) = answer else { return Ok(None) };
    let code = i32::from(answer.is_err());
    output.keep(answer.unwrap_or_else(|why| why).as_bytes());
    Ok(Some(code))
}

/// Runs a program in the container. Answers its exit code; `None` when it took too long and was killed.
async fn in_container(
    core: &Arc<Core>,
    handle: &Handle,
    command: &[String],
    id: Id,
    limit: Duration,
    output: &mut Output,
) -> Result<Option<i32>, Error> {
    let snapshot = handle.snapshot();
    let session = exec::begin_check(core, &snapshot, command, id)?;
    let exec = session.exec();
    let (mut ours, theirs) = tokio::io::duplex(CHUNK);
    let served = async { tokio::join!(session.serve(theirs), output.read(&mut ours)).0 };
    if let Ok(served) = tokio::time::timeout(limit, served).await {
        served?;
        // Told before its streams end, unless the container goes with it.
        exec.ended().await;
        return Ok(exec.exit_code());
    }
    if let Some(link) = &snapshot.link {
        super::kill(link, id).await;
        // Dying checks are not to pile up.
        exec.ended().await;
    }
    Ok(None)
}

/// The begin of a check's output.
#[derive(Debug, Default)]
struct Output {
    kept: Vec<u8>,
    truncated: bool,
}

impl Output {
    /// Reads it to its end, so that the program is not held up by what nobody keeps.
    async fn read(&mut self, from: &mut DuplexStream) {
        let mut decoder = Decoder::new();
        let mut chunk = [0u8; CHUNK];
        // An error is an end as well.
        while let Ok(read @ 1..) = from.read(&mut chunk).await {
            let mut rest = &chunk[..read];
            loop {
                match decoder.next(&mut rest) {
                    Ok(Some((_, piece))) => self.keep(piece),
                    Ok(None) => break,
                    // The frames are our own shim's.
                    Err(error) => return tracing::error!(%error, "a health check's output"),
                }
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let fits = bytes.len().min(OUTPUT - self.kept.len());
        self.kept.extend_from_slice(&bytes[..fits]);
        self.truncated |= fits < bytes.len();
    }

    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        format!("{text}{}", if self.truncated { "..." } else { "" })
    }
}

/// A time as Go writes it: `300ms`, `1m30s`, `1h0m0s`.
fn go_duration(time: Duration) -> String {
    let nanos = time.subsec_nanos();
    let fraction = |value: u128, scale: u128| {
        let text = format!("{}.{:0width$}", value / scale, value % scale, width = scale.ilog10() as usize);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let all = time.as_nanos();
    match all {
        0 => return "0s".to_owned(),
        1..1_000 => return format!("{all}ns"),
        1_000..1_000_000 => return format!("{}µs", fraction(all, 1_000)),
        1_000_000..1_000_000_000 => return format!("{}ms", fraction(all, 1_000_000)),
        _ => {}
    }
    let seconds = time.as_secs();
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let rest = fraction(u128::from(seconds % 60) * 1_000_000_000 + u128::from(nanos), 1_000_000_000);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_go_writes_them() {
        for (nanos, text) in [
            (0, "0s"),
            (5, "5ns"),
            (1_500, "1.5µs"),
            (300_000_000, "300ms"),
            (1_000_000_000, "1s"),
            (1_050_000_000, "1.05s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(go_duration(Duration::from_nanos(nanos)), text);
        }
    }

    #[test]
    fn the_begin_of_long_output_is_kept() {
        let mut output = Output::default();
        output.keep(&[b'x'; 4000]);
        assert!(!output.truncated);
        output.keep(&[b'y'; 200]);
        output.keep(b"z");
        let text = output.text();
        assert_eq!((text.len(), text.ends_with("yy...")), (4099, true));
    }
}
