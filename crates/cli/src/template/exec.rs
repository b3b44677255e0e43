//! Running a parsed template over a value.

use super::{
    ast::{Branch, Command, Node, Operand, OperandKind, Pipeline, Pos, Tree},
    functions, print,
    value::Value,
};
use crate::format::go_quote;
use std::rc::Rc;

/// What a missing map entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingKey {
    /// No value.
    NoValue,
    /// An error.
    Error,
}

/// What functions do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Functions {
    /// What they are for.
    All,
    /// Those that change texts give them back unchanged: headers stay as they are.
    Headers,
}

/// Templates may call one another this deep.
const MAX_DEPTH: usize = 1000;
/// No template may print more than this.
const MAX_OUTPUT: usize = 64 << 20;

/// Runs a template.
///
/// # Errors
/// `template: :LINE:COLUMN: executing "" at <…>: what` as Go says it.
pub fn execute(
    tree: &Tree,
    data: &Value,
    missing: MissingKey,
    functions: Functions,
) -> Result<String, String> {
    let mut run = Run {
        tree,
        missing,
        functions,
        name: String::new(),
        out: String::new(),
        depth: 0,
        variables: Vec::new(),
    };
    run.variables.push(("$".to_owned(), data.clone()));
    run.nodes(&tree.root, data)?;
    Ok(run.out)
}

struct Run<'a> {
    tree: &'a Tree,
    missing: MissingKey,
    functions: Functions,
    name: String,
    out: String,
    depth: usize,
    variables: Vec<(String, Value)>,
}

#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

type Res<T> = Result<T, String>;

impl Run<'_> {
    fn fail<T>(&self, pos: Pos, at: &str, what: &str) -> Res<T> {
        let shown = if at.chars().count() > 20 {
            format!("{}...", at.chars().take(20).collect::<String>())
        } else {
            at.to_owned()
        };
        Err(format!(
            "template: {}:{}:{}: executing {} at <{shown}>: {what}",
            self.name,
            pos.line,
            pos.column,
            go_quote(&self.name),
        ))
    }

    fn at<T>(&self, operand: &Operand, what: &str) -> Res<T> {
        self.fail(operand.pos, &operand.text(), what)
    }

    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Res<Flow> {
        for node in nodes {
            match node {
                Node::Text(text) => self.out.push_str(text),
                Node::Action(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        print::top(&mut self.out, &value);
                    }
                }
                Node::Branch(branch) => {
                    let flow = self.branch(branch, dot)?;
                    if flow != Flow::On {
                        return Ok(flow);
                    }
                }
                Node::Range(branch) => self.range(branch, dot)?,
                Node::Template { name, data, pos } => self.template(name, data.as_ref(), *pos, dot)?,
                Node::Break => return Ok(Flow::Break),
                Node::Continue => return Ok(Flow::Continue),
            }
            if self.out.len() > MAX_OUTPUT {
                return Err(format!("template: {}: output is larger than {MAX_OUTPUT} bytes", self.name));
            }
        }
        Ok(Flow::On)
    }

    fn branch(&mut self, branch: &Branch, dot: &Value) -> Res<Flow> {
        let scope = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let flow = if value.truth() {
            self.nodes(&branch.then, if branch.sets_dot { &value } else { dot })
        } else {
            self.nodes(&branch.otherwise, dot)
        };
        self.variables.truncate(scope);
        flow
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Res<()> {
        let scope = self.variables.len();
        let value = self.pipeline(&branch.pipeline, dot)?;
        let items: Vec<(Value, Value)> = match &value {
            Value::List(items) => {
                items.iter().enumerate().map(|(i, v)| (Value::Int(i as i64), v.clone())).collect()
            }
            Value::Map(map) => {
                map.entries.iter().map(|(k, v)| (Value::Str(Rc::clone(k)), v.clone())).collect()
            }
            Value::Int(n) if *n as usize > MAX_OUTPUT && *n > 0 => {
                return self.at(&branch.pipeline.commands[0].operands[0], "range is too long");
            }
            Value::Int(n) => (0..*n).map(|i| (Value::Int(i), Value::Int(i))).collect(),
            Value::Missing | Value::Nil(_) | Value::NilList | Value::NilMap(_) => Vec::new(),
            other => {
                let mut shown = String::new();
                print::top(&mut shown, other);
                let what = format!("range can't iterate over {shown}");
                return self.at(&branch.pipeline.commands[0].operands[0], &what);
            }
        };
        if items.is_empty() {
            self.variables.truncate(scope);
            self.nodes(&branch.otherwise, dot)?;
            return Ok(());
        }
        let declared = &branch.pipeline.variables;
        for (key, item) in items {
            self.variables.truncate(scope);
            match declared.as_slice() {
                [only] => self.assign(branch.pipeline.assigns, only, item.clone()),
                [index, value] => {
                    self.assign(branch.pipeline.assigns, index, key);
                    self.assign(branch.pipeline.assigns, value, item.clone());
                }
                _ => {}
            }
            if self.nodes(&branch.then, &item)? == Flow::Break {
                break;
            }
        }
        self.variables.truncate(scope);
        Ok(())
    }

    fn assign(&mut self, existing: bool, name: &str, value: Value) {
        if existing && let Some(slot) = self.variables.iter_mut().rev().find(|(n, _)| n == name) {
            slot.1 = value;
            return;
        }
        self.variables.push((name.to_owned(), value));
    }

    fn template(&mut self, name: &str, data: Option<&Pipeline>, pos: Pos, dot: &Value) -> Res<()> {
        let tree = self.tree;
        let text = || {
            let data = data.map(|p| format!(" {}", p.text())).unwrap_or_default();
            format!("{{{{template {}{data}}}}}", go_quote(name))
        };
        let Some(nodes) = tree.defined.get(name) else {
            return self.fail(pos, &text(), &format!("template {} not defined", go_quote(name)));
        };
        let value = match data {
            Some(pipeline) => self.pipeline(pipeline, dot)?,
            None => Value::Missing,
        };
        if self.depth == MAX_DEPTH {
            return self.fail(pos, &text(), &format!("exceeded maximum template depth ({MAX_DEPTH})"));
        }
        self.depth += 1;
        let variables = std::mem::replace(&mut self.variables, vec![("$".to_owned(), value.clone())]);
        let outer = std::mem::replace(&mut self.name, name.to_owned());
        self.nodes(nodes, &value)?;
        self.name = outer;
        self.variables = variables;
        self.depth -= 1;
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Res<Value> {
        let mut value: Option<Value> = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, dot, value)?);
        }
        let value = value.unwrap_or(Value::Missing);
        // A range binds its variables itself, item by item; binding the whole here first is harmless.
        for name in &pipeline.variables {
            self.assign(pipeline.assigns, name, value.clone());
        }
        Ok(value)
    }

    fn command(&mut self, command: &Command, dot: &Value, last: Option<Value>) -> Res<Value> {
        let first = &command.operands[0];
        let args = &command.operands[1..];
        match &first.kind {
            OperandKind::Function(name) => return self.function(command, name, args, dot, last),
            OperandKind::Field(names) => return self.chain(first, dot, names, args, dot, last),
            OperandKind::Variable(name, names) => {
                let value = self.variable(name);
                if names.is_empty() {
                    self.not_called(first, args, last.as_ref())?;
                    return Ok(value);
                }
                return self.chain(first, &value, names, args, dot, last);
            }
            OperandKind::Pipeline(inner, names) => {
                let value = self.pipeline(inner, dot)?;
                if names.is_empty() {
                    self.not_called(first, args, last.as_ref())?;
                    return Ok(value);
                }
                return self.chain(first, &value, names, args, dot, last);
            }
            OperandKind::Nil => return self.at(first, "nil is not a command"),
            OperandKind::Dot | OperandKind::Literal(..) => {}
        }
        self.not_called(first, args, last.as_ref())?;
        self.operand(first, dot)
    }

    fn not_called(&self, first: &Operand, args: &[Operand], last: Option<&Value>) -> Res<()> {
        if args.is_empty() && last.is_none() {
            return Ok(());
        }
        self.at(first, &format!("can't give argument to non-function {}", first.text()))
    }

    fn variable(&self, name: &str) -> Value {
        self.variables.iter().rev().find(|(n, _)| n == name).map_or(Value::Missing, |(_, v)| v.clone())
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Res<Value> {
        match &operand.kind {
            OperandKind::Dot => Ok(dot.clone()),
            OperandKind::Nil => Ok(Value::Missing),
            OperandKind::Literal(value, _) => Ok(value.clone()),
            _ => {
                let command = Command { operands: vec![operand.clone()] };
                self.command(&command, dot, None)
            }
        }
    }

    fn arguments(&mut self, args: &[Operand], dot: &Value, last: Option<Value>) -> Res<Vec<Value>> {
        let mut values = Vec::with_capacity(args.len() + 1);
        for arg in args {
            values.push(self.operand(arg, dot)?);
        }
        values.extend(last);
        Ok(values)
    }

    fn chain(
        &mut self,
        at: &Operand,
        receiver: &Value,
        names: &[String],
        args: &[Operand],
        dot: &Value,
        last: Option<Value>,
    ) -> Res<Value> {
        let mut value = receiver.clone();
        let Some((final_name, inner)) = names.split_last() else { return Ok(value) };
        for name in inner {
            value = self.field(at, &value, name, Vec::new())?;
        }
        let args = self.arguments(args, dot, last)?;
        self.field(at, &value, final_name, args)
    }

    fn field(&self, at: &Operand, receiver: &Value, name: &str, args: Vec<Value>) -> Res<Value> {
        if let Value::Object(object) = receiver {
            return match object.arity(name) {
                Some(want) if want == args.len() => {
                    object.call(name, &args).or_else(|e| self.at(at, &format!("error calling {name}: {e}")))
                }
                Some(want) => {
                    self.at(at, &format!("wrong number of args for {name}: want {want} got {}", args.len()))
                }
                None => self.no_field(at, receiver, name),
            };
        }
        let found = match receiver {
            Value::Missing if self.missing == MissingKey::Error => {
                return self.at(at, &format!("nil data; no entry for key {}", go_quote(name)));
            }
            Value::Missing => Some(Value::Missing),
            Value::Nil(kind) => {
                return self.at(at, &format!("nil pointer evaluating {kind}.{name}"));
            }
            Value::NilMap(_) => Some(Value::Missing),
            Value::Struct(inner) => inner.get(name).cloned(),
            Value::Map(map) => match map.get(name) {
                Some(value) => Some(value.clone()),
                None if self.missing == MissingKey::Error => {
                    return self.at(at, &format!("map has no entry for key {}", go_quote(name)));
                }
                None => Some(Value::Missing),
            },
            _ => None,
        };
        match found {
            Some(_) if !args.is_empty() && matches!(receiver, Value::Map(_)) => {
                self.at(at, &format!("{name} is not a method but has arguments"))
            }
            Some(_) if !args.is_empty() => {
                self.at(at, &format!("{name} has arguments but cannot be invoked as function"))
            }
            Some(value) => Ok(value),
            None => self.no_field(at, receiver, name),
        }
    }

    fn no_field(&self, at: &Operand, receiver: &Value, name: &str) -> Res<Value> {
        self.at(at, &format!("can't evaluate field {name} in type {}", receiver.type_name()))
    }

    fn function(
        &mut self,
        command: &Command,
        name: &str,
        args: &[Operand],
        dot: &Value,
        last: Option<Value>,
    ) -> Res<Value> {
        let first = &command.operands[0];
        if name == "and" || name == "or" {
            // Arguments after the deciding one are not evaluated.
            let mut value = None;
            for arg in args {
                let this = self.operand(arg, dot)?;
                let decided = this.truth() == (name == "or");
                value = Some(this);
                if decided {
                    return Ok(value.unwrap_or(Value::Missing));
                }
            }
            return match last.or(value) {
                Some(value) => Ok(value),
                None => self.at(first, &format!("wrong number of args for {name}: want at least 1 got 0")),
            };
        }
        let values = self.arguments(args, dot, last)?;
        let unchanged = matches!(name, "json" | "title" | "lower" | "upper" | "truncate" | "split" | "join");
        if self.functions == Functions::Headers && unchanged && !values.is_empty() {
            return Ok(values[0].clone());
        }
        match functions::call(name, &values) {
            Ok(value) => Ok(value),
            Err(functions::CallError::Count(what)) => {
                self.at(first, &format!("wrong number of args for {name}: {what}"))
            }
            Err(functions::CallError::Type { index, what }) => match args.get(index) {
                Some(arg) => self.at(arg, &what),
                None => self.at(first, &what),
            },
            Err(functions::CallError::Failed(what)) => {
                self.fail(first.pos, &command.text(), &format!("error calling {name}: {what}"))
            }
        }
    }
}
