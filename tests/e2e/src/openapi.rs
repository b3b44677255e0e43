//! Checks answers against the Engine API's own OpenAPI file (Swagger 2.0).
//!
//! The file is looser than what Docker does, and in places plainly wrong about it, so three rules are added:
//! `null` is let pass where the file says so and for arrays and objects (Go's nil slices, maps and pointers);
//! fields that the file does not know are told; and [`KNOWN_GAPS`] and [`KNOWN_NULLS`] name what Docker sends
//! otherwise.

use serde_json::{Map, Value};
use std::sync::OnceLock;

/// The file's text.
const TEXT: &str = include_str!("../../reference/engine-api-v1.51.yaml");
/// References to definitions.
const REFERENCE: &str = "#/definitions/";

/// Fields that Docker sends and the file does not know, by the end of their path.
const KNOWN_GAPS: &[&str] = &[
    // Deprecated forms of events, which Docker sends up to 1.51.
    "EventMessage.status",
    "EventMessage.id",
    "EventMessage.from",
    // Gone from the file with 1.42, written when an older client set it.
    "HostConfig.KernelMemory",
];

/// Fields that Docker writes as `null` and the file does not let be, by the end of their path.
const KNOWN_NULLS: &[&str] = &["HostConfig.MemorySwappiness", "/exec/{id}/json.ExitCode"];

/// The parsed file.
#[derive(Debug)]
pub struct Spec {
    root: Value,
}

/// The file, read once.
pub fn spec() -> &'static Spec {
    static SPEC: OnceLock<Spec> = OnceLock::new();
    SPEC.get_or_init(|| Spec { root: serde_yaml_ng::from_str(TEXT).expect("the OpenAPI file is YAML") })
}

impl Spec {
    /// What is wrong with a value that is to be a definition, such as `ContainerInspectResponse`.
    pub fn definition(&self, name: &str, value: &Value) -> Vec<String> {
        let schema = self.lookup(name).unwrap_or_else(|| panic!("no definition {name}"));
        let mut check = Check { spec: self, problems: Vec::new() };
        check.value(schema, value, name);
        check.problems
    }

    /// What is wrong with the answer of an operation, such as `get` of `/containers/{id}/json`.
    pub fn answer(&self, method: &str, path: &str, status: u16, value: &Value) -> Vec<String> {
        let operation = &self.root["paths"][path][method];
        assert!(operation.is_object(), "no operation {method} {path}");
        let responses = &operation["responses"];
        // YAML has statuses as numbers, JSON keys are texts.
        let response = &responses[status.to_string()];
        if !response.is_object() {
            return vec![format!("{method} {path}: status {status} is not in the file")];
        }
        let mut check = Check { spec: self, problems: Vec::new() };
        if response["schema"].is_object() {
            check.value(&response["schema"], value, path);
        }
        check.problems
    }

    fn lookup(&self, name: &str) -> Option<&Value> {
        self.root["definitions"].get(name)
    }
}

struct Check<'a> {
    spec: &'a Spec,
    problems: Vec<String>,
}

impl<'a> Check<'a> {
    fn problem(&mut self, path: &str, text: &str) {
        self.problems.push(format!("{path}: {text}"));
    }

    fn value(&mut self, schema: &'a Value, value: &Value, path: &str) {
        if let Some(name) = schema["$ref"].as_str().and_then(|r| r.strip_prefix(REFERENCE)) {
            match self.spec.lookup(name) {
                Some(target) => self.value(target, value, &renamed(path, name)),
                None => self.problem(path, &format!("the file refers to {name}, which it lacks")),
            }
            return;
        }
        let kind =
            schema["type"].as_str().unwrap_or(if schema["allOf"].is_array() { "object" } else { "any" });
        if value.is_null() {
            let let_pass = matches!(kind, "array" | "object" | "any") || is_among(path, KNOWN_NULLS);
            if schema["x-nullable"] != true && !let_pass {
                self.problem(path, &format!("null, but {kind} is wanted"));
            }
            return;
        }
        let fits = match kind {
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => true,
        };
        if !fits {
            return self.problem(path, &format!("{value}, but {kind} is wanted"));
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            self.problem(path, &format!("{value} is none of {}", schema["enum"]));
        }
        match value {
            Value::Array(items) if schema["items"].is_object() => {
                for (at, item) in items.iter().enumerate() {
                    self.value(&schema["items"], item, &format!("{path}[{at}]"));
                }
            }
            Value::Object(object) => self.object(schema, object, path),
            _ => {}
        }
    }

    fn object(&mut self, schema: &'a Value, object: &Map<String, Value>, path: &str) {
        let mut parts = Vec::new();
        self.collect(schema, &mut parts);
        for part in &parts {
            for required in part["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !object.contains_key(required) {
                    self.problem(path, &format!("{required} is missing"));
                }
            }
        }
        // The file says nothing of the fields: anything goes.
        let open = parts
            .iter()
            .all(|part| !part["properties"].is_object() && part["additionalProperties"].is_null());
        for (name, value) in object {
            let below = format!("{path}.{name}");
            let known = parts.iter().find_map(|part| part["properties"].get(name));
            let more = parts.iter().map(|part| &part["additionalProperties"]).find(|more| !more.is_null());
            match (known, more) {
                (Some(schema), _) => self.value(schema, value, &below),
                (None, Some(more)) if more.is_object() => self.value(more, value, &below),
                (None, Some(more)) if *more == true => {}
                _ if open || is_among(&below, KNOWN_GAPS) => {}
                _ => self.problem(&below, "is not in the file"),
            }
        }
    }

    /// An object's schema and those that it is composed of.
    fn collect(&self, schema: &'a Value, parts: &mut Vec<&'a Value>) {
        if let Some(target) =
            schema["$ref"].as_str().and_then(|r| self.spec.lookup(r.strip_prefix(REFERENCE)?))
        {
            return self.collect(target, parts);
        }
        parts.push(schema);
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.collect(part, parts);
        }
    }
}

/// The path with the definition's name at its end, which is what [`KNOWN_GAPS`] name.
fn renamed(path: &str, definition: &str) -> String {
    if path.ends_with(definition) { path.to_owned() } else { format!("{path}:{definition}") }
}

fn is_among(path: &str, ends: &[&str]) -> bool {
    ends.iter().any(|end| {
        path.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with([':', '.']))
    })
}

#[cfg(test)]
mod tests {
    use super::spec;
    use serde_json::json;

    #[test]
    fn what_is_right_passes() {
        let wait = json!({"StatusCode": 1, "Error": {"Message": "x"}});
        assert_eq!(spec().definition("ContainerWaitResponse", &wait), Vec::<String>::new());
        assert!(spec().answer("get", "/containers/json", 200, &json!([])).is_empty());
        let host =
            json!({"Binds": null, "Memory": 5, "Sysctls": {"a": "b"}, "RestartPolicy": {"Name": "no"}});
        assert_eq!(spec().definition("HostConfig", &host), Vec::<String>::new());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let wait = json!({"Error": {"Message": 5}, "Extra": 1});
        let problems = spec().definition("ContainerWaitResponse", &wait).join("\n");
        for expected in [
            "ContainerWaitResponse: StatusCode is missing",
            "ContainerWaitResponse.Error:ContainerWaitExitError.Message: 5, but string is wanted",
            "ContainerWaitResponse.Extra: is not in the file",
        ] {
            assert!(problems.contains(expected), "{expected} in {problems}");
        }
        let list = json!([{"Id": "x", "State": "flying", "Ports": [{"Type": null, "PrivatePort": 1}]}]);
        let problems = spec().answer("get", "/containers/json", 200, &list).join("\n");
        assert!(problems.contains("\"flying\" is none of"), "{problems}");
        assert!(problems.contains("Type: null, but string is wanted"), "{problems}");
        assert_eq!(spec().answer("get", "/info", 418, &json!({})).len(), 1);
    }
}
