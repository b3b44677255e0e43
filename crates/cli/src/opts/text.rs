//! Checks of single texts: environment, labels, hosts, name servers, kernel parameters, streams.

use crate::format::go_quote;
use std::net::IpAddr;

/// `NAME=value` or `NAME`.
pub(crate) fn env(text: &str) -> Result<(), String> {
    if text.is_empty() || text.starts_with('=') {
        return Err(format!("invalid environment variable: {text}"));
    }
    Ok(())
}

/// `key=value` or `key`.
pub(crate) fn label(text: &str) -> Result<(), String> {
    let key = text.split_once('=').map_or(text, |(key, _)| key).trim_start();
    if key.is_empty() {
        return Err(format!("invalid label '{text}': empty name"));
    }
    if key.contains(char::is_whitespace) {
        return Err(format!("label '{key}' contains whitespaces"));
    }
    Ok(())
}

/// `STDIN`, `STDOUT` or `STDERR`, in any case.
pub(crate) fn stream(text: &str) -> Result<(), String> {
    match text.to_ascii_lowercase().as_str() {
        "stdin" | "stdout" | "stderr" => Ok(()),
        _ => Err("valid streams are STDIN, STDOUT and STDERR".to_owned()),
    }
}

/// `host:ip` or `host=ip`.
pub(crate) fn extra_host(text: &str) -> Result<(), String> {
    split_extra_host(text).map(|_| ())
}

/// Splits `host:ip` or `host=ip` into the form that the API takes, `host:ip` without brackets.
///
/// # Errors
/// In Docker's words.
pub(crate) fn split_extra_host(text: &str) -> Result<String, String> {
    let parts = text.split_once('=').or_else(|| text.split_once(':')).filter(|(name, _)| !name.is_empty());
    let Some((name, ip)) = parts else { return Err(format!("bad format for add-host: {}", go_quote(text))) };
    if ip == "host-gateway" {
        return Ok(format!("{name}:{ip}"));
    }
    let bare = ip.strip_prefix('[').and_then(|i| i.strip_suffix(']')).unwrap_or(ip);
    if bare.parse::<IpAddr>().is_err() {
        return Err(format!("invalid IP address in add-host: {}", go_quote(ip)));
    }
    Ok(format!("{name}:{bare}"))
}

/// An address.
pub(crate) fn ip_address(text: &str) -> Result<(), String> {
    if text.trim().parse::<IpAddr>().is_err() {
        return Err(format!("IP address is not correctly formatted: {text}"));
    }
    Ok(())
}

/// A domain for resolv.conf, or a dot alone for none.
pub(crate) fn dns_search(text: &str) -> Result<(), String> {
    let domain = text.trim();
    if domain == "." {
        return Ok(());
    }
    let labels = domain.strip_suffix('.').unwrap_or(domain);
    let label =
        |l: &str| !l.is_empty() && l.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let has_letter = labels.contains(|c: char| c.is_ascii_alphabetic());
    if domain.len() > 255 || !has_letter || !labels.split('.').all(label) {
        return Err(format!("{domain} is not a valid domain"));
    }
    Ok(())
}

/// `name=value` of a kernel parameter that namespaces have.
pub(crate) fn sysctl(text: &str) -> Result<(), String> {
    const KNOWN: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    let Some((name, _)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        return Err(format!("sysctl '{text}' is not allowed"));
    };
    if KNOWN.contains(&name) || name.starts_with("net.") || name.starts_with("fs.mqueue.") {
        return Ok(());
    }
    Err(format!("sysctl '{text}' is not allowed"))
}

/// A rule of the devices cgroup: `c 1:3 rwm`.
pub(crate) fn device_cgroup_rule(text: &str) -> Result<(), String> {
    let parts: Vec<&str> = text.split(' ').collect();
    let number = |n: &str| n == "*" || (!n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let fine = match parts.as_slice() {
        [kind, numbers, rights] => {
            matches!(*kind, "a" | "b" | "c")
                && numbers.split_once(':').is_some_and(|(major, minor)| number(major) && number(minor))
                && (1..=3).contains(&rights.len())
                && rights.chars().all(|c| "rwm".contains(c))
        }
        _ => false,
    };
    if fine { Ok(()) } else { Err(format!("invalid device cgroup format '{text}'")) }
}

/// A number of CPUs as units of 10⁻⁹: `1.5`, `1e-1`, `1/2`.
///
/// # Errors
/// In Docker's words.
pub(crate) fn nano_cpus(text: &str) -> Result<i64, String> {
    let bad = || format!("failed to parse {text} as a rational number");
    let (numerator, denominator) = text.split_once('/').unwrap_or((text, "1"));
    // Exact: an integer and a power of ten for each side.
    let (top, top_exponent) = decimal(numerator).ok_or_else(bad)?;
    let (bottom, bottom_exponent) = decimal(denominator).ok_or_else(bad)?;
    if bottom == 0 {
        return Err(bad());
    }
    let power = top_exponent - bottom_exponent + 9;
    let scale = 10i128.checked_pow(power.unsigned_abs()).ok_or_else(bad)?;
    let (top, bottom) = if power >= 0 {
        (top.checked_mul(scale).ok_or_else(bad)?, bottom)
    } else {
        (top, bottom.checked_mul(scale).ok_or_else(bad)?)
    };
    if top % bottom != 0 {
        return Err("value is too precise".to_owned());
    }
    i64::try_from(top / bottom).map_err(|_| bad())
}

fn decimal(text: &str) -> Option<(i128, i32)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((m, e)) => (m, e.parse::<i32>().ok().filter(|e| e.abs() < 40)?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if fraction.len() > 30
        || !fraction.bytes().all(|b| b.is_ascii_digit())
        || (whole.is_empty() && fraction.is_empty())
    {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    Some((digits.parse().ok()?, exponent - i32::try_from(fraction.len()).ok()?))
}

/// A number of CPUs.
pub(crate) fn cpus(text: &str) -> Result<(), String> {
    nano_cpus(text).map(|_| ())
}

/// 0 to 65535.
pub(crate) fn uint16(text: &str) -> Result<(), String> {
    crate::flags::parse_uint(text, u64::from(u16::MAX)).map(|_| ())
}

/// 0 and up.
pub(crate) fn uint(text: &str) -> Result<(), String> {
    crate::flags::parse_uint(text, u64::MAX).map(|_| ())
}

/// A link, `container[:alias]`.
pub(crate) fn link(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("empty string specified for links".to_owned());
    }
    if text.split(':').count() > 2 {
        return Err(format!("bad format for links: {text}"));
    }
    Ok(())
}

/// Whether a text is a MAC address: six to twenty bytes in hexadecimal with colons, dashes or dots.
pub(crate) fn is_mac(text: &str) -> bool {
    let hex = |part: &str, digits: usize| part.len() == digits && part.bytes().all(|b| b.is_ascii_hexdigit());
    for separator in [':', '-'] {
        let parts: Vec<&str> = text.split(separator).collect();
        if matches!(parts.len(), 6 | 8 | 20) && parts.iter().all(|p| hex(p, 2)) {
            return true;
        }
    }
    let parts: Vec<&str> = text.split('.').collect();
    matches!(parts.len(), 3 | 4 | 10) && parts.iter().all(|p| hex(p, 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_checked_as_docker_checks_them() {
        assert_eq!(env("=x").unwrap_err(), "invalid environment variable: =x");
        assert_eq!(label("").unwrap_err(), "invalid label '': empty name");
        assert_eq!(label("a b").unwrap_err(), "label 'a b' contains whitespaces");
        assert!(label("a=b c").is_ok());
        assert_eq!(split_extra_host("a=[::1]").unwrap(), "a:::1");
        assert_eq!(split_extra_host("a:::1").unwrap(), "a:::1");
        assert_eq!(split_extra_host("h:host-gateway").unwrap(), "h:host-gateway");
        assert_eq!(split_extra_host("a=").unwrap_err(), "invalid IP address in add-host: \"\"");
        assert_eq!(split_extra_host(":1.2.3.4").unwrap_err(), "bad format for add-host: \":1.2.3.4\"");
        assert!(dns_search(".").is_ok() && dns_search("example.com").is_ok());
        assert_eq!(dns_search("a b").unwrap_err(), "a b is not a valid domain");
        assert!(sysctl("net.ipv4.ip_forward=1").is_ok());
        assert_eq!(sysctl("kernel.foo=1").unwrap_err(), "sysctl 'kernel.foo=1' is not allowed");
        assert!(device_cgroup_rule("c 1:* rwm").is_ok());
        assert!(device_cgroup_rule("x").is_err());
        assert!(is_mac("02:42:ac:11:00:09") && is_mac("0242.ac11.0009") && !is_mac("x"));
    }

    #[test]
    fn cpus_are_exact() {
        assert_eq!(nano_cpus("0.5"), Ok(500_000_000));
        assert_eq!(nano_cpus("1e-1"), Ok(100_000_000));
        assert_eq!(nano_cpus("1/2"), Ok(500_000_000));
        assert_eq!(nano_cpus("-1"), Ok(-1_000_000_000));
        assert_eq!(nano_cpus("0.0000000001").unwrap_err(), "value is too precise");
        assert_eq!(nano_cpus("x").unwrap_err(), "failed to parse x as a rational number");
        assert_eq!(nano_cpus("1/0").unwrap_err(), "failed to parse 1/0 as a rational number");
    }
}
