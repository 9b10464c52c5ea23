//! A few things by name.

use std::sync::Arc;

/// What one session has of a kind, by name: one or two as a rule, some dozens at most. Thousands of sessions have it, so it
/// takes no more room than they need; a search looks at each name.
#[derive(Debug)]
pub(crate) struct Few<T>(Vec<(Arc<str>, T)>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Few<T> {
    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(_, value)| value)
    }

    /// The name of something that is there, to be shared.
    pub(crate) fn name(&self, name: &str) -> Option<Arc<str>> {
        self.0.iter().find(|(known, _)| **known == *name).map(|(known, _)| known.clone())
    }

    /// Adds a value under a name that is not there.
    pub(crate) fn insert(&mut self, name: Arc<str>, value: T) {
        self.0.reserve_exact(1);
        self.0.push((name, value));
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<T> {
        let index = self.0.iter().position(|(known, _)| **known == *name)?;
        Some(self.0.swap_remove(index).1)
    }

    pub(crate) fn retain(&mut self, mut wanted: impl FnMut(&T) -> bool) {
        self.0.retain(|(_, value)| wanted(value));
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_found_by_name() {
        let mut few = Few::default();
        for (name, value) in [("a", 1), ("b", 2), ("c", 3)] {
            few.insert(name.into(), value);
        }
        assert_eq!((few.get("b"), few.get("x")), (Some(&2), None));
        assert_eq!((few.name("b").as_deref(), few.name("x")), (Some("b"), None));
        assert_eq!((few.remove("a"), few.remove("a")), (Some(1), None));
        few.retain(|value| *value != 2);
        assert_eq!(few.values().collect::<Vec<_>>(), [&3]);
    }
}
