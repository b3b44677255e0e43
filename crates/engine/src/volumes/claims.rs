//! Who comes to use a volume and who removes it, volume by volume: one whose driver takes its time stalls no other.

use std::{
    collections::HashMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

/// The volumes that somebody has a claim to at present.
#[derive(Debug, Clone, Default)]
pub(crate) struct Claims(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    names: Mutex<HashMap<String, Held>>,
    changed: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// By so many who come to use it, and may not be known to do so yet.
    Shared(usize),
    /// By one who makes it or removes it.
    Alone,
}

/// A claim to a volume. It ends with this.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Arc<Inner>,
    name: String,
}

impl Inner {
    fn names(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        // Nothing that panics is done under it.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claims {
    fn claim(&self, name: &str) -> Claim {
        Claim { claims: self.0.clone(), name: name.to_owned() }
    }

    /// A claim beside others'. Waits for who makes the volume or removes it.
    pub(crate) fn share(&self, name: &str) -> Claim {
        let mut names = self.0.names();
        loop {
            match names.get(name) {
                Some(Held::Alone) => {
                    names = self.0.changed.wait(names).unwrap_or_else(PoisonError::into_inner);
                }
                held => {
                    let others = if let Some(Held::Shared(others)) = held { *others } else { 0 };
                    names.insert(name.to_owned(), Held::Shared(others + 1));
                    return self.claim(name);
                }
            }
        }
    }

    /// The only claim; `None` while others have one.
    pub(crate) fn alone(&self, name: &str) -> Option<Claim> {
        let mut names = self.0.names();
        if names.contains_key(name) {
            return None;
        }
        names.insert(name.to_owned(), Held::Alone);
        Some(self.claim(name))
    }

    /// The only claim. Waits for all others'.
    pub(crate) fn alone_at_last(&self, name: &str) -> Claim {
        let mut names = self.0.names();
        while names.contains_key(name) {
            names = self.0.changed.wait(names).unwrap_or_else(PoisonError::into_inner);
        }
        names.insert(name.to_owned(), Held::Alone);
        self.claim(name)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut names = self.claims.names();
        match names.get_mut(&self.name) {
            Some(Held::Shared(others)) if *others > 1 => *others -= 1,
            _ => {
                names.remove(&self.name);
                self.claims.changed.notify_all();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_shared_or_the_only_one() {
        let claims = Claims::default();
        let (first, second) = (claims.share("a"), claims.share("a"));
        assert!(claims.alone("a").is_none());
        let other = claims.alone("b").unwrap();
        drop(first);
        assert!(claims.alone("a").is_none());
        drop(second);
        let alone = claims.alone("a").unwrap();
        assert!(claims.alone("a").is_none());
        let waiting = std::thread::spawn({
            let claims = claims.clone();
            move || drop(claims.share("a"))
        });
        drop(alone);
        waiting.join().unwrap();
        drop(other);
        assert!(claims.0.names().is_empty());
        drop(claims.alone_at_last("a"));
    }
}
