//! The difference of two texts, line by line.

/// `  same`, `- only in the first`, `+ only in the second`, with what is the same shortened.
#[must_use]
pub fn lines(a: &[String], b: &[String]) -> String {
    let mut common = vec![vec![0u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] =
                if a[i] == b[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let mut rows: Vec<(char, &str)> = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            rows.push((' ', &a[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && common[i + 1][j] >= common[i][j + 1]) {
            rows.push(('-', &a[i]));
            i += 1;
        } else {
            rows.push(('+', &b[j]));
            j += 1;
        }
    }
    shortened(&rows)
}

/// Keeps one line of what is the same on either side of what is not.
fn shortened(rows: &[(char, &str)]) -> String {
    let near = |at: usize| {
        let range = at.saturating_sub(1)..(at + 2).min(rows.len());
        rows[range].iter().any(|(sign, _)| *sign != ' ')
    };
    let mut text = String::new();
    let mut hidden = false;
    for (at, (sign, line)) in rows.iter().enumerate() {
        if near(at) {
            text.push_str(&format!("  {sign} {line}\n"));
            hidden = false;
        } else if !hidden {
            text.push_str("    …\n");
            hidden = true;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn only_what_differs_is_shown() {
        let text = |t: &str| t.lines().map(str::to_owned).collect::<Vec<_>>();
        let shown = lines(&text("a\nb\nc\nd\ne"), &text("a\nb\nc\nX\ne"));
        assert_eq!(shown, "    …\n    c\n  - d\n  + X\n    e\n");
    }
}
