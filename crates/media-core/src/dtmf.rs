//! Telephone events (RFC 4733): one report for an event's many packets.

use crate::digits::KEYS;
use crate::rtp::{timestamp_delta, RtpPacket};
use crate::time::{NS_PER_MS, NS_PER_S};

/// Without a packet for this long, an event whose end packets were lost is over (RFC 4733 §2.5.1.4 retransmits the end
/// three times, so this is rare).
const LOST_END_NS: u64 = 500 * NS_PER_MS;
/// An older time stamp is that of a late packet for so long; after that the source's clock has begun anew.
const LATE_NS: u64 = 2 * NS_PER_S;

/// A key that was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digit {
    /// `0`–`9`, `*`, `#`, `A`–`D`.
    pub key: char,
    /// How long it was held.
    pub duration_ms: u32,
}

#[derive(Clone, Copy, Debug)]
struct Pressed {
    ssrc: u32,
    event: u8,
    /// The time stamp of the current segment.
    timestamp: u32,
    /// Duration of the segments before the current one, in samples.
    before: u32,
    duration: u16,
    reported: bool,
    heard_ns: u64,
    clock_rate: u32,
}

impl Pressed {
    fn digit(&self) -> Option<Digit> {
        let key = char::from(*KEYS.get(usize::from(self.event))?);
        let samples = u64::from(self.before) + u64::from(self.duration);
        Some(Digit { key, duration_ms: (samples * 1000 / u64::from(self.clock_rate.max(1))) as u32 })
    }
}

/// Follows the telephone events of one stream. Most streams have none, and take no room for one.
#[derive(Clone, Debug, Default)]
pub struct DtmfDetector {
    pressed: Option<Box<Pressed>>,
}

impl DtmfDetector {
    /// Takes a telephone-event packet; a digit comes out when it has ended.
    pub fn receive(&mut self, packet: &RtpPacket<'_>, clock_rate: u32, now_ns: u64) -> Option<Digit> {
        // RFC 4733 §2.3: event, E R volume, duration
        let [event, flags, high, low, ..] = *packet.payload() else { return None };
        let (ended, duration) = (flags & 0x80 != 0, u16::from_be_bytes([high, low]));
        let (ssrc, timestamp) = (packet.ssrc(), packet.timestamp());
        let mut unended = None;
        // RFC 3550 §5.1: another source has another clock
        match &mut self.pressed {
            Some(pressed) if pressed.ssrc != ssrc => unended = self.begin(packet, event, duration, clock_rate, now_ns),
            Some(pressed) if pressed.timestamp == timestamp && pressed.event == event => {
                pressed.duration = pressed.duration.max(duration);
                pressed.heard_ns = now_ns;
            }
            Some(pressed)
                if timestamp_delta(pressed.timestamp, timestamp) < 0
                    && now_ns.saturating_sub(pressed.heard_ns) < LATE_NS =>
            {
                return None;
            }
            // RFC 4733 §2.5.1.3: a long event goes on in a segment that begins where the one before ended
            Some(pressed)
                if pressed.event == event
                    && !pressed.reported
                    && !packet.marker()
                    && timestamp == pressed.timestamp.wrapping_add(u32::from(pressed.duration)) =>
            {
                pressed.before += u32::from(pressed.duration);
                pressed.timestamp = timestamp;
                pressed.duration = duration;
                pressed.heard_ns = now_ns;
            }
            _ => unended = self.begin(packet, event, duration, clock_rate, now_ns),
        }
        // an event whose end was lost is reported by the next one; that one's end comes in three packets
        if unended.is_some() || !ended {
            return unended;
        }
        self.report()
    }

    /// Time has passed: ends an event whose end packets were lost.
    pub fn handle_timeout(&mut self, now_ns: u64) -> Option<Digit> {
        let silent = self.pressed.as_ref().is_some_and(|pressed| now_ns.saturating_sub(pressed.heard_ns) > LOST_END_NS);
        if silent {
            self.report()
        } else {
            None
        }
    }

    /// True while an event may still have to be reported.
    pub fn is_waiting(&self) -> bool {
        self.pressed.as_ref().is_some_and(|pressed| !pressed.reported)
    }

    /// Another event begins; the one before comes out if its end was lost.
    fn begin(
        &mut self,
        packet: &RtpPacket<'_>,
        event: u8,
        duration: u16,
        clock_rate: u32,
        now_ns: u64,
    ) -> Option<Digit> {
        let (ssrc, timestamp) = (packet.ssrc(), packet.timestamp());
        let begun =
            Pressed { ssrc, event, timestamp, before: 0, duration, reported: false, heard_ns: now_ns, clock_rate };
        self.pressed.replace(Box::new(begun)).filter(|before| !before.reported).and_then(|before| before.digit())
    }

    fn report(&mut self) -> Option<Digit> {
        let pressed = self.pressed.as_mut().filter(|pressed| !pressed.reported)?;
        pressed.reported = true;
        pressed.digit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::{RtpHeader, HEADER_LEN};

    fn event(timestamp: u32, marker: bool, event: u8, ended: bool, duration: u16) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LEN];
        RtpHeader { marker, payload_type: 101, sequence: 0, timestamp, ssrc: 1 }
            .write(bytes.first_chunk_mut().unwrap());
        bytes.extend_from_slice(&[event, if ended { 0x8a } else { 0x0a }]);
        bytes.extend_from_slice(&duration.to_be_bytes());
        bytes
    }

    fn feed(detector: &mut DtmfDetector, packets: &[Vec<u8>]) -> Vec<Digit> {
        packets.iter().filter_map(|bytes| detector.receive(&RtpPacket::parse(bytes).unwrap(), 8000, 0)).collect()
    }

    #[test]
    fn three_end_packets_are_one_digit() {
        let mut detector = DtmfDetector::default();
        let packets = [
            event(1000, true, 5, false, 160),
            event(1000, false, 5, false, 320),
            event(1000, false, 5, true, 800),
            event(1000, false, 5, true, 800),
            event(1000, false, 5, true, 800),
        ];
        assert_eq!(feed(&mut detector, &packets), [Digit { key: '5', duration_ms: 100 }]);
        assert!(!detector.is_waiting());
    }

    #[test]
    fn the_same_key_twice_is_two_digits_and_an_old_packet_none() {
        let mut detector = DtmfDetector::default();
        let packets = [
            event(u32::MAX - 100, true, 11, true, 400),
            event(2000, true, 11, true, 400),
            event(u32::MAX - 100, true, 11, true, 400),
            event(9000, true, 15, true, 400),
        ];
        let keys: String = feed(&mut detector, &packets).iter().map(|digit| digit.key).collect();
        assert_eq!(keys, "##D");
    }

    #[test]
    fn another_source_and_a_clock_that_began_anew_are_heard() {
        let mut detector = DtmfDetector::default();
        assert_eq!(feed(&mut detector, &[event(3_000_000_000, true, 1, true, 400)]).len(), 1);
        let mut other = event(1_500_000_000, true, 2, true, 400);
        other[11] = 2;
        assert_eq!(feed(&mut detector, &[other.clone(), other]), [Digit { key: '2', duration_ms: 50 }]);
        // the same source once more, after a while, with a clock that has gone back
        let mut restarted = event(1_000_000_000, true, 3, true, 400);
        restarted[11] = 2;
        let packet = RtpPacket::parse(&restarted).unwrap();
        assert_eq!(detector.receive(&packet, 8000, LATE_NS - 1), None);
        assert_eq!(detector.receive(&packet, 8000, LATE_NS), Some(Digit { key: '3', duration_ms: 50 }));
    }

    #[test]
    fn a_lost_end_is_reported_by_the_next_event_or_by_time() {
        let mut detector = DtmfDetector::default();
        let digits = feed(
            &mut detector,
            &[event(0, true, 1, false, 160), event(4000, true, 2, false, 80), event(4000, false, 2, false, 400)],
        );
        assert_eq!(digits, [Digit { key: '1', duration_ms: 20 }]);
        assert!(detector.is_waiting());
        assert_eq!(detector.handle_timeout(LOST_END_NS), None);
        assert_eq!(detector.handle_timeout(LOST_END_NS + 1), Some(Digit { key: '2', duration_ms: 50 }));
        assert_eq!(detector.handle_timeout(2 * LOST_END_NS), None);
    }

    #[test]
    fn a_new_event_that_only_has_end_packets_is_reported_by_its_second() {
        let mut detector = DtmfDetector::default();
        let digits = feed(
            &mut detector,
            &[event(0, true, 1, false, 160), event(4000, true, 2, true, 80), event(4000, true, 2, true, 80)],
        );
        assert_eq!(digits.iter().map(|digit| digit.key).collect::<String>(), "12");
    }

    #[test]
    fn segments_of_a_long_event_add_up() {
        let mut detector = DtmfDetector::default();
        let digits = feed(
            &mut detector,
            &[
                event(0, true, 3, false, 0xffff),
                event(0xffff, false, 3, false, 160),
                event(0xffff, false, 3, true, 1),
                event(0xffff, false, 3, true, 1),
            ],
        );
        assert_eq!(digits, [Digit { key: '3', duration_ms: (0xffff + 160) / 8 }]);
    }

    #[test]
    fn other_events_and_short_payloads_are_no_digit() {
        let mut detector = DtmfDetector::default();
        let mut short = event(0, true, 1, true, 1);
        short.truncate(HEADER_LEN + 3);
        assert_eq!(feed(&mut detector, &[event(0, true, 16, true, 160), short]), []);
    }
}
