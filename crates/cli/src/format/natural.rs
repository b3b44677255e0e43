//! The order in which `vol9` comes before `vol10`.

use std::cmp::Ordering;

/// Compares texts with their numbers as numbers, as Docker's lists are sorted.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let (digits_a, digits_b) = (digits(a), digits(b));
        if digits_a > 0 && digits_b > 0 {
            let (number_a, number_b) = (significant(&a[..digits_a]), significant(&b[..digits_b]));
            // Of the same length, digits compare as the numbers do; zeros before them come last.
            let order = (number_a.len(), number_a).cmp(&(number_b.len(), number_b));
            let order = order.then(digits_a.cmp(&digits_b));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (&a[digits_a..], &b[digits_b..]);
            continue;
        }
        match (a.split_first(), b.split_first()) {
            (Some((x, rest_a)), Some((y, rest_b))) if x == y => (a, b) = (rest_a, rest_b),
            _ => return a.cmp(b),
        }
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|b| b.is_ascii_digit()).count()
}

fn significant(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|b| **b == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn numbers_count() {
        let mut names = ["vol10", "vol9", "a", "vol", "vol9b", "vol010", "b2c10", "b2c9"];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(names, ["a", "b2c9", "b2c10", "vol", "vol9", "vol9b", "vol10", "vol010"]);
    }
}
