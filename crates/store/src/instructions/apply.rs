//! `--change`: Dockerfile instructions that set an image's configuration, in the classic builder's words.

use super::words;
use crate::image::config::{ContainerConfig, Empty, Healthcheck};

/// Applies instructions in order.
pub(crate) fn apply(config: &mut ContainerConfig, changes: &[String]) -> Result<(), String> {
    let mut state = State::default();
    for change in changes {
        for line in logical_lines(change) {
            instruction(config, &mut state, &line)?;
        }
    }
    Ok(())
}

/// What one instruction must know of those before.
#[derive(Debug, Default)]
struct State {
    cmd_set: bool,
}

/// Lines joined at a final backslash, without blank ones and comments.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for part in text.lines() {
        if part.trim_start().starts_with('#') || (part.trim().is_empty() && line.is_empty()) {
            continue;
        }
        match part.trim_end().strip_suffix('\\') {
            Some(start) => line.push_str(start),
            None => {
                line.push_str(part);
                lines.push(std::mem::take(&mut line).trim().to_owned());
            }
        }
    }
    if !line.trim().is_empty() {
        lines.push(line.trim().to_owned());
    }
    lines
}

fn instruction(config: &mut ContainerConfig, state: &mut State, line: &str) -> Result<(), String> {
    let (name, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let rest = rest.trim();
    let upper = name.to_ascii_uppercase();
    let env = config.env.clone();
    let lookup = |name: &str| {
        let of = |e: &String| e.split_once('=').filter(|(n, _)| *n == name).map(|(_, v)| v.to_owned());
        env.iter().find_map(of)
    };
    let expand = |text: &str| words::expand(text, &lookup);
    let one = |text: &str| match words::split(text).as_slice() {
        [_] => expand(text),
        _ => Err(format!("{upper} requires exactly one argument")),
    };
    match upper.as_str() {
        "CMD" => {
            config.cmd = Some(command(rest)).filter(|c| !c.is_empty());
            state.cmd_set = true;
        }
        "ENTRYPOINT" => {
            config.entrypoint = Some(command(rest)).filter(|c| !c.is_empty());
            if !state.cmd_set {
                config.cmd = None;
            }
        }
        "ENV" => {
            for (name, value) in words::pairs("ENV", rest)? {
                let name = expand(&name)?;
                if name.is_empty() {
                    return Err("ENV names can not be blank".to_owned());
                }
                let pair = format!("{name}={}", expand(&value)?);
                match config.env.iter_mut().find(|e| e.split_once('=').is_some_and(|(n, _)| n == name)) {
                    Some(old) => *old = pair,
                    None => config.env.push(pair),
                }
            }
        }
        "LABEL" => {
            for (name, value) in words::pairs("LABEL", rest)? {
                let name = expand(&name)?;
                if name.is_empty() {
                    return Err("LABEL names can not be blank".to_owned());
                }
                config.labels.insert(name, expand(&value)?);
            }
        }
        "EXPOSE" => {
            let words = words::split(rest);
            if words.is_empty() {
                return Err("EXPOSE requires at least one argument".to_owned());
            }
            for word in words {
                for port in ports(&expand(&word)?)? {
                    config.exposed_ports.insert(port, Empty {});
                }
            }
        }
        "USER" => config.user = one(rest)?,
        "VOLUME" => {
            let paths = json_words(rest).unwrap_or_else(|| words::split(rest));
            if paths.is_empty() {
                return Err("VOLUME requires at least one argument".to_owned());
            }
            for path in paths {
                let path = expand(&path)?.trim().to_owned();
                if path.is_empty() {
                    return Err("VOLUME specified can not be an empty string".to_owned());
                }
                config.volumes.insert(path, Empty {});
            }
        }
        "WORKDIR" => {
            if rest.is_empty() {
                return Err("WORKDIR requires exactly one argument".to_owned());
            }
            config.working_dir = absolute(&config.working_dir, &expand(rest)?);
        }
        "STOPSIGNAL" => {
            let signal = one(rest)?;
            if !is_signal(&signal) {
                return Err(format!("invalid signal: {signal}"));
            }
            config.stop_signal = signal;
        }
        "ONBUILD" => config.on_build.push(on_build(rest)?),
        "HEALTHCHECK" => config.healthcheck = Some(healthcheck(rest)?),
        _ => return Err(format!("{name} is not a valid change command")),
    }
    Ok(())
}

/// A JSON list of strings is the command itself; anything else is for the shell.
fn command(text: &str) -> Vec<String> {
    match json_words(text) {
        Some(words) => words,
        None if text.is_empty() => Vec::new(),
        None => ["/bin/sh", "-c", text].map(str::to_owned).to_vec(),
    }
}

fn json_words(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

/// `80`, `80/udp`, `8000-8010/tcp` as `port/protocol` each.
fn ports(text: &str) -> Result<Vec<String>, String> {
    let bad = || format!("invalid containerPort: {text}");
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("invalid proto: {protocol}"));
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let first: u16 = first.parse().map_err(|_| bad())?;
    let last: u16 = last.parse().map_err(|_| bad())?;
    if last < first {
        return Err(bad());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

fn absolute(base: &str, path: &str) -> String {
    let joined = if path.starts_with('/') { path.to_owned() } else { format!("{base}/{path}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn on_build(text: &str) -> Result<String, String> {
    let first = text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    match first.as_str() {
        "" => Err("ONBUILD requires at least one argument".to_owned()),
        "ONBUILD" => Err("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".to_owned()),
        "MAINTAINER" | "FROM" => Err(format!("{first} isn't allowed as an ONBUILD trigger")),
        _ => Ok(text.to_owned()),
    }
}

fn healthcheck(text: &str) -> Result<Healthcheck, String> {
    let mut check = Healthcheck::default();
    let mut rest = text;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once([' ', '\t']).unwrap_or((flag, ""));
        rest = after.trim_start();
        let (name, value) = flag.split_once('=').ok_or_else(|| format!("Missing a value on flag: {flag}"))?;
        match name {
            "interval" => check.interval = duration(name, value)?,
            "timeout" => check.timeout = duration(name, value)?,
            "start-period" => check.start_period = duration(name, value)?,
            "start-interval" => check.start_interval = duration(name, value)?,
            "retries" => {
                check.retries = value
                    .parse()
                    .ok()
                    .filter(|n| *n >= 0)
                    .ok_or_else(|| format!("--retries cannot be negative or no number ({value})"))?;
            }
            _ => return Err(format!("unknown flag: --{name}")),
        }
    }
    let (kind, command) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let command = command.trim();
    check.test = match kind.to_ascii_uppercase().as_str() {
        "NONE" if command.is_empty() => vec!["NONE".to_owned()],
        "NONE" => return Err("HEALTHCHECK NONE takes no arguments".to_owned()),
        "CMD" if command.is_empty() => return Err("Missing command after HEALTHCHECK CMD".to_owned()),
        "CMD" => match json_words(command) {
            Some(words) => [vec!["CMD".to_owned()], words].concat(),
            None => vec!["CMD-SHELL".to_owned(), command.to_owned()],
        },
        "" => return Err("HEALTHCHECK requires at least one argument".to_owned()),
        other => return Err(format!("Unknown type {other:?} in HEALTHCHECK (try CMD)")),
    };
    Ok(check)
}

/// Go's durations (`1h30m`, `1.5s`, `200ms`) in nanoseconds.
fn duration(flag: &str, text: &str) -> Result<i64, String> {
    let bad = || format!("invalid duration {text:?} for --{flag}");
    let mut rest = text;
    let mut total = 0f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(bad)?;
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        total += number
            * match &rest[..unit] {
                "ns" => 1.0,
                "us" | "µs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => return Err(bad()),
            };
        rest = &rest[unit..];
    }
    if text.is_empty() || total > 9e18 {
        return Err(bad());
    }
    #[allow(clippy::cast_possible_truncation, reason = "checked against the largest number above")]
    let nanos = total as i64;
    if nanos != 0 && nanos < 1_000_000 {
        return Err(format!("Interval {text:?} cannot be less than 1ms"));
    }
    Ok(nanos)
}

/// A signal's number or name, with or without `SIG`.
fn is_signal(text: &str) -> bool {
    const NAMES: &str = "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT \
                         STOP SYS TERM TRAP TSTP TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ";
    if let Ok(number) = text.parse::<u8>() {
        return (1..=64).contains(&number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    NAMES.split_whitespace().any(|n| n == name)
        || matches!(name, "RTMIN" | "RTMAX")
        || name.strip_prefix("RTMIN+").is_some_and(|n| n.parse::<u8>().is_ok_and(|n| (1..=15).contains(&n)))
        || name.strip_prefix("RTMAX-").is_some_and(|n| n.parse::<u8>().is_ok_and(|n| (1..=14).contains(&n)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(changes: &[&str]) -> Result<ContainerConfig, String> {
        let mut config = ContainerConfig::default();
        apply(&mut config, &changes.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>())?;
        Ok(config)
    }

    #[test]
    fn each_instruction_sets_its_field() {
        let c = changed(&[
            "ENV A=1 B='two words'",
            "env A=$A$A",
            "CMD [\"sh\", \"-c\", \"x\"]",
            "LABEL l=\"v w\" m=n",
            "EXPOSE 80 53/udp 8000-8001",
            "USER 1000:1000",
            "VOLUME [\"/a\", \"/b\"]",
            "VOLUME /c /d",
            "WORKDIR /w",
            "WORKDIR sub/../x",
            "STOPSIGNAL SIGUSR1",
            "ONBUILD RUN x",
            "HEALTHCHECK --interval=1m30s --retries=3 CMD curl x",
        ])
        .unwrap();
        assert_eq!(c.env, ["A=11", "B=two words"]);
        assert_eq!(c.cmd.unwrap(), ["sh", "-c", "x"]);
        assert_eq!(c.labels["l"], "v w");
        assert_eq!(c.exposed_ports.keys().collect::<Vec<_>>(), ["53/udp", "80/tcp", "8000/tcp", "8001/tcp"]);
        assert_eq!((c.user.as_str(), c.working_dir.as_str()), ("1000:1000", "/w/x"));
        assert_eq!(c.volumes.len(), 4);
        assert_eq!(c.stop_signal, "SIGUSR1");
        assert_eq!(c.on_build, ["RUN x"]);
        let h = c.healthcheck.unwrap();
        assert_eq!((h.interval, h.retries), (90_000_000_000, 3));
        assert_eq!(h.test, ["CMD-SHELL", "curl x"]);
    }

    #[test]
    fn entrypoint_takes_an_earlier_default_command_away_but_not_a_given_one() {
        let c = changed(&["ENTRYPOINT /x y"]).unwrap();
        assert_eq!(c.entrypoint.unwrap(), ["/bin/sh", "-c", "/x y"]);
        let c = changed(&["CMD a", "ENTRYPOINT [\"b\"]"]).unwrap();
        assert_eq!((c.cmd.unwrap().len(), c.entrypoint.unwrap().len()), (3, 1));
    }

    #[test]
    fn bad_instructions_are_refused() {
        assert_eq!(changed(&["RUN x"]).unwrap_err(), "RUN is not a valid change command");
        for bad in [
            "FROM x",
            "EXPOSE a",
            "EXPOSE 80/xyz",
            "EXPOSE 9-8",
            "STOPSIGNAL NOPE",
            "STOPSIGNAL 65",
            "ENV",
            "ENV A",
            "USER",
            "USER a b",
            "ONBUILD ONBUILD x",
            "ONBUILD FROM x",
            "HEALTHCHECK",
            "HEALTHCHECK --interval=1 CMD x",
            "HEALTHCHECK --interval=10us CMD x",
            "HEALTHCHECK NONE x",
            "VOLUME",
            "WORKDIR",
            "LABEL x",
        ] {
            assert!(changed(&[bad]).is_err(), "{bad}");
        }
    }
}
