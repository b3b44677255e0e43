//! `push`.

use super::pull::{Show, display};
use crate::{
    command::{Command, Operands, Running},
    credentials,
    error::Error,
    flags::{Flag, Mode},
    out,
};
use brig_core::Reference;

/// `brig push`
pub static PUSH: Command = Command {
    paths: &["push", "image push"],
    synopsis: "NAME[:TAG]",
    about: "Send an image to a registry",
    examples: &[("push registry.example:5000/app:v1", "To the registry that the name begins with")],
    flags: &[&[
        Flag::switch("all-tags", "Send all tags of the repository").short('a'),
        Flag::switch("disable-content-trust", "").default("true", "").hide(),
        Flag::string("platform", "").hide(),
        Flag::switch("quiet", "Show nothing but the image's name").short('q'),
    ]],
    mode: Mode::Interspersed,
    operands: Operands::Exactly(1),
    run: |cli, flags| -> Running<'_> {
        Box::pin(async move {
            let reference: Reference = flags.args[0].parse().map_err(|e| Error::Message(format!("{e}")))?;
            let quiet = flags.on("quiet");
            let bare = reference.tag().is_none() && reference.digest().is_none();
            let reference = match flags.on("all-tags") {
                true if !bare => return Err("tag can't be used with --all-tags/-a".into()),
                true => reference,
                false => {
                    if bare && !quiet {
                        out::line("Using default tag: latest")?;
                    }
                    reference.with_default_tag()
                }
            };
            let request = cli
                .client()?
                .post(&format!("/images/{}/push", reference.familiar_name()))
                .query_nonempty("tag", reference.tag().unwrap_or_default())
                .header(
                    http::HeaderName::from_static("x-registry-auth"),
                    &credentials::header(cli.config(), &reference)?,
                );
            let show = if quiet { None } else { Some(Show::StandardOutput) };
            display(request.response().await?.into_values(), show).await?;
            if quiet { out::line(&reference.to_string()) } else { Ok(()) }
        })
    },
};
