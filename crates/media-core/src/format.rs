//! What payload types mean.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// The clock of G.711 and of all that is recorded and played.
pub(crate) const TELEPHONE_RATE: u32 = 8000;

/// One payload type of an m-line.
#[derive(Clone, PartialEq, Eq)]
pub struct Format {
    /// 0–127.
    pub payload_type: u8,
    /// Upper case: `PCMU`.
    pub encoding: Box<str>,
    /// The RTP clock's rate in Hz.
    pub clock_rate: u32,
    /// Channels.
    pub channels: u8,
}

impl Format {
    /// A format; the encoding's name is folded to upper case.
    pub fn new(payload_type: u8, encoding: &str, clock_rate: u32, channels: u8) -> Self {
        Self { payload_type, encoding: encoding.to_ascii_uppercase().into(), clock_rate, channels }
    }

    /// True if the formats name the same encoding, whatever their payload types.
    pub fn same_encoding(&self, other: &Self) -> bool {
        self.encoding == other.encoding && self.clock_rate == other.clock_rate && self.channels == other.channels
    }

    /// True for named telephone events (RFC 4733).
    pub fn is_telephone_event(&self) -> bool {
        &*self.encoding == "TELEPHONE-EVENT"
    }

    /// True for comfort noise (RFC 3389).
    pub fn is_comfort_noise(&self) -> bool {
        &*self.encoding == "CN"
    }
}

impl fmt::Debug for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}={}/{}/{}", self.payload_type, self.encoding, self.clock_rate, self.channels)
    }
}

/// The formats of one side of a stream, in order of preference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Formats(Arc<[Format]>);

impl From<Vec<Format>> for Formats {
    fn from(formats: Vec<Format>) -> Self {
        Self(formats.into())
    }
}

/// Lists that were seen before: thousands of endpoints agree on the same few, and share their memory.
#[derive(Debug, Default)]
pub struct FormatShelf(VecDeque<Formats>);

/// Lists on the shelf; calls of one installation know a handful.
const SHELF: usize = 32;

impl FormatShelf {
    /// The list that is equal and was there first.
    pub fn share(&mut self, formats: Formats) -> Formats {
        if let Some(known) = self.0.iter().find(|known| **known == formats) {
            return known.clone();
        }
        self.0.truncate(SHELF - 1);
        self.0.push_front(formats.clone());
        formats
    }
}

impl Formats {
    /// The meaning of a payload type.
    pub fn find(&self, payload_type: u8) -> Option<&Format> {
        self.0.iter().find(|format| format.payload_type == payload_type)
    }

    /// The first format that `wanted` takes.
    pub fn first(&self, wanted: impl Fn(&Format) -> bool) -> Option<&Format> {
        self.0.iter().find(|format| wanted(format))
    }

    /// True if nothing was said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In order of preference.
    pub fn iter(&self) -> std::slice::Iter<'_, Format> {
        self.0.iter()
    }

    /// The clock of a payload type; 8000 Hz, that of most static audio types, if it is unknown.
    pub fn clock_rate(&self, payload_type: u8) -> u32 {
        self.find(payload_type).map_or(TELEPHONE_RATE, |format| format.clock_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lists_share_their_memory_as_long_as_they_are_usual() {
        let list = |payload_type| Formats::from(vec![Format::new(payload_type, "PCMU", 8000, 1)]);
        let mut shelf = FormatShelf::default();
        let first = shelf.share(list(0));
        assert!(Arc::ptr_eq(&shelf.share(list(0)).0, &first.0));
        (1..100).for_each(|n| assert_eq!(shelf.share(list(n)), list(n)));
        assert_eq!(shelf.0.len(), SHELF);
        assert!(!Arc::ptr_eq(&shelf.share(list(0)).0, &first.0));
    }

    #[test]
    fn names_are_folded_and_compared_without_payload_type() {
        let formats =
            Formats::from(vec![Format::new(0, "pcmu", 8000, 1), Format::new(101, "telephone-event", 8000, 1)]);
        assert!(formats.find(101).unwrap().is_telephone_event());
        assert!(formats.first(|format| format.same_encoding(&Format::new(96, "PCMU", 8000, 1))).is_some());
        assert!(formats.first(|format| format.same_encoding(&Format::new(0, "PCMU", 16_000, 1))).is_none());
        assert_eq!((formats.clock_rate(101), formats.clock_rate(9)), (8000, 8000));
        assert_eq!(format!("{:?}", formats.find(0).unwrap()), "0=PCMU/8000/1");
    }
}
