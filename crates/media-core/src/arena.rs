//! A vector with holes whose keys never name another value later.

/// Names a value of an [`Arena`]; a key of a removed value finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// The key as one number, for a kernel's event data.
    pub fn to_bits(self) -> u64 {
        (u64::from(self.generation) << 32) | u64::from(self.index)
    }

    /// The key of [`Key::to_bits`].
    pub fn from_bits(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32 }
    }

    /// The slot, to index a table that runs beside the arena.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

#[derive(Clone, Debug)]
struct Slot<T> {
    generation: u32,
    /// The next free slot, if this is one; [`NONE`] after the last.
    next: u32,
    value: Option<T>,
}

/// No slot has this number.
const NONE: u32 = u32::MAX;

/// A vector with holes whose keys never name another value later.
///
/// Holes are a list in themselves: thousands of sessions have arenas, most of which never hold anything.
#[derive(Clone, Debug)]
pub struct Arena<T> {
    slots: Vec<Slot<T>>,
    free: u32,
    len: u32,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: NONE, len: 0 }
    }
}

impl<T> Arena<T> {
    /// Stores a value.
    pub fn insert(&mut self, value: T) -> Key {
        self.insert_with(|_| value)
    }

    /// Stores a value that knows its own key.
    pub fn insert_with(&mut self, make: impl FnOnce(Key) -> T) -> Key {
        self.len += 1;
        if let Some(slot) = self.slots.get_mut(self.free as usize) {
            let key = Key { index: self.free, generation: slot.generation };
            self.free = slot.next;
            slot.value = Some(make(key));
            return key;
        }
        if self.slots.len() == self.slots.capacity() {
            // thousands of sessions hold one or two of a thing, so room for the usual four is not made beforehand
            self.slots.reserve_exact((self.slots.len() / 2).max(1));
        }
        let key = Key { index: self.slots.len() as u32, generation: 0 };
        self.slots.push(Slot { generation: 0, next: NONE, value: Some(make(key)) });
        key
    }

    /// Takes a value out; its key is dead from now on.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.get_mut(key.index()).filter(|slot| slot.generation == key.generation)?;
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        slot.next = std::mem::replace(&mut self.free, key.index);
        self.len -= 1;
        Some(value)
    }

    /// The value of a key.
    pub fn get(&self, key: Key) -> Option<&T> {
        self.slots.get(key.index()).filter(|slot| slot.generation == key.generation)?.value.as_ref()
    }

    /// The value of a key, to change it.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.slots.get_mut(key.index()).filter(|slot| slot.generation == key.generation)?.value.as_mut()
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many slots there are, holes included: the bound for [`Arena::key_at`].
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The key of the value in a slot, if one is there.
    pub fn key_at(&self, index: usize) -> Option<Key> {
        let slot = self.slots.get(index)?;
        slot.value.as_ref()?;
        Some(Key { index: index as u32, generation: slot.generation })
    }

    /// All values with their keys.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let key = Key { index: index as u32, generation: slot.generation };
            slot.value.as_ref().map(|value| (key, value))
        })
    }

    /// All values, to change them.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|slot| slot.value.as_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_a_removed_value_finds_nothing_even_when_the_slot_is_reused() {
        let mut arena = Arena::default();
        let first = arena.insert("first");
        assert_eq!(arena.remove(first), Some("first"));
        assert_eq!(arena.remove(first), None);
        let second = arena.insert("second");
        assert_eq!(second.index(), first.index());
        assert_eq!(arena.get(first), None);
        assert_eq!(arena.get_mut(first), None);
        assert_eq!(arena.get(second), Some(&"second"));
        assert_eq!(arena.len(), 1);
        assert_eq!(arena.key_at(0), Some(second));
        assert_eq!(Key::from_bits(second.to_bits()), second);
    }

    #[test]
    fn holes_are_left_out() {
        let mut arena = Arena::default();
        let keys: Vec<Key> = (0..3).map(|n| arena.insert(n)).collect();
        arena.remove(keys[1]);
        assert_eq!(arena.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [0, 2]);
        assert_eq!((arena.slots(), arena.len(), arena.is_empty()), (3, 2, false));
        assert_eq!(arena.key_at(1), None);
        arena.values_mut().for_each(|n| *n += 10);
        assert_eq!(arena.get(keys[2]), Some(&12));
    }

    #[test]
    fn holes_are_filled_before_there_are_more_slots() {
        let mut arena = Arena::default();
        let keys: Vec<Key> = (0..5).map(|n| arena.insert(n)).collect();
        [1, 4, 2].into_iter().for_each(|n| assert_eq!(arena.remove(keys[n]), Some(n)));
        assert_eq!((arena.slots(), arena.len()), (5, 2));
        let again: Vec<usize> = (5..9).map(|n| arena.insert(n).index()).collect();
        assert_eq!(again, [2, 4, 1, 5]);
        assert_eq!(arena.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [0, 7, 5, 3, 6, 8]);
        assert_eq!((arena.slots(), arena.len()), (6, 6));
    }
}
