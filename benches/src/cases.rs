//! What is timed: whole commands, as a user waits for them.

use crate::{
    engine::{Engine, IMAGE, SLEEPER},
    memory,
};
use std::time::Instant;

/// One thing that a user does.
pub struct Case {
    /// The row's name.
    pub name: &'static str,
    body: fn(&Engine) -> Result<(), String>,
}

/// All cases, in the order of the table.
pub const ALL: &[Case] = &[
    Case { name: "run_rm", body: |e| e.run(&["run", "--rm", IMAGE, "true"]).map(drop) },
    Case {
        name: "run_rm_nonet",
        body: |e| e.run(&["run", "--rm", "--network", "none", IMAGE, "true"]).map(drop),
    },
    Case {
        name: "run_rm_published",
        body: |e| e.run(&["run", "--rm", "-p", "127.0.0.1:18999:80", IMAGE, "true"]).map(drop),
    },
    Case {
        name: "run_d_stop_rm",
        body: |e| {
            let id = e.run(&["run", "-d", "--init", IMAGE, "sleep", "1000"])?;
            e.run(&["stop", "-t", "5", &id])?;
            e.run(&["rm", &id]).map(drop)
        },
    },
    Case { name: "exec_true", body: |e| e.run(&["exec", SLEEPER, "true"]).map(drop) },
    Case { name: "ps", body: |e| e.run(&["ps"]).map(drop) },
];

/// The median time of a case for each engine in milliseconds; the first round warms up and is not counted.
pub fn medians(case: &Case, engines: &[Engine], reps: usize) -> Result<Vec<f64>, String> {
    let mut times = vec![Vec::with_capacity(reps); engines.len()];
    for round in 0..=reps {
        for (engine, times) in engines.iter().zip(&mut times) {
            let begun = Instant::now();
            (case.body)(engine)?;
            if round > 0 {
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    Ok(times.into_iter().map(median).collect())
}

/// The middle of some values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Starts `n` detached containers: PSS before and after in MiB, and milliseconds a start.
pub fn density(engine: &Engine, n: usize) -> Result<(f64, f64, f64), String> {
    let before = memory::pss_mib(engine)?;
    let begun = Instant::now();
    let ids: Vec<String> =
        (0..n).map(|_| engine.run(&["run", "-d", IMAGE, "sleep", "100000"])).collect::<Result<_, _>>()?;
    let each = begun.elapsed().as_secs_f64() * 1e3 / n as f64;
    let after = memory::pss_mib(engine)?;
    let mut remove = vec!["rm", "-f"];
    remove.extend(ids.iter().map(String::as_str));
    engine.run(&remove)?;
    Ok((before, after, each))
}
