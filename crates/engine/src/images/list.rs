//! `GET /images/json`.

use super::{resolve, shape};
use crate::{
    containers::until, core::Core, engine::Engine, error::Result, filters::Filters, options::ImageListOptions,
};
use brig_api::ImageSummary;
use brig_core::Reference;
use brig_store::Image;
use jiff::Timestamp;
use std::{cmp::Reverse, collections::BTreeSet};

const KNOWN_FILTERS: [&str; 6] = ["before", "dangling", "label", "reference", "since", "until"];

impl Engine {
    /// The images that pass, newest first.
    ///
    /// # Errors
    /// When a filter is unknown or has an impossible value.
    pub async fn image_list(&self, options: ImageListOptions) -> Result<Vec<ImageSummary>> {
        self.core().blocking(move |core| list(core, &options)).await
    }
}

fn list(core: &Core, options: &ImageListOptions) -> Result<Vec<ImageSummary>> {
    let filters = &options.filters;
    filters.validate(&KNOWN_FILTERS)?;
    let dangling = filters.flag("dangling")?;
    let created = |key: &str| -> Result<Option<Timestamp>> {
        let named =
            filters.get(key).map(|name| Ok(resolve(core, name)?.created)).collect::<Result<Vec<_>>>()?;
        Ok(named.into_iter().flatten().last())
    };
    let (before, since) = (created("before")?.or(until(filters)?), created("since")?);
    let mut images = core.store.image_list()?;
    let parents: BTreeSet<_> = images.iter().filter_map(|image| image.parent).collect();
    images.sort_by_key(|image| (Reverse(image.created), image.id));
    let passes = |image: &Image| {
        let config = super::container_config(image);
        let labels = config.as_ref().and_then(|config| config.labels.as_ref());
        let intermediate = image.is_dangling() && parents.contains(&image.id);
        (options.all || !intermediate)
            && dangling.is_none_or(|wanted| wanted == (image.is_dangling() && !intermediate))
            && before.is_none_or(|at| image.created.is_none_or(|created| created < at))
            && since.is_none_or(|at| image.created.is_some_and(|created| created > at))
            && filters.labels("label", labels)
    };
    let sharing = if options.shared_size { Some(core.store.image_sharing()?) } else { None };
    let shown = images.iter().filter(|image| passes(image)).filter_map(|image| {
        let mut shown = shape::summary(image);
        if let Some(sharing) = &sharing {
            shown.shared_size = sharing.shared.get(&image.id).map_or(0, |bytes| shape::whole(*bytes));
        }
        if filters.contains("reference") {
            let fits = |reference: &Reference| fits_reference(filters, reference);
            shown.repo_tags = image.references.iter().filter(|r| fits(r)).map(Reference::familiar).collect();
            shown.repo_digests =
                image.repo_digests.iter().filter(|r| fits(r)).map(Reference::familiar).collect();
            if shown.repo_tags.is_empty() && shown.repo_digests.is_empty() {
                return None;
            }
        }
        Some(shown)
    });
    Ok(shown.collect())
}

/// Whether a pattern fits a reference, with or without its tag.
fn fits_reference(filters: &Filters, reference: &Reference) -> bool {
    let (whole, name) = (reference.familiar(), reference.familiar_name());
    filters.get("reference").any(|pattern| {
        glob(pattern.as_bytes(), whole.as_bytes()) || glob(pattern.as_bytes(), name.as_bytes())
    })
}

/// Go's `path.Match`: `*` and `?` don't match `/`; `[a-z]` and `[^a-z]`; a backslash takes a meaning away.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => {
            let run = text.iter().take_while(|b| **b != b'/').count();
            (0..=run).any(|skip| glob(rest, &text[skip..]))
        }
        [b'?', rest @ ..] => matches!(text, [first, ..] if *first != b'/') && glob(rest, &text[1..]),
        [b'[', rest @ ..] => match (text, class(rest)) {
            ([first, text @ ..], Some((set, negated, rest))) => {
                *first != b'/'
                    && set.iter().any(|(low, high)| (low..=high).contains(&first)) != negated
                    && glob(rest, text)
            }
            _ => false,
        },
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => {
            matches!(text, [first, ..] if first == literal) && glob(rest, &text[1..])
        }
    }
}

type Class<'a> = (Vec<(u8, u8)>, bool, &'a [u8]);

/// The ranges of a character class, whether it is negated, and what follows it.
fn class(pattern: &[u8]) -> Option<Class<'_>> {
    let (negated, mut rest) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut set = Vec::new();
    loop {
        match rest {
            [b']', after @ ..] if !set.is_empty() => return Some((set, negated, after)),
            [low, b'-', high, after @ ..] if *high != b']' => {
                set.push((*low, *high));
                rest = after;
            }
            [one, after @ ..] => {
                set.push((*one, *one));
                rest = after;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn patterns_of_references() {
        for (pattern, text, fits) in [
            ("busybox", "busybox", true),
            ("busy*", "busybox:latest", true),
            ("*", "a/b", false),
            ("*/*", "a/b", true),
            ("b?sybox", "busybox", true),
            ("[a-c]usybox", "busybox", true),
            ("[^a-c]usybox", "busybox", false),
            ("busybox:1.*", "busybox:1.36", true),
            ("", "x", false),
            ("[", "[", false),
            ("\\*", "*", true),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(pattern in "[a*?\\[\\]^\\\\-]{0,8}", text in "[a/]{0,10}") {
            glob(pattern.as_bytes(), text.as_bytes());
        }
    }
}
