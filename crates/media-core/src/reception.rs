//! Sequence numbers, loss and jitter of one received source (RFC 3550 A.1, A.3, A.8).

use crate::quality::{Bursts, Drift, Quality, Tally};
use crate::rtcp::ReportBlock;
use crate::rtp::sequence_delta;
use crate::time::samples_in;

/// RFC 3550 A.1: a larger step forward is a restart rather than loss.
const MAX_DROPOUT: i32 = 3000;
/// RFC 3550 A.1: a larger step back is a restart rather than reordering.
const MAX_MISORDER: i32 = 100;
/// How far back duplicates are told from late packets; one bit each.
const WINDOW: i32 = 2 * HALF;
const HALF: i32 = u64::BITS as i32;

/// How many packets later it is settled whether one is lost: it may still come until then.
const HORIZON: i32 = 64;

/// How a packet stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrived {
    /// The first one, or the next after at most some that were lost.
    InOrder,
    /// Older than the newest, and not seen before.
    Late,
    /// Seen before.
    Duplicate,
    /// A jump too large for loss; the next packet decides whether the source restarted (RFC 3550 A.1).
    Suspect,
    /// The source restarted its numbering with this packet and the suspect one before it.
    Restarted,
}

/// Bit n, of the second 64 + n, says whether the packet n before the newest has come.
#[derive(Clone, Copy, Debug, Default)]
struct Window([u64; 2]);

impl Window {
    fn has(self, back: i32) -> bool {
        self.0[usize::from(back >= HALF)] >> (back % HALF) & 1 != 0
    }

    fn set(&mut self, back: i32) {
        self.0[usize::from(back >= HALF)] |= 1 << (back % HALF);
    }

    /// The next packet has come.
    fn next(&mut self) {
        self.0 = [self.0[0] << 1 | 1, self.0[1] << 1 | self.0[0] >> (HALF - 1)];
    }

    /// A packet has come that is so many after the newest before.
    fn skip_to(&mut self, step: i32) {
        let bits = u128::from(self.0[1]) << HALF | u128::from(self.0[0]);
        let bits = bits.checked_shl(step as u32).unwrap_or(0) | 1;
        self.0 = [bits as u64, (bits >> HALF) as u64];
    }
}

/// The reception state of one SSRC. Thirty-two bits of packets last for years.
///
/// The probation of RFC 3550 A.1 is left out: sources are told apart by their address before, and a call's first
/// packet counts.
#[derive(Clone, Debug)]
pub struct Reception {
    ssrc: u32,
    base_sequence: u16,
    max_sequence: u16,
    cycles: u32,
    suspect: Option<u16>,
    seen: Window,
    received: u32,
    lost_before: u32,
    expected_prior: u32,
    received_prior: u32,
    transit: Option<u32>,
    jitter_scaled: u32,
    tally: Tally,
    drift: Drift,
    /// Places of the horizon that lie before the first packet.
    ahead: i32,
    /// The sequence number and time stamp of the last packet, which tell how much a packet holds.
    stamped: Option<(u16, u32)>,
}

impl Reception {
    /// The state before the first packet, which has this SSRC and sequence number.
    pub fn new(ssrc: u32, sequence: u16) -> Self {
        Self {
            ssrc,
            base_sequence: sequence,
            max_sequence: sequence.wrapping_sub(1),
            cycles: 0,
            suspect: None,
            seen: Window::default(),
            received: 0,
            lost_before: 0,
            expected_prior: 0,
            received_prior: 0,
            transit: None,
            jitter_scaled: 0,
            tally: Tally::default(),
            drift: Drift::default(),
            ahead: HORIZON,
            stamped: None,
        }
    }

    /// The state before the first packet of another source in the same place: what was counted goes on.
    pub fn succeed(&self, ssrc: u32, sequence: u16) -> Self {
        let mut tally = Tally { bursts: self.settled(), ..self.tally };
        tally.ssrc_changes += 1;
        Self { tally, ..Self::new(ssrc, sequence) }
    }

    /// The source.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Takes the sequence number of a packet.
    pub fn receive(&mut self, sequence: u16) -> Arrived {
        let delta = i32::from(sequence_delta(self.max_sequence, sequence));
        if (1..MAX_DROPOUT).contains(&delta) {
            self.suspect = None;
            if sequence < self.max_sequence && self.received > 0 {
                self.cycles = self.cycles.wrapping_add(1 << 16);
                self.tally.wraps += 1;
            }
            // all but always the next packet, and the one that leaves the horizon has arrived
            if delta == 1 && self.ahead == 0 && self.seen.has(HORIZON - 1) {
                self.tally.bursts.received();
                self.seen.next();
            } else {
                self.settle(delta);
                self.seen.skip_to(delta);
            }
            self.max_sequence = sequence;
            self.received += 1;
            return Arrived::InOrder;
        }
        if (-MAX_MISORDER..=0).contains(&delta) {
            if self.seen.has(-delta) {
                self.tally.duplicates += 1;
                return Arrived::Duplicate;
            }
            self.seen.set(-delta);
            self.tally.reordered += 1;
            // one from before the first was never expected
            if i64::from(self.extended_sequence()) + i64::from(delta) >= i64::from(self.base_sequence) {
                self.received += 1;
            }
            return Arrived::Late;
        }
        if self.suspect == Some(sequence) {
            self.restart(sequence);
            return Arrived::Restarted;
        }
        self.suspect = Some(sequence.wrapping_add(1));
        Arrived::Suspect
    }

    /// Takes packets that came elsewhere, of which is known only how many they were, and that they are some of the next
    /// `span` after the number `after`: the first of those that did not come here.
    pub fn receive_among(&mut self, after: u16, span: u32, mut packets: u64) {
        for step in 1..=span {
            let sequence = after.wrapping_add(step as u16);
            if packets > 0 && !self.has_seen(sequence) {
                self.receive(sequence);
                packets -= 1;
            }
        }
    }

    /// True if the packet with this number has come, as far back as that is known.
    pub fn has_seen(&self, sequence: u16) -> bool {
        let back = -i32::from(sequence_delta(self.max_sequence, sequence));
        (0..WINDOW).contains(&back) && self.seen.has(back)
    }

    /// `delta` packets leave the horizon.
    fn settle(&mut self, delta: i32) {
        for place in 0..delta {
            if self.ahead > 0 {
                self.ahead -= 1;
            } else if place < HORIZON && self.seen.has(HORIZON - 1 - place) {
                self.tally.bursts.received();
            } else {
                self.tally.bursts.lost();
            }
        }
    }

    /// Loss in its order, as if the stream ended here.
    fn settled(&self) -> Bursts {
        let mut rest = self.clone();
        // the newest has arrived, and lies in the last place of the horizon
        rest.settle(if self.received == 0 { 0 } else { HORIZON });
        rest.tally.bursts
    }

    fn restart(&mut self, sequence: u16) {
        self.tally = Tally { bursts: self.settled(), restarts: self.tally.restarts + 1, ..self.tally };
        self.ahead = HORIZON - 2;
        self.lost_before += self.lost_since();
        self.base_sequence = sequence.wrapping_sub(1);
        self.max_sequence = sequence;
        self.cycles = u32::from(self.base_sequence > sequence) << 16;
        self.suspect = None;
        self.seen = Window([0b11, 0]);
        self.received = 2;
        self.expected_prior = 0;
        self.received_prior = 0;
    }

    /// Takes the time stamp and arrival of a packet into the jitter (RFC 3550 A.8).
    pub fn receive_timing(&mut self, timestamp: u32, arrival_ns: u64, clock_rate: u32) {
        let transit = (samples_in(arrival_ns, clock_rate) as u32).wrapping_sub(timestamp);
        if let Some(before) = self.transit {
            let difference = (transit.wrapping_sub(before) as i32).unsigned_abs();
            // a jump of the source's clock is no jitter; one second bounds what the estimate may swallow
            let difference = difference.min(clock_rate);
            self.jitter_scaled = self.jitter_scaled + difference - ((self.jitter_scaled + 8) >> 4);
        }
        self.transit = Some(transit);
        self.drift.observe(transit, arrival_ns, clock_rate);
        let packet = (self.max_sequence, timestamp);
        if let Some((sequence, before)) = self.stamped.replace(packet) {
            let units = timestamp.wrapping_sub(before);
            // silence makes longer steps, and a source that repeats its time stamp none
            let is_next = sequence_delta(sequence, packet.0) == 1 && (1..=clock_rate).contains(&units);
            if is_next && (self.tally.packet_units == 0 || units < self.tally.packet_units) {
                self.tally.packet_units = units;
            }
        }
    }

    /// How well the stream arrives. `is_g711`: whether its codec is one that an opinion score can be told for.
    pub fn quality(&self, clock_rate: u32, is_g711: bool) -> Quality {
        let jitter_ms = f64::from(self.jitter()) * 1000.0 / f64::from(clock_rate.max(1));
        let tally = Tally { bursts: self.settled(), ..self.tally };
        Quality::new(&tally, &self.drift, clock_rate, jitter_ms, is_g711)
    }

    /// Relative transit time of the newest packet and 16 times the jitter (RFC 3550 A.8); None before the first.
    pub fn timing(&self) -> Option<(u32, u32)> {
        Some((self.transit?, self.jitter_scaled))
    }

    /// Takes what [`Reception::timing`] has become where packets were timed elsewhere, with the arrival of the last.
    pub fn set_timing(&mut self, (transit, jitter_scaled): (u32, u32), arrival_ns: u64, clock_rate: u32) {
        self.drift.observe(transit, arrival_ns, clock_rate);
        self.transit = Some(transit);
        self.jitter_scaled = jitter_scaled;
    }

    /// What the source's clock shows at `now_ns`, by its newest packet; None before the first with a time stamp.
    pub fn timestamp_at(&self, now_ns: u64, clock_rate: u32) -> Option<u32> {
        Some((samples_in(now_ns, clock_rate) as u32).wrapping_sub(self.transit?))
    }

    /// The highest sequence number received, with its cycles in the upper half.
    pub fn extended_sequence(&self) -> u32 {
        self.cycles.wrapping_add(u32::from(self.max_sequence))
    }

    /// Packets lost since the source began; duplicates do not count against it (RFC 3550 A.3).
    pub fn lost(&self) -> u64 {
        u64::from(self.lost_before) + u64::from(self.lost_since())
    }

    /// Those of them since its last restart.
    fn lost_since(&self) -> u32 {
        self.expected().saturating_sub(self.received)
    }

    /// Interarrival jitter in units of the time stamp.
    pub fn jitter(&self) -> u32 {
        self.jitter_scaled >> 4
    }

    /// True if packets have come since the last report.
    pub fn has_news(&self) -> bool {
        self.received != self.received_prior
    }

    /// A report block about the source; begins a new interval for the fraction lost (RFC 3550 A.3).
    pub fn report(&mut self) -> ReportBlock {
        let expected = self.expected();
        let interval = expected - self.expected_prior.min(expected);
        let lost = interval.saturating_sub(self.received - self.received_prior.min(self.received));
        self.expected_prior = expected;
        self.received_prior = self.received;
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: (u64::from(lost) << 8).checked_div(interval.into()).unwrap_or(0).min(255) as u8,
            cumulative_lost: self.lost().min(0x7f_ffff) as i32,
            extended_sequence: self.extended_sequence(),
            jitter: self.jitter(),
            last_sr: 0,
            delay_since_sr: 0,
        }
    }

    fn expected(&self) -> u32 {
        if self.received == 0 {
            return 0;
        }
        self.extended_sequence().wrapping_sub(u32::from(self.base_sequence)).wrapping_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(sequences: &[u16]) -> (Reception, Vec<Arrived>) {
        let mut reception = Reception::new(1, sequences[0]);
        let arrived = sequences.iter().map(|sequence| reception.receive(*sequence)).collect();
        (reception, arrived)
    }

    #[test]
    fn a_packet_from_before_the_first_makes_up_for_no_loss() {
        for base in [0, 1, 30_000, u16::MAX] {
            let numbers = [base, base.wrapping_sub(1), base.wrapping_add(2)];
            let (reception, arrived) = received(&numbers);
            assert_eq!(arrived, [Arrived::InOrder, Arrived::Late, Arrived::InOrder]);
            assert_eq!(reception.lost(), 1, "{base}");
        }
    }

    #[test]
    fn numbers_wrap_into_a_new_cycle() {
        let (reception, arrived) = received(&[65_534, 65_535, 0, 1]);
        assert_eq!(arrived, [Arrived::InOrder; 4]);
        assert_eq!((reception.extended_sequence(), reception.lost()), (0x1_0001, 0));
    }

    #[test]
    fn a_stream_that_begins_at_zero_has_no_cycle() {
        let (reception, _) = received(&[0, 1]);
        assert_eq!((reception.extended_sequence(), reception.lost()), (1, 0));
    }

    #[test]
    fn a_gap_is_loss_until_the_late_packet_fills_it() {
        let (mut reception, _) = received(&[10, 11, 14]);
        assert_eq!(reception.lost(), 2);
        assert_eq!(reception.receive(12), Arrived::Late);
        assert_eq!(reception.lost(), 1);
        assert_eq!(reception.receive(12), Arrived::Duplicate);
        assert_eq!(reception.lost(), 1);
    }

    #[test]
    fn a_duplicate_across_the_wrap_is_known() {
        let (mut reception, _) = received(&[65_535, 0, 1]);
        assert_eq!(reception.receive(65_535), Arrived::Duplicate);
        assert_eq!(reception.receive(1), Arrived::Duplicate);
    }

    #[test]
    fn packets_known_by_their_count_are_none_of_those_that_came_here() {
        let (mut reception, _) = received(&[65_533, 65_534, 0]);
        reception.receive_among(65_534, 200, 198);
        assert_eq!((reception.extended_sequence(), reception.lost()), (0x1_0000 + 197, 0));
        assert_eq!(reception.quality(8000, true).duplicates, 0);
        assert!(reception.has_seen(197) && reception.has_seen(70) && !reception.has_seen(198));
    }

    #[test]
    fn packets_from_before_the_first_are_late_and_do_not_count() {
        let (reception, arrived) = received(&[10, 9, 11]);
        assert_eq!(arrived[1], Arrived::Late);
        assert_eq!(reception.lost(), 0);
        assert_eq!(reception.received, 2);
    }

    #[test]
    fn one_wild_number_is_suspect_two_are_a_restart() {
        let (mut reception, _) = received(&[10, 11, 13]);
        assert_eq!(reception.receive(40_000), Arrived::Suspect);
        assert_eq!(reception.receive(14), Arrived::InOrder);
        assert_eq!(reception.receive(40_000), Arrived::Suspect);
        assert_eq!(reception.receive(40_001), Arrived::Restarted);
        assert_eq!(reception.receive(40_003), Arrived::InOrder);
        assert_eq!(reception.lost(), 2);
    }

    #[test]
    fn a_restart_across_the_wrap_expects_two() {
        let (mut reception, _) = received(&[30_000]);
        reception.receive(65_535);
        assert_eq!(reception.receive(0), Arrived::Restarted);
        assert_eq!(reception.lost(), 0);
        assert_eq!(reception.extended_sequence(), 0x1_0000);
    }

    #[test]
    fn the_fraction_lost_is_of_the_interval() {
        let (mut reception, _) = received(&[0, 1, 2, 3]);
        assert_eq!(reception.report().fraction_lost, 0);
        reception.receive(7);
        let report = reception.report();
        assert_eq!((report.fraction_lost, report.cumulative_lost), (192, 3));
        assert_eq!(reception.report().fraction_lost, 0);
    }

    #[test]
    fn an_even_stream_has_no_jitter_and_a_swinging_one_has() {
        let mut reception = Reception::new(1, 0);
        for n in 0..50u32 {
            reception.receive_timing(n.wrapping_mul(160).wrapping_sub(800), u64::from(n) * 20_000_000, 8000);
        }
        assert_eq!(reception.jitter(), 0);
        for n in 50..200u32 {
            let late = u64::from(n % 2) * 5_000_000;
            reception.receive_timing(n.wrapping_mul(160).wrapping_sub(800), u64::from(n) * 20_000_000 + late, 8000);
        }
        // RFC 3550 §6.4.1: the mean deviation converges to the swing of 5 ms, 40 samples
        assert!((36..=44).contains(&reception.jitter()), "{}", reception.jitter());
    }

    #[test]
    fn a_packet_that_comes_late_was_not_lost_and_one_that_never_comes_was() {
        let (mut reception, _) = received(&[65_530, 65_531, 65_533, 65_532, 65_533]);
        for sequence in (65_535..65_536 + 200u32).map(|sequence| sequence as u16).filter(|sequence| *sequence != 9) {
            reception.receive(sequence);
        }
        let quality = reception.quality(8000, true);
        assert_eq!((quality.duplicates, quality.reordered, quality.wraps), (1, 1, 1));
        assert_eq!((quality.gaps, quality.longest_gap, quality.bursts), (2, 1, 1));
        assert_eq!((quality.restarts, quality.ssrc_changes), (0, 0));
        assert!(quality.mos.is_some_and(|mos| (3.8..4.4).contains(&mos)), "{:?}", quality.mos);
        assert_eq!(reception.quality(8000, false).mos, None);
    }

    #[test]
    fn what_was_counted_goes_on_over_restarts_and_changes_of_the_source() {
        let (mut reception, _) = received(&[10, 12, 40_000, 40_001, 40_003]);
        assert_eq!(reception.quality(8000, true).gaps, 2);
        reception = reception.succeed(2, 500);
        assert_eq!(reception.receive(500), Arrived::InOrder);
        reception.receive(502);
        let quality = reception.quality(8000, true);
        assert_eq!((quality.restarts, quality.ssrc_changes, quality.gaps), (1, 1, 3));
        assert_eq!(reception.lost(), 1);
    }

    #[test]
    fn counts_hold_over_many_cycles_with_loss_reordering_and_duplicates() {
        let mut random = crate::rtcp::tests::Random::new(3);
        let mut reception = Reception::new(1, 0);
        let (mut sent, mut lost) = (0u64, 0u64);
        let mut held: Option<u16> = None;
        reception.receive(0);
        for n in 1..300_000u32 {
            sent += 1;
            match random.below(50) {
                0 => lost += 1,
                1 if held.is_none() => held = Some(n as u16),
                2 => {
                    reception.receive(n as u16);
                    assert_eq!(reception.receive(n as u16), Arrived::Duplicate);
                }
                _ => {
                    reception.receive(n as u16);
                }
            }
            if let Some(late) = held.filter(|late| sequence_delta(*late, n as u16) > 3) {
                assert_eq!(reception.receive(late), Arrived::Late);
                held = None;
            }
        }
        reception.receive(300_000u32 as u16);
        lost += u64::from(held.is_some());
        assert_eq!(reception.lost(), lost);
        assert_eq!(u64::from(reception.extended_sequence()), sent + 1);
    }
}
