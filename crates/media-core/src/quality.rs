//! How well a stream arrives: gaps, bursts, drift of its clock, and what a listener would think of it.

use crate::time::NS_PER_S;

/// RFC 3611 §4.7.2: so many packets received one after the other end a burst; the recommended value.
const GAP_MIN: u32 = 16;
/// How long the least transit time is looked for: long enough for one packet to come through without waiting anywhere.
const DRIFT_WINDOW_NS: u64 = 5 * NS_PER_S;
/// Over less the drift of a clock cannot be told from jitter.
const DRIFT_SPAN_NS: u64 = 20 * NS_PER_S;
/// What a packet is taken to hold until two in a row have shown it.
const USUAL_PACKET_MS: f64 = 20.0;

/// What becomes of the packets of a stream, told of one after the other in the order of their numbers. Thirty-two
/// bits of packets last for years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bursts {
    /// Packets received since the last that was lost.
    run: u32,
    /// Runs of lost packets.
    gaps: u32,
    longest_gap: u32,
    gap: u32,
    /// Lost packets with fewer than [`GAP_MIN`] between them, the last one included: a burst if there are two.
    open_lost: u32,
    open_packets: u32,
    bursts: u32,
    burst_lost: u32,
    burst_packets: u32,
    sparse_lost: u32,
    sparse_packets: u32,
}

impl Bursts {
    /// The next packet has arrived.
    #[inline]
    pub fn received(&mut self) {
        self.run = self.run.saturating_add(1);
    }

    /// The next packet is lost.
    pub fn lost(&mut self) {
        if self.run > 0 || self.open_lost == 0 {
            self.gaps += 1;
            self.gap = 0;
        }
        self.gap += 1;
        self.longest_gap = self.longest_gap.max(self.gap);
        if self.open_lost == 0 || self.run >= GAP_MIN {
            self.close();
            self.sparse_packets = self.sparse_packets.saturating_add(self.run);
            (self.open_lost, self.open_packets) = (1, 1);
        } else {
            self.open_lost += 1;
            self.open_packets += self.run + 1;
        }
        self.run = 0;
    }

    /// RFC 3611 §4.7.2: a burst begins and ends with a loss, and one loss alone is none.
    fn close(&mut self) {
        if self.open_lost > 1 {
            self.bursts += 1;
            self.burst_lost += self.open_lost;
            self.burst_packets += self.open_packets;
        } else {
            self.sparse_lost += self.open_lost;
            self.sparse_packets += self.open_packets;
        }
        (self.open_lost, self.open_packets) = (0, 0);
    }

    /// As if the stream ended here.
    fn closed(mut self) -> Self {
        self.close();
        self.sparse_packets = self.sparse_packets.saturating_add(self.run);
        self.run = 0;
        self
    }
}

/// How the source's clock runs against ours: the least transit time of now against that of the beginning.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drift {
    base: u32,
    clock_rate: u32,
    window_ends_ns: u64,
    /// When the first and the last whole window ended; 0: there was none.
    first_ns: u64,
    last_ns: u64,
    /// The least transit time of this window, of the first and of the last whole one.
    least: i32,
    first: i32,
    last: i32,
}

impl Drift {
    /// Takes the transit time of a packet (RFC 3550 A.8), in units of its time stamp.
    #[inline]
    pub fn observe(&mut self, transit: u32, arrival_ns: u64, clock_rate: u32) {
        let late = transit.wrapping_sub(self.base) as i32;
        let jump = late.wrapping_sub(self.least).unsigned_abs() > clock_rate;
        if arrival_ns < self.window_ends_ns && !jump && clock_rate == self.clock_rate {
            self.least = self.least.min(late);
            return;
        }
        self.turn(transit, arrival_ns, clock_rate, jump || clock_rate != self.clock_rate);
    }

    /// A window is over, or the source's clock has jumped and all begins anew.
    #[cold]
    fn turn(&mut self, transit: u32, arrival_ns: u64, clock_rate: u32, anew: bool) {
        if anew || self.window_ends_ns == 0 {
            *self = Self { base: transit, clock_rate, ..Self::default() };
        } else {
            (self.last_ns, self.last) = (self.window_ends_ns, self.least);
            if self.first_ns == 0 {
                (self.first_ns, self.first) = (self.last_ns, self.last);
            }
            self.least = transit.wrapping_sub(self.base) as i32;
        }
        self.window_ends_ns = arrival_ns + DRIFT_WINDOW_NS;
    }

    /// By how many millionths the source's clock is faster than ours; None while that cannot be told.
    pub fn skew_ppm(&self) -> Option<f64> {
        let span_ns = self.last_ns.saturating_sub(self.first_ns);
        // packets of a fast clock are stamped ahead of time: they seem to be under way for less and less
        let ahead = f64::from(self.first) - f64::from(self.last);
        let span = span_ns as f64 / NS_PER_S as f64 * f64::from(self.clock_rate);
        (span_ns >= DRIFT_SPAN_NS).then(|| ahead / span * 1e6)
    }
}

/// What the numbers of a stream's packets show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets seen before.
    pub duplicates: u32,
    /// Packets that came after a later one.
    pub reordered: u32,
    /// How often the sequence numbers began at zero again.
    pub wraps: u32,
    /// How often they jumped, and went on from there.
    pub restarts: u32,
    /// How often the SSRC changed.
    pub ssrc_changes: u32,
    /// Loss in its order.
    pub bursts: Bursts,
    /// Time stamp units from one packet to the next; 0 while that is not known.
    pub packet_units: u32,
}

/// How well a stream arrived, as the media protocol tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quality {
    /// Packets seen before.
    pub duplicates: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Runs of lost packets.
    pub gaps: u64,
    /// Packets in the longest of them.
    pub longest_gap: u64,
    /// Times in which many packets were lost (RFC 3611 §4.7.2, Gmin 16).
    pub bursts: u64,
    /// Share of packets lost in them.
    pub burst_density: f64,
    /// Their mean length.
    pub burst_ms: f64,
    /// Share of packets lost outside of them.
    pub gap_density: f64,
    /// The mean length of the times between them.
    pub gap_ms: f64,
    /// How often the SSRC changed.
    pub ssrc_changes: u64,
    /// How often the sequence numbers jumped.
    pub restarts: u64,
    /// How often the sequence numbers began at zero again.
    pub wraps: u64,
    /// By how many millionths the source's clock is faster than ours.
    pub skew_ppm: Option<f64>,
    /// What a listener would think of it, 1 to 4.5, for G.711.
    pub mos: Option<f64>,
}

impl Quality {
    /// From what was counted; `jitter_ms` is the stream's (RFC 3550), `is_g711` whether its codec is one that `mos` is for.
    pub fn new(tally: &Tally, drift: &Drift, clock_rate: u32, jitter_ms: f64, is_g711: bool) -> Self {
        let bursts = tally.bursts.closed();
        let share = |part: u32, of: u32| if of == 0 { 0.0 } else { f64::from(part) / f64::from(of) };
        let packet_ms = match tally.packet_units {
            0 => USUAL_PACKET_MS,
            units => f64::from(units) * 1000.0 / f64::from(clock_rate.max(1)),
        };
        let (lost, packets) = (bursts.burst_lost + bursts.sparse_lost, bursts.burst_packets + bursts.sparse_packets);
        let loss = share(lost, packets);
        // G.107 §7.2: the mean run of lost packets against what it would be if they were lost independently
        let burst_ratio = (share(lost, bursts.gaps) * (1.0 - loss)).max(1.0);
        Self {
            duplicates: tally.duplicates.into(),
            reordered: tally.reordered.into(),
            gaps: bursts.gaps.into(),
            longest_gap: bursts.longest_gap.into(),
            bursts: bursts.bursts.into(),
            burst_density: share(bursts.burst_lost, bursts.burst_packets),
            burst_ms: share(bursts.burst_packets, bursts.bursts) * packet_ms,
            gap_density: share(bursts.sparse_lost, bursts.sparse_packets),
            gap_ms: share(bursts.sparse_packets, bursts.bursts + 1) * packet_ms,
            ssrc_changes: tally.ssrc_changes.into(),
            restarts: tally.restarts.into(),
            wraps: tally.wraps.into(),
            skew_ppm: drift.skew_ppm(),
            // a jitter buffer of twice the mean deviation, and the packet itself, come before the ear
            mos: (is_g711 && packets > 0).then(|| mos(loss, burst_ratio, packet_ms + 2.0 * jitter_ms)),
        }
    }
}

/// The mean opinion score of G.711 with packet loss concealment: G.107 with its default values, of which loss and delay
/// are measured here. `loss`: share of packets; `burst_ratio`: 1 for independent loss; `delay_ms`: of the receiver alone,
/// for the network's own delay is not known here.
pub fn mos(loss: f64, burst_ratio: f64, delay_ms: f64) -> f64 {
    /// G.107 §7.7: the rating of a call in which nothing is impaired.
    const BEST: f64 = 93.2;
    /// G.113, appendix I: robustness of G.711 with concealment (appendix I of G.711), in per cent of loss.
    const ROBUSTNESS: f64 = 25.1;
    let percent = loss * 100.0;
    // G.107 §7.2; the impairment of G.711 itself is 0
    let loss_impairment = 95.0 * percent / (percent / burst_ratio + ROBUSTNESS);
    // G.107 §7.4, in the usual simple form
    let delay_impairment = 0.024 * delay_ms + if delay_ms > 177.3 { 0.11 * (delay_ms - 177.3) } else { 0.0 };
    let rating = (BEST - loss_impairment - delay_impairment).clamp(0.0, 100.0);
    // G.107 annex B
    (1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6).clamp(1.0, 4.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::NS_PER_MS;

    fn tally(text: &str) -> Quality {
        let mut bursts = Bursts::default();
        for packet in text.chars() {
            match packet {
                '.' => bursts.received(),
                _ => bursts.lost(),
            }
        }
        Quality::new(&Tally { bursts, ..Tally::default() }, &Drift::default(), 8000, 0.0, true)
    }

    #[test]
    fn losses_near_each_other_are_a_burst_and_one_alone_is_none() {
        let calm = ".".repeat(20);
        let quality = tally(&format!("{calm}x{calm}xx..x.x{calm}{calm}"));
        assert_eq!((quality.gaps, quality.longest_gap, quality.bursts), (4, 2, 1));
        assert_eq!((quality.burst_density, quality.burst_ms), (4.0 / 7.0, 140.0));
        assert_eq!((quality.gap_density, quality.gap_ms), (1.0 / 81.0, 81.0 * 20.0 / 2.0));
    }

    #[test]
    fn sixteen_packets_between_two_losses_keep_them_apart() {
        assert_eq!(tally(&format!("x{}x", ".".repeat(16))).bursts, 0);
        assert_eq!(tally(&format!("x{}x", ".".repeat(15))).bursts, 1);
        // the example of RFC 3611 §4.7.2, whose packets are 10 ms apart: a burst of 12 with 4 lost
        let quality = tally(&format!("{0}x..x..x....x{0}", ".".repeat(16)));
        assert_eq!((quality.burst_ms, (quality.burst_density * 100.0).round()), (240.0, 33.0));
    }

    #[test]
    fn nothing_received_says_nothing() {
        let nothing = Quality::new(&Tally::default(), &Drift::default(), 8000, 0.0, true);
        assert_eq!(nothing, Quality::default());
    }

    #[test]
    fn a_fast_clock_is_told_from_a_slow_one_and_both_from_jitter() {
        for ppm in [-120i64, 0, 80] {
            let mut drift = Drift::default();
            for n in 0..3000u64 {
                // a packet every 20 ms of the source's clock, up to 8 ms late on the way
                let sent_ns = (n * 20 * NS_PER_MS) as i64 * (1_000_000 - ppm) / 1_000_000;
                let arrival_ns = sent_ns as u64 + n * 7919 % 9 * NS_PER_MS;
                let stamp = (n * 160) as u32;
                let transit = (crate::time::samples_in(arrival_ns, 8000) as u32).wrapping_sub(stamp);
                assert!(n > 1000 || drift.skew_ppm().is_none(), "too early");
                drift.observe(transit, arrival_ns, 8000);
            }
            let measured = drift.skew_ppm().unwrap();
            assert!((measured - ppm as f64).abs() < 6.0, "{ppm} {measured}");
        }
    }

    #[test]
    fn a_clock_that_jumps_is_measured_anew() {
        let mut drift = Drift::default();
        for n in 0..2500u64 {
            drift.observe(if n < 1300 { 5 } else { 90_000 }, n * 20 * NS_PER_MS, 8000);
        }
        assert_eq!(drift.skew_ppm(), None);
        drift.observe(1, 51 * NS_PER_S, 16_000);
        assert_eq!(drift.skew_ppm(), None);
    }

    #[test]
    fn the_score_is_that_of_the_e_model() {
        // G.107 annex B: R of 93.2 is 4.41
        assert!((mos(0.0, 1.0, 0.0) - 4.41).abs() < 0.01);
        // by hand: 2 % of loss takes 95 * 2 / 27.1 = 7.01 from the rating, which leaves 86.19
        assert!((mos(0.02, 1.0, 0.0) - 4.235).abs() < 0.001);
        assert!(mos(0.02, 3.0, 0.0) < mos(0.02, 1.0, 0.0));
        assert!(mos(0.0, 1.0, 400.0) < mos(0.0, 1.0, 150.0));
        assert_eq!(mos(1.0, 50.0, 2000.0), 1.0);
    }
}
