//! Lists: `--format` with tables, JSON lines and templates, as Docker's formatter understands it.

use crate::{
    error::{Error, Result},
    format::table,
    out,
    template::{MissingKey, Object, Template, Value},
};
use std::rc::Rc;

/// Headers of a list's columns, by method.
pub type Headers = &'static [(&'static str, &'static str)];

/// Prints entries.
///
/// `format` is the user's, `table`, `json`, `table TEMPLATE` or a template; `default_table` is what `table`
/// alone stands for.
///
/// # Errors
/// When the template is wrong, or standard output is gone.
pub fn print(format: &str, default_table: &str, headers: Headers, entries: Vec<Rc<dyn Object>>) -> Result {
    out::print(&render(format, default_table, headers, entries)?)
}

/// Renders entries.
///
/// # Errors
/// When the template is wrong.
pub fn render(
    format: &str,
    default_table: &str,
    headers: Headers,
    entries: Vec<Rc<dyn Object>>,
) -> Result<String> {
    let format = match format {
        "" | "table" => default_table,
        "json" => "{{json .}}",
        other => other,
    };
    let (is_table, body) = match format.strip_prefix("table") {
        Some(rest) => (true, rest.trim_matches([' ', '\t'])),
        None => (false, format.trim_matches(' ')),
    };
    let text = body.replace("\\t", "\t").replace("\\n", "\n");
    let template =
        Template::parse(&text).map_err(|e| Error::Message(format!("failed to parse template: {e}")))?;
    let failed = |e: String| Error::Message(format!("failed to execute template: {e}"));
    let mut lines = String::new();
    for entry in entries {
        lines.push_str(&template.execute(&Value::Object(entry), MissingKey::NoValue).map_err(failed)?);
        lines.push('\n');
    }
    if !is_table {
        return Ok(lines);
    }
    let header: Rc<dyn Object> = Rc::new(Header(headers));
    let head = template.execute_headers(&Value::Object(header)).map_err(failed)?;
    Ok(table::align(&format!("{head}\n{lines}"), table::LISTS))
}

/// The line of headers, as an entry of its own.
#[derive(Debug)]
struct Header(Headers);

impl Object for Header {
    fn type_name(&self) -> &str {
        "formatter.SubHeaderContext"
    }

    fn arity(&self, method: &str) -> Option<usize> {
        if method == "Label" { Some(1) } else { Some(0) }
    }

    fn call(&self, method: &str, args: &[Value]) -> std::result::Result<Value, String> {
        if let ("Label", [Value::Str(name)]) = (method, args) {
            let last = name.rsplit('.').next().unwrap_or_default();
            return Ok(Value::str(last.replace(['-', '_'], " ")));
        }
        let found = self.0.iter().find(|(name, _)| *name == method);
        Ok(found.map_or(Value::Missing, |(_, header)| Value::str(header)))
    }

    fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|(name, _)| *name).collect()
    }
}

/// Defines an entry's methods once: a type, its Go name, and an expression for each method without arguments.
#[macro_export]
macro_rules! entry {
    ($type:ty as $go:literal, $this:ident; $($name:literal => $value:expr),+ $(,)? ; label: $label:expr) => {
        impl $crate::template::Object for $type {
            fn type_name(&self) -> &str {
                $go
            }

            fn arity(&self, method: &str) -> Option<usize> {
                match method {
                    $($name => Some(0),)+
                    "Label" => {
                        let $this = self;
                        let _ = $this;
                        let labels: Option<&std::collections::BTreeMap<String, String>> = $label;
                        labels.map(|_| 1)
                    }
                    _ => None,
                }
            }

            fn call(
                &self,
                method: &str,
                args: &[$crate::template::Value],
            ) -> ::std::result::Result<$crate::template::Value, String> {
                let $this = self;
                Ok(match method {
                    $($name => $value.into(),)+
                    _ => {
                        let labels: Option<&std::collections::BTreeMap<String, String>> = $label;
                        let name = match args {
                            [$crate::template::Value::Str(name)] => &**name,
                            _ => "",
                        };
                        labels.and_then(|l| l.get(name)).map_or("", String::as_str).into()
                    }
                })
            }

            fn names(&self) -> Vec<&'static str> {
                vec![$($name),+]
            }
        }
    };
}
