//! Things by number, where a number that was given back is never taken for its next holder.

/// A number of a thing in a [`Slab`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(pub u64);

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    thing: Option<T>,
}

/// Things by number.
#[derive(Debug)]
pub struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Keeps a place, empty until [`Slab::put`].
    pub fn reserve(&mut self) -> Token {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, thing: None });
            u32::try_from(self.slots.len() - 1).expect("far fewer than 2^32 descriptors")
        });
        Token(u64::from(self.slots[index as usize].generation) << 32 | u64::from(index))
    }

    /// Puts a thing in the place kept for it.
    pub fn put(&mut self, token: Token, thing: T) {
        if let Some(slot) = self.slot(token) {
            slot.thing = Some(thing);
        }
    }

    /// Takes a thing out; its place stays kept.
    pub fn take(&mut self, token: Token) -> Option<T> {
        self.slot(token)?.thing.take()
    }

    /// The thing, if it is still there.
    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        self.slot(token)?.thing.as_mut()
    }

    /// Gives the place back, and the thing if it was there.
    pub fn remove(&mut self, token: Token) -> Option<T> {
        let slot = self.slot(token)?;
        slot.generation = slot.generation.wrapping_add(1);
        let thing = slot.thing.take();
        self.free.push(index(token));
        thing
    }

    /// All things.
    pub fn iter(&self) -> impl Iterator<Item = (Token, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let token = Token(u64::from(slot.generation) << 32 | index as u64);
            slot.thing.as_ref().map(|thing| (token, thing))
        })
    }

    fn slot(&mut self, token: Token) -> Option<&mut Slot<T>> {
        let slot = self.slots.get_mut(index(token) as usize)?;
        (u64::from(slot.generation) == token.0 >> 32).then_some(slot)
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the low half is the index")]
fn index(token: Token) -> u32 {
    token.0 as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_number_finds_nothing() {
        let mut slab = Slab::default();
        let a = slab.reserve();
        slab.put(a, "a");
        assert_eq!(slab.remove(a), Some("a"));
        let b = slab.reserve();
        slab.put(b, "b");
        assert_eq!(a.0 & 0xffff_ffff, b.0 & 0xffff_ffff);
        assert_eq!((slab.take(a), slab.remove(a)), (None, None));
        assert_eq!(slab.iter().collect::<Vec<_>>(), [(b, &"b")]);
        assert_eq!(slab.take(b), Some("b"));
        slab.put(b, "c");
        assert_eq!(slab.get_mut(b), Some(&mut "c"));
    }
}
