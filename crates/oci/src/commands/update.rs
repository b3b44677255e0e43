//! `update`.

use super::{Command, Context, id};
use crate::args::{Flag, Parsed};
use crate::bundle;
use crate::error::Error;
use crate::status::{Container, Status};
use oci_spec::runtime::{
    LinuxBlockIo, LinuxBlockIoBuilder, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources,
};
use std::path::Path;

pub(super) const UPDATE: Command = Command {
    name: "update",
    about: "Change the limits of a container",
    operands: "CONTAINER",
    count: 1..=1,
    flags: &[
        Flag::value("resources", "FILE", "JSON file with all limits (- for standard input)").or("r"),
        Flag::value("blkio-weight", "N", "weight of block devices, 10 to 1000"),
        Flag::value("cpu-period", "USECS", "length of a period"),
        Flag::value("cpu-quota", "USECS", "time in each period"),
        Flag::value("cpu-burst", "USECS", "time that may be saved up"),
        Flag::value("cpu-share", "N", "weight against other containers"),
        Flag::value("cpu-rt-period", "USECS", "length of a real-time period"),
        Flag::value("cpu-rt-runtime", "USECS", "real-time in each period"),
        Flag::value("cpuset-cpus", "LIST", "CPUs: 0-2,4"),
        Flag::value("cpuset-mems", "LIST", "memory nodes: 0-1"),
        Flag::value("memory", "BYTES", "limit of memory (-1 for none)"),
        Flag::value("memory-reservation", "BYTES", "memory that is left when the host has little"),
        Flag::value("memory-swap", "BYTES", "limit of memory and swap together (-1 for none)"),
        Flag::value("pids-limit", "N", "most processes (-1 for no limit)"),
        Flag::value("cpu-idle", "0|1", "run only when nothing else does"),
    ],
    examples: "  brig oci update --memory 512m --pids-limit 100 web\n  echo '{\"cpu\":{\"shares\":512}}' | brig oci \
               update --resources - web",
    failure: 1,
    run,
};

fn run(context: &Context<'_>, own: &Parsed) -> Result<u8, Error> {
    let entry = context.records().find(id(own))?;
    let _lock = entry.lock()?;
    let container = Container::look(&entry)?;
    if container.status == Status::Stopped {
        return Err(Error::State("container not running".into()));
    }
    let resources = resources(own)?;
    let Some(cgroup) = container.cgroup() else {
        return Err(Error::State("the container has no cgroup of its own".into()));
    };
    let mut warnings = Vec::new();
    cgroup.update(&resources, &mut warnings)?;
    warnings.iter().for_each(|warning| context.log.warn(warning));
    Ok(0)
}

fn resources(own: &Parsed) -> Result<LinuxResources, Error> {
    if let Some(file) = own.text("resources").filter(|r| !r.is_empty()) {
        let path = Path::new(file);
        return match file {
            "-" => bundle::parse(path, std::io::stdin()),
            _ => bundle::parse(path, std::fs::File::open(path).map_err(Error::file("open", path))?),
        };
    }
    let unsigned = |name: &'static str| own.number::<u64>(name).map_err(Error::Usage);
    let signed = |name: &'static str| own.number::<i64>(name).map_err(Error::Usage);
    let mut cpu = LinuxCpu::default();
    cpu.set_shares(unsigned("cpu-share")?)
        .set_quota(signed("cpu-quota")?)
        .set_burst(unsigned("cpu-burst")?)
        .set_period(unsigned("cpu-period")?)
        .set_realtime_runtime(signed("cpu-rt-runtime")?)
        .set_realtime_period(unsigned("cpu-rt-period")?)
        .set_cpus(own.text("cpuset-cpus").map(str::to_owned))
        .set_mems(own.text("cpuset-mems").map(str::to_owned))
        .set_idle(signed("cpu-idle")?);
    let mut memory = LinuxMemory::default();
    memory
        .set_limit(bytes(own, "memory")?)
        .set_reservation(bytes(own, "memory-reservation")?)
        .set_swap(bytes(own, "memory-swap")?);
    let mut resources = LinuxResources::default();
    resources.set_cpu(Some(cpu)).set_memory(Some(memory));
    if let Some(limit) = signed("pids-limit")? {
        let mut pids = LinuxPids::default();
        pids.set_limit(limit);
        resources.set_pids(Some(pids));
    }
    if let Some(weight) = own.number::<u16>("blkio-weight").map_err(Error::Usage)? {
        resources.set_block_io(Some(block_io(weight)?));
    }
    resources.set_devices(None);
    Ok(resources)
}

fn block_io(weight: u16) -> Result<LinuxBlockIo, Error> {
    LinuxBlockIoBuilder::default()
        .weight(weight)
        .build()
        .map_err(|e| Error::Usage(format!("blkio-weight {weight}: {e}")))
}

/// `512m`, `1g`, `1048576`, `-1`.
fn bytes(own: &Parsed, name: &'static str) -> Result<Option<i64>, Error> {
    let Some(text) = own.text(name) else { return Ok(None) };
    let lower = text.to_ascii_lowercase();
    let lower = lower.strip_suffix('b').unwrap_or(&lower);
    let (digits, shift) = match lower.chars().last() {
        Some('k') => (&lower[..lower.len() - 1], 10),
        Some('m') => (&lower[..lower.len() - 1], 20),
        Some('g') => (&lower[..lower.len() - 1], 30),
        Some('t') => (&lower[..lower.len() - 1], 40),
        _ => (lower, 0),
    };
    let value = digits.parse::<i64>().ok().and_then(|n| n.checked_mul(1 << shift));
    value.map(Some).ok_or_else(|| Error::Usage(format!("invalid value for {name}: invalid size: '{text}'")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::parse;

    fn given(line: &str) -> Result<LinuxResources, Error> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        resources(&parse(UPDATE.flags, &words).unwrap())
    }

    #[test]
    fn flags_become_limits() {
        let line = "--memory 512m --memory-swap -1 --cpu-quota 5000 --pids-limit 7 --cpuset-cpus 0-1 --blkio-weight 500";
        let limits = given(line).unwrap();
        let memory = limits.memory().as_ref().unwrap();
        assert_eq!((memory.limit(), memory.swap(), memory.reservation()), (Some(512 << 20), Some(-1), None));
        assert_eq!(limits.cpu().as_ref().unwrap().quota(), Some(5000));
        assert_eq!(limits.pids().as_ref().unwrap().limit(), 7);
        assert_eq!(limits.block_io().as_ref().unwrap().weight(), Some(500));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, expected) in [
            ("--memory x", "invalid size: 'x'"),
            ("--memory 9999999999g", "invalid size"),
            ("--cpu-share -1", "invalid value \"-1\" for flag -cpu-share"),
            ("--resources /nonexistent", "/nonexistent"),
        ] {
            let error = given(line).unwrap_err().to_string();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
