//! Lists of processors and memory nodes, as the kernel and the spec write them: `0-3,7`.

use super::attributes::Mask;
use crate::error::Error;

/// More than any kernel is built for.
const MOST: usize = 8192;

/// Reads a list into bits. `what` names it in an error.
pub(super) fn parse_list(text: &str, what: &str) -> Result<Mask, Error> {
    let wrong = |part: &str| {
        Error::Spec(format!("{what}: {part:?} in {text:?} is not a number or range below {MOST}"))
    };
    let mut mask = Mask::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<usize>().ok().filter(|n| *n < MOST);
        let (Some(first), Some(last)) = (number(first), number(last)) else { return Err(wrong(part)) };
        if first > last {
            return Err(wrong(part));
        }
        if mask.len() <= last / 64 {
            mask.resize(last / 64 + 1, 0);
        }
        (first..=last).for_each(|n| mask[n / 64] |= 1 << (n % 64));
    }
    Ok(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let read = |text| parse_list(text, "x").unwrap();
        assert_eq!(read("0-3,7"), [0b1000_1111]);
        assert_eq!(read(" 1 , 64-65,"), [0b10, 0b11]);
        assert!(read("").is_empty());
        for bad in ["a", "3-1", "-1", "1-", "8192", "0-99999999999", "1;2"] {
            assert!(parse_list(bad, "x").unwrap_err().to_string().starts_with("x: "), "{bad}");
        }
    }
}
