//! Go's `text/template` language, for `--format`.

pub mod ast;
mod compare;
mod exec;
mod functions;
pub mod json;
mod lex;
mod literal;
mod parse;
mod print;
mod printf;
pub mod value;

pub use exec::MissingKey;
pub use functions::escape_query;
pub use value::{Object, Value};

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template {
    tree: ast::Tree,
}

impl Template {
    /// Parses a template's text.
    ///
    /// # Errors
    /// `template: :LINE: what`, in Go's words.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse::parse(text).map(|tree| Self { tree })
    }

    /// Runs the template with `data` as the dot.
    ///
    /// # Errors
    /// `template: :LINE:COLUMN: executing "" at <…>: what`, in Go's words.
    pub fn execute(&self, data: &Value, missing: MissingKey) -> Result<String, String> {
        exec::execute(&self.tree, data, missing, exec::Functions::All)
    }

    /// Runs the template over the headers of a table: functions that change texts leave headers as they are.
    ///
    /// # Errors
    /// As [`Template::execute`].
    pub fn execute_headers(&self, data: &Value) -> Result<String, String> {
        exec::execute(&self.tree, data, MissingKey::NoValue, exec::Functions::Headers)
    }
}

#[cfg(test)]
mod tests;
