//! `--device-cgroup-rule`: "c 13:* rwm".

use super::ConfigError;
use oci_spec::runtime::LinuxDeviceType;

/// A rule that allows devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRule {
    /// Which sort; `a` for both.
    pub kind: LinuxDeviceType,
    /// The major number; -1 for all.
    pub major: i64,
    /// The minor number; -1 for all.
    pub minor: i64,
    /// Some of `r`, `w` and `m`.
    pub access: String,
}

impl DeviceRule {
    /// Reads a rule as Docker does: `^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$`.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        Self::read(text)
            .ok_or_else(|| ConfigError::new(format!("invalid device cgroup rule format: '{text}'")))
    }

    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (kind, numbers, access) = (words.next()?, words.next()?, words.next()?);
        if words.next().is_some() {
            return None;
        }
        let kind = match kind {
            "a" => LinuxDeviceType::A,
            "c" => LinuxDeviceType::C,
            "b" => LinuxDeviceType::B,
            _ => return None,
        };
        let number = |text: &str| match text {
            "*" => Some(-1),
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|number| *number <= i64::from(u32::MAX))
            }
            _ => None,
        };
        let (major, minor) = numbers.split_once(':')?;
        let fits = (1..=3).contains(&access.len()) && access.chars().all(|way| "rwm".contains(way));
        fits.then_some(Self { kind, major: number(major)?, minor: number(minor)?, access: access.to_owned() })
    }
}
