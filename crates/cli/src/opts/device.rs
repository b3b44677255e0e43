//! `--device` and `--gpus`.

use brig_api::{DeviceMapping, DeviceRequest};
use std::collections::BTreeMap;

/// `--device`: a path of the host, or a name of the Container Device Interface.
#[derive(Debug, PartialEq, Eq)]
pub enum Device {
    /// A device node.
    Path(DeviceMapping),
    /// `vendor/class=name`.
    Cdi(String),
}

/// Reads one `--device`.
///
/// # Errors
/// In Docker's words.
pub fn parse(text: &str) -> Result<Device, String> {
    if is_cdi(text) {
        return Ok(Device::Cdi(text.to_owned()));
    }
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, rights) = match parts.as_slice() {
        [source] if !source.is_empty() => (*source, *source, "rwm"),
        [source, rights] if is_rights(rights) => (*source, *source, *rights),
        [source, target] => (*source, *target, "rwm"),
        [source, target, rights] => (*source, *target, *rights),
        _ => return Err(format!("bad format for path: {text}")),
    };
    if !is_rights(rights) {
        return Err(format!("bad mode specified: {rights}"));
    }
    let path = |p: &str| {
        if p.starts_with('/') { Ok(p.to_owned()) } else { Err(format!("{p} is not an absolute path")) }
    };
    Ok(Device::Path(DeviceMapping {
        path_on_host: source.to_owned(),
        path_in_container: path(target)?,
        cgroup_permissions: rights.to_owned(),
    }))
}

fn is_rights(text: &str) -> bool {
    let mut seen = String::new();
    !text.is_empty()
        && text.chars().all(|c| {
            let fresh = "rwm".contains(c) && !seen.contains(c);
            seen.push(c);
            fresh
        })
}

fn is_cdi(text: &str) -> bool {
    let Some((kind, name)) = text.split_once('=') else { return false };
    let Some((vendor, class)) = kind.split_once('/') else { return false };
    let word = |w: &str| {
        !w.is_empty()
            && w.starts_with(|c: char| c.is_ascii_alphanumeric())
            && w.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c))
    };
    word(vendor) && word(class) && word(name)
}

/// Reads one `--gpus`.
///
/// # Errors
/// In Docker's words.
pub fn gpus(text: &str) -> Result<DeviceRequest, String> {
    let mut request = DeviceRequest { capabilities: None, ..DeviceRequest::default() };
    let mut options = BTreeMap::new();
    let mut seen = Vec::new();
    let mut capabilities = vec!["gpu".to_owned()];
    for field in super::csv(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_ascii_lowercase(), value.to_owned()),
            None => ("count".to_owned(), field.clone()),
        };
        if seen.contains(&key) {
            return Err(format!("gpu request key '{key}' can be specified only once"));
        }
        seen.push(key.clone());
        match key.as_str() {
            "count" => request.count = gpu_count(&value)?,
            "device" => request.device_ids = Some(value.split(',').map(str::to_owned).collect()),
            "driver" => request.driver = value,
            "capabilities" => capabilities.extend(value.split(',').map(str::to_owned)),
            "options" => {
                for option in value.split(',') {
                    let (name, setting) = option.split_once('=').unwrap_or((option, ""));
                    options.insert(name.to_owned(), setting.to_owned());
                }
            }
            _ => return Err(format!("unexpected key '{key}' in '{field}'")),
        }
    }
    if !seen.iter().any(|k| k == "count" || k == "device") {
        request.count = 1;
    }
    capabilities.dedup();
    request.options = Some(options);
    request.capabilities = Some(vec![capabilities]);
    Ok(request)
}

fn gpu_count(text: &str) -> Result<i64, String> {
    if text == "all" {
        return Ok(-1);
    }
    text.parse().map_err(|_| {
        format!("invalid count ({text}): value must be either \"all\" or an integer: invalid syntax")
    })
}

pub(crate) fn check_gpus(text: &str) -> Result<(), String> {
    gpus(text).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read() {
        let mapping = |a: &str, b: &str, c: &str| {
            Ok(Device::Path(DeviceMapping {
                path_on_host: a.to_owned(),
                path_in_container: b.to_owned(),
                cgroup_permissions: c.to_owned(),
            }))
        };
        assert_eq!(parse("/dev/null"), mapping("/dev/null", "/dev/null", "rwm"));
        assert_eq!(parse("/dev/null:rw"), mapping("/dev/null", "/dev/null", "rw"));
        assert_eq!(parse("/dev/null:/dev/x:r"), mapping("/dev/null", "/dev/x", "r"));
        assert_eq!(parse("vendor.com/class=x"), Ok(Device::Cdi("vendor.com/class=x".to_owned())));
        assert_eq!(parse("").unwrap_err(), "bad format for path: ");
        assert_eq!(parse("a:b:c:d").unwrap_err(), "bad format for path: a:b:c:d");
        assert_eq!(parse("/dev/null:/dev/x:foo").unwrap_err(), "bad mode specified: foo");
    }

    #[test]
    fn gpus_are_read() {
        assert_eq!(gpus("all").unwrap().count, -1);
        assert_eq!(gpus("2").unwrap().count, 2);
        assert_eq!(gpus("device=0").unwrap().device_ids, Some(vec!["0".to_owned()]));
        assert_eq!(gpus("x=y").unwrap_err(), "unexpected key 'x' in 'x=y'");
        assert_eq!(
            gpus("count=2,count=3").unwrap_err(),
            "gpu request key 'count' can be specified only once"
        );
        assert_eq!(
            gpus("x").unwrap_err(),
            "invalid count (x): value must be either \"all\" or an integer: invalid syntax"
        );
    }
}
