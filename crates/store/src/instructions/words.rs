//! Words of a Dockerfile instruction: quotes, backslashes and variables, as the classic builder reads them.

/// The value of a variable.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces `$NAME`, `${NAME}`, `${NAME:-word}`, `${NAME:+word}` and takes quotes and backslashes away.
pub(super) fn expand(text: &str, lookup: Lookup<'_>) -> Result<String, String> {
    let mut chars = text.chars().peekable();
    let mut out = String::new();
    let mut quote = None;
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('\'', None) | ('"', None) => quote = Some(c),
            ('\'', Some('\'')) | ('"', Some('"')) => quote = None,
            ('\\', None) => out.extend(chars.next()),
            ('\\', Some('"')) => match chars.next() {
                Some(c @ ('"' | '$' | '\\')) => out.push(c),
                Some(c) => out.extend(['\\', c]),
                None => out.push('\\'),
            },
            ('$', None | Some('"')) => out.push_str(&variable(&mut chars, lookup)?),
            (c, _) => out.push(c),
        }
    }
    match quote {
        Some('"') => Err("unexpected end of statement while looking for matching double-quote".to_owned()),
        Some(_) => Err("unexpected end of statement while looking for matching single-quote".to_owned()),
        None => Ok(out),
    }
}

fn variable(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    lookup: Lookup<'_>,
) -> Result<String, String> {
    if chars.peek() != Some(&'{') {
        let mut name = String::new();
        while let Some(c) = chars.peek().copied().filter(|c| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
            chars.next();
        }
        return Ok(if name.is_empty() { "$".to_owned() } else { lookup(&name).unwrap_or_default() });
    }
    chars.next();
    let mut inside = String::new();
    let mut depth = 1;
    for c in chars.by_ref() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        inside.push(c);
    }
    let end = inside.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inside.len());
    let (name, rest) = inside.split_at(end);
    if depth != 0 || name.is_empty() {
        return Err("syntax error: bad substitution".to_owned());
    }
    let value = lookup(name);
    let set = value.as_ref().is_some_and(|v| !v.is_empty());
    match rest {
        "" => Ok(value.unwrap_or_default()),
        _ if rest.starts_with(":-") && !set => expand(&rest[2..], lookup),
        _ if rest.starts_with(":-") => Ok(value.unwrap_or_default()),
        _ if rest.starts_with(":+") && set => expand(&rest[2..], lookup),
        _ if rest.starts_with(":+") => Ok(String::new()),
        _ => Err(format!("unsupported modifier ({}) in substitution", rest)),
    }
}

/// Splits at blanks outside of quotes; quotes and backslashes stay in the words.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (' ' | '\t', None) => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(q)) if c == q => quote = None,
            ('\\', None | Some('"')) => {
                word.push(c);
                word.extend(chars.next());
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// `NAME=value NAME=value…`, or the old form `NAME value`.
pub(super) fn pairs(instruction: &str, text: &str) -> Result<Vec<(String, String)>, String> {
    let words = split(text);
    let Some(first) = words.first() else {
        return Err(format!("{instruction} requires at least one argument"));
    };
    if !first.contains('=') {
        let (name, value) = text.split_once([' ', '\t']).ok_or_else(|| {
            format!("Syntax error - can't find = in {first:?}. Must be of the form: name=value")
        })?;
        return Ok(vec![(name.to_owned(), value.trim_start().to_owned())]);
    }
    words
        .iter()
        .map(|word| match word.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(format!("Syntax error - can't find = in {word:?}. Must be of the form: name=value")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_variables() {
        let lookup = |name: &str| (name == "A").then(|| "x y".to_owned());
        for (text, expanded) in [
            ("$A", "x y"),
            ("${A}z", "x yz"),
            ("${B:-d}", "d"),
            ("${A:-d}", "x y"),
            ("${A:+s}${B:+s}", "s"),
            ("'$A'", "$A"),
            ("\"$A\"", "x y"),
            ("\\$A", "$A"),
            ("a\\ b", "a b"),
            ("\"a\\nb\"", "a\\nb"),
            ("$", "$"),
            ("${B}", ""),
        ] {
            assert_eq!(expand(text, &lookup).as_deref(), Ok(expanded), "{text}");
        }
        for bad in ["\"a", "'a", "${A", "${}", "${A:?x}"] {
            assert!(expand(bad, &lookup).is_err(), "{bad}");
        }
    }

    #[test]
    fn words_keep_their_quotes() {
        assert_eq!(split("a  'b c' d\\ e \"f g\""), ["a", "'b c'", "d\\ e", "\"f g\""]);
        assert_eq!(pairs("ENV", "A=b C='d e'").unwrap().len(), 2);
        assert_eq!(pairs("ENV", "A b c").unwrap(), [("A".to_owned(), "b c".to_owned())]);
        assert!(pairs("ENV", "A").is_err());
        assert!(pairs("ENV", "A=b C").is_err());
        assert!(pairs("ENV", "").is_err());
    }
}
