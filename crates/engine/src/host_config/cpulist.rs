//! Lists of CPUs and memory nodes, `0-2,4`.

use std::collections::BTreeSet;

/// The highest number that is read: more CPUs than any kernel is built for.
const HIGHEST: u32 = 8191;

/// The members of a list; `None` for text that is none. An empty text is an empty list.
pub(super) fn parse(text: &str) -> Option<BTreeSet<u32>> {
    let mut all = BTreeSet::new();
    if text.is_empty() {
        return Some(all);
    }
    let number = |text: &str| text.trim().parse::<u32>().ok().filter(|number| *number <= HIGHEST);
    for part in text.split(',') {
        match part.split_once('-') {
            None => {
                all.insert(number(part)?);
            }
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                if last < first {
                    return None;
                }
                all.extend(first..=last);
            }
        }
    }
    Some(all)
}
