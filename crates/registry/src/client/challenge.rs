//! `WWW-Authenticate`: how a registry wants to be told who asks (RFC 9110, 11.6.1).

/// What a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Challenge {
    /// Name and password with each request.
    Basic,
    /// A token from somebody who knows the registry.
    Bearer {
        /// Where tokens are given.
        realm: String,
        /// Whom they are for.
        service: String,
        /// What they are for.
        scope: String,
    },
}

/// All challenges that are understood, of one header's value.
pub(super) fn parse(header: &str) -> Vec<Challenge> {
    let mut rest = header.trim_start_matches([' ', ',', '\t']);
    let mut found = Vec::new();
    while !rest.is_empty() {
        let end = rest.find([' ', '\t', ',']).unwrap_or(rest.len());
        let scheme = &rest[..end];
        let (parameters, after) = parameters(&rest[end..]);
        rest = after;
        let get = |name: &str| {
            parameters.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, v)| v).to_owned()
        };
        if scheme.eq_ignore_ascii_case("basic") {
            found.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer") && !get("realm").is_empty() {
            found.push(Challenge::Bearer {
                realm: get("realm"),
                service: get("service"),
                scope: get("scope"),
            });
        }
    }
    found
}

type Parameters = Vec<(String, String)>;

/// `a="b", c=d` up to the next scheme, which no `=` follows.
fn parameters(text: &str) -> (Parameters, &str) {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        let start = rest.trim_start_matches([' ', ',', '\t']);
        let name_end = start.find(|c: char| !is_token(c)).unwrap_or(start.len());
        let (name, after) = start.split_at(name_end);
        let Some(value) = after.trim_start().strip_prefix('=').filter(|_| !name.is_empty()) else {
            // A scheme, or something that is none of it: never the same text again.
            let skipped = if name.is_empty() { start.get(1..).unwrap_or_default() } else { start };
            return (found, if start.is_empty() || name.is_empty() { skipped } else { start });
        };
        let value = value.trim_start();
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let end = value.find([',', ' ', '\t']).unwrap_or(value.len());
                (value[..end].to_owned(), &value[end..])
            }
        };
        found.push((name.to_owned(), value));
        rest = after;
    }
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => {
                value.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, &text[at + 1..]),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: &str, scope: &str) -> Challenge {
        Challenge::Bearer { realm: realm.to_owned(), service: service.to_owned(), scope: scope.to_owned() }
    }

    #[test]
    fn challenges_of_registries() {
        for (header, expected) in [
            (r#"Basic realm="Registry""#, vec![Challenge::Basic]),
            (
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
                vec![bearer(
                    "https://auth.docker.io/token",
                    "registry.docker.io",
                    "repository:a/b:pull,push",
                )],
            ),
            (
                r#"bearer Realm = "https://x/\"y" , service=z, Basic realm=q"#,
                vec![bearer("https://x/\"y", "z", ""), Challenge::Basic],
            ),
            (r#"Negotiate, Basic realm="x""#, vec![Challenge::Basic]),
            ("Bearer", vec![]),
            ("", vec![]),
            ("=,=;\"", vec![]),
        ] {
            assert_eq!(parse(header), expected, "{header}");
        }
    }

    #[test]
    fn nonsense_ends() {
        for text in ["=", "\"", "a=", "a b c", ";;;", "Basic;", "é=1", "Bearer realm=\"", ", ,,"] {
            parse(text);
        }
    }
}
