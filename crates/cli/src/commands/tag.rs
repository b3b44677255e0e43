//! `tag`.

use crate::{
    command::{Command, Operands, Running},
    error::{Error, Result},
    flags::Mode,
};
use brig_core::Reference;

/// `brig tag`
pub static TAG: Command = Command {
    paths: &["tag", "image tag"],
    synopsis: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    about: "Give an image one more name",
    examples: &[],
    flags: &[],
    mode: Mode::Interspersed,
    operands: Operands::Exactly(2),
    run: |cli, flags| -> Running<'_> {
        Box::pin(async move {
            let (source, target) = (&flags.args[0], &flags.args[1]);
            let target = read_target(target)?;
            let request = cli.client()?.post(&format!("/images/{source}/tag"));
            let request =
                request.query("repo", target.repository()).query("tag", target.tag().unwrap_or_default());
            Ok(request.send().await?)
        })
    },
};

fn read_target(text: &str) -> Result<Reference> {
    let target: Reference = text.parse().map_err(|e| {
        let quoted = crate::format::go_quote(text);
        Error::Message(format!("Error parsing reference: {quoted} is not a valid repository/tag: {e}"))
    })?;
    if target.digest().is_some() {
        return Err("refusing to create a tag with a digest reference".into());
    }
    Ok(target.with_default_tag())
}
