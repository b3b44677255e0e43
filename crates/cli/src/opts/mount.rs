//! `--mount type=…,source=…,target=…`.

use crate::{flags::parse_bool, format::size};
use brig_api::{BindOptions, Driver, ImageOptions, Mount, TmpfsOptions, VolumeOptions};
use std::collections::BTreeMap;

/// Reads one.
///
/// # Errors
/// In Docker's words.
pub fn parse(text: &str) -> Result<Mount, String> {
    let mut mount = Mount { kind: "volume".to_owned(), ..Mount::default() };
    for field in super::csv(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_ascii_lowercase(), Some(value)),
            None => (field.to_ascii_lowercase(), None),
        };
        let Some(value) = value else {
            match key.as_str() {
                "readonly" | "ro" => mount.read_only = true,
                "volume-nocopy" => volume(&mut mount).no_copy = true,
                "bind-nonrecursive" => bind(&mut mount).non_recursive = true,
                _ => return Err(format!("invalid field '{field}' must be a key=value pair")),
            }
            continue;
        };
        set(&mut mount, &key, value, &field)?;
    }
    validate(mount)
}

pub(crate) fn check(text: &str) -> Result<(), String> {
    parse(text).map(|_| ())
}

fn bind(mount: &mut Mount) -> &mut BindOptions {
    mount.bind_options.get_or_insert_default()
}

fn volume(mount: &mut Mount) -> &mut VolumeOptions {
    mount.volume_options.get_or_insert_default()
}

fn driver(mount: &mut Mount) -> &mut Driver {
    volume(mount).driver_config.get_or_insert_default()
}

fn tmpfs(mount: &mut Mount) -> &mut TmpfsOptions {
    mount.tmpfs_options.get_or_insert_default()
}

fn set(mount: &mut Mount, key: &str, value: &str, field: &str) -> Result<(), String> {
    let invalid = || format!("invalid value for {key}: {value}");
    let pair = |map: &mut BTreeMap<String, String>| {
        let (name, setting) = value.split_once('=').unwrap_or((value, ""));
        map.insert(name.to_owned(), setting.to_owned());
    };
    match key {
        "type" => mount.kind = value.to_ascii_lowercase(),
        "source" | "src" => mount.source = source(value),
        "target" | "dst" | "destination" => mount.target = value.to_owned(),
        "readonly" | "ro" => mount.read_only = parse_bool(value).map_err(|_| invalid())?,
        "consistency" => mount.consistency = value.to_ascii_lowercase(),
        "bind-propagation" => bind(mount).propagation = value.to_ascii_lowercase(),
        "bind-nonrecursive" => bind(mount).non_recursive = parse_bool(value).map_err(|_| invalid())?,
        "bind-create-src" => bind(mount).create_mountpoint = parse_bool(value).map_err(|_| invalid())?,
        "bind-recursive" => match value {
            "enabled" => {}
            "disabled" => bind(mount).non_recursive = true,
            "writable" => bind(mount).read_only_non_recursive = true,
            "readonly" => bind(mount).read_only_force_recursive = true,
            _ => {
                return Err(format!(
                    "invalid value for {key}: {value} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
                ));
            }
        },
        "volume-subpath" => volume(mount).subpath = value.to_owned(),
        "volume-nocopy" => volume(mount).no_copy = parse_bool(value).map_err(|_| invalid())?,
        "volume-label" => pair(volume(mount).labels.get_or_insert_default()),
        "volume-driver" => driver(mount).name = value.to_owned(),
        "volume-opt" => pair(driver(mount).options.get_or_insert_default()),
        "image-subpath" => {
            mount.image_options.get_or_insert_with(ImageOptions::default).subpath = value.to_owned();
        }
        "tmpfs-size" => tmpfs(mount).size_bytes = size::ram_in_bytes(value).map_err(|_| invalid())?,
        "tmpfs-mode" => tmpfs(mount).mode = u32::from_str_radix(value, 8).map_err(|_| invalid())?,
        _ => return Err(format!("unexpected key '{key}' in '{field}'")),
    }
    Ok(())
}

/// A relative source that begins with a dot is made absolute, as Docker does.
fn source(value: &str) -> String {
    if value == "." || value.starts_with("./") || value == ".." || value.starts_with("../") {
        return super::volume::absolute(value);
    }
    value.to_owned()
}

fn validate(mut mount: Mount) -> Result<Mount, String> {
    if mount.kind.is_empty() {
        return Err("type is required".to_owned());
    }
    if mount.target.is_empty() {
        return Err("target is required".to_owned());
    }
    let mixed =
        |option: &str| Err(format!("cannot mix '{option}-*' options with mount type '{}'", mount.kind));
    if mount.volume_options.is_some() && mount.kind != "volume" {
        return mixed("volume");
    }
    if mount.image_options.is_some() && mount.kind != "image" {
        return mixed("image");
    }
    if mount.bind_options.is_some() && mount.kind != "bind" {
        return mixed("bind");
    }
    if mount.tmpfs_options.is_some() && mount.kind != "tmpfs" {
        return mixed("tmpfs");
    }
    let read_only = mount.read_only;
    if let Some(options) = &mut mount.bind_options {
        let needs = |what: &str| {
            Err(format!("option 'bind-recursive={what}' requires 'readonly' to be specified in conjunction"))
        };
        if options.read_only_non_recursive && !read_only {
            return needs("writable");
        }
        if options.read_only_force_recursive {
            if !read_only {
                return needs("readonly");
            }
            if options.propagation != "rprivate" {
                return Err(
                    "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
                        .to_owned(),
                );
            }
        }
    }
    Ok(mount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read() {
        let m = parse("type=bind,src=/tmp,dst=/x,ro,bind-propagation=rshared").unwrap();
        assert_eq!(
            (m.kind.as_str(), m.source.as_str(), m.target.as_str(), m.read_only),
            ("bind", "/tmp", "/x", true)
        );
        assert_eq!(m.bind_options.unwrap().propagation, "rshared");
        let m = parse("target=/x,volume-opt=o=1,volume-label=a=b,volume-driver=d").unwrap();
        let options = m.volume_options.unwrap();
        assert_eq!(options.driver_config.unwrap().options.unwrap()["o"], "1");
        let m = parse("Type=tmpfs,Dst=/x,tmpfs-size=1m,tmpfs-mode=1770").unwrap();
        assert_eq!(
            m.tmpfs_options.unwrap(),
            TmpfsOptions { size_bytes: 1 << 20, mode: 0o1770, options: None }
        );
        assert_eq!(parse("type=bind,\"src=/tm,p\",dst=/x").unwrap().source, "/tm,p");
    }

    #[test]
    fn malformed_mounts_are_refused_in_dockers_words() {
        for (text, want) in [
            ("x", "invalid field 'x' must be a key=value pair"),
            ("", "EOF"),
            ("type=bind", "target is required"),
            ("type=bind,src=/a,dst=/x,readonly=x", "invalid value for readonly: x"),
            ("type=bind,src=/a,dst=/x,foo=bar", "unexpected key 'foo' in 'foo=bar'"),
            ("type=tmpfs,target=/x,tmpfs-size=x", "invalid value for tmpfs-size: x"),
            ("type=tmpfs,target=/x,tmpfs-mode=abc", "invalid value for tmpfs-mode: abc"),
            ("type=bind,dst=/x,volume-driver=x", "cannot mix 'volume-*' options with mount type 'bind'"),
            ("type=volume,dst=/x,bind-propagation=x", "cannot mix 'bind-*' options with mount type 'volume'"),
            (
                "type=bind,src=/tmp,dst=/x,bind-recursive=x",
                "invalid value for bind-recursive: x (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")",
            ),
            (
                "type=bind,src=/tmp,dst=/x,bind-recursive=readonly",
                "option 'bind-recursive=readonly' requires 'readonly' to be specified in conjunction",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), want, "{text}");
        }
    }
}
