use super::*;
use brig_core::Id;

fn id(n: u8) -> Digest {
    Digest::of(&[n])
}

fn catalog(references: &[(&str, u8)], parents: &[(u8, Option<u8>)]) -> Catalog {
    let mut catalog = Catalog::default();
    for (name, image) in references {
        let reference: Reference = name.parse().unwrap();
        catalog.references.insert(reference.to_string(), (reference, id(*image)));
    }
    catalog.parents = parents.iter().map(|(image, parent)| (id(*image), parent.map(id))).collect();
    catalog
}

fn planned(
    catalog: &Catalog,
    name: &str,
    image: u8,
    force: bool,
    users: &[ImageUser],
) -> Result<Vec<String>, String> {
    let options = RemoveOptions { force, no_prune: false };
    let name = if name.is_empty() { id(image).hex() } else { name.to_owned() };
    let steps = plan(catalog, &name, id(image), options, users).map_err(|e| e.to_string())?;
    Ok(steps
        .iter()
        .map(|step| match step {
            Step::Untag { reference, .. } => reference.familiar(),
            Step::Delete(image) => format!("-{}", (0..=255).find(|n| id(*n) == *image).unwrap()),
        })
        .collect())
}

fn user(image: u8, activity: Activity) -> ImageUser {
    ImageUser { container: Id::random(), image: id(image), activity }
}

#[test]
fn a_name_goes_alone_while_others_are_left() {
    let c = catalog(&[("a:1", 1), ("a:2", 1)], &[(1, None)]);
    assert_eq!(planned(&c, "a:1", 1, false, &[]).unwrap(), ["a:1"]);
    // Even when a container uses the image.
    assert_eq!(planned(&c, "a:1", 1, false, &[user(1, Activity::Running)]).unwrap(), ["a:1"]);
}

#[test]
fn digest_references_go_with_the_last_tag_of_their_repository() {
    let digest = format!("a@{}", id(9));
    let c = catalog(&[("a:1", 1), (&digest, 1)], &[(1, None)]);
    assert_eq!(planned(&c, "a:1", 1, false, &[]).unwrap(), ["a:1", &digest, "-1"]);
    let c = catalog(&[("a:1", 1), ("a:2", 1), (&digest, 1)], &[(1, None)]);
    assert_eq!(planned(&c, "a:1", 1, false, &[]).unwrap(), ["a:1"]);
    let other = format!("b@{}", id(9));
    let c = catalog(&[("a:1", 1), (&other, 1)], &[(1, None)]);
    assert_eq!(planned(&c, "a:1", 1, false, &[]).unwrap(), ["a:1"]);
}

#[test]
fn by_id_one_repository_goes_and_several_conflict() {
    let digest = format!("a@{}", id(9));
    let c = catalog(&[("a:1", 1), (&digest, 1)], &[(1, None)]);
    assert_eq!(planned(&c, "", 1, false, &[]).unwrap(), ["a:1", &digest, "-1"]);
    let c = catalog(&[("a:1", 1), ("b:1", 1)], &[(1, None)]);
    let text = format!(
        "conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories",
        id(1).short()
    );
    assert_eq!(planned(&c, "", 1, false, &[]).unwrap_err(), text);
    assert_eq!(planned(&c, "", 1, true, &[]).unwrap(), ["a:1", "b:1", "-1"]);
    let c = catalog(&[("a:1", 1), ("a:2", 1)], &[(1, None)]);
    assert_eq!(planned(&c, "", 1, false, &[]).unwrap_err(), text);
}

#[test]
fn children_hold_their_parents() {
    let c = catalog(&[("base:1", 1), ("app:1", 2)], &[(1, None), (2, Some(1))]);
    let text = format!(
        "conflict: unable to delete {} (cannot be forced) - image has dependent child images",
        id(1).short()
    );
    assert_eq!(planned(&c, "", 1, false, &[]).unwrap_err(), text);
    assert_eq!(planned(&c, "", 1, true, &[]).unwrap_err(), text);
    // By its name it only loses the name.
    assert_eq!(planned(&c, "base:1", 1, false, &[]).unwrap(), ["base:1"]);
}

#[test]
fn parents_without_names_and_users_are_pruned() {
    let c = catalog(&[("app:1", 3)], &[(1, None), (2, Some(1)), (3, Some(2))]);
    assert_eq!(planned(&c, "app:1", 3, false, &[]).unwrap(), ["app:1", "-3", "-2", "-1"]);
    let keep = RemoveOptions { force: false, no_prune: true };
    assert_eq!(plan(&c, "app:1", id(3), keep, &[]).unwrap().len(), 2);
    // As far as nothing holds them, and never by force.
    let users = [user(1, Activity::Stopped)];
    assert_eq!(planned(&c, "app:1", 3, true, &users).unwrap(), ["app:1", "-3", "-2"]);
    let c = catalog(&[("app:1", 3), ("mid:1", 2)], &[(1, None), (2, Some(1)), (3, Some(2))]);
    assert_eq!(planned(&c, "app:1", 3, true, &[]).unwrap(), ["app:1", "-3"]);
}

#[test]
fn containers_hold_by_state() {
    let c = catalog(&[("a:1", 1)], &[(1, None)]);
    for activity in [Activity::Running, Activity::Stopped] {
        let e = planned(&c, "a:1", 1, false, &[user(1, activity)]).unwrap_err();
        assert!(
            e.starts_with(
                "conflict: unable to remove repository reference \"a:1\" (must force) - container "
            ),
            "{e}"
        );
    }
    assert_eq!(planned(&c, "a:1", 1, true, &[user(1, Activity::Stopped)]).unwrap(), ["a:1", "-1"]);
    assert_eq!(planned(&c, "a:1", 1, true, &[user(1, Activity::Running)]).unwrap(), ["a:1"]);
    assert!(planned(&c, "", 1, true, &[user(1, Activity::Running)]).is_err());
    assert_eq!(planned(&c, "a:1", 1, false, &[user(2, Activity::Running)]).unwrap(), ["a:1", "-1"]);
}
