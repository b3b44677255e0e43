//! From items to a tree, with the errors of Go's `text/template`.

use super::{
    ast::{Branch, Command, Node, Operand, OperandKind, Pipeline, Pos, Tree},
    functions,
    lex::{Item, Token, lex},
    literal,
    value::Value,
};
use crate::format::go_quote;

/// Parses a template.
///
/// # Errors
/// `template: :LINE: what` as Go says it.
pub fn parse(text: &str) -> Result<Tree, String> {
    let tokens = lex(text).map_err(|(line, what)| at_line(line, &what))?;
    let mut parser =
        Parser { tokens, at: 0, tree: Tree::default(), variables: vec!["$".to_owned()], range_depth: 0 };
    let (root, end) = parser.list()?;
    if let Stop::Else(_) | Stop::End = end {
        let word = if matches!(end, Stop::End) { "{{end}}" } else { "{{else}}" };
        return Err(parser.fail(format!("unexpected {word}")));
    }
    parser.tree.root = root;
    Ok(parser.tree)
}

fn at_line(line: usize, what: &str) -> String {
    format!("template: :{line}: {what}")
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    tree: Tree,
    variables: Vec<String>,
    range_depth: usize,
}

/// What ended a list of nodes.
enum Stop {
    Text,
    End,
    Else(Chained),
}

/// What follows an `else`.
enum Chained {
    Plain,
    If,
    With,
}

type Result_<T> = Result<T, String>;

impl Parser {
    fn fail(&self, what: impl AsRef<str>) -> String {
        let index = self.at.saturating_sub(1).min(self.tokens.len() - 1);
        at_line(self.tokens[index].pos.line, what.as_ref())
    }

    fn unexpected(&self, item: &Item, context: &str) -> String {
        self.fail(format!("unexpected {} in {context}", shown(item)))
    }

    fn peek(&self) -> &Item {
        &self.tokens[self.at.min(self.tokens.len() - 1)].item
    }

    fn next(&mut self) -> Token {
        let token = self.tokens[self.at.min(self.tokens.len() - 1)].clone();
        self.at += 1;
        token
    }

    fn next_non_space(&mut self) -> Token {
        self.skip_space();
        self.next()
    }

    fn skip_space(&mut self) {
        while *self.peek() == Item::Space {
            self.at += 1;
        }
    }

    fn peek_word(&mut self, word: &str) -> bool {
        self.skip_space();
        matches!(self.peek(), Item::Word(w) if w == word)
    }

    /// Nodes up to `{{end}}`, `{{else}}` or the end of the text.
    fn list(&mut self) -> Result_<(Vec<Node>, Stop)> {
        let mut nodes = Vec::new();
        loop {
            let token = self.next();
            match token.item {
                Item::Eof => return Ok((nodes, Stop::Text)),
                Item::Text(text) => nodes.push(Node::Text(text.into())),
                Item::Open => match self.action()? {
                    Action::Node(node) => nodes.push(node),
                    Action::Nothing => {}
                    Action::Ends(end) => return Ok((nodes, end)),
                },
                other => return Err(self.unexpected(&other, "input")),
            }
        }
    }

    fn action(&mut self) -> Result_<Action> {
        self.skip_space();
        let Item::Word(word) = self.peek().clone() else { return self.plain_action() };
        let pos = self.tokens[self.at].pos;
        match word.as_str() {
            "if" | "with" | "range" => {
                self.at += 1;
                Ok(Action::Node(self.branch(&word)?))
            }
            "end" => {
                self.at += 1;
                self.close("end")?;
                Ok(Action::Ends(Stop::End))
            }
            "else" => {
                self.at += 1;
                let chained = if self.peek_word("if") {
                    Chained::If
                } else if self.peek_word("with") {
                    Chained::With
                } else {
                    self.close("else")?;
                    Chained::Plain
                };
                Ok(Action::Ends(Stop::Else(chained)))
            }
            "break" | "continue" => {
                self.at += 1;
                self.close(&format!("{{{{{word}}}}}"))?;
                if self.range_depth == 0 {
                    return Err(self.fail(format!("{{{{{word}}}}} outside {{{{range}}}}")));
                }
                Ok(Action::Node(if word == "break" { Node::Break } else { Node::Continue }))
            }
            "template" => {
                self.at += 1;
                let name = self.template_name("template clause")?;
                let data = self.optional_pipeline("template clause")?;
                // Go's errors point at the name.
                Ok(Action::Node(Node::Template { name: name.0, data, pos: name.1 }))
            }
            "define" => {
                self.at += 1;
                let (name, _) = self.template_name("define clause")?;
                self.close("define clause")?;
                let body = self.definition_body("define clause")?;
                self.tree.defined.insert(name, body);
                Ok(Action::Nothing)
            }
            "block" => {
                self.at += 1;
                let (name, name_pos) = self.template_name("block clause")?;
                let data = Some(self.pipeline("block clause", &Item::Close)?);
                let body = self.definition_body("block clause")?;
                self.tree.defined.insert(name.clone(), body);
                Ok(Action::Node(Node::Template { name, data, pos: name_pos }))
            }
            _ => {
                let _ = pos;
                self.plain_action()
            }
        }
    }

    fn plain_action(&mut self) -> Result_<Action> {
        let pipeline = self.pipeline("command", &Item::Close)?;
        Ok(Action::Node(Node::Action(pipeline)))
    }

    fn close(&mut self, context: &str) -> Result_<()> {
        let token = self.next_non_space();
        if token.item == Item::Close { Ok(()) } else { Err(self.unexpected(&token.item, context)) }
    }

    fn template_name(&mut self, context: &str) -> Result_<(String, Pos)> {
        let token = self.next_non_space();
        let name = match &token.item {
            Item::Quoted(text) => literal::quoted(text).ok_or_else(|| self.fail("invalid syntax"))?,
            Item::Raw(text) => text.trim_matches('`').to_owned(),
            other => return Err(self.unexpected(other, context)),
        };
        Ok((name, token.pos))
    }

    fn optional_pipeline(&mut self, context: &str) -> Result_<Option<Pipeline>> {
        self.skip_space();
        if *self.peek() == Item::Close {
            self.at += 1;
            return Ok(None);
        }
        self.pipeline(context, &Item::Close).map(Some)
    }

    fn definition_body(&mut self, context: &str) -> Result_<Vec<Node>> {
        let outer = std::mem::replace(&mut self.variables, vec!["$".to_owned()]);
        let depth = std::mem::replace(&mut self.range_depth, 0);
        let (body, end) = self.list()?;
        self.variables = outer;
        self.range_depth = depth;
        match end {
            Stop::End => Ok(body),
            Stop::Text => Err(self.fail("unexpected EOF")),
            Stop::Else(_) => Err(self.fail(format!("unexpected {{{{else}}}} in {context}"))),
        }
    }

    fn branch(&mut self, word: &str) -> Result_<Node> {
        let scope = self.variables.len();
        let pipeline = self.pipeline(word, &Item::Close)?;
        let ranges = word == "range";
        self.range_depth += usize::from(ranges);
        let (then, end) = self.list()?;
        self.range_depth -= usize::from(ranges);
        let otherwise = match end {
            Stop::End => Vec::new(),
            Stop::Text => return Err(self.fail("unexpected EOF")),
            Stop::Else(Chained::Plain) => match self.list()? {
                (nodes, Stop::End) => nodes,
                (_, Stop::Text) => return Err(self.fail("unexpected EOF")),
                (_, Stop::Else(_)) => return Err(self.fail("expected end; found {{else}}")),
            },
            Stop::Else(chained) => {
                // `{{else if x}}` stands for `{{else}}{{if x}}`, with one end for both.
                let next = if matches!(chained, Chained::If) { "if" } else { "with" };
                if next != word {
                    return Err(self.unexpected(&Item::Word(next.to_owned()), "else"));
                }
                self.at += 1;
                vec![self.branch(next)?]
            }
        };
        self.variables.truncate(scope);
        let branch = Box::new(Branch { sets_dot: word != "if", pipeline, then, otherwise });
        Ok(if ranges { Node::Range(branch) } else { Node::Branch(branch) })
    }

    fn pipeline(&mut self, context: &str, end: &Item) -> Result_<Pipeline> {
        let mut pipeline = Pipeline { variables: Vec::new(), assigns: false, commands: Vec::new() };
        self.declarations(context, &mut pipeline)?;
        loop {
            let token = self.next_non_space();
            if token.item == *end {
                return self.checked(context, pipeline);
            }
            if !starts_operand(&token.item) {
                return Err(self.unexpected(&token.item, context));
            }
            self.at -= 1;
            let command = self.command()?;
            pipeline.commands.push(command);
        }
    }

    fn declarations(&mut self, context: &str, pipeline: &mut Pipeline) -> Result_<()> {
        loop {
            self.skip_space();
            let Item::Variable(name) = self.peek().clone() else { return Ok(()) };
            let start = self.at;
            self.at += 1;
            self.skip_space();
            match self.peek() {
                Item::Declare | Item::Assign => {
                    pipeline.assigns = *self.peek() == Item::Assign;
                    self.at += 1;
                    pipeline.variables.push(name.clone());
                    if pipeline.assigns {
                        self.known(&name)?;
                    } else {
                        self.variables.push(name);
                    }
                    return Ok(());
                }
                Item::Comma if context == "range" && pipeline.variables.is_empty() => {
                    self.at += 1;
                    pipeline.variables.push(name.clone());
                    self.variables.push(name);
                }
                Item::Comma => {
                    self.at += 1;
                    return Err(self.fail(format!("too many declarations in {context}")));
                }
                _ => {
                    self.at = start;
                    return Ok(());
                }
            }
        }
    }

    fn checked(&self, context: &str, pipeline: Pipeline) -> Result_<Pipeline> {
        if pipeline.commands.is_empty() {
            return Err(self.fail(format!("missing value for {context}")));
        }
        for (i, command) in pipeline.commands.iter().enumerate().skip(1) {
            if matches!(
                command.operands[0].kind,
                OperandKind::Dot | OperandKind::Nil | OperandKind::Literal(..)
            ) {
                return Err(self.fail(format!("non executable command in pipeline stage {}", i + 1)));
            }
        }
        Ok(pipeline)
    }

    fn known(&self, name: &str) -> Result_<()> {
        if self.variables.iter().any(|v| v == name) {
            return Ok(());
        }
        Err(self.fail(format!("undefined variable {}", go_quote(name))))
    }

    fn command(&mut self) -> Result_<Command> {
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            match self.next().item {
                Item::Space => continue,
                Item::Close | Item::RightParen => {
                    self.at -= 1;
                    break;
                }
                Item::Pipe => break,
                other => return Err(self.unexpected(&other, "operand")),
            }
        }
        if operands.is_empty() {
            return Err(self.fail("empty command"));
        }
        Ok(Command { operands })
    }

    fn operand(&mut self) -> Result_<Option<Operand>> {
        let Some(mut operand) = self.term()? else { return Ok(None) };
        let mut chain = Vec::new();
        let mut chain_pos = None;
        while let Item::Field(name) = self.peek() {
            chain.push(name.clone());
            chain_pos.get_or_insert(self.tokens[self.at].pos);
            self.at += 1;
        }
        let Some(pos) = chain_pos else { return Ok(Some(operand)) };
        operand.pos = pos;
        let text = operand.text();
        match &mut operand.kind {
            OperandKind::Field(names) | OperandKind::Variable(_, names) | OperandKind::Pipeline(_, names) => {
                names.extend(chain);
            }
            OperandKind::Function(name) => {
                let command =
                    Command { operands: vec![Operand { kind: OperandKind::Function(name.clone()), pos }] };
                let inner = Pipeline { variables: Vec::new(), assigns: false, commands: vec![command] };
                operand.kind = OperandKind::Pipeline(inner, chain);
            }
            OperandKind::Dot | OperandKind::Nil | OperandKind::Literal(..) => {
                return Err(self.fail(format!("unexpected . after term {}", go_quote(&text))));
            }
        }
        Ok(Some(operand))
    }

    fn term(&mut self) -> Result_<Option<Operand>> {
        let token = self.next_non_space();
        let kind = match token.item {
            Item::Dot => OperandKind::Dot,
            Item::Field(name) => OperandKind::Field(vec![name]),
            Item::Variable(name) => {
                self.known(&name)?;
                OperandKind::Variable(name, Vec::new())
            }
            Item::Word(word) => match word.as_str() {
                "nil" => OperandKind::Nil,
                "true" | "false" => OperandKind::Literal(Value::Bool(word == "true"), word),
                _ if functions::exists(&word) => OperandKind::Function(word),
                _ => return Err(self.fail(format!("function {} not defined", go_quote(&word)))),
            },
            Item::Number(text) => {
                let value = literal::number(&text)
                    .ok_or_else(|| self.fail(format!("bad number syntax: {}", go_quote(&text))))?;
                OperandKind::Literal(value, text)
            }
            Item::Char(text) => {
                let value = literal::character(&text)
                    .ok_or_else(|| self.fail(format!("malformed character constant: {text}")))?;
                OperandKind::Literal(value, text)
            }
            Item::Quoted(text) => {
                let value = literal::quoted(&text).ok_or_else(|| self.fail("invalid syntax"))?;
                OperandKind::Literal(Value::str(value), text)
            }
            Item::Raw(text) => {
                let inner = text[1..text.len() - 1].to_owned();
                OperandKind::Literal(Value::str(inner), text)
            }
            Item::LeftParen => {
                let scope = self.variables.len();
                let pipeline = self.pipeline("parenthesized pipeline", &Item::RightParen)?;
                self.variables.truncate(scope);
                OperandKind::Pipeline(pipeline, Vec::new())
            }
            _ => {
                self.at -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Operand { kind, pos: token.pos }))
    }
}

enum Action {
    Node(Node),
    Nothing,
    Ends(Stop),
}

fn starts_operand(item: &Item) -> bool {
    match item {
        Item::Word(word) => !matches!(
            word.as_str(),
            "if" | "else" | "end" | "range" | "with" | "template" | "define" | "block" | "break" | "continue"
        ),
        Item::Char(_) | Item::Dot | Item::Field(_) | Item::Number(_) | Item::Raw(_) => true,
        Item::Quoted(_) | Item::Variable(_) | Item::LeftParen => true,
        _ => false,
    }
}

/// An item as Go's errors show it.
fn shown(item: &Item) -> String {
    let text = match item {
        Item::Eof => return "EOF".to_owned(),
        Item::Word(word) if !starts_operand(item) => return format!("<{word}>"),
        Item::Text(t) | Item::Number(t) | Item::Char(t) | Item::Quoted(t) | Item::Raw(t) => t.clone(),
        Item::Variable(t) | Item::Word(t) => t.clone(),
        Item::Field(name) => format!(".{name}"),
        Item::Open => "{{".to_owned(),
        Item::Close => "}}".to_owned(),
        Item::Dot => ".".to_owned(),
        Item::Space => " ".to_owned(),
        Item::Pipe => "|".to_owned(),
        Item::LeftParen => "(".to_owned(),
        Item::RightParen => ")".to_owned(),
        Item::Declare => ":=".to_owned(),
        Item::Assign => "=".to_owned(),
        Item::Comma => ",".to_owned(),
    };
    match text.char_indices().nth(10) {
        Some((cut, _)) => format!("{}...", go_quote(&text[..cut])),
        None => go_quote(&text),
    }
}
