//! When a worker naps before it waits, so that packets of a moment are taken in one round.

use std::time::Duration;

use media_core::{NS_PER_MS, NS_PER_S};

/// The longest nap: half of it is what it adds to a packet's way on average, all of it and the round after it at most.
const LONGEST_NS: u64 = NS_PER_MS / 2;
/// In a shorter nap so many packets come: that spares most of the wake-ups.
const PACKETS: u64 = 10;
/// How often it is decided anew.
const WINDOW_NS: u64 = 20 * NS_PER_MS;
/// With fewer packets a second a nap is as much work as it spares: about 30 calls.
const WORTH_PER_S: u64 = 3000;
/// Naps begin where rounds take less than this share of the time, in per cent, and end above the other: near saturation
/// rounds are long by themselves, and what a nap adds grows.
const CALM_PERCENT: u64 = 60;
const BUSY_PERCENT: u64 = 80;

/// Decides about naps.
#[derive(Debug)]
pub(super) struct Pacer {
    enabled: bool,
    nap: Option<Duration>,
    window_ns: u64,
    busy_ns: u64,
    packets: u64,
}

impl Pacer {
    pub(super) fn new(enabled: bool) -> Self {
        Self { enabled, nap: None, window_ns: 0, busy_ns: 0, packets: 0 }
    }

    /// A packet was received in this round.
    pub(super) fn count_packet(&mut self) {
        self.packets += 1;
    }

    /// How long to nap after a round from `began_ns` to `now_ns`, but not over `due_ns`.
    pub(super) fn finish_round(&mut self, began_ns: u64, due_ns: Option<u64>, now_ns: u64) -> Option<Duration> {
        if !self.enabled {
            return None;
        }
        self.busy_ns += now_ns.saturating_sub(began_ns);
        let elapsed_ns = now_ns.saturating_sub(self.window_ns);
        if elapsed_ns >= WINDOW_NS {
            let limit = if self.nap.is_some() { BUSY_PERCENT } else { CALM_PERCENT };
            let is_calm = self.busy_ns * 100 < limit * elapsed_ns;
            let is_worth = self.packets * NS_PER_S >= WORTH_PER_S * elapsed_ns;
            self.nap = (is_calm && is_worth)
                .then(|| Duration::from_nanos(LONGEST_NS.min(PACKETS * elapsed_ns / self.packets.max(1))));
            (self.window_ns, self.busy_ns, self.packets) = (now_ns, 0, 0);
        }
        let left = Duration::from_nanos(due_ns.map_or(u64::MAX, |due_ns| due_ns.saturating_sub(now_ns)));
        self.nap.filter(|nap| left > *nap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goes through a second of rounds of `busy_us` that each take `packets`, one begun every `every_us`; true if it ends
    /// napping.
    fn naps_after(pacer: &mut Pacer, every_us: u64, busy_us: u64, packets: u64) -> bool {
        let (mut nap, start_ns) = (None, 1_000_000_000);
        (pacer.window_ns, pacer.busy_ns, pacer.packets) = (start_ns, 0, 0);
        for began_ns in (start_ns..start_ns + 1_000_000_000).step_by(every_us as usize * 1000) {
            (0..packets).for_each(|_| pacer.count_packet());
            nap = pacer.finish_round(began_ns, None, began_ns + busy_us * 1000);
        }
        nap.is_some()
    }

    #[test]
    fn it_naps_at_a_middling_load_only() {
        let mut pacer = Pacer::new(true);
        assert!(!naps_after(&mut pacer, 10_000, 10, 1), "a call or two");
        assert!(naps_after(&mut pacer, 100, 10, 1), "a hundred calls");
        assert!(!naps_after(&mut pacer, 100, 90, 8), "near saturation");
        assert!(!naps_after(&mut pacer, 100, 70, 8), "not calm enough to begin");
        assert!(naps_after(&mut pacer, 100, 10, 1));
        assert!(naps_after(&mut pacer, 1000, 700, 8), "calm enough to go on");
        assert!(!naps_after(&mut Pacer::new(false), 100, 10, 1));
    }

    #[test]
    fn a_nap_is_as_long_as_ten_packets_take_to_come() {
        let mut pacer = Pacer::new(true);
        for (packets, nap_us) in [(1, 500), (2, 500), (4, 250), (8, 125)] {
            assert!(naps_after(&mut pacer, 100, 10, packets));
            let found_us = pacer.nap.unwrap().as_micros() as u64;
            assert!((nap_us * 9 / 10..=nap_us).contains(&found_us), "{packets} {found_us}");
        }
    }

    #[test]
    fn it_never_sleeps_over_what_is_due() {
        let mut pacer = Pacer::new(true);
        naps_after(&mut pacer, 100, 10, 1);
        let now_ns = pacer.window_ns;
        let mut nap = |due_ns| pacer.finish_round(now_ns, Some(due_ns), now_ns);
        assert_eq!(nap(now_ns + 400_000), None);
        assert_eq!(nap(now_ns + 1_000_000), Some(Duration::from_nanos(LONGEST_NS)));
        assert_eq!(nap(now_ns - 1), None);
    }
}
