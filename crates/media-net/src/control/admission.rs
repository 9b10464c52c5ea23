//! Whether one more session can be borne: what passes through the engine, and how busy its workers are.
//!
//! Only new sessions are refused by it. Those that are open go on as they are, whatever the load.

use std::time::Duration;

use media_core::{Refusal, RefusalCode, NS_PER_S};

/// So often the load is looked at; it is the mean of such a time.
pub(crate) const WINDOW: Duration = Duration::from_millis(500);
/// A worker that is at work for so much of the time is near the point where packets begin to wait: above it nothing is
/// left for the bursts of the sessions that it has (per cent). Time counts, not the processor's: what others take of its
/// core is not left either.
const OVERLOAD_PERCENT: u64 = 90;

/// What was counted up to a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) at_ns: u64,
    /// Octets of RTP, received and sent.
    pub(crate) octets: u64,
    /// How long each worker was at work.
    pub(crate) busy_ns: Vec<u64>,
}

/// The load of late.
#[derive(Debug)]
pub(crate) struct Admission {
    max_bits_per_s: Option<u64>,
    last: Sample,
    bits_per_s: u64,
    busy_percent: Vec<u64>,
}

impl Admission {
    /// With a limit on what passes through, or without.
    pub(crate) fn new(max_bits_per_s: Option<u64>, first: Sample) -> Self {
        let busy_percent = vec![0; first.busy_ns.len()];
        Self { max_bits_per_s, last: first, bits_per_s: 0, busy_percent }
    }

    /// How long until it wants to be told again.
    pub(crate) fn until_due(&self, now_ns: u64) -> Duration {
        WINDOW.saturating_sub(Duration::from_nanos(now_ns.saturating_sub(self.last.at_ns)))
    }

    /// Takes what was counted since.
    pub(crate) fn observe(&mut self, sample: Sample) {
        let elapsed_ns = sample.at_ns.saturating_sub(self.last.at_ns).max(1);
        let share = |now: u64, before: u64, of: u64| {
            (u128::from(now.saturating_sub(before)) * u128::from(of) / u128::from(elapsed_ns)) as u64
        };
        self.bits_per_s = share(sample.octets, self.last.octets, 8 * NS_PER_S);
        let busy = sample.busy_ns.iter().zip(&self.last.busy_ns);
        self.busy_percent = busy.map(|(now, before)| share(*now, *before, 100)).collect();
        self.last = sample;
    }

    /// Refuses a session for a worker if it is one too many.
    pub(crate) fn admit(&self, worker: usize) -> Result<(), Refusal> {
        if let Some(limit) = self.max_bits_per_s.filter(|limit| self.bits_per_s >= *limit) {
            let text = format!("{} of {limit} bits a second pass already", self.bits_per_s);
            return Err(Refusal::new(RefusalCode::Limit, text));
        }
        let busy = self.busy_percent.get(worker).copied().unwrap_or(0);
        if busy >= OVERLOAD_PERCENT {
            let text = format!("the worker with the fewest sessions is at work {busy} % of the time");
            return Err(Refusal::new(RefusalCode::Overload, text));
        }
        Ok(())
    }

    /// Bits a second of RTP, received and sent.
    pub(crate) fn bits_per_s(&self) -> u64 {
        self.bits_per_s
    }

    /// For how much of the time the busiest worker is at work, in per cent.
    pub(crate) fn busiest_percent(&self) -> u64 {
        self.busy_percent.iter().copied().max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_ms: u64, octets: u64, busy_ms: [u64; 2]) -> Sample {
        Sample { at_ns: at_ms * 1_000_000, octets, busy_ns: busy_ms.map(|ms| ms * 1_000_000).to_vec() }
    }

    #[test]
    fn bandwidth_is_of_the_last_window_and_refuses_at_its_limit() {
        let mut admission = Admission::new(Some(80_000), sample(1000, 5000, [0, 0]));
        assert!(admission.admit(0).is_ok());
        admission.observe(sample(1500, 9999, [0, 0]));
        assert_eq!(admission.bits_per_s(), 79_984);
        assert!(admission.admit(0).is_ok());
        admission.observe(sample(2000, 15_000, [0, 0]));
        assert_eq!(admission.admit(0).unwrap_err().code, RefusalCode::Limit);
        admission.observe(sample(2500, 15_100, [0, 0]));
        assert!(admission.admit(0).is_ok());
        assert!(Admission::new(None, sample(0, 0, [0, 0])).admit(0).is_ok());
    }

    #[test]
    fn a_busy_worker_gets_no_more_sessions_and_the_other_does() {
        let mut admission = Admission::new(None, sample(0, 0, [0, 0]));
        admission.observe(sample(500, 0, [450, 449]));
        assert_eq!(admission.admit(0).unwrap_err().code, RefusalCode::Overload);
        assert!(admission.admit(1).is_ok());
        assert_eq!(admission.busiest_percent(), 90);
        admission.observe(sample(1000, 0, [460, 449]));
        assert!(admission.admit(0).is_ok());
    }

    #[test]
    fn it_wants_to_be_told_every_half_second() {
        let admission = Admission::new(None, sample(1000, 0, [0, 0]));
        assert_eq!(admission.until_due(1_100_000_000), Duration::from_millis(400));
        assert_eq!(admission.until_due(9_000_000_000), Duration::ZERO);
    }
}
