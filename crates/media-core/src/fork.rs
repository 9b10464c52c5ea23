//! The header fields of a forked stream that has an SSRC of its own (RFC 7866 §8.2.3).
//!
//! The receiver sees one unbroken stream: sequence numbers and time stamps go on over SSRC changes, restarts and pauses
//! of the source, while what the source lost stays a gap.

use crate::rtp::{sequence_delta, timestamp_delta, RtpHeader, RtpPacket};
use crate::time::{samples_in, NS_PER_MS};

/// A larger step forward is a restart of the source rather than loss (RFC 3550 A.1).
const MAX_DROPOUT: i16 = 3000;
/// A larger step back is a restart of the source rather than reordering (RFC 3550 A.1).
const MAX_MISORDER: i16 = 100;
/// For this long after an SSRC change, packets of the old SSRC are late ones; later it has come back.
const RETIRED_NS: u64 = 500 * NS_PER_MS;
/// A step of the source's time stamp larger than this, which real time does not explain, is a new beginning.
const TIMESTAMP_JUMP_S: u32 = 2;
/// How far a source's clock may stray over a pause and still be believed, as a part of a second.
const PAUSE_TOLERANCE_PART: u32 = 5;
/// The least step of the time stamp from one segment to the next, as a part of a second: one usual packet.
const PACKET_PART: u32 = 50;

/// The header that a forked packet gets.
pub type Rewritten = RtpHeader;

/// A run of the source whose numbers are moved by the same offsets.
#[derive(Clone, Copy, Debug)]
struct Segment {
    source: u32,
    first: u16,
    newest: u16,
    newest_timestamp: u32,
    sequence_offset: u16,
    timestamp_offset: u32,
}

/// What left last.
#[derive(Clone, Copy, Debug)]
struct Sent {
    sequence: u16,
    timestamp: u32,
    at_ns: u64,
    clock_rate: u32,
}

/// Gives the packets of a changing source the numbers of one stream.
#[derive(Clone, Debug)]
pub struct Rewriter {
    ssrc: u32,
    initial_sequence: u16,
    initial_timestamp: u32,
    segment: Option<Segment>,
    /// Of these there is seldom one, and all streams have room for it.
    paused: Option<Box<Segment>>,
    retired: Option<Box<Retired>>,
    sent: Option<Sent>,
}

/// The source before the present one.
#[derive(Clone, Copy, Debug)]
struct Retired {
    source: u32,
    until_ns: u64,
}

impl Rewriter {
    /// A stream that begins with these random numbers (RFC 3550 §5.1).
    pub fn new(ssrc: u32, initial_sequence: u16, initial_timestamp: u32) -> Self {
        Self { ssrc, initial_sequence, initial_timestamp, segment: None, paused: None, retired: None, sent: None }
    }

    /// The stream's SSRC.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Nothing is sent until further notice; the next packet begins anew, marked.
    pub fn pause(&mut self) {
        if let Some(segment) = self.segment.take() {
            self.paused = Some(Box::new(segment));
        }
        self.retired = None;
    }

    /// The header for a packet that arrived at `now_ns`; None if it is too late to have a number of its own.
    pub fn rewrite(
        &mut self,
        packet: &RtpPacket<'_>,
        payload_type: u8,
        clock_rate: u32,
        now_ns: u64,
    ) -> Option<Rewritten> {
        let (source, sequence, timestamp) = (packet.ssrc(), packet.sequence(), packet.timestamp());
        let mut marker = packet.marker();
        match self.segment {
            Some(segment) if segment.source == source => {
                let step = sequence_delta(segment.newest, sequence);
                if (1..MAX_DROPOUT).contains(&step) {
                    marker |= self.follow(segment, sequence, timestamp, clock_rate, now_ns);
                } else if !(-MAX_MISORDER..=0).contains(&step) {
                    self.begin(source, sequence, timestamp, clock_rate, now_ns);
                    marker = true;
                } else if sequence_delta(segment.first, sequence) < 0 {
                    return None;
                }
            }
            _ if self.retired.as_ref().is_some_and(|old| old.source == source && now_ns < old.until_ns) => return None,
            _ => {
                self.retire(now_ns);
                self.begin(source, sequence, timestamp, clock_rate, now_ns);
                marker = true;
            }
        }
        let segment = self.segment?;
        let header = RtpHeader {
            marker,
            payload_type,
            sequence: sequence.wrapping_add(segment.sequence_offset),
            timestamp: timestamp.wrapping_add(segment.timestamp_offset),
            ssrc: self.ssrc,
        };
        if segment.newest == sequence {
            self.note_sent(&header, clock_rate, now_ns);
        }
        Some(header)
    }

    /// What is added to the sequence numbers and time stamps of a source, as long as it runs on.
    pub fn offsets(&self, source: u32) -> Option<(u16, u32)> {
        let segment = self.segment.filter(|segment| segment.source == source)?;
        Some((segment.sequence_offset, segment.timestamp_offset))
    }

    /// Packets of the current source were given numbers by [`Rewriter::offsets`] elsewhere, up to this one at `at_ns`.
    pub fn skip_to(&mut self, newest: u16, newest_timestamp: u32, clock_rate: u32, at_ns: u64) {
        let Some(segment) = self.segment.as_mut() else { return };
        if sequence_delta(segment.newest, newest) <= 0 {
            return;
        }
        segment.newest = newest;
        segment.newest_timestamp = newest_timestamp;
        let header = RtpHeader {
            marker: false,
            payload_type: 0,
            sequence: newest.wrapping_add(segment.sequence_offset),
            timestamp: newest_timestamp.wrapping_add(segment.timestamp_offset),
            ssrc: self.ssrc,
        };
        self.note_sent(&header, clock_rate, at_ns);
    }

    /// A packet of the source that is not passed on: it leaves no gap, which would be taken for loss.
    pub fn omit(&mut self, packet: &RtpPacket<'_>) {
        let Some(segment) = self.segment.as_mut().filter(|segment| segment.source == packet.ssrc()) else { return };
        let sequence = packet.sequence();
        if (1..MAX_DROPOUT).contains(&sequence_delta(segment.newest, sequence)) {
            segment.sequence_offset = segment.sequence_offset.wrapping_sub(1);
            segment.newest = sequence;
            // what comes late from before it has no number left
            segment.first = sequence.wrapping_add(1);
        }
    }

    /// The stream's time stamp at `now_ns`, for sender reports; None before the first packet.
    pub fn timestamp_at(&self, now_ns: u64) -> Option<u32> {
        let sent = self.sent?;
        let elapsed = samples_in(now_ns.saturating_sub(sent.at_ns), sent.clock_rate) as u32;
        Some(sent.timestamp.wrapping_add(elapsed))
    }

    /// Moves the newest number on; true if the source's clock jumped and the time stamps were joined anew.
    fn follow(&mut self, mut segment: Segment, sequence: u16, timestamp: u32, clock_rate: u32, now_ns: u64) -> bool {
        let step = timestamp_delta(segment.newest_timestamp, timestamp);
        let limit = i64::from(TIMESTAMP_JUMP_S * clock_rate);
        let elapsed = self.sent.map_or(0, |sent| samples_in(now_ns.saturating_sub(sent.at_ns), clock_rate)) as i64;
        let jumped = i64::from(step).abs() > limit && (i64::from(step) - elapsed).abs() > limit;
        if jumped {
            segment.timestamp_offset = self.next_timestamp(clock_rate, now_ns).wrapping_sub(timestamp);
        }
        segment.newest = sequence;
        segment.newest_timestamp = timestamp;
        self.segment = Some(segment);
        jumped
    }

    /// The source so far gives way to another.
    #[cold]
    fn retire(&mut self, now_ns: u64) {
        self.retired = self.segment.map(|segment| {
            let (source, until_ns) = (segment.source, now_ns + RETIRED_NS);
            Box::new(Retired { source, until_ns })
        });
    }

    #[cold]
    fn begin(&mut self, source: u32, sequence: u16, timestamp: u32, clock_rate: u32, now_ns: u64) {
        let next_sequence = self.sent.map_or(self.initial_sequence, |sent| sent.sequence.wrapping_add(1));
        let next_timestamp = self
            .paused
            .take()
            .and_then(|paused| self.continued(&paused, source, timestamp, clock_rate, now_ns))
            .unwrap_or_else(|| self.next_timestamp(clock_rate, now_ns));
        self.segment = Some(Segment {
            source,
            first: sequence,
            newest: sequence,
            newest_timestamp: timestamp,
            sequence_offset: next_sequence.wrapping_sub(sequence),
            timestamp_offset: next_timestamp.wrapping_sub(timestamp),
        });
    }

    /// The time stamp by the offset from before a pause, if the source ran on with real time: exact where the arrival
    /// time is not.
    fn continued(&self, paused: &Segment, source: u32, timestamp: u32, clock_rate: u32, now_ns: u64) -> Option<u32> {
        let sent = self.sent.filter(|_| paused.source == source)?;
        let continued = timestamp.wrapping_add(paused.timestamp_offset);
        let step = i64::from(timestamp_delta(sent.timestamp, continued));
        let elapsed = samples_in(now_ns.saturating_sub(sent.at_ns), clock_rate) as i64;
        let tolerance = i64::from(clock_rate / PAUSE_TOLERANCE_PART);
        (step > 0 && (step - elapsed).abs() <= tolerance).then_some(continued)
    }

    /// The time stamp that real time gives to a packet that arrives now.
    fn next_timestamp(&self, clock_rate: u32, now_ns: u64) -> u32 {
        let Some(sent) = self.sent else { return self.initial_timestamp };
        let elapsed = samples_in(now_ns.saturating_sub(sent.at_ns), clock_rate) as u32;
        sent.timestamp.wrapping_add(elapsed.max(clock_rate / PACKET_PART))
    }

    fn note_sent(&mut self, header: &RtpHeader, clock_rate: u32, now_ns: u64) {
        match &mut self.sent {
            // the packets of a telephone event keep the time stamp of its begin: real time is counted from there
            Some(sent) if timestamp_delta(sent.timestamp, header.timestamp) <= 0 => sent.sequence = header.sequence,
            sent => {
                *sent =
                    Some(Sent { sequence: header.sequence, timestamp: header.timestamp, at_ns: now_ns, clock_rate });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::HEADER_LEN;

    const MS: u64 = NS_PER_MS;

    fn feed(
        rewriter: &mut Rewriter,
        source: u32,
        sequence: u16,
        timestamp: u32,
        now_ns: u64,
    ) -> Option<(u16, u32, bool)> {
        let mut bytes = [0; HEADER_LEN];
        RtpHeader { marker: false, payload_type: 0, sequence, timestamp, ssrc: source }.write(&mut bytes);
        let header = rewriter.rewrite(&RtpPacket::parse(&bytes).unwrap(), 8, 8000, now_ns)?;
        assert_eq!((header.ssrc, header.payload_type), (99, 8));
        Some((header.sequence, header.timestamp, header.marker))
    }

    fn rewriter() -> Rewriter {
        Rewriter::new(99, 65_534, u32::MAX - 159)
    }

    #[test]
    fn numbers_follow_the_source_and_wrap() {
        let mut fork = rewriter();
        assert_eq!(feed(&mut fork, 1, 7, 1000, 0), Some((65_534, u32::MAX - 159, true)));
        assert_eq!(feed(&mut fork, 1, 8, 1160, 20 * MS), Some((65_535, 0, false)));
        assert_eq!(feed(&mut fork, 1, 9, 1320, 40 * MS), Some((0, 160, false)));
    }

    #[test]
    fn what_the_source_lost_stays_a_gap_and_a_late_packet_fills_it() {
        let mut fork = rewriter();
        feed(&mut fork, 1, 7, 1000, 0);
        assert_eq!(feed(&mut fork, 1, 10, 1480, 60 * MS), Some((1, 320, false)));
        assert_eq!(feed(&mut fork, 1, 9, 1320, 61 * MS), Some((0, 160, false)));
        assert_eq!(feed(&mut fork, 1, 11, 1640, 80 * MS), Some((2, 480, false)));
    }

    fn omit(rewriter: &mut Rewriter, source: u32, sequence: u16) {
        let mut bytes = [0; HEADER_LEN];
        RtpHeader { marker: false, payload_type: 101, sequence, timestamp: 0, ssrc: source }.write(&mut bytes);
        rewriter.omit(&RtpPacket::parse(&bytes).unwrap());
    }

    #[test]
    fn what_is_not_passed_on_leaves_no_gap_and_what_was_lost_does() {
        let mut fork = rewriter();
        omit(&mut fork, 1, 6);
        feed(&mut fork, 1, 7, 1000, 0);
        (8..11).for_each(|sequence| omit(&mut fork, 1, sequence));
        omit(&mut fork, 1, 10);
        omit(&mut fork, 2, 11);
        // 12 is lost
        assert_eq!(feed(&mut fork, 1, 11, 1640, 80 * MS), Some((65_535, 480, false)));
        assert_eq!(feed(&mut fork, 1, 13, 1960, 120 * MS), Some((1, 800, false)));
        assert_eq!(feed(&mut fork, 1, 12, 1800, 121 * MS), Some((0, 640, false)));
        assert_eq!(feed(&mut fork, 1, 7, 1000, 122 * MS), None);
    }

    #[test]
    fn a_new_source_goes_on_in_real_time_with_a_mark() {
        let mut fork = rewriter();
        feed(&mut fork, 1, 7, 1000, 0);
        feed(&mut fork, 1, 8, 1160, 20 * MS);
        assert_eq!(feed(&mut fork, 2, 30_000, 77, 520 * MS), Some((0, 4000, true)));
        assert_eq!(feed(&mut fork, 2, 30_001, 237, 540 * MS), Some((1, 4160, false)));
        // a late packet of the old source has no number left; when it has come back for good, it is a source again
        assert_eq!(feed(&mut fork, 1, 9, 1320, 541 * MS), None);
        assert_eq!(feed(&mut fork, 1, 60, 9000, 1540 * MS), Some((2, 12_160, true)));
    }

    #[test]
    fn a_source_that_changes_at_once_moves_on_by_a_packet() {
        let mut fork = rewriter();
        feed(&mut fork, 1, 7, 1000, 0);
        assert_eq!(feed(&mut fork, 2, 1, 5, 0), Some((65_535, 0, true)));
    }

    #[test]
    fn a_pause_leaves_no_gap_in_the_numbers_and_keeps_the_sources_clock() {
        let mut fork = rewriter();
        feed(&mut fork, 1, 7, 1000, 0);
        fork.pause();
        fork.pause();
        // 2 s later by the source's clock, 2.03 s by ours
        assert_eq!(feed(&mut fork, 1, 107, 17_000, 2030 * MS), Some((65_535, 16_000 - 160, true)));
        assert_eq!(feed(&mut fork, 1, 108, 17_160, 2050 * MS), Some((0, 16_000, false)));
        // from before the pause
        assert_eq!(feed(&mut fork, 1, 106, 16_840, 2051 * MS), None);
    }

    #[test]
    fn a_source_that_stood_still_over_a_pause_is_put_into_real_time() {
        let mut fork = rewriter();
        feed(&mut fork, 1, 7, 1000, 0);
        fork.pause();
        assert_eq!(feed(&mut fork, 1, 8, 1160, 2000 * MS), Some((65_535, 16_000 - 160, true)));
        fork.pause();
        assert_eq!(feed(&mut fork, 5, 8, 1160, 4000 * MS), Some((0, 32_000 - 160, true)));
    }

    #[test]
    fn a_restart_of_the_numbering_is_a_new_beginning() {
        let mut fork = rewriter();
        feed(&mut fork, 1, 7, 1000, 0);
        assert_eq!(feed(&mut fork, 1, 30_000, 1160, 20 * MS), Some((65_535, 0, true)));
        assert_eq!(feed(&mut fork, 1, 20_000, 1320, 40 * MS), Some((0, 160, true)));
    }

    #[test]
    fn a_jump_of_the_clock_is_joined_but_silence_is_not() {
        let mut fork = rewriter();
        feed(&mut fork, 1, 7, 1000, 0);
        assert_eq!(feed(&mut fork, 1, 8, 9_000_000, 20 * MS), Some((65_535, 0, true)));
        assert_eq!(feed(&mut fork, 1, 9, 9_000_160, 40 * MS), Some((0, 160, false)));
        // 10 s of suppressed silence, then a burst after a stall: both are the source's own time stamps
        assert_eq!(feed(&mut fork, 1, 10, 9_080_160, 10_040 * MS), Some((1, 80_160, false)));
        assert_eq!(feed(&mut fork, 1, 11, 9_080_320, 14_040 * MS), Some((2, 80_320, false)));
    }

    #[test]
    fn the_time_stamp_runs_on_from_the_begin_of_an_event() {
        let mut fork = rewriter();
        assert_eq!(fork.timestamp_at(0), None);
        feed(&mut fork, 1, 7, 1000, 0);
        feed(&mut fork, 1, 8, 1160, 20 * MS);
        feed(&mut fork, 1, 9, 1160, 40 * MS);
        assert_eq!(fork.timestamp_at(60 * MS), Some(320));
        assert_eq!(feed(&mut fork, 1, 10, 1480, 60 * MS), Some((1, 320, false)));
        assert_eq!(fork.ssrc(), 99);
    }

    #[test]
    fn over_any_source_no_number_is_given_twice_and_none_goes_back() {
        let mut random = crate::rtcp::tests::Random::new(4);
        let mut fork = rewriter();
        let (mut sequence, mut timestamp, mut source, mut now) = (0u16, 0u32, 1u32, 0u64);
        let mut newest: Option<u16> = None;
        for _ in 0..200_000 {
            now += 20 * MS;
            timestamp = timestamp.wrapping_add(160);
            sequence = sequence.wrapping_add(1);
            match random.below(400) {
                0 => source += 1,
                1 => fork.pause(),
                2 => sequence = random.next() as u16,
                3 => timestamp = random.next() as u32,
                4..20 => sequence = sequence.wrapping_add(random.below(20) as u16),
                _ => {}
            }
            if random.below(20) == 0 {
                omit(&mut fork, source, sequence);
            } else if let Some((out, _, _)) = feed(&mut fork, source, sequence, timestamp, now) {
                assert!(newest.is_none_or(|newest| sequence_delta(newest, out) > 0), "{newest:?} {out}");
                newest = Some(out);
            }
        }
    }
}
