//! `inspect --as-run`: from what the daemon says of a container back to the command that makes such a container. What
//! the image or the daemon would say by itself is left out. Pure.

mod config;
mod host;
mod limits;
mod networks;

use brig_api::{ContainerConfig, ContainerInspectResponse};

/// What the daemon does where nobody says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defaults {
    /// `--cgroupns`.
    pub cgroupns: String,
    /// `--log-driver`.
    pub log_driver: String,
}

/// A command line under way.
#[derive(Debug, Default)]
struct Words(Vec<String>);

impl Words {
    /// A flag that is on.
    fn on(&mut self, name: &str, on: bool) {
        if on {
            self.0.push(format!("--{name}"));
        }
    }

    /// A flag with its value, unless that is empty.
    fn flag(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.0.extend([format!("--{name}"), value]);
        }
    }

    /// A flag with a number, unless that is 0.
    fn number(&mut self, name: &str, value: i64) {
        if value != 0 {
            self.flag(name, value.to_string());
        }
    }

    /// A flag for each of several values.
    fn each<T: AsRef<str>>(&mut self, name: &str, values: impl IntoIterator<Item = T>) {
        for value in values {
            self.flag(name, value.as_ref());
        }
    }
}

/// The words after the program's name. `image` is the configuration of the container's image.
#[must_use]
pub fn words(
    container: &ContainerInspectResponse,
    image: Option<&ContainerConfig>,
    defaults: &Defaults,
) -> Vec<String> {
    let none = ContainerConfig::default();
    let image = image.unwrap_or(&none);
    let (config, host) = (&container.config, &container.host_config);
    let mut words = Words(vec!["run".to_owned()]);
    words.on("detach", !config.attach_stdout && !config.attach_stderr);
    words.flag("name", container.name.trim_start_matches('/'));
    config::flags(&mut words, container, image);
    host::flags(&mut words, host, defaults);
    limits::flags(&mut words, host);
    networks::flags(&mut words, container, image);
    words.0.push(config.image.clone());
    words.0.extend(config::command(config, image));
    words.0
}

/// Words as a shell reads them.
#[must_use]
pub fn quoted(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    let quote = |word: &String| match !word.is_empty() && word.chars().all(plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
