//! How a container's log is kept, and what every record of it says of the container.

use crate::{
    core::Core,
    error::{Error, Result},
    record::ContainerRecord,
    shipping,
};
use brig_logs::{Driver, LogConfig};
use std::{collections::BTreeMap, path::PathBuf};

/// Where a container's log is, as the API shows it: where it is a file for others to read.
pub(crate) fn log_path(core: &Core, record: &ContainerRecord) -> Result<Option<PathBuf>> {
    let config = log_config(core, record)?;
    Ok(matches!(config.driver, Driver::JsonFile { .. }).then_some(config.path))
}

/// How a container's log is kept.
pub(crate) fn log_config(core: &Core, record: &ContainerRecord) -> Result<LogConfig> {
    let log = &record.host_config.log_config;
    let file = match log.driver.as_str() {
        "" | "json-file" | "none" => format!("{}-json.log", record.id),
        _ => "local.log".to_owned(),
    };
    let path = core.config.paths.container(&record.id).join(file);
    let options = log.config.clone().unwrap_or_default();
    let mut config = LogConfig::from_docker(&log.driver, &options, path)?;
    if shipping::remote_of(record)?.is_some() {
        // Told when the container is made what can't be sent. The file itself is nobody's to read.
        log_attributes(record)?;
    }
    if matches!(config.driver, Driver::JsonFile { .. }) {
        config.attrs = attributes(record, &options)?;
    }
    Ok(config)
}

/// Whether a log that is sent on is not to be read here (`cache-disabled`).
pub(crate) fn keeps_no_log(record: &ContainerRecord) -> bool {
    let options = record.host_config.log_config.config.as_ref();
    let disabled = options.and_then(|options| options.get("cache-disabled"));
    disabled.is_some_and(|value| matches!(value.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"))
}

/// What every record of a log that is sent on says of the container.
pub(crate) fn log_attributes(record: &ContainerRecord) -> Result<BTreeMap<String, String>> {
    attributes(record, &record.host_config.log_config.config.clone().unwrap_or_default())
}

/// What `labels`, `labels-regex`, `env`, `env-regex` and `tag` pick.
fn attributes(
    record: &ContainerRecord,
    options: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let mut picked = BTreeMap::new();
    let labels = record.config.labels.iter().flatten().map(|(name, value)| (name.as_str(), value.as_str()));
    let variables = record.config.env.iter().flatten();
    let variables = variables.map(|text| text.split_once('=').unwrap_or((text, "")));
    pick(labels, options.get("labels"), options.get("labels-regex"), &mut picked)?;
    pick(variables, options.get("env"), options.get("env-regex"), &mut picked)?;
    if let Some(template) = options.get("tag").filter(|template| !template.is_empty()) {
        let tag = fill_in(template, |field| field_of(record, field))?;
        if !tag.is_empty() {
            picked.insert("tag".to_owned(), tag);
        }
    }
    Ok(picked)
}

/// Those of `all` that are in a list, or that a pattern fits.
fn pick<'a>(
    all: impl Iterator<Item = (&'a str, &'a str)>,
    list: Option<&String>,
    pattern: Option<&String>,
    picked: &mut BTreeMap<String, String>,
) -> Result<()> {
    let pattern = pattern.filter(|pattern| !pattern.is_empty()).map(|pattern| {
        regex_lite::Regex::new(pattern)
            .map_err(|error| Error::Invalid(format!("error parsing regexp: {error}: `{pattern}`")))
    });
    let pattern = pattern.transpose()?;
    let listed = |name: &str| list.is_some_and(|list| list.split(',').any(|one| one == name));
    let fits = |name: &str| pattern.as_ref().is_some_and(|pattern| pattern.is_match(name));
    for (name, value) in all.filter(|(name, _)| listed(name) || fits(name)) {
        picked.insert(name.to_owned(), value.to_owned());
    }
    Ok(())
}

/// What a field of Docker's tags says of a container.
fn field_of(record: &ContainerRecord, field: &str) -> Option<String> {
    let id = || record.id.to_string();
    let image = || record.image.as_ref().map_or_else(String::new, ToString::to_string);
    let start = |text: String| text.chars().take(12).collect::<String>();
    Some(match field {
        "ID" => start(id()),
        "FullID" | "ContainerID" => id(),
        "Name" => record.name.clone(),
        "ContainerName" => format!("/{}", record.name),
        // With the algorithm's name among the twelve characters, as in Docker.
        "ImageID" => start(image()),
        "ImageFullID" | "ContainerImageID" => image(),
        "ImageName" | "ContainerImageName" => record.config.image.clone(),
        "DaemonName" => "docker".to_owned(),
        "Command" => record.command().join(" "),
        _ => return None,
    })
}

/// Puts fields into a text with `{{.Field}}` in it.
fn fill_in(template: &str, field: impl Fn(&str) -> Option<String>) -> Result<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let unclosed = || Error::Invalid("template: log-tag:1: unclosed action".to_owned());
        let (action, after) = after.split_once("}}").ok_or_else(unclosed)?;
        let name = action.trim().strip_prefix('.').unwrap_or(action);
        let value = field(name).ok_or_else(|| {
            Error::Invalid(format!(
                "template: log-tag:1: executing \"log-tag\" at <{}>: can't evaluate field {name} in type *logger.Info",
                action.trim()
            ))
        })?;
        text.push_str(before);
        text.push_str(&value);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_filled_in_or_refused() {
        let field = |name: &str| (name == "ID").then(|| "abc".to_owned());
        assert_eq!(fill_in("x/{{.ID}}-{{ .ID }}", field).unwrap(), "x/abc-abc");
        assert_eq!(fill_in("plain", field).unwrap(), "plain");
        for (bad, words) in [("{{", "unclosed action"), ("{{.Foo}}", "can't evaluate field Foo")] {
            assert!(fill_in(bad, field).unwrap_err().to_string().contains(words), "{bad}");
        }
    }

    #[test]
    fn labels_are_picked_by_name_and_pattern() {
        let all = [("a", "1"), ("bee", "2"), ("c", "3")];
        let mut picked = BTreeMap::new();
        pick(all.into_iter(), Some(&"a,x".to_owned()), Some(&"^b".to_owned()), &mut picked).unwrap();
        assert_eq!(picked.keys().collect::<Vec<_>>(), ["a", "bee"]);
        assert!(pick(all.into_iter(), None, Some(&"(".to_owned()), &mut picked).is_err());
    }
}
