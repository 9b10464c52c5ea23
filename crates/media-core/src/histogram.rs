//! A log-linear histogram of durations: fixed memory, 1/16 relative error.

/// Linear steps within each power of two.
const STEPS_LOG2: u32 = 4;
const STEPS: usize = 1 << STEPS_LOG2;
/// Powers of two above the linear part: up to about 68 s in nanoseconds; longer counts as that.
const POWERS: usize = 32;
const BUCKETS: usize = STEPS * (POWERS + 1);

/// Counts of durations in nanoseconds.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Box<[u64; BUCKETS]>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]), total: 0 }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, ns: u64) {
        self.counts[bucket(ns)] += 1;
        self.total += 1;
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(other.counts.iter()) {
            *mine += theirs;
        }
        self.total += other.total;
    }

    /// How many durations were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The duration that the share `quantile` (0 to 1) of all does not exceed, in nanoseconds: the upper edge of its bucket; 0
    /// if nothing was counted.
    pub fn quantile(&self, quantile: f64) -> u64 {
        let wanted = ((self.total as f64 * quantile).ceil() as u64).clamp(1, self.total.max(1));
        let mut counted = 0;
        for (index, count) in self.counts.iter().enumerate() {
            counted += count;
            if counted >= wanted {
                return upper_edge(index);
            }
        }
        0
    }
}

fn bucket(ns: u64) -> usize {
    if ns < STEPS as u64 {
        return ns as usize;
    }
    let power = 63 - ns.leading_zeros() - STEPS_LOG2;
    let step = (ns >> power) as usize - STEPS;
    (STEPS * (power as usize + 1) + step).min(BUCKETS - 1)
}

fn upper_edge(bucket: usize) -> u64 {
    if bucket < STEPS {
        return bucket as u64;
    }
    let (power, step) = (bucket / STEPS - 1, bucket % STEPS);
    (((STEPS + step + 1) as u64) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_lies_within_a_sixteenth_below_its_bucket_edge() {
        for ns in (0..100_000).chain((17..36).map(|power| 1u64 << power)) {
            let edge = upper_edge(bucket(ns));
            assert!(edge >= ns && edge - ns <= ns / 16, "{ns} {edge}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_of_a_known_spread() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.99), 0);
        (1..=1000).for_each(|us| histogram.record(us * 1000));
        let mut other = Histogram::default();
        other.merge(&histogram);
        assert_eq!(other.total(), 1000);
        assert!((500_000..=532_000).contains(&other.quantile(0.5)), "{}", other.quantile(0.5));
        assert!((990_000..=1_052_000).contains(&other.quantile(0.99)), "{}", other.quantile(0.99));
        assert!(other.quantile(1.0) >= 1_000_000);
        assert!(other.quantile(0.0) <= 1_000 + 1_000 / 16);
    }
}
