//! The seccomp filter of a container: which rules, and those rules compiled.
//!
//! Docker's profile has some 400 rules, and compiling them takes longer than a fork. Containers that say nothing else
//! have the same one, so the last few programs are kept.

use super::{SpecError, SpecInput};
use crate::host_config::SecurityOptions;
use brig_runtime::{
    capabilities::CapabilitySet,
    seccomp::{self, ProfileFacts, Program},
};
use oci_spec::runtime::LinuxSeccomp;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

/// Which rules a container has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// None.
    Unconfined,
    /// Docker's.
    Default(ProfileFacts),
    /// Those of a profile in Docker's form, as text.
    Custom(String, ProfileFacts),
}

impl Filter {
    /// As the container's options say.
    pub(super) fn choose(
        input: &SpecInput<'_>,
        security: &SecurityOptions,
        capabilities: CapabilitySet,
    ) -> Self {
        // A machine that brig has no compiler for runs without a filter; `info` says so.
        let Some(abi) = input.host.abi else { return Self::Unconfined };
        let facts = ProfileFacts { abi, capabilities, kernel: input.host.kernel };
        match security.seccomp.as_deref() {
            Some("unconfined") => Self::Unconfined,
            Some("builtin") => Self::Default(facts),
            Some(profile) if !profile.is_empty() => Self::Custom(profile.to_owned(), facts),
            _ if input.host_config.privileged => Self::Unconfined,
            _ => Self::Default(facts),
        }
    }

    /// The rules in the form of the runtime's specification.
    ///
    /// # Errors
    /// A profile that is none. Docker, too, reads it only when the container starts.
    pub fn rules(&self) -> Result<Option<LinuxSeccomp>, SpecError> {
        Ok(match self {
            Self::Unconfined => None,
            Self::Default(facts) => Some(seccomp::default_profile(facts)),
            Self::Custom(profile, facts) => seccomp::custom_profile(profile, facts)?,
        })
    }
}

/// How many programs are kept.
const KEPT: usize = 8;

/// What [`Programs::get`] finds for a filter.
#[derive(Debug)]
pub enum Compiled {
    /// No filter.
    Nothing,
    /// The filter.
    Program(Program),
    /// Rules that the runtime is to refuse, in its words.
    Refused(Box<LinuxSeccomp>),
}

/// Programs that were compiled lately, the latest last.
#[derive(Debug, Default)]
pub struct Programs(Mutex<VecDeque<(Filter, Program)>>);

impl Programs {
    /// The program of a filter, compiled or remembered.
    ///
    /// # Errors
    /// As [`Filter::rules`].
    pub fn get(&self, filter: Filter) -> Result<Compiled, SpecError> {
        if filter == Filter::Unconfined {
            return Ok(Compiled::Nothing);
        }
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, program)) = kept().iter().find(|(known, _)| *known == filter) {
            return Ok(Compiled::Program(program.clone()));
        }
        let Some(rules) = filter.rules()? else { return Ok(Compiled::Nothing) };
        let Ok(program) = seccomp::compile(&rules) else { return Ok(Compiled::Refused(Box::new(rules))) };
        let mut kept = kept();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back((filter, program.clone()));
        Ok(Compiled::Program(program))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brig_runtime::seccomp::Abi;

    const FACTS: ProfileFacts =
        ProfileFacts { abi: Abi::X86_64, capabilities: CapabilitySet::DOCKER_DEFAULT, kernel: (6, 1) };

    fn custom(call: &str) -> Filter {
        let rule = format!(r#"{{"names":["{call}"],"action":"SCMP_ACT_ERRNO"}}"#);
        Filter::Custom(format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{rule}]}}"#), FACTS)
    }

    fn program(programs: &Programs, filter: Filter) -> Program {
        match programs.get(filter) {
            Ok(Compiled::Program(program)) => program,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_filter_has_its_own_program() {
        let programs = Programs::default();
        let default = program(&programs, Filter::Default(FACTS));
        assert_eq!(default, seccomp::compile(&seccomp::default_profile(&FACTS)).unwrap());
        let more = ProfileFacts { capabilities: CapabilitySet::ALL, ..FACTS };
        assert_ne!(program(&programs, Filter::Default(more)), default);
        assert_ne!(program(&programs, custom("mkdir")), program(&programs, custom("chmod")));
        assert_eq!(program(&programs, Filter::Default(FACTS)), default);
        assert!(matches!(programs.get(Filter::Unconfined), Ok(Compiled::Nothing)));
    }

    #[test]
    fn no_more_are_kept_than_a_few() {
        let programs = Programs::default();
        for call in ["open", "read", "write", "close", "stat", "fstat", "lstat", "poll", "lseek", "mmap"] {
            program(&programs, custom(call));
        }
        assert_eq!(programs.0.lock().unwrap().len(), KEPT);
    }

    #[test]
    fn what_can_not_be_compiled_is_for_the_runtime_to_refuse() {
        let notify = r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#.to_owned();
        let programs = Programs::default();
        assert!(matches!(programs.get(Filter::Custom(notify, FACTS)), Ok(Compiled::Refused(_))));
        programs.get(Filter::Custom("{".to_owned(), FACTS)).unwrap_err();
    }
}
