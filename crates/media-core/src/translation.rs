//! What a packet of one party becomes on its way to another that gave other numbers to the same formats, or speaks the
//! other law of G.711.

use crate::format::{Format, Formats, TELEPHONE_RATE};
use crate::g711::Law;
use crate::rtp::RtpPacket;

/// What becomes of the packets of one payload type.
#[derive(Clone, Copy, Debug)]
struct Change {
    from: u8,
    /// None: they are not sent.
    to: Option<u8>,
    /// How each octet of the payload is converted.
    codes: Option<&'static [u8; 256]>,
}

/// The changes between two lists of formats; payload types without one pass as they are.
#[derive(Clone, Debug)]
pub struct Translation(Vec<Change>);

impl Translation {
    /// What has to change between what a source sends and what a sink takes; None if nothing has to.
    ///
    /// A list without formats says nothing, so nothing changes then.
    pub fn between(source: &Formats, sink: &Formats) -> Option<Self> {
        if source.is_empty() || sink.is_empty() {
            return None;
        }
        let changes: Vec<Change> = source.iter().filter_map(|format| change(format, sink)).collect();
        (!changes.is_empty()).then_some(Self(changes))
    }

    /// The packet as the sink takes it, written into `room`; false if it is not to be sent.
    pub fn translate(&self, packet: &RtpPacket<'_>, room: &mut Vec<u8>) -> bool {
        room.clear();
        room.extend_from_slice(packet.bytes());
        let Some(change) = self.0.iter().find(|change| change.from == packet.payload_type()) else { return true };
        let Some(to) = change.to else { return false };
        room[1] = (room[1] & 0x80) | to;
        if let Some(codes) = change.codes {
            room[packet.payload_range()].iter_mut().for_each(|code| *code = codes[usize::from(*code)]);
        }
        true
    }
}

/// What has to change for one format; None if it passes as it is.
fn change(format: &Format, sink: &Formats) -> Option<Change> {
    let from = format.payload_type;
    let there = sink.find(from);
    if there.is_some_and(|there| there.same_encoding(format)) {
        return None;
    }
    if let Some(same) = sink.first(|there| there.same_encoding(format)) {
        return Some(Change { from, to: Some(same.payload_type), codes: None });
    }
    if let Some(law) = format.law() {
        if let Some(other) = sink.first(|there| there.law() == Some(law.other())) {
            return Some(Change { from, to: Some(other.payload_type), codes: Some(law.to_other()) });
        }
    }
    // an event or noise would be taken for audio, and a number that means something else there for that
    let misleads = there.is_some() || format.is_telephone_event() || format.is_comfort_noise();
    misleads.then_some(Change { from, to: None, codes: None })
}

impl Format {
    /// The law of G.711 that it is, on the telephone's terms.
    pub fn law(&self) -> Option<Law> {
        Law::of(&self.encoding).filter(|_| self.clock_rate == TELEPHONE_RATE && self.channels == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::{RtpHeader, HEADER_LEN};

    fn formats(list: &[(u8, &str, u32)]) -> Formats {
        list.iter().map(|(number, name, rate)| Format::new(*number, name, *rate, 1)).collect::<Vec<_>>().into()
    }

    fn packet(payload_type: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LEN];
        RtpHeader { marker: true, payload_type, sequence: 7, timestamp: 9, ssrc: 1 }
            .write(bytes.first_chunk_mut().unwrap());
        bytes.extend_from_slice(payload);
        bytes
    }

    fn translated(translation: &Translation, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut room = vec![1, 2, 3];
        translation.translate(&RtpPacket::parse(bytes).unwrap(), &mut room).then_some(room)
    }

    #[test]
    fn equal_lists_in_any_order_and_empty_ones_need_nothing() {
        let one = formats(&[(0, "PCMU", 8000), (8, "PCMA", 8000), (101, "telephone-event", 8000)]);
        let two = formats(&[(101, "telephone-event", 8000), (8, "PCMA", 8000), (0, "PCMU", 8000), (9, "G722", 8000)]);
        assert!(Translation::between(&one, &two).is_none());
        assert!(Translation::between(&one, &Formats::default()).is_none());
        assert!(Translation::between(&Formats::default(), &one).is_none());
        // the sink takes less, but nothing that could be misread
        assert!(Translation::between(
            &two,
            &formats(&[(8, "PCMA", 8000), (0, "PCMU", 8000), (101, "TELEPHONE-EVENT", 8000)])
        )
        .is_none());
    }

    #[test]
    fn numbers_follow_their_encoding_and_clock() {
        let source = formats(&[(96, "opus", 48_000), (101, "telephone-event", 8000), (102, "telephone-event", 48_000)]);
        let sink = formats(&[(111, "opus", 48_000), (97, "telephone-event", 48_000), (96, "telephone-event", 8000)]);
        let translation = Translation::between(&source, &sink).unwrap();
        for (from, to) in [(96, 111), (101, 96), (102, 97), (13, 13)] {
            assert_eq!(translated(&translation, &packet(from, b"as it was")), Some(packet(to, b"as it was")));
        }
    }

    #[test]
    fn the_laws_are_converted_where_only_the_other_is_taken() {
        let (mu, a) = (formats(&[(0, "PCMU", 8000)]), formats(&[(8, "PCMA", 8000)]));
        let there = Translation::between(&mu, &a).unwrap();
        assert_eq!(translated(&there, &packet(0, &[0xff, 0x80, 0x00])), Some(packet(8, &[0xd5, 0xaa, 0x2a])));
        let back = Translation::between(&a, &mu).unwrap();
        assert_eq!(translated(&back, &packet(8, &[0xaa])), Some(packet(0, &[0x80])));
        let both = formats(&[(8, "PCMA", 8000), (0, "PCMU", 8000)]);
        let narrowed = Translation::between(&both, &mu).unwrap();
        assert_eq!(translated(&narrowed, &packet(0, &[1])), Some(packet(0, &[1])));
        assert_eq!(translated(&narrowed, &packet(8, &[0xd5])), Some(packet(0, &[0xfe])));
        assert!(Translation::between(&formats(&[(0, "PCMU", 16_000)]), &a).is_none());
    }

    #[test]
    fn only_the_payload_is_converted() {
        let mut bytes = packet(0, &[9, 9, 9, 9, 0xbe, 0xde, 0, 1, 7, 7, 7, 7, 0xff, 0x80, 0, 2]);
        bytes[0] = 0xb1;
        let there = Translation::between(&formats(&[(0, "PCMU", 8000)]), &formats(&[(8, "PCMA", 8000)])).unwrap();
        let mut expected = bytes.clone();
        expected[1] = 0x88;
        expected[24..26].copy_from_slice(&[0xd5, 0xaa]);
        assert_eq!(translated(&there, &bytes), Some(expected));
    }

    #[test]
    fn what_would_be_misread_is_not_sent() {
        let source =
            formats(&[(0, "PCMU", 8000), (101, "telephone-event", 8000), (13, "CN", 8000), (96, "iLBC", 8000)]);
        let translation = Translation::between(&source, &formats(&[(0, "PCMU", 8000), (96, "opus", 48_000)])).unwrap();
        for number in [101, 13, 96] {
            assert_eq!(translated(&translation, &packet(number, b"x")), None);
        }
        assert!(translated(&translation, &packet(0, b"x")).is_some());
    }
}
