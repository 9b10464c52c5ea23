//! Time as the rest of the crate is told it.

/// Nanoseconds in a millisecond.
pub const NS_PER_MS: u64 = 1_000_000;
/// Nanoseconds in a second.
pub const NS_PER_S: u64 = 1_000_000_000;

/// Seconds from the NTP epoch, 1900-01-01, to the Unix epoch (RFC 3550 §4).
const NTP_UNIX_OFFSET_S: u64 = 2_208_988_800;

/// One moment on both clocks: intervals are measured on `mono_ns`, stamps for the outside are taken from `wall_ns`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instant {
    /// Nanoseconds of a clock that never steps.
    pub mono_ns: u64,
    /// Nanoseconds since 1970-01-01 UTC.
    pub wall_ns: u64,
}

impl Instant {
    /// The moment as a 64-bit NTP time stamp (RFC 3550 §4).
    pub fn ntp(self) -> u64 {
        let seconds = (self.wall_ns / NS_PER_S).wrapping_add(NTP_UNIX_OFFSET_S) & 0xffff_ffff;
        let fraction = ((self.wall_ns % NS_PER_S) << 32) / NS_PER_S;
        (seconds << 32) | fraction
    }

    /// This moment moved by `ns` on both clocks.
    pub fn after(self, ns: u64) -> Self {
        Self { mono_ns: self.mono_ns + ns, wall_ns: self.wall_ns + ns }
    }
}

/// How many sampling instants of a clock of `rate` Hz lie in `ns` nanoseconds, rounded down.
pub fn samples_in(ns: u64, rate: u32) -> u64 {
    let rate = u64::from(rate);
    (ns / NS_PER_S) * rate + (ns % NS_PER_S) * rate / NS_PER_S
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_of_the_unix_epoch_and_a_half_second() {
        assert_eq!(Instant { mono_ns: 0, wall_ns: 0 }.ntp(), 2_208_988_800 << 32);
        let half = Instant { mono_ns: 0, wall_ns: NS_PER_S / 2 };
        assert_eq!(half.ntp(), (2_208_988_800 << 32) | 0x8000_0000);
    }

    #[test]
    fn ntp_wraps_in_2036() {
        let era_one = Instant { mono_ns: 0, wall_ns: ((1 << 32) - NTP_UNIX_OFFSET_S) * NS_PER_S };
        assert_eq!(era_one.ntp(), 0);
    }

    #[test]
    fn samples_do_not_overflow_after_years() {
        assert_eq!(samples_in(20 * NS_PER_MS, 8000), 160);
        assert_eq!(samples_in(10 * 365 * 86_400 * NS_PER_S, 48_000), 10 * 365 * 86_400 * 48_000);
    }
}
