//! Where in a file the audio of a packet belongs.
//!
//! The file runs in real time: its first sample is the first packet's, a packet is placed by its time stamp, and where
//! the time stamps break (a new SSRC, a jump) the arrival time joins them anew. A source whose clock is a little fast or slow
//! keeps its samples together: nothing is cut out or put in between, and the file is as much longer or shorter. Holes are silence;
//! those that stand for lost packets are told of, those of a source that sent nothing (RFC 3551 §4.1) are not.

use crate::format::Format;
use crate::g711;
use crate::reception::{Arrived, Reception};
use crate::rtp::{sequence_delta, timestamp_delta, RtpPacket};
use crate::statistics::{RecorderStatistics, RecordingGap};
use crate::time::{samples_in, Instant, NS_PER_MS};

const RATE: u32 = 8000;
/// Further apart than this, clock and time stamp disagree and the clock is believed; less is network delay or drift.
const DISAGREEMENT_SAMPLES: i64 = 2 * RATE as i64;
/// A clock is as much off as one sample in so many at most, ten times what a sound card's is. What moves faster is no clock.
const SLOWEST_DRIFT: u64 = 1000;
/// For this long after an SSRC change, packets of the old SSRC are late ones; later it has come back.
const RETIRED_NS: u64 = 500 * NS_PER_MS;
/// Gaps that are told of: a line that loses more in one call is bad throughout, and a reply stays some 40 kB long.
const MAX_GAPS: usize = 1000;

/// A packet's audio and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The position of its first sample in the file.
    pub at: u64,
    /// Samples to leave out at its begin, since they lie before the file's.
    pub skip: usize,
}

/// A time stamp and its place in the file.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    timestamp: u32,
    position: u64,
}

#[derive(Clone, Copy, Debug)]
struct Retired {
    ssrc: u32,
    anchor: Anchor,
    until_ns: u64,
}

/// How far a source's clock is ahead of ours by now, in samples: network delay comes and goes, drift stays.
#[derive(Clone, Copy, Debug, Default)]
struct Drift {
    samples: i64,
    /// Up to which sample by our clock it was followed.
    until: u64,
}

impl Drift {
    /// Moves towards what a packet shows, as fast as a clock drifts.
    fn follow(&mut self, seen: i64, clock: u64) {
        let most = clock.saturating_sub(self.until) / SLOWEST_DRIFT;
        self.until += most * SLOWEST_DRIFT;
        self.samples += (seen - self.samples).clamp(-(most as i64), most as i64);
    }
}

/// Places the packets of one endpoint in a file.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    reception: Option<Reception>,
    anchor: Option<Anchor>,
    retired: Option<Retired>,
    first: Option<Instant>,
    drift: Drift,
    lost_before: u64,
    /// Samples of the last packet with audio.
    packet_samples: usize,
    statistics: RecorderStatistics,
}

impl Recorder {
    /// Finds the place of a packet with so many samples; None if it has none (a duplicate, or too old).
    pub fn place(&mut self, packet: &RtpPacket<'_>, samples: usize, arrival: Instant) -> Option<Placement> {
        let (ssrc, timestamp) = (packet.ssrc(), packet.timestamp());
        let clock = samples_since(*self.first.get_or_insert(arrival), arrival);
        if let Some(old) = self.retired.filter(|old| old.ssrc == ssrc && arrival.mono_ns < old.until_ns) {
            self.statistics.late += 1;
            let late = timestamp_delta(old.anchor.timestamp, timestamp) < 0;
            return if late { self.put(old.anchor, timestamp, samples) } else { None };
        }
        let changed = self.reception.as_ref().is_none_or(|reception| reception.ssrc() != ssrc);
        if changed {
            self.change_source(ssrc, packet.sequence(), arrival.mono_ns);
        }
        let (arrived, missing) = receive(self.reception.as_mut()?, packet.sequence());
        self.packet_samples = samples;
        match arrived {
            Arrived::Duplicate => {
                self.statistics.duplicates += 1;
                return None;
            }
            Arrived::Late => {
                self.statistics.late += 1;
                // a late packet that claims a later time is wrong about one of them
                let anchor = self.anchor.filter(|anchor| timestamp_delta(anchor.timestamp, timestamp) <= 0)?;
                return self.put(anchor, timestamp, samples);
            }
            Arrived::InOrder | Arrived::Suspect | Arrived::Restarted => {}
        }
        let by_clock = clock as i64 + self.drift.samples;
        let anchor = match self.anchor {
            Some(anchor) => {
                let by_timestamp = anchor.position as i64 + i64::from(timestamp_delta(anchor.timestamp, timestamp));
                if changed || (by_timestamp - by_clock).abs() > DISAGREEMENT_SAMPLES {
                    // what is written stays: the new audio goes behind it at the earliest
                    Anchor { timestamp, position: (by_clock.max(0) as u64).max(self.statistics.samples) }
                } else {
                    Anchor { timestamp, position: by_timestamp.max(0) as u64 }
                }
            }
            None => Anchor { timestamp, position: 0 },
        };
        self.anchor = Some(anchor);
        self.drift.follow(anchor.position as i64 - clock as i64, clock);
        if anchor.position as i64 - by_clock > DISAGREEMENT_SAMPLES {
            // audio that comes faster than real time for seconds has no place: the file stays bounded
            return None;
        }
        self.mark(anchor.position, missing);
        self.put(anchor, timestamp, samples)
    }

    /// Takes a packet that has no audio for the file, such as comfort noise (RFC 3389) or an event (RFC 4733): it was
    /// not lost, and shows what was lost before it.
    pub fn pass(&mut self, packet: &RtpPacket<'_>, arrival: Instant) {
        let Some(reception) = self.reception.as_mut().filter(|reception| reception.ssrc() == packet.ssrc()) else {
            return;
        };
        let (_, missing) = receive(reception, packet.sequence());
        let (Some(anchor), Some(first)) = (self.anchor, self.first) else { return };
        let by_clock = samples_since(first, arrival) as i64 + self.drift.samples;
        let position = anchor.position as i64 + i64::from(timestamp_delta(anchor.timestamp, packet.timestamp()));
        if position >= 0 && (position - by_clock).abs() <= DISAGREEMENT_SAMPLES {
            self.mark(position as u64, missing);
        }
    }

    /// The counts so far.
    pub fn statistics(&self) -> RecorderStatistics {
        let lost = self.lost_before + self.reception.as_ref().map_or(0, Reception::lost);
        let mut statistics = self.statistics.clone();
        statistics.lost = lost;
        statistics.first_sample_ns = self.first.map(|first| first.wall_ns);
        // what was lost behind the last audio lies behind the file's end
        statistics.gaps.retain_mut(|gap| {
            gap.samples = gap.samples.min(statistics.samples.saturating_sub(gap.at));
            gap.samples > 0
        });
        statistics
    }

    /// Marks what so many missing packets left silent before `end`; a longer hole is also one of suppressed silence.
    fn mark(&mut self, end: u64, missing: u64) {
        let marked = self.statistics.gaps.last().map_or(0, |gap| gap.at + gap.samples);
        let hole = end.saturating_sub(self.statistics.samples.max(marked));
        let samples = hole.min(missing * self.packet_samples as u64);
        if samples == 0 {
            return;
        }
        let at = end - samples;
        let listed = self.statistics.gaps.len();
        match self.statistics.gaps.last_mut() {
            Some(last) if marked == at => last.samples += samples,
            _ if listed < MAX_GAPS => self.statistics.gaps.push(RecordingGap { at, samples }),
            _ => {}
        }
    }

    /// Audio from `begin` to `end` is no gap, or no longer.
    fn fill(&mut self, begin: u64, end: u64) {
        let gaps = &mut self.statistics.gaps;
        // all but always none lies behind `begin`, or the last ones do
        let from = gaps.iter().rposition(|gap| gap.at + gap.samples <= begin).map_or(0, |before| before + 1);
        let Some(gap) = gaps.get(from).copied().filter(|gap| gap.at < end) else { return };
        gaps.remove(from);
        let rest = (end, (gap.at + gap.samples).saturating_sub(end));
        for (at, samples) in [rest, (gap.at, begin.saturating_sub(gap.at))] {
            if samples > 0 && gaps.len() < MAX_GAPS {
                gaps.insert(from, RecordingGap { at, samples });
            }
        }
    }

    fn change_source(&mut self, ssrc: u32, sequence: u16, now_ns: u64) {
        if let (Some(old), Some(anchor)) = (&self.reception, self.anchor) {
            self.lost_before += old.lost();
            self.retired = Some(Retired { ssrc: old.ssrc(), anchor, until_ns: now_ns + RETIRED_NS });
        }
        self.reception = Some(Reception::new(ssrc, sequence));
        // what the file has too much of stays; what it has too little of, the new source makes up for
        self.drift.samples = self.drift.samples.max(0);
    }

    fn put(&mut self, anchor: Anchor, timestamp: u32, samples: usize) -> Option<Placement> {
        let position = anchor.position as i64 + i64::from(timestamp_delta(anchor.timestamp, timestamp));
        let skip = usize::try_from(-position.min(0)).ok().filter(|skip| *skip < samples)?;
        let at = position.max(0) as u64;
        self.statistics.packets += 1;
        let end = at + (samples - skip) as u64;
        self.fill(at, end);
        self.statistics.samples = self.statistics.samples.max(end);
        Some(Placement { at, skip })
    }
}

fn samples_since(first: Instant, arrival: Instant) -> u64 {
    samples_in(arrival.mono_ns.saturating_sub(first.mono_ns), RATE)
}

/// Takes a sequence number, and tells how many are missing between it and the newest before it.
fn receive(reception: &mut Reception, sequence: u16) -> (Arrived, u64) {
    let step = sequence_delta(reception.extended_sequence() as u16, sequence);
    match reception.receive(sequence) {
        Arrived::InOrder => (Arrived::InOrder, u64::try_from(step - 1).unwrap_or(0)),
        arrived => (arrived, 0),
    }
}

/// Decodes a payload to 16-bit samples at 8 kHz; false if the format cannot be recorded.
pub(crate) fn decode(format: &Format, payload: &[u8], out: &mut Vec<i16>) -> bool {
    out.clear();
    if format.clock_rate != RATE || format.channels != 1 {
        return false;
    }
    match &*format.encoding {
        "PCMU" => out.extend(payload.iter().map(|code| g711::MU_LAW_TO_LINEAR[usize::from(*code)])),
        "PCMA" => out.extend(payload.iter().map(|code| g711::A_LAW_TO_LINEAR[usize::from(*code)])),
        // RFC 3551 §4.5.11: network byte order
        "L16" => out.extend(payload.chunks_exact(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]]))),
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::{RtpHeader, HEADER_LEN};

    const BEGIN: u64 = 1_764_000_000_000_000_000;

    fn feed(recorder: &mut Recorder, ssrc: u32, sequence: u16, timestamp: u32, ms: u64) -> Option<u64> {
        let mut bytes = [0; HEADER_LEN];
        RtpHeader { marker: false, payload_type: 0, sequence, timestamp, ssrc }.write(&mut bytes);
        let arrival = Instant { mono_ns: 5_000 + ms * NS_PER_MS, wall_ns: BEGIN + ms * NS_PER_MS };
        recorder.place(&RtpPacket::parse(&bytes).unwrap(), 160, arrival).map(|placement| {
            assert_eq!(placement.skip, 0);
            placement.at
        })
    }

    #[test]
    fn packets_lie_by_their_time_stamps_whatever_the_jitter() {
        let mut recorder = Recorder::default();
        let base = u32::MAX - 200;
        assert_eq!(feed(&mut recorder, 1, 65_535, base, 0), Some(0));
        assert_eq!(feed(&mut recorder, 1, 0, base.wrapping_add(160), 55), Some(160));
        assert_eq!(feed(&mut recorder, 1, 3, base.wrapping_add(640), 70), Some(640));
        assert_eq!(feed(&mut recorder, 1, 2, base.wrapping_add(480), 80), Some(480));
        assert_eq!(feed(&mut recorder, 1, 2, base.wrapping_add(480), 80), None);
        assert_eq!(
            recorder.statistics(),
            RecorderStatistics {
                packets: 4,
                lost: 1,
                duplicates: 1,
                late: 1,
                samples: 800,
                first_sample_ns: Some(BEGIN),
                gaps: vec![RecordingGap { at: 320, samples: 160 }],
            }
        );
    }

    #[test]
    fn audio_from_before_the_file_is_cut() {
        let mut recorder = Recorder::default();
        feed(&mut recorder, 1, 10, 1000, 0);
        assert_eq!(feed(&mut recorder, 1, 9, 840, 1), None);
        let mut bytes = [0; HEADER_LEN];
        RtpHeader { marker: false, payload_type: 0, sequence: 8, timestamp: 940, ssrc: 1 }.write(&mut bytes);
        let placement = recorder.place(&RtpPacket::parse(&bytes).unwrap(), 160, Instant::default());
        assert_eq!(placement, Some(Placement { at: 0, skip: 60 }));
    }

    #[test]
    fn a_new_source_lies_by_its_arrival_behind_what_is_written() {
        let mut recorder = Recorder::default();
        feed(&mut recorder, 1, 10, 1000, 0);
        feed(&mut recorder, 1, 11, 1160, 20);
        assert_eq!(feed(&mut recorder, 2, 500, 99_000, 1000), Some(8000));
        assert_eq!(feed(&mut recorder, 2, 501, 99_160, 1020), Some(8160));
        // late ones of the old source: one that fits before what it had sent, one that does not
        assert_eq!(feed(&mut recorder, 1, 12, 1320, 1030), None);
        assert_eq!(feed(&mut recorder, 1, 10, 1000, 1030), Some(0));
        // it came back, at a time when the file is already that long
        assert_eq!(feed(&mut recorder, 3, 1, 0, 1030), Some(8320));
        assert_eq!(recorder.statistics().late, 2);
    }

    #[test]
    fn loss_is_kept_over_a_change_of_source() {
        let mut recorder = Recorder::default();
        feed(&mut recorder, 1, 10, 1000, 0);
        feed(&mut recorder, 1, 13, 1480, 60);
        feed(&mut recorder, 2, 13, 1480, 80);
        assert_eq!(recorder.statistics().lost, 2);
    }

    #[test]
    fn suppressed_silence_is_a_hole_and_a_stall_is_none() {
        let mut recorder = Recorder::default();
        feed(&mut recorder, 1, 1, 0, 0);
        assert_eq!(feed(&mut recorder, 1, 2, 80_000, 10_000), Some(80_000));
        assert_eq!(feed(&mut recorder, 1, 3, 80_160, 11_500), Some(80_160));
        assert_eq!(feed(&mut recorder, 1, 4, 80_320, 11_500), Some(80_320));
    }

    fn pass(recorder: &mut Recorder, ssrc: u32, sequence: u16, timestamp: u32, ms: u64) {
        let mut bytes = [0; HEADER_LEN];
        RtpHeader { marker: false, payload_type: 13, sequence, timestamp, ssrc }.write(&mut bytes);
        let arrival = Instant { mono_ns: 5_000 + ms * NS_PER_MS, wall_ns: BEGIN + ms * NS_PER_MS };
        recorder.pass(&RtpPacket::parse(&bytes).unwrap(), arrival);
    }

    fn gaps(recorder: &Recorder) -> Vec<(u64, u64)> {
        recorder.statistics().gaps.iter().map(|gap| (gap.at, gap.samples)).collect()
    }

    #[test]
    fn comfort_noise_and_events_are_not_lost() {
        let mut recorder = Recorder::default();
        pass(&mut recorder, 1, 9, 0, 0);
        feed(&mut recorder, 1, 10, 0, 0);
        pass(&mut recorder, 1, 11, 160, 20);
        pass(&mut recorder, 2, 700, 160, 20);
        pass(&mut recorder, 1, 12, 1600, 200);
        assert_eq!(feed(&mut recorder, 1, 13, 8000, 1000), Some(8000));
        assert_eq!((recorder.statistics().lost, gaps(&recorder)), (0, vec![]));
    }

    #[test]
    fn what_was_lost_before_comfort_noise_is_marked_before_it() {
        let mut recorder = Recorder::default();
        feed(&mut recorder, 1, 10, 0, 0);
        pass(&mut recorder, 1, 13, 480, 60);
        assert_eq!(gaps(&recorder), [], "the file ends before");
        pass(&mut recorder, 1, 15, 640, 80);
        feed(&mut recorder, 1, 16, 8000, 1000);
        assert_eq!((recorder.statistics().lost, gaps(&recorder)), (3, vec![(160, 480)]));
    }

    #[test]
    fn of_a_hole_with_silence_and_loss_only_the_lost_packets_are_marked() {
        let mut recorder = Recorder::default();
        feed(&mut recorder, 1, 10, 0, 0);
        feed(&mut recorder, 1, 12, 8000, 1000);
        assert_eq!(gaps(&recorder), [(7840, 160)]);
        // lost parts of an event take no time of the file: the next has the same time stamp
        pass(&mut recorder, 1, 13, 8160, 1020);
        pass(&mut recorder, 1, 15, 8160, 1060);
        assert_eq!((recorder.statistics().lost, gaps(&recorder)), (2, vec![(7840, 160)]));
    }

    #[test]
    fn a_late_packet_fills_its_part_of_a_gap() {
        let mut recorder = Recorder::default();
        feed(&mut recorder, 1, 10, 0, 0);
        feed(&mut recorder, 1, 14, 640, 80);
        assert_eq!(gaps(&recorder), [(160, 480)]);
        feed(&mut recorder, 1, 12, 320, 81);
        assert_eq!(gaps(&recorder), [(160, 160), (480, 160)]);
        feed(&mut recorder, 1, 11, 160, 82);
        assert_eq!(gaps(&recorder), [(480, 160)]);
        feed(&mut recorder, 1, 13, 480, 83);
        assert_eq!((recorder.statistics().lost, gaps(&recorder)), (0, vec![]));
    }

    #[test]
    fn the_first_gaps_are_kept_and_loss_counts_on() {
        let mut recorder = Recorder::default();
        for n in 0..=MAX_GAPS as u32 + 5 {
            feed(&mut recorder, 1, (2 * n) as u16, 320 * n, u64::from(40 * n));
        }
        let statistics = recorder.statistics();
        assert_eq!((statistics.gaps.len(), statistics.lost), (MAX_GAPS, MAX_GAPS as u64 + 5));
    }

    #[test]
    fn a_clock_that_jumps_or_stood_still_is_put_into_real_time() {
        let mut recorder = Recorder::default();
        feed(&mut recorder, 1, 1, 0, 0);
        assert_eq!(feed(&mut recorder, 1, 2, 3_000_000, 20), Some(160));
        assert_eq!(feed(&mut recorder, 1, 3, 3_000_160, 40), Some(320));
        assert_eq!(feed(&mut recorder, 1, 4, 3_000_320, 5000), Some(40_000));
        assert_eq!(feed(&mut recorder, 1, 5, 3_000_480, 5020), Some(40_160));
        assert_eq!(feed(&mut recorder, 1, 6, 7, 5040), Some(40_320));
    }

    /// A source whose clock is off by so many millionths speaks for so long; then it stands still, and speaks again.
    fn speak_for_hours(millionths: i64, hours: u64) -> (Recorder, u64) {
        let mut recorder = Recorder::default();
        let mut random = crate::rtcp::tests::Random::new(11);
        let (count, mut ms) = (hours * 180_000, 0);
        for n in 0..count {
            // 40 ms of jitter
            ms = (n * 20).saturating_add_signed(-(n as i64 * 20 * millionths / 1_000_000));
            let at = feed(&mut recorder, 1, n as u16, 160 * n as u32, ms + random.below(40) as u64);
            assert_eq!(at, Some(160 * n));
        }
        (recorder, ms)
    }

    #[test]
    fn a_clock_that_is_off_costs_no_audio_in_hours() {
        for millionths in [-900, -500, -50, 50, 500, 900] {
            let (mut recorder, ms) = speak_for_hours(millionths, 4);
            let (samples, next) = (recorder.statistics().samples, 4 * 180_000);
            assert_eq!((samples, gaps(&recorder)), (160 * next, vec![]));
            // and one that has stood still is seen as soon as with any other
            let at = feed(&mut recorder, 1, next as u16, 160 * next as u32, ms + 20 + 3000).unwrap();
            assert!((23_000..25_000).contains(&(at - samples)), "{millionths}: {}", at - samples);
        }
    }

    #[test]
    fn the_next_source_makes_up_for_what_a_slow_clock_left_out() {
        for (millionths, expected) in [(-500, 57_600), (500, 0)] {
            let (mut recorder, ms) = speak_for_hours(millionths, 4);
            let samples = recorder.statistics().samples;
            let at = feed(&mut recorder, 2, 1, 0, ms + 20).unwrap();
            assert!((at - samples).abs_diff(expected) <= 480 + 320, "{millionths}: {}", at - samples);
            assert_eq!(feed(&mut recorder, 2, 2, 160, ms + 40), Some(at + 160));
        }
    }

    #[test]
    fn the_file_never_outgrows_real_time_by_more_than_the_disagreement() {
        let mut random = crate::rtcp::tests::Random::new(6);
        let mut recorder = Recorder::default();
        for n in 0..50_000u64 {
            let (ssrc, sequence) = (random.below(3) as u32, random.next() as u16);
            let timestamp = random.next() as u32;
            feed(&mut recorder, ssrc, sequence, timestamp, n * 20 / 8);
            let limit = n * 20 + n * 20 / SLOWEST_DRIFT + DISAGREEMENT_SAMPLES as u64 + 160;
            assert!(recorder.statistics().samples <= limit);
        }
    }

    #[test]
    fn three_encodings_are_decoded() {
        let mut out = Vec::new();
        assert!(decode(&Format::new(0, "PCMU", 8000, 1), &[0x80, 0xff], &mut out));
        assert_eq!(out, [32_124, 0]);
        assert!(decode(&Format::new(8, "PCMA", 8000, 1), &[0xd5], &mut out));
        assert_eq!(out, [8]);
        assert!(decode(&Format::new(96, "L16", 8000, 1), &[0x12, 0x34, 0xff], &mut out));
        assert_eq!(out, [0x1234]);
        assert!(!decode(&Format::new(96, "L16", 44_100, 1), &[0, 0], &mut out));
        assert!(!decode(&Format::new(9, "G722", 8000, 1), &[0, 0], &mut out));
    }
}
