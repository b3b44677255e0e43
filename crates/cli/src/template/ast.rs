//! The tree that a template's text is parsed into.

use super::value::Value;
use std::{collections::HashMap, rc::Rc};

/// A parsed template with the templates that it defines.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// The text's own nodes.
    pub root: Vec<Node>,
    /// `{{define "name"}}` and `{{block "name"}}`.
    pub defined: HashMap<String, Vec<Node>>,
}

/// A place in the text as errors give it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pos {
    /// From 1.
    pub line: usize,
    /// Bytes from the line's begin.
    pub column: usize,
}

/// A node of a template.
#[derive(Debug, Clone)]
pub enum Node {
    /// Text to copy.
    Text(Rc<str>),
    /// `{{pipeline}}`.
    Action(Pipeline),
    /// `{{if}}` or `{{with}}`.
    Branch(Box<Branch>),
    /// `{{range}}`.
    Range(Box<Branch>),
    /// `{{template "name" pipeline}}`.
    Template {
        /// Which.
        name: String,
        /// The new dot.
        data: Option<Pipeline>,
        /// Where.
        pos: Pos,
    },
    /// `{{break}}`.
    Break,
    /// `{{continue}}`.
    Continue,
}

/// `{{if}}`, `{{with}}` or `{{range}}` with its two lists.
#[derive(Debug, Clone)]
pub struct Branch {
    /// Whether the value becomes the dot.
    pub sets_dot: bool,
    /// The condition or the range.
    pub pipeline: Pipeline,
    /// When it is true, or for each item.
    pub then: Vec<Node>,
    /// When it is not, or there is no item.
    pub otherwise: Vec<Node>,
}

/// Commands whose results are handed on, and the variables that take the last one.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// `$x :=` or `$i, $x :=`.
    pub variables: Vec<String>,
    /// `=` instead of `:=`.
    pub assigns: bool,
    /// At least one.
    pub commands: Vec<Command>,
}

/// A command: its first operand and its arguments.
#[derive(Debug, Clone)]
pub struct Command {
    /// At least one.
    pub operands: Vec<Operand>,
}

/// An operand, with its place and its text for errors.
#[derive(Debug, Clone)]
pub struct Operand {
    /// What it is.
    pub kind: OperandKind,
    /// Where it is, as Go's errors point at it.
    pub pos: Pos,
}

/// What an operand is.
#[derive(Debug, Clone)]
pub enum OperandKind {
    /// `.`
    Dot,
    /// `nil`
    Nil,
    /// A literal, and its text.
    Literal(Value, String),
    /// `.A.B`
    Field(Vec<String>),
    /// `$x.A`
    Variable(String, Vec<String>),
    /// A function's name.
    Function(String),
    /// `(pipeline).A`
    Pipeline(Pipeline, Vec<String>),
}

impl Operand {
    /// The text as Go's errors show it.
    #[must_use]
    pub fn text(&self) -> String {
        let chain = |names: &[String]| names.iter().fold(String::new(), |all, n| all + "." + n);
        match &self.kind {
            OperandKind::Dot => ".".to_owned(),
            OperandKind::Nil => "nil".to_owned(),
            OperandKind::Literal(_, text) => text.clone(),
            OperandKind::Field(names) => chain(names),
            OperandKind::Variable(name, names) => format!("{name}{}", chain(names)),
            OperandKind::Function(name) => name.clone(),
            OperandKind::Pipeline(pipeline, names) => format!("({}){}", pipeline.text(), chain(names)),
        }
    }
}

impl Command {
    /// The text as Go's errors show it.
    #[must_use]
    pub fn text(&self) -> String {
        self.operands.iter().map(Operand::text).collect::<Vec<_>>().join(" ")
    }
}

impl Pipeline {
    /// The text as Go's errors show it.
    #[must_use]
    pub fn text(&self) -> String {
        let commands = self.commands.iter().map(Command::text).collect::<Vec<_>>().join(" | ");
        if self.variables.is_empty() {
            return commands;
        }
        let sign = if self.assigns { "=" } else { ":=" };
        format!("{} {sign} {commands}", self.variables.join(", "))
    }
}
