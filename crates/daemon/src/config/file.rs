//! The configuration file, in dockerd's form: JSON whose keys are mostly the names of flags.

use super::{
    table::{self, FILE_ONLY, MERGED_KEYS, Sort, WHOLE_KEYS},
    value::{Value, Values},
};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// Reads the text of a file and checks it against the flags that were given. Errors are dockerd's.
pub(super) fn parse(text: &str, flags: &Values) -> Result<Values, String> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Ok(Values::new());
    }
    let object: Option<Map<String, Json>> =
        brig_api::json::from_slice(text.as_bytes()).map_err(|e| e.to_string())?;
    let keys = flatten(object.unwrap_or_default());
    let unknown: Vec<&str> = keys
        .keys()
        .map(String::as_str)
        .filter(|key| table::by_key(key).is_none() && !FILE_ONLY.contains(key))
        .collect();
    if !unknown.is_empty() {
        return Err(format!(
            "the following directives don't match any configuration option: {}",
            unknown.join(", ")
        ));
    }
    let mut values = Values::new();
    let mut conflicts = Vec::new();
    for (key, json) in keys {
        let Some(opt) = table::by_key(&key) else { continue };
        if json.is_null() {
            continue;
        }
        let value = convert(opt.sort, &json).map_err(|wanted| {
            let found = match json {
                Json::Null => "null",
                Json::Bool(_) => "bool",
                Json::Number(_) => "number",
                Json::String(_) => "string",
                Json::Array(_) => "array",
                Json::Object(_) => "object",
            };
            format!("json: cannot unmarshal {found} into Go struct field Config.{key} of type {wanted}")
        })?;
        match flags.get(opt.name) {
            Some(flag) if !MERGED_KEYS.contains(&opt.key) => {
                conflicts.push(format!("{key}: (from flag: {flag}, from file: {value})"));
            }
            _ => {
                values.insert(opt.name, value);
            }
        }
    }
    if !conflicts.is_empty() {
        return Err(format!(
            "the following directives are specified both as a flag and in the configuration file: {}",
            conflicts.join(", ")
        ));
    }
    Ok(values)
}

/// Takes objects that only group keys apart.
fn flatten(object: Map<String, Json>) -> BTreeMap<String, Json> {
    let mut flat = BTreeMap::new();
    for (key, value) in object {
        match value {
            Json::Object(group) if !WHOLE_KEYS.contains(&key.as_str()) => flat.extend(group),
            value => {
                flat.insert(key, value);
            }
        }
    }
    flat
}

/// The value as the option takes it, or what Go calls the type that it takes.
fn convert(sort: Sort, json: &Json) -> Result<Value, &'static str> {
    match sort {
        Sort::Bool => json.as_bool().map(Value::Bool).ok_or("bool"),
        Sort::Number => json.as_i64().map(Value::Number).ok_or("int"),
        // Sizes may be numbers.
        Sort::Text => match json {
            Json::String(text) => Ok(Value::Text(text.clone())),
            Json::Number(number) => Ok(Value::Text(number.to_string())),
            _ => Err("string"),
        },
        Sort::List => {
            let list = json.as_array().ok_or("[]string")?;
            let texts = list.iter().map(|item| item.as_str().map(str::to_owned));
            Ok(Value::List(texts.collect::<Option<_>>().ok_or("[]string")?))
        }
        Sort::Map => {
            let map = json.as_object().ok_or("map[string]string")?;
            let pairs = map.iter().map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
            Ok(Value::Map(pairs.collect::<Option<_>>().ok_or("map[string]string")?))
        }
        Sort::Structure => Ok(Value::Json(json.clone())),
    }
}
