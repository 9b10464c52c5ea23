//! The streams that the engine sends as its own, and the seams where they join a relayed one.

use crate::player::FRAME_NS;
use crate::report::Reporter;
use crate::rtp::{sequence_delta, RtpHeader};
use crate::time::{samples_in, NS_PER_S};

use super::endpoint::RATE;
use super::{Cname, Numbers};

/// An older packet than this is a restart of the source rather than reordering (RFC 3550 A.1).
const MAX_MISORDER: i16 = 100;

/// The numbers of a stream whose packets take 20 ms each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) ssrc: u32,
    /// Of the next packet.
    sequence: u16,
    timestamp: u32,
    pub(super) clock_rate: u32,
    /// The time to which its time stamp belongs; None before the first packet.
    sent_ns: Option<u64>,
}

impl Stream {
    /// A new talkspurt begins: the time stamp has gone on since the last packet.
    pub(super) fn begin(&mut self, now_ns: u64, clock_rate: u32) {
        if let Some(timestamp) = self.timestamp_at(now_ns).filter(|_| self.sent_ns.is_some_and(|sent| sent <= now_ns)) {
            self.timestamp = timestamp;
        }
        self.clock_rate = clock_rate.max(1);
    }

    /// The header of the next packet, whose time stamp lies `age` packets back.
    pub(super) fn next_header(&mut self, marker: bool, payload_type: u8, age: u32) -> RtpHeader {
        let (sequence, timestamp) = (self.sequence, self.timestamp.wrapping_sub(age * self.frame()));
        self.sequence = sequence.wrapping_add(1);
        RtpHeader { marker, payload_type, sequence, timestamp, ssrc: self.ssrc }
    }

    /// The time of a packet has passed, whether it was sent or not.
    pub(super) fn advance(&mut self, due_ns: u64) {
        self.timestamp = self.timestamp.wrapping_add(self.frame());
        self.sent_ns = Some(due_ns + FRAME_NS);
    }

    /// The stream's time stamp at `now_ns`; None before the first packet.
    pub(super) fn timestamp_at(&self, now_ns: u64) -> Option<u32> {
        let ahead_ns = self.sent_ns?;
        let elapsed = samples_in(now_ns.saturating_sub(ahead_ns), self.clock_rate) as u32;
        let behind = samples_in(ahead_ns.saturating_sub(now_ns), self.clock_rate) as u32;
        Some(self.timestamp.wrapping_add(elapsed).wrapping_sub(behind))
    }

    /// What a packet adds to the time stamp.
    fn frame(&self) -> u32 {
        (u64::from(self.clock_rate) * FRAME_NS / NS_PER_S) as u32
    }
}

/// The stream that players send from an endpoint: one SSRC for all of them.
#[derive(Debug)]
pub(super) struct OwnStream {
    pub(super) stream: Stream,
    pub(super) reporter: Reporter<Cname>,
}

impl OwnStream {
    pub(super) fn new(numbers: Numbers, cname: Cname) -> Self {
        let Numbers { ssrc, sequence, timestamp } = numbers;
        let stream = Stream { ssrc, sequence, timestamp, clock_rate: RATE, sent_ns: None };
        Self { stream, reporter: Reporter::new(ssrc, cname) }
    }
}

/// A relayed stream into which packets were put, or of which some were left out: what follows is numbered so that
/// nothing but what was lost before is missing.
///
/// RFC 4733 §2.5.1.2: events are part of the audio stream, so they share its SSRC, numbers and clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Splice {
    ssrc: u32,
    /// Added to the source's numbers.
    offset: u16,
    /// The first of the source's numbers with this offset; those before it are too late.
    first: u16,
    newest: u16,
    /// What is put in, or was since the source's last packet.
    inserted: Option<Stream>,
}

impl Splice {
    /// A stream with this SSRC whose newest number so far went on unchanged.
    pub(super) fn new(ssrc: u32, newest: u16) -> Self {
        Self { ssrc, offset: 0, first: newest, newest, inserted: None }
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Puts packets in from now on; `timestamp` and `clock_rate` are the source's.
    pub(super) fn insert(&mut self, timestamp: u32, clock_rate: u32, now_ns: u64) {
        let next = match &self.inserted {
            Some(stream) => stream.sequence,
            None => self.newest.wrapping_add(self.offset).wrapping_add(1),
        };
        let (ssrc, sent_ns) = (self.ssrc, Some(now_ns));
        self.inserted = Some(Stream { ssrc, sequence: next, timestamp, clock_rate: clock_rate.max(1), sent_ns });
    }

    /// The numbers of what is put in.
    pub(super) fn inserted(&mut self) -> Option<&mut Stream> {
        self.inserted.as_mut()
    }

    /// The number that a packet of the source goes on with; None if it is too late to have one.
    pub(super) fn number(&mut self, ssrc: u32, sequence: u16) -> Option<u16> {
        if ssrc != self.ssrc {
            return Some(sequence);
        }
        if let Some(stream) = self.inserted.take() {
            self.offset = stream.sequence.wrapping_sub(sequence);
            (self.first, self.newest) = (sequence, sequence);
        }
        let step = sequence_delta(self.newest, sequence);
        if step > 0 {
            self.newest = sequence;
        } else if step <= -MAX_MISORDER {
            (self.first, self.newest) = (sequence, sequence);
        } else if sequence_delta(self.first, sequence) < 0 {
            return None;
        }
        Some(sequence.wrapping_add(self.offset))
    }

    /// True if the source's numbers are not those that are sent.
    pub(super) fn moves(&self) -> bool {
        self.offset != 0 || self.inserted.is_some()
    }

    /// The source's number that a receiver's highest one stands for: never one beyond its newest, as those are that were
    /// put in and not followed yet.
    pub(super) fn source_number(&self, highest: u32) -> u32 {
        let number = highest.wrapping_add_signed(-i32::from(self.offset as i16));
        let beyond = sequence_delta(self.newest, number as u16).max(0);
        number.wrapping_sub(beyond as u32)
    }

    /// A packet of the source that is not sent, and leaves no gap.
    pub(super) fn omit(&mut self, ssrc: u32, sequence: u16) {
        if ssrc == self.ssrc && self.inserted.is_none() && sequence_delta(self.newest, sequence) > 0 {
            self.offset = self.offset.wrapping_sub(1);
            (self.first, self.newest) = (sequence.wrapping_add(1), sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(splice: &mut Splice, sequences: &[u16]) -> Vec<Option<u16>> {
        sequences.iter().map(|sequence| splice.number(1, *sequence)).collect()
    }

    #[test]
    fn what_was_put_in_moves_what_follows() {
        let mut splice = Splice::new(1, 65_534);
        assert_eq!(numbers(&mut splice, &[65_535]), [Some(65_535)]);
        splice.insert(5000, 8000, 0);
        let stream = splice.inserted().unwrap();
        let headers: Vec<_> = (0..3).map(|age| stream.next_header(age == 0, 101, age)).collect();
        assert_eq!(headers.iter().map(|header| header.sequence).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!((headers[0].ssrc, headers[0].timestamp, headers[2].timestamp), (1, 5000, 5000 - 320));
        // ten packets of the source were withheld meanwhile
        assert_eq!(numbers(&mut splice, &[10, 12, 11, 9, 13]), [Some(3), Some(5), Some(4), None, Some(6)]);
        assert_eq!(splice.number(2, 77), Some(77));
    }

    #[test]
    fn a_receivers_numbers_are_told_from_the_sources() {
        let mut splice = Splice::new(1, 65_530);
        assert!(!splice.moves());
        assert_eq!(splice.source_number(0x1_fffa), 0x1_fffa);
        splice.insert(0, 8000, 0);
        for age in 0..9 {
            splice.inserted().unwrap().next_header(age == 0, 101, age);
        }
        // the receiver has the digits, and the source has sent none of them
        assert!(splice.moves());
        assert_eq!(splice.source_number(0x2_0003), 0x1_fffa);
        // nine were put in, five withheld: the source's next is four behind what is sent
        assert_eq!(splice.number(1, 0), Some(4));
        assert_eq!(splice.source_number(0x2_0004), 0x2_0000);
        assert_eq!(splice.source_number(0x2_0002), 0x1_fffe);
    }

    #[test]
    fn two_insertions_without_a_packet_between_go_on() {
        let mut splice = Splice::new(1, 100);
        splice.insert(0, 8000, 0);
        splice.inserted().unwrap().next_header(true, 101, 0);
        splice.insert(800, 8000, 0);
        assert_eq!(splice.inserted().unwrap().next_header(true, 101, 0).sequence, 102);
        assert_eq!(numbers(&mut splice, &[140]), [Some(103)]);
    }

    #[test]
    fn what_is_left_out_leaves_no_gap() {
        let mut splice = Splice::new(1, 9);
        assert_eq!(numbers(&mut splice, &[10]), [Some(10)]);
        splice.omit(1, 11);
        splice.omit(1, 12);
        splice.omit(1, 12);
        splice.omit(7, 13);
        assert_eq!(numbers(&mut splice, &[13, 15, 14, 10]), [Some(11), Some(13), Some(12), None]);
    }

    #[test]
    fn a_source_that_begins_anew_may_leave_packets_out_as_before() {
        let mut splice = Splice::new(1, 20_000);
        splice.omit(1, 20_001);
        assert_eq!(numbers(&mut splice, &[20_002, 5, 6]), [Some(20_001), Some(4), Some(5)]);
        splice.omit(1, 7);
        assert_eq!(numbers(&mut splice, &[8, 6]), [Some(6), None]);
        assert_eq!(splice.source_number(6), 8);
    }

    #[test]
    fn no_number_comes_twice_over_any_source() {
        let mut random = crate::rtcp::tests::Random::new(12);
        let mut splice = Splice::new(1, 0);
        let (mut sequence, mut newest) = (0u16, 0u16);
        for _ in 0..100_000 {
            sequence = sequence.wrapping_add(1 + random.below(3) as u16);
            match random.below(30) {
                0 => {
                    splice.insert(0, 8000, 0);
                    for count in 0..random.below(9) {
                        let sent = splice.inserted().unwrap().next_header(false, 101, 0).sequence;
                        let step = sequence_delta(newest, sent);
                        // what was lost before packets that were left out stays a gap
                        assert!(step == 1 || (count == 0 && step > 1), "{step}");
                        newest = sent;
                    }
                }
                1 | 2 => splice.omit(1, sequence),
                _ => {
                    let sent = splice.number(1, sequence).unwrap();
                    assert!(sequence_delta(newest, sent) > 0);
                    newest = sent;
                }
            }
        }
    }

    #[test]
    fn time_stamps_follow_the_clock_between_talkspurts() {
        let mut own = OwnStream::new(Numbers { ssrc: 9, sequence: 5, timestamp: 1000 }, Cname([0; 12])).stream;
        assert_eq!(own.timestamp_at(0), None);
        own.begin(0, 8000);
        assert_eq!(own.next_header(true, 0, 0).timestamp, 1000);
        own.advance(0);
        assert_eq!(own.timestamp_at(FRAME_NS / 2), Some(1080));
        own.begin(NS_PER_S, 8000);
        assert_eq!(own.next_header(true, 0, 0).timestamp, 1000 + 8000);
    }
}
