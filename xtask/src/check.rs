//! The dependency directions between the crates, as `ARCHITECTURE.md` draws them: imports go down only.

use crate::step;
use serde_json::Value;

/// Crates by level, lowest first. A crate may use crates of lower levels, and those named in [`BESIDE`].
const LEVELS: &[&[&str]] = &[
    &["brig-core"],
    &["brig-runtime", "brig-logs", "brig-api"],
    &["brig-store", "brig-registry", "brig-net", "brig-shim", "brig-oci"],
    &["brig-engine", "brig-build"],
    &["brig-cli", "brig-compose", "brig-daemon"],
    &["brig"],
];

/// Uses inside one level that the design allows.
const BESIDE: &[(&str, &str)] =
    &[("brig-cli", "brig-compose"), ("brig-engine", "brig-build"), ("brig-registry", "brig-store")];

/// These drive the finished program from outside and are used by nothing in it.
const OUTSIDE: &[&str] = &["brig-e2e", "brig-oci-contract", "brig-parity", "brig-benches"];

/// These reach the engine through the API alone, so that they work against any Docker.
const API_ONLY: &[&str] = &["brig-cli", "brig-compose"];
const API_ONLY_USES: &[&str] = &["brig-api", "brig-core", "brig-compose"];

/// These fork, and forking is only safe single-threaded: no async runtime among their dependencies.
const NO_TOKIO: &[&str] =
    &["brig-core", "brig-runtime", "brig-logs", "brig-shim", "brig-oci", "brig-store", "brig-net"];

/// Checks the directions from cargo's own metadata.
///
/// # Errors
/// Names every dependency that points the wrong way.
pub fn run() -> Result<(), String> {
    let text = step::output(&mut step::cargo(&["metadata", "--format-version=1", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&text).map_err(|e| format!("cargo metadata: {e}"))?;
    let mut wrong = violations(&metadata);
    wrong.extend(tokio_users(&metadata));
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("dependencies that point the wrong way:\n  {}", wrong.join("\n  ")))
    }
}

fn level(name: &str) -> Option<usize> {
    LEVELS.iter().position(|l| l.contains(&name))
}

fn violations(metadata: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let Some(user) = package["name"].as_str() else { continue };
        if package["source"].is_string() || !user.starts_with("brig") {
            continue;
        }
        let Some(from) = level(user) else {
            if !OUTSIDE.contains(&user) {
                wrong.push(format!("{user} has no level: put it into xtask/src/check.rs"));
            }
            continue;
        };
        for used in package["dependencies"].as_array().into_iter().flatten() {
            let Some(used) = used["name"].as_str() else { continue };
            let Some(to) = level(used) else { continue };
            let beside = from == to && BESIDE.contains(&(user, used));
            if to >= from && !beside {
                wrong.push(format!("{user} -> {used}"));
            } else if API_ONLY.contains(&user) && !API_ONLY_USES.contains(&used) {
                wrong.push(format!("{user} -> {used} (may use {} only)", API_ONLY_USES.join(", ")));
            }
        }
    }
    wrong
}

/// Follows the resolved graph, since an async runtime may come in through a library.
fn tokio_users(metadata: &Value) -> Vec<String> {
    let nodes = || metadata["resolve"]["nodes"].as_array().into_iter().flatten();
    let name_of = |id: &str| {
        metadata["packages"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|p| p["id"] == id)
            .and_then(|p| p["name"].as_str())
            .unwrap_or_default()
            .to_owned()
    };
    let mut wrong = Vec::new();
    for start in
        nodes().filter_map(|n| n["id"].as_str()).filter(|id| NO_TOKIO.contains(&name_of(id).as_str()))
    {
        let mut seen = std::collections::BTreeSet::from([start]);
        let mut queue = vec![start];
        while let Some(id) = queue.pop() {
            let Some(node) = nodes().find(|n| n["id"] == id) else { continue };
            for dep in node["deps"].as_array().into_iter().flatten() {
                // Test-only and build-only dependencies don't run in the forking process.
                let linked = dep["dep_kinds"].as_array().into_iter().flatten().any(|k| k["kind"].is_null());
                if let Some(next) = dep["pkg"].as_str().filter(|_| linked)
                    && seen.insert(next)
                {
                    queue.push(next);
                }
            }
        }
        if seen.iter().any(|id| name_of(id) == "tokio") {
            wrong.push(format!("{} -> tokio", name_of(start)));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn uses(user: &str, used: &str) -> Vec<String> {
        violations(&json!({"packages": [{"name": user, "source": null, "dependencies": [{"name": used}]}]}))
    }

    #[test]
    fn down_is_allowed_and_up_is_not() {
        assert_eq!(uses("brig-engine", "brig-store"), Vec::<String>::new());
        assert_eq!(uses("brig-cli", "brig-compose"), Vec::<String>::new());
        assert_eq!(uses("brig-store", "brig-engine"), ["brig-store -> brig-engine"]);
        assert_eq!(uses("brig-net", "brig-store"), ["brig-net -> brig-store"]);
        assert_eq!(uses("brig-cli", "brig-engine").len(), 1);
        assert_eq!(uses("brig-new", "brig-core").len(), 1);
    }

    #[test]
    fn tokio_is_found_through_a_library() {
        let dep = |p: &str| json!({"pkg": p, "dep_kinds": [{"kind": null}]});
        let metadata = json!({
            "packages": [{"id": "r", "name": "brig-runtime"}, {"id": "l", "name": "lib"}, {"id": "t", "name": "tokio"}],
            "resolve": {"nodes": [
                {"id": "r", "deps": [dep("l")]}, {"id": "l", "deps": [dep("t")]}, {"id": "t", "deps": []}]}
        });
        assert_eq!(tokio_users(&metadata), ["brig-runtime -> tokio"]);
    }
}
