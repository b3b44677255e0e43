//! A resumable scanner of JSON's syntax, one byte at a time, with the messages of Go's scanner.

/// How deep values may be nested, as in Go.
const MAX_DEPTH: usize = 10_000;

/// What a byte meant for the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The value goes on, or white space was skipped.
    More,
    /// The value ended with this byte.
    Done,
    /// The value, a number, ended before this byte, which is white space or begins something else.
    DoneBefore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    ObjectKey,
    ObjectValue,
    Array,
}

#[derive(Debug, Clone, Copy)]
enum State {
    BeginValue,
    BeginValueOrEnd,
    BeginKey,
    BeginKeyOrEnd,
    EndValue,
    EndTop,
    InString,
    Escape,
    EscapeHex(u8),
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
    Literal(&'static str, usize),
}

/// White space of JSON.
#[must_use]
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Scans one value.
#[derive(Debug)]
pub struct Scanner {
    state: State,
    open: Vec<Container>,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// Before the first byte of a value.
    #[must_use]
    pub fn new() -> Self {
        Self { state: State::BeginValue, open: Vec::new() }
    }

    /// Takes the next byte.
    ///
    /// # Errors
    /// Go's message for a byte that can't stand here.
    pub fn push(&mut self, c: u8) -> Result<Step, String> {
        match self.state {
            State::BeginValue | State::BeginValueOrEnd if is_space(c) => Ok(Step::More),
            State::BeginValueOrEnd if c == b']' => self.close(),
            State::BeginValue | State::BeginValueOrEnd => self.begin_value(c),
            State::BeginKey | State::BeginKeyOrEnd if is_space(c) => Ok(Step::More),
            State::BeginKeyOrEnd if c == b'}' => self.close(),
            State::BeginKey | State::BeginKeyOrEnd => match c {
                b'"' => self.to(State::InString),
                _ => Err(unexpected(c, "looking for beginning of object key string")),
            },
            State::EndValue => self.end_value(c),
            State::EndTop if is_space(c) => Ok(Step::More),
            State::EndTop => Err(unexpected(c, "after top-level value")),
            State::InString => match c {
                b'"' => self.ended(),
                b'\\' => self.to(State::Escape),
                0..0x20 => Err(unexpected(c, "in string literal")),
                _ => Ok(Step::More),
            },
            State::Escape => match c {
                b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => self.to(State::InString),
                b'u' => self.to(State::EscapeHex(0)),
                _ => Err(unexpected(c, "in string escape code")),
            },
            State::EscapeHex(seen) if c.is_ascii_hexdigit() => {
                self.to(if seen == 3 { State::InString } else { State::EscapeHex(seen + 1) })
            }
            State::EscapeHex(_) => Err(unexpected(c, "in \\u hexadecimal character escape")),
            State::Literal(word, at) => {
                let wanted = word.as_bytes()[at];
                if c != wanted {
                    let context = format!("in literal {word} (expecting '{}')", wanted as char);
                    return Err(unexpected(c, &context));
                }
                if at + 1 == word.len() { self.ended() } else { self.to(State::Literal(word, at + 1)) }
            }
            _ => self.number(c),
        }
    }

    /// Whether the input may end here: a number has no end of its own.
    #[must_use]
    pub fn finish(&self) -> bool {
        self.open.is_empty()
            && matches!(
                self.state,
                State::EndTop | State::Zero | State::Integer | State::Fraction | State::ExponentDigits
            )
    }

    fn to(&mut self, state: State) -> Result<Step, String> {
        self.state = state;
        Ok(Step::More)
    }

    fn begin_value(&mut self, c: u8) -> Result<Step, String> {
        match c {
            b'{' => self.begin(Container::ObjectKey, State::BeginKeyOrEnd),
            b'[' => self.begin(Container::Array, State::BeginValueOrEnd),
            b'"' => self.to(State::InString),
            b'-' => self.to(State::Minus),
            b'0' => self.to(State::Zero),
            b'1'..=b'9' => self.to(State::Integer),
            b't' => self.to(State::Literal("true", 1)),
            b'f' => self.to(State::Literal("false", 1)),
            b'n' => self.to(State::Literal("null", 1)),
            _ => Err(unexpected(c, "looking for beginning of value")),
        }
    }

    fn begin(&mut self, container: Container, state: State) -> Result<Step, String> {
        if self.open.len() == MAX_DEPTH {
            return Err("exceeded max depth".into());
        }
        self.open.push(container);
        self.to(state)
    }

    /// The innermost container ends.
    fn close(&mut self) -> Result<Step, String> {
        self.open.pop();
        self.ended()
    }

    /// A value or key ended with this byte.
    fn ended(&mut self) -> Result<Step, String> {
        if self.open.is_empty() {
            self.state = State::EndTop;
            return Ok(Step::Done);
        }
        self.to(State::EndValue)
    }

    fn end_value(&mut self, c: u8) -> Result<Step, String> {
        let Some(container) = self.open.last_mut() else {
            self.state = State::EndTop;
            return if is_space(c) {
                Ok(Step::DoneBefore)
            } else {
                Err(unexpected(c, "after top-level value"))
            };
        };
        if is_space(c) {
            return self.to(State::EndValue);
        }
        match (*container, c) {
            (Container::ObjectKey, b':') => {
                *container = Container::ObjectValue;
                self.to(State::BeginValue)
            }
            (Container::ObjectKey, _) => Err(unexpected(c, "after object key")),
            (Container::ObjectValue, b',') => {
                *container = Container::ObjectKey;
                self.to(State::BeginKey)
            }
            (Container::ObjectValue, b'}') | (Container::Array, b']') => self.close(),
            (Container::ObjectValue, _) => Err(unexpected(c, "after object key:value pair")),
            (Container::Array, b',') => self.to(State::BeginValue),
            (Container::Array, _) => Err(unexpected(c, "after array element")),
        }
    }

    fn number(&mut self, c: u8) -> Result<Step, String> {
        match (self.state, c) {
            (State::Minus, b'0') => self.to(State::Zero),
            (State::Minus, b'1'..=b'9') => self.to(State::Integer),
            (State::Minus, _) => Err(unexpected(c, "in numeric literal")),
            (State::Integer, b'0'..=b'9') | (State::Fraction | State::ExponentDigits, b'0'..=b'9') => {
                Ok(Step::More)
            }
            (State::Zero | State::Integer, b'.') => self.to(State::Point),
            (State::Zero | State::Integer | State::Fraction, b'e' | b'E') => self.to(State::Exponent),
            (State::Point, b'0'..=b'9') => self.to(State::Fraction),
            (State::Point, _) => Err(unexpected(c, "after decimal point in numeric literal")),
            (State::Exponent, b'+' | b'-') => self.to(State::ExponentSign),
            (State::Exponent | State::ExponentSign, b'0'..=b'9') => self.to(State::ExponentDigits),
            (State::Exponent | State::ExponentSign, _) => {
                Err(unexpected(c, "in exponent of numeric literal"))
            }
            _ => self.end_value(c),
        }
    }
}

/// Go's words for a byte at the wrong place.
fn unexpected(c: u8, context: &str) -> String {
    let shown = match c {
        b'\'' => r"\'".to_owned(),
        b'\\' => r"\\".to_owned(),
        b'\n' => r"\n".to_owned(),
        b'\r' => r"\r".to_owned(),
        b'\t' => r"\t".to_owned(),
        0x07 => r"\a".to_owned(),
        0x08 => r"\b".to_owned(),
        0x0b => r"\v".to_owned(),
        0x0c => r"\f".to_owned(),
        0..0x20 | 0x7f => format!("\\x{c:02x}"),
        // Go shows a byte above ASCII as the character of that number; those to 0xa0 and 0xad can't be printed.
        0x80..=0xa0 | 0xad => format!("\\u{:04x}", u32::from(c)),
        _ => char::from(c).to_string(),
    };
    format!("invalid character '{shown}' {context}")
}
