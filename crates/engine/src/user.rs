//! Who runs a process: `user[:group]` looked up in the container's own passwd and group files, as runc does.

use crate::{
    error::{Error, Result},
    layers,
    spec::ResolvedUser,
};
use brig_core::RootFs;

/// The longest passwd or group file that is read.
const LIMIT: u64 = 4 << 20;

/// Looks up `user[:group]` (empty for root) and the groups of `--group-add` in a root file system.
///
/// # Errors
/// In Docker's words when a name has no entry or a number is out of range.
pub(crate) fn resolve(rootfs: &RootFs, user: &str, group_add: &[String]) -> Result<ResolvedUser> {
    let read = |path: &'static str| {
        let bytes = layers::read(rootfs, path, LIMIT).map_err(|e| Error::file("read", path, e))?;
        Ok::<_, Error>(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
    };
    lookup(&read("etc/passwd")?, &read("etc/group")?, user, group_add).map_err(Error::Invalid)
}

struct Passwd<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn passwd(line: &str) -> Option<Passwd<'_>> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Passwd { name, uid, gid, home: fields.nth(1).unwrap_or_default() })
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

fn group(line: &str) -> Option<Group<'_>> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let gid = fields.nth(1)?.parse().ok()?;
    Some(Group { name, gid, members: fields.next().unwrap_or_default() })
}

/// A number that is an id: runc takes 0 to 2³¹-1.
fn number(text: &str) -> Option<Result<u32, String>> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return None;
    }
    let value: i64 = text.parse().ok()?;
    let id = u32::try_from(value).ok().filter(|id| *id <= i32::MAX.unsigned_abs());
    Some(id.ok_or_else(|| "uids and gids must be in range 0-2147483647".to_owned()))
}

fn lookup(
    passwd_file: &str,
    group_file: &str,
    user: &str,
    group_add: &[String],
) -> Result<ResolvedUser, String> {
    let (user, wanted_group) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|g| !g.is_empty())),
        None => (user, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let as_number = number(user).transpose()?;
    let mut entries = passwd_file.lines().filter_map(passwd);
    let entry = entries.find(|e| e.name == user || as_number == Some(e.uid));
    let (uid, mut gid, home) = match (&entry, as_number) {
        (Some(entry), _) => (entry.uid, entry.gid, entry.home),
        (None, Some(uid)) => (uid, 0, "/"),
        (None, None) => {
            return Err(format!("unable to find user {user}: no matching entries in passwd file"));
        }
    };
    let mut additional_gids = Vec::new();
    match (wanted_group, &entry) {
        (Some(wanted), _) => gid = find_group(group_file, wanted)?,
        // Without a group of its own choice, a user that has a name is in all groups that list it.
        (None, Some(entry)) => {
            let listed = group_file.lines().filter_map(group);
            additional_gids.extend(
                listed.filter(|g| g.members.split(',').any(|member| member == entry.name)).map(|g| g.gid),
            );
        }
        (None, None) => {}
    }
    for added in group_add {
        additional_gids.push(find_group(group_file, added)?);
    }
    let home = if home.is_empty() { "/" } else { home };
    Ok(ResolvedUser { uid, gid, additional_gids, home: home.to_owned() })
}

fn find_group(group_file: &str, wanted: &str) -> Result<u32, String> {
    let as_number = number(wanted).transpose()?;
    let found = group_file.lines().filter_map(group).find(|g| g.name == wanted || as_number == Some(g.gid));
    found
        .map(|g| g.gid)
        .or(as_number)
        .ok_or_else(|| format!("unable to find group {wanted}: no matching entries in group file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/sh\nbroken\nweb:x:33:34:www:/srv:/bin/false\nnohome:x:40:40::\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,web\nweb:x:34:\nbroken:x\naudio:x:29:web\n";

    fn ids(user: &str, add: &[&str]) -> Result<(u32, u32, Vec<u32>, String), String> {
        let add: Vec<String> = add.iter().map(|s| (*s).to_owned()).collect();
        lookup(PASSWD, GROUP, user, &add).map(|u| (u.uid, u.gid, u.additional_gids, u.home))
    }

    #[test]
    fn as_runc_does() {
        for (user, add, expected) in [
            ("", &[][..], (0, 0, vec![10], "/root")),
            ("0", &[], (0, 0, vec![10], "/root")),
            ("web", &[], (33, 34, vec![10, 29], "/srv")),
            ("33", &[], (33, 34, vec![10, 29], "/srv")),
            ("web:audio", &[], (33, 29, vec![], "/srv")),
            ("web:12345", &[], (33, 12345, vec![], "/srv")),
            (":audio", &[], (0, 29, vec![], "/root")),
            ("1000", &[], (1000, 0, vec![], "/")),
            ("1000:1000", &["audio", "77"], (1000, 1000, vec![29, 77], "/")),
            ("nohome", &[], (40, 40, vec![], "/")),
        ] {
            let (uid, gid, gids, home) = expected;
            assert_eq!(ids(user, add), Ok((uid, gid, gids, home.to_owned())), "{user}");
        }
    }

    #[test]
    fn what_is_not_there_is_told() {
        assert_eq!(
            ids("nobody", &[]).unwrap_err(),
            "unable to find user nobody: no matching entries in passwd file"
        );
        assert_eq!(
            ids("web:nogroup", &[]).unwrap_err(),
            "unable to find group nogroup: no matching entries in group file"
        );
        ids("web", &["nogroup"]).unwrap_err();
        assert_eq!(ids("-1", &[]).unwrap_err(), "uids and gids must be in range 0-2147483647");
        ids("4294967295", &[]).unwrap_err();
    }

    proptest::proptest! {
        #[test]
        fn hostile_files_do_no_harm(a in ".{0,200}", b in ".{0,200}", user in ".{0,20}") {
            let _ = lookup(&a, &b, &user, &[]);
        }
    }
}
