//! Layers: unpacked from archives, kept as folders, rebuilt into archives.

pub(crate) mod hide;
pub(crate) mod mount_points;
pub(crate) mod name;
pub(crate) mod rebuild;
mod record;
pub(crate) mod root;
pub(crate) mod unpack;
pub(crate) mod whiteout;

use brig_core::Digest;

/// The chain id of a layer: of the layer's own digest and all those below it (OCI image spec, config.md).
pub(crate) fn chain_id(parent: Option<&Digest>, diff: &Digest) -> Digest {
    match parent {
        None => *diff,
        Some(parent) => Digest::of(format!("{parent} {diff}").as_bytes()),
    }
}

/// The chain id of a stack of layers; `None` when there are none.
pub(crate) fn chain_of(diffs: &[Digest]) -> Option<Digest> {
    diffs.iter().fold(None, |parent, diff| Some(chain_id(parent.as_ref(), diff)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_ids_as_the_image_spec_computes_them() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_eq!(chain_of(&[]), None);
        assert_eq!(chain_of(&[a]), Some(a));
        assert_eq!(chain_of(&[a, b]), Some(Digest::of(format!("{a} {b}").as_bytes())));
    }
}
