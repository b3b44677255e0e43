//! Published and exposed ports, as Docker's client reads them.

use crate::flags::parse_uint;
use brig_api::{Empty, PortBinding, PortMap, PortSet};
use std::net::IpAddr;

/// `--publish` and `--expose`, read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// What is exposed, published ports too.
    pub exposed: PortSet,
    /// What is published.
    pub bindings: PortMap,
}

impl Ports {
    /// Reads all `--publish` and then all `--expose`.
    ///
    /// # Errors
    /// In Docker's words.
    pub fn read<'a>(
        publish: impl Iterator<Item = &'a str>,
        expose: impl Iterator<Item = &'a str>,
    ) -> Result<Self, String> {
        let mut ports = Self::default();
        for text in publish {
            if text.contains('=') {
                ports.publish(&long_form(text)?)?;
            } else {
                ports.publish(text)?;
            }
        }
        for text in expose {
            ports.expose(text)?;
        }
        Ok(ports)
    }

    fn publish(&mut self, text: &str) -> Result<(), String> {
        let (ip, host, container) = split(text);
        let (container, protocol) = split_protocol(container);
        if container.is_empty() {
            return Err(format!("no port specified: {text}<empty>"));
        }
        let (start, end) = range(container).map_err(|_| format!("invalid containerPort: {container}"))?;
        let host_range = if host.is_empty() {
            None
        } else {
            Some(range(host).map_err(|_| format!("invalid hostPort: {host}"))?)
        };
        let bare = ip.strip_prefix('[').and_then(|i| i.strip_suffix(']')).unwrap_or(ip);
        if !bare.is_empty() && bare.parse::<IpAddr>().is_err() {
            return Err(format!("invalid IP address: {bare}"));
        }
        let protocol = protocol.to_ascii_lowercase();
        if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
            return Err(format!("invalid proto: {protocol}"));
        }
        let count = end - start;
        if let Some((host_start, host_end)) = host_range {
            // A single container port may take any one port of a range of the host.
            if host_end - host_start != count && count != 0 {
                return Err(format!(
                    "invalid ranges specified for container and host Ports: {container} and {host}"
                ));
            }
        }
        for offset in 0..=count {
            let key = format!("{}/{protocol}", start + offset);
            let host_port = match host_range {
                None => String::new(),
                Some((a, b)) if count == 0 && a != b => format!("{a}-{b}"),
                Some((a, _)) => (a + offset).to_string(),
            };
            self.exposed.insert(key.clone(), Empty {});
            let binding = PortBinding { host_ip: bare.to_owned(), host_port };
            self.bindings.entry(key).or_default().get_or_insert_default().push(binding);
        }
        Ok(())
    }

    fn expose(&mut self, text: &str) -> Result<(), String> {
        if text.contains(':') {
            return Err(format!("invalid port format for --expose: {text}"));
        }
        let (ports, protocol) = split_protocol(text);
        let (start, end) =
            range(ports).map_err(|e| format!("invalid range format for --expose: {text}, error: {e}"))?;
        for port in start..=end {
            self.exposed.insert(format!("{port}/{protocol}"), Empty {});
        }
        Ok(())
    }
}

/// `[[ip]:[host]:]container` split from the right; an IPv6 address may be bare or in brackets.
fn split(text: &str) -> (&str, &str, &str) {
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [container] => ("", "", container),
        [host, container] => ("", host, container),
        [ip, host, container] => (ip, host, container),
        _ => {
            let container = parts[parts.len() - 1];
            let host = parts[parts.len() - 2];
            let ip = &text[..text.len() - container.len() - host.len() - 2];
            (ip, host, container)
        }
    }
}

fn split_protocol(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((port, rest)) => {
            let protocol = rest.split_once('/').map_or(rest, |(p, _)| p);
            (port, if protocol.is_empty() || port.is_empty() { "tcp" } else { protocol })
        }
        None => (text, "tcp"),
    }
}

/// `80` or `80-90`.
fn range(text: &str) -> Result<(u64, u64), String> {
    if text.is_empty() {
        return Err("empty string specified for ports".to_owned());
    }
    let number = |t: &str| -> Result<u64, String> {
        if !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit()) {
            // Decimal whatever leading zeros there are.
            let t = t.trim_start_matches('0');
            return if t.is_empty() { Ok(0) } else { parse_uint(t, 65535) };
        }
        Err(format!("strconv.ParseUint: parsing {}: invalid syntax", crate::format::go_quote(t)))
    };
    let Some((start, end)) = text.split_once('-') else {
        let port = number(text)?;
        return Ok((port, port));
    };
    let (start, end) = (number(start)?, number(end)?);
    if end < start {
        return Err(format!("invalid range specified for port: {text}"));
    }
    Ok((start, end))
}

/// `target=80,published=8080,protocol=tcp` as `8080:80/tcp`.
fn long_form(text: &str) -> Result<String, String> {
    let (mut target, mut published, mut protocol) = (None, String::new(), "tcp".to_owned());
    for field in super::csv(text)? {
        let Some((key, value)) = field.split_once('=').filter(|(_, v)| !v.is_empty()) else {
            return Err(format!("invalid field: {field}"));
        };
        match key.to_ascii_lowercase().as_str() {
            "protocol" => {
                if !matches!(value, "tcp" | "udp" | "sctp") {
                    return Err(format!("invalid protocol value '{value}'"));
                }
                protocol = value.to_owned();
            }
            "mode" => {
                if !matches!(value, "host" | "ingress") {
                    return Err(format!(
                        "invalid publish mode value ({value}): must be either 'ingress' or 'host'"
                    ));
                }
            }
            "target" => {
                let port = parse_uint(value, 65535)
                    .map_err(|e| format!("invalid target port ({value}): value must be an integer: {e}"))?;
                target = Some(port);
            }
            "published" => {
                range(value).map_err(|e| format!("invalid published port ({value}): {e}"))?;
                published = value.to_owned();
            }
            other => return Err(format!("invalid field key: {other}")),
        }
    }
    match target {
        Some(target) if target > 0 => Ok(format!("{published}:{target}/{protocol}")),
        _ => Err("missing mandatory field 'target'".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(publish: &str) -> Result<String, String> {
        let ports = Ports::read([publish].into_iter(), [].into_iter())?;
        Ok(ports
            .bindings
            .iter()
            .flat_map(|(k, b)| b.iter().flatten().map(move |b| format!("{}|{}>{k}", b.host_ip, b.host_port)))
            .collect::<Vec<_>>()
            .join(" "))
    }

    #[test]
    fn forms_of_published_ports() {
        for (text, want) in [
            ("80", "|>80/tcp"),
            ("8080:80/udp", "|8080>80/udp"),
            ("1.2.3.4:80:80", "1.2.3.4|80>80/tcp"),
            ("1.2.3.4::80", "1.2.3.4|>80/tcp"),
            ("80-81:90-91", "|80>90/tcp |81>91/tcp"),
            ("8000-8010:80", "|8000-8010>80/tcp"),
            ("[::1]:80:80", "::1|80>80/tcp"),
            ("::1:80:80", "::1|80>80/tcp"),
            ("80:80/tcp/x", "|80>80/tcp"),
            (":80", "|>80/tcp"),
            ("80/", "|>80/tcp"),
            ("published=81,target=80", "|81>80/tcp"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn malformed_ports_are_refused_in_dockers_words() {
        for (text, want) in [
            ("80-82:80-81", "invalid ranges specified for container and host Ports: 80-81 and 80-82"),
            ("80:80-81", "invalid ranges specified for container and host Ports: 80-81 and 80"),
            ("80/foo", "invalid proto: foo"),
            ("a", "invalid containerPort: a"),
            ("80:", "no port specified: 80:<empty>"),
            ("", "no port specified: <empty>"),
            ("1.2.3:80:80", "invalid IP address: 1.2.3"),
            ("1:2:3:4", "invalid IP address: 1:2"),
            ("90-80", "invalid containerPort: 90-80"),
            ("80:99999", "invalid containerPort: 99999"),
            ("99999999:1", "invalid hostPort: 99999999"),
            ("1.2.3.4:80", "invalid hostPort: 1.2.3.4"),
        ] {
            assert_eq!(read(text).unwrap_err(), want, "{text}");
        }
    }

    #[test]
    fn exposed_ports() {
        let expose = |text: &'static str| Ports::read([].into_iter(), [text].into_iter());
        assert_eq!(expose("80-82/udp").unwrap().exposed.len(), 3);
        assert_eq!(
            expose("x").unwrap_err(),
            "invalid range format for --expose: x, error: strconv.ParseUint: parsing \"x\": invalid syntax"
        );
        assert_eq!(
            expose("90-80").unwrap_err(),
            "invalid range format for --expose: 90-80, error: invalid range specified for port: 90-80"
        );
        assert_eq!(
            expose("").unwrap_err(),
            "invalid range format for --expose: , error: empty string specified for ports"
        );
    }
}
