//! Comparing values as Go's templates compare basic kinds.

use super::value::Value;
use std::cmp::Ordering;

const INCOMPATIBLE: &str = "incompatible types for comparison";
const INVALID: &str = "invalid type for comparison";

enum Basic<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
}

fn basic(value: &Value) -> Option<Basic<'_>> {
    match value {
        Value::Bool(b) => Some(Basic::Bool(*b)),
        Value::Int(n) => Some(Basic::Int(*n)),
        Value::Float(n) => Some(Basic::Float(*n)),
        Value::Str(s) | Value::Number(s) => Some(Basic::Text(s)),
        _ => None,
    }
}

/// Whether both are equal.
///
/// # Errors
/// They are of kinds that can't be compared.
pub fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    let nil = |v: &Value| matches!(v, Value::Missing | Value::Nil(_));
    match (basic(a), basic(b)) {
        (Some(Basic::Bool(a)), Some(Basic::Bool(b))) => Ok(a == b),
        (Some(Basic::Int(a)), Some(Basic::Int(b))) => Ok(a == b),
        (Some(Basic::Float(a)), Some(Basic::Float(b))) => Ok(a == b),
        (Some(Basic::Text(a)), Some(Basic::Text(b))) => Ok(a == b),
        (Some(_), Some(_)) => Err(INCOMPATIBLE.to_owned()),
        _ if nil(a) || nil(b) => Ok(nil(a) && nil(b)),
        _ => {
            let odd = if basic(a).is_none() { a } else { b };
            Err(format!("non-comparable type {}: {}", super::print::to_string(odd), odd.type_name()))
        }
    }
}

/// Whether `a` is less than `b`.
///
/// # Errors
/// They are of kinds that have no order, or not the same kind.
pub fn less(a: &Value, b: &Value) -> Result<bool, String> {
    let order = match (basic(a), basic(b)) {
        (Some(Basic::Bool(_)), Some(Basic::Bool(_))) | (None, _) | (_, None) => {
            return Err(INVALID.to_owned());
        }
        (Some(Basic::Int(a)), Some(Basic::Int(b))) => a.cmp(&b),
        (Some(Basic::Float(a)), Some(Basic::Float(b))) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
        (Some(Basic::Text(a)), Some(Basic::Text(b))) => a.cmp(b),
        _ => return Err(INCOMPATIBLE.to_owned()),
    };
    Ok(order == Ordering::Less)
}
