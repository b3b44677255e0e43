//! Splitting a template's text into items.

use super::ast::Pos;

/// An item of a template's text.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// Text outside actions.
    Text(String),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// `.name`, without the dot.
    Field(String),
    /// `$name`, with the dollar.
    Variable(String),
    /// A word: a keyword, a function, `true`, `nil`.
    Word(String),
    /// A lone dot.
    Dot,
    /// A number's text.
    Number(String),
    /// A character constant's text.
    Char(String),
    /// A quoted string's text, quotes included.
    Quoted(String),
    /// A raw string's text, quotes included.
    Raw(String),
    /// One or more blanks.
    Space,
    /// `|`
    Pipe,
    /// `(`
    LeftParen,
    /// `)`
    RightParen,
    /// `:=`
    Declare,
    /// `=`
    Assign,
    /// `,`
    Comma,
    /// The end of the text.
    Eof,
}

/// An item and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// What it is.
    pub item: Item,
    /// Where it begins.
    pub pos: Pos,
}

const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// Splits `text`.
///
/// # Errors
/// The line and Go's words for what is wrong.
pub fn lex(text: &str) -> Result<Vec<Token>, (usize, String)> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new() };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn pos(&self, at: usize) -> Pos {
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        Pos { line, column: at - before.rfind('\n').map_or(0, |i| i + 1) }
    }

    fn push(&mut self, item: Item, start: usize) {
        let pos = self.pos(start);
        self.tokens.push(Token { item, pos });
    }

    fn fail<T>(&self, at: usize, what: impl Into<String>) -> Result<T, (usize, String)> {
        Err((self.pos(at).line, what.into()))
    }

    fn run(&mut self) -> Result<(), (usize, String)> {
        let mut trim_next = false;
        loop {
            let rest = &self.text[self.at..];
            let open = rest.find("{{");
            let mut chunk = open.map_or(rest, |i| &rest[..i]);
            let start = self.at;
            let after = &rest[chunk.len()..];
            if trim_next {
                chunk = chunk.trim_start_matches(BLANKS);
            }
            let trims_left = after.starts_with("{{-") && after[3..].starts_with(BLANKS);
            if trims_left {
                chunk = chunk.trim_end_matches(BLANKS);
            }
            if !chunk.is_empty() {
                self.push(Item::Text(chunk.to_owned()), start);
            }
            let Some(open) = open else {
                self.push(Item::Eof, self.text.len());
                return Ok(());
            };
            let action = start + open;
            self.at = action + 2 + usize::from(trims_left);
            let inner = self.text[self.at..].trim_start_matches(BLANKS);
            let comment_at = self.text.len() - inner.len();
            if inner.starts_with("/*") && (trims_left || comment_at == self.at) {
                trim_next = self.comment(comment_at)?;
                continue;
            }
            self.push(Item::Open, action);
            trim_next = self.action(action)?;
        }
    }

    fn comment(&mut self, at: usize) -> Result<bool, (usize, String)> {
        let Some(end) = self.text[at..].find("*/") else { return self.fail(at, "unclosed comment") };
        let rest = &self.text[at + end + 2..];
        let blanks = rest.trim_start_matches(BLANKS);
        let (trims, close) = match blanks.strip_prefix("-}}") {
            Some(after) if blanks.len() < rest.len() => (true, after),
            _ => match rest.strip_prefix("}}") {
                Some(after) => (false, after),
                None => return self.fail(at, "comment ends before closing delimiter"),
            },
        };
        self.at = self.text.len() - close.len();
        Ok(trims)
    }

    /// Reads up to the closing braces; answers whether they trim what follows.
    fn action(&mut self, opened: usize) -> Result<bool, (usize, String)> {
        let mut parens = 0usize;
        loop {
            let start = self.at;
            let rest = &self.text[start..];
            let spaced_close = rest.starts_with(BLANKS) && rest[1..].starts_with("-}}");
            if spaced_close || rest.starts_with("}}") {
                if parens > 0 {
                    return self.fail(start, "unclosed left paren");
                }
                self.at += if spaced_close { 4 } else { 2 };
                self.push(Item::Close, start);
                return Ok(spaced_close);
            }
            let Some(c) = rest.chars().next() else { return self.fail(opened, "unclosed action") };
            match c {
                ' ' | '\t' | '\r' | '\n' => {
                    let mut end = rest.len() - rest.trim_start_matches(BLANKS).len();
                    // The blank before a trimming close belongs to it.
                    if rest[end..].starts_with("-}}") {
                        end -= 1;
                    }
                    self.take(end.max(1), Item::Space);
                }
                '|' => self.take(1, Item::Pipe),
                ',' => self.take(1, Item::Comma),
                '=' => self.take(1, Item::Assign),
                ':' if rest.starts_with(":=") => self.take(2, Item::Declare),
                ':' => return self.fail(start, "expected :="),
                '(' => {
                    parens += 1;
                    self.take(1, Item::LeftParen);
                }
                ')' => {
                    if parens == 0 {
                        return self.fail(start, "unexpected right paren");
                    }
                    parens -= 1;
                    self.take(1, Item::RightParen);
                }
                '"' => self.quoted(start)?,
                '`' => {
                    let Some(end) = rest[1..].find('`') else {
                        return self.fail(start, "unterminated raw quoted string");
                    };
                    let text = rest[..end + 2].to_owned();
                    self.take(end + 2, Item::Raw(text));
                }
                '\'' => self.character(start)?,
                '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => self.name(start, 1)?,
                '$' => self.name(start, 1)?,
                '+' | '-' | '.' | '0'..='9' => self.number(start)?,
                c if is_word(c) => self.name(start, 0)?,
                c => {
                    return self.fail(start, bad_character("unrecognized character in action: ", c));
                }
            }
        }
    }

    fn take(&mut self, length: usize, item: Item) {
        self.push(item, self.at);
        self.at += length;
    }

    fn quoted(&mut self, start: usize) -> Result<(), (usize, String)> {
        let rest = &self.text[start..];
        let mut escaped = false;
        for (i, c) in rest.char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    let text = rest[..=i].to_owned();
                    self.take(i + 1, Item::Quoted(text));
                    return Ok(());
                }
                _ => {}
            }
        }
        self.fail(start, "unterminated quoted string")
    }

    fn character(&mut self, start: usize) -> Result<(), (usize, String)> {
        let rest = &self.text[start..];
        let mut escaped = false;
        for (i, c) in rest.char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '\'' => {
                    let text = rest[..=i].to_owned();
                    self.take(i + 1, Item::Char(text));
                    return Ok(());
                }
                _ => {}
            }
        }
        self.fail(start, "unterminated character constant")
    }

    fn number(&mut self, start: usize) -> Result<(), (usize, String)> {
        let rest = &self.text[start..];
        let mut previous = ' ';
        let end = rest
            .find(|c: char| {
                let exponent_sign = (c == '+' || c == '-') && (previous == ' ' || "eEpP".contains(previous));
                let goes_on = c.is_ascii_alphanumeric() || c == '.' || c == '_' || exponent_sign;
                previous = c;
                !goes_on
            })
            .unwrap_or(rest.len());
        let text = rest[..end].to_owned();
        if super::literal::number(&text).is_none() {
            return self.fail(start, format!("bad number syntax: {}", crate::format::go_quote(&text)));
        }
        self.take(end, Item::Number(text));
        Ok(())
    }

    fn name(&mut self, start: usize, sigil: usize) -> Result<(), (usize, String)> {
        let rest = &self.text[start..];
        let end = rest[sigil..].find(|c: char| !is_word(c)).map_or(rest.len(), |i| i + sigil);
        let next = rest[end..].chars().next();
        if end > sigil || sigil == 0 || rest.starts_with('$') {
            let ends_well = match next {
                None => true,
                Some(c) => {
                    BLANKS.contains(&c)
                        || matches!(c, '.' | ',' | '|' | ':' | '=' | ')' | '(')
                        || rest[end..].starts_with("}}")
                }
            };
            if !ends_well {
                let c = next.unwrap_or_default();
                return self.fail(start + end, bad_character("bad character ", c));
            }
        }
        let text = &rest[..end];
        let item = match text.as_bytes().first() {
            Some(b'.') if end == 1 => Item::Dot,
            Some(b'.') => Item::Field(text[1..].to_owned()),
            Some(b'$') => Item::Variable(text.to_owned()),
            _ => Item::Word(text.to_owned()),
        };
        self.take(end, item);
        Ok(())
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn bad_character(what: &str, c: char) -> String {
    format!("{what}U+{:04X} {}", u32::from(c), crate::format::go_quote_char(c))
}
