//! Options of `run` and `create`: read and checked on the client as Docker reads and checks them, in its
//! words, then put into the request.

pub mod blkio;
pub mod container;
pub mod device;
pub mod env;
pub mod flags;
pub mod host;
pub mod mount;
pub mod network;
pub mod port;
pub mod security;
pub mod text;
pub mod ulimit;
pub mod volume;

/// One line of comma-separated values, with quotes as in CSV.
///
/// # Errors
/// In the words of Go's CSV reader.
pub(crate) fn csv(text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Err("EOF".to_owned());
    }
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        if let Some(mut quoted) = rest.strip_prefix('"') {
            let mut field = String::new();
            loop {
                let Some(end) = quoted.find('"') else {
                    return Err(format!(
                        "parse error on line 1, column {}: extraneous or missing \" in quoted-field",
                        text.len() + 1
                    ));
                };
                field.push_str(&quoted[..end]);
                quoted = &quoted[end + 1..];
                match quoted.strip_prefix('"') {
                    Some(after) => {
                        field.push('"');
                        quoted = after;
                    }
                    None => break,
                }
            }
            fields.push(field);
            match quoted.strip_prefix(',') {
                Some(after) => rest = after,
                None if quoted.is_empty() => return Ok(fields),
                None => {
                    let column = text.len() - quoted.len();
                    return Err(format!(
                        "parse error on line 1, column {column}: extraneous or missing \" in quoted-field"
                    ));
                }
            }
            continue;
        }
        let (field, after) = match rest.split_once(',') {
            Some((field, after)) => (field, Some(after)),
            None => (rest, None),
        };
        if let Some(at) = field.find('"') {
            let column = text.len() - rest.len() + at + 1;
            return Err(format!("parse error on line 1, column {column}: bare \" in non-quoted-field"));
        }
        fields.push(field.to_owned());
        match after {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn csv_is_gos() {
        assert_eq!(super::csv("a,\"b,\"\"c\",").unwrap(), ["a", "b,\"c", ""]);
        assert_eq!(super::csv("").unwrap_err(), "EOF");
        assert!(super::csv("a\"b").unwrap_err().contains("bare"));
        assert!(super::csv("\"ab").unwrap_err().contains("quoted-field"));
    }
}
