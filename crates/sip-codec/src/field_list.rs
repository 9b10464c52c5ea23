//! An ordered list of fields under names that match without regard to case or compact form.

use crate::name::{Key, Name};

/// Fields in order; what a value is, is the caller's business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldList<V> {
    fields: Vec<(Name, V)>,
}

impl<V> FieldList<V> {
    /// No fields yet, but room for so many.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { fields: Vec::with_capacity(capacity) }
    }

    /// All fields in order.
    pub fn iter(&self) -> std::slice::Iter<'_, (Name, V)> {
        self.fields.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The values of all fields called `key`.
    pub fn get_all<'a>(&'a self, key: Key<'a>) -> impl Iterator<Item = &'a V> {
        self.fields.iter().filter(move |(name, _)| name.is(key)).map(|(_, value)| value)
    }

    /// The same fields with each value replaced by what `copy` makes of it.
    pub fn map<W>(&self, copy: impl Fn(&V) -> W) -> FieldList<W> {
        FieldList { fields: self.fields.iter().map(|(name, value)| (name.clone(), copy(value))).collect() }
    }

    /// Append a field.
    pub fn add(&mut self, name: Name, value: V) {
        self.fields.push((name, value));
    }

    /// Put a field before all others.
    pub fn insert_first(&mut self, name: Name, value: V) {
        self.fields.insert(0, (name, value));
    }

    /// Make `values` the only fields called `name`, where the first of them stood, else at the end.
    pub fn replace(&mut self, name: &Name, values: Vec<V>) {
        let key = name.key();
        let position = self.fields.iter().position(|(other, _)| other.is(key)).unwrap_or(self.fields.len());
        self.fields.retain(|(other, _)| !other.is(key));
        self.fields.splice(position..position, values.into_iter().map(|value| (name.clone(), value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(fields: &[(&str, u8)]) -> FieldList<u8> {
        let mut list = FieldList::with_capacity(fields.len());
        for (name, value) in fields {
            list.add(Name::new(name), *value);
        }
        list
    }

    #[test]
    fn fields_are_added_put_first_replaced_and_removed() {
        let mut fields = list(&[("Via", 1), ("To", 5), ("v", 2), ("X-A", 7)]);
        fields.insert_first(Name::new("VIA"), 0);
        assert_eq!(fields.get_all(Key::new("via")).collect::<Vec<_>>(), [&0, &1, &2]);
        fields.replace(&Name::new("Via"), vec![8, 9]);
        assert_eq!(fields, list(&[("Via", 8), ("Via", 9), ("To", 5), ("X-A", 7)]));
        fields.replace(&Name::new("x-a"), vec![3]);
        fields.replace(&Name::new("X-B"), vec![4]);
        fields.replace(&Name::new("To"), vec![]);
        assert_eq!(fields, list(&[("Via", 8), ("Via", 9), ("x-a", 3), ("X-B", 4)]));
        assert_eq!((fields.len(), fields.is_empty()), (4, false));
        assert_eq!(fields.iter().count(), 4);
        assert_eq!(fields.map(|value| value + 1).get_all(Key::new("VIA")).collect::<Vec<_>>(), [&9, &10]);
        assert!(FieldList::<u8>::default().is_empty());
    }
}
