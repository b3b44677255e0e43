//! Why JSON could not be read, in Go's words.

use std::fmt;

/// Why JSON could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is no JSON.
    #[error("{message}")]
    Syntax {
        /// Go's message, such as `invalid character 'x' looking for beginning of value`.
        message: String,
        /// How many bytes were read, the wrong one included.
        offset: usize,
    },
    /// The text ends within a value.
    #[error("unexpected end of JSON input")]
    EndOfInput,
    /// The stream ends within a value.
    #[error("unexpected EOF")]
    UnexpectedEof,
    /// A value has a type that its field can't take.
    #[error("{0}")]
    Type(WrongType),
    /// A type's own rules refuse the value.
    #[error("{0}")]
    Data(String),
    /// A value of a stream is larger than this client takes.
    #[error("JSON value of more than {0} bytes")]
    TooLarge(usize),
    /// The body of a request is empty.
    #[error("invalid JSON: got EOF while reading request body")]
    EmptyBody,
    /// The body of a request is wrong.
    #[error("invalid JSON: {0}")]
    Body(Box<Error>),
    /// There is more after the value of a request's body.
    #[error("unexpected content after JSON")]
    TrailingContent,
}

/// A value has a type that its field can't take.
#[derive(Debug)]
pub struct WrongType {
    /// What was found: `string`, `number`, `number 1.5`, `bool`, `array` or `object`.
    pub(super) found: String,
    /// What Go calls the type that was wanted.
    pub(super) wanted: String,
    /// The outermost struct.
    pub(super) root: Option<&'static str>,
    /// The fields from there, innermost first.
    pub(super) fields: Vec<&'static str>,
}

impl fmt::Display for WrongType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "json: cannot unmarshal {} into Go ", self.found)?;
        match self.root {
            Some(root) if !self.fields.is_empty() => {
                write!(f, "struct field {root}")?;
                for field in self.fields.iter().rev() {
                    write!(f, ".{field}")?;
                }
                write!(f, " of type {}", self.wanted)
            }
            _ => write!(f, "value of type {}", self.wanted),
        }
    }
}

impl Error {
    /// A value of the wrong type.
    pub(super) fn wrong_type(found: impl Into<String>, wanted: impl Into<String>) -> Self {
        Self::Type(WrongType { found: found.into(), wanted: wanted.into(), root: None, fields: Vec::new() })
    }

    /// The same error, told from one struct further out.
    pub(super) fn within(mut self, root: &'static str, field: &'static str) -> Self {
        if let Self::Type(wrong) = &mut self {
            wrong.root = Some(root);
            wrong.fields.push(field);
        }
        self
    }
}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Data(message.to_string())
    }

    fn invalid_type(found: serde::de::Unexpected<'_>, wanted: &dyn serde::de::Expected) -> Self {
        use serde::de::Unexpected as U;
        let found = match found {
            U::Bool(_) => "bool".to_owned(),
            U::Unsigned(n) => format!("number {n}"),
            U::Signed(n) => format!("number {n}"),
            U::Float(n) => format!("number {n}"),
            U::Str(_) | U::Char(_) => "string".to_owned(),
            U::Seq => "array".to_owned(),
            U::Map => "object".to_owned(),
            other => other.to_string(),
        };
        Self::wrong_type(found, wanted.to_string())
    }
}

impl brig_core::HasKind for Error {
    fn kind(&self) -> brig_core::Kind {
        brig_core::Kind::InvalidParameter
    }
}
