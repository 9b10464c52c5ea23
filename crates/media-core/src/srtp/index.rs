//! Packet indices: telling them from sequence numbers, and remembering which have been seen.

use super::error::SrtpError;

/// How many indices back from the newest are told apart (RFC 3711 §3.3.2: at least 64). More than two seconds of audio
/// at 20 ms a packet, far beyond what a jitter buffer waits for.
pub const WINDOW: u64 = 128;

/// Indices are below this: 32 bits of rollover counter, 16 of sequence number (RFC 3711 §3.2.1).
pub(super) const INDEX_LIMIT: i64 = 1 << 48;

/// The index of a rollover counter and a sequence number.
pub(super) fn index_of(roc: u32, sequence: u16) -> u64 {
    u64::from(roc) << 16 | u64::from(sequence)
}

/// The index nearest to the highest so far that has this sequence number (RFC 3711 §3.3.1 and Appendix A).
///
/// What the RFC takes modulo 2^48 is left to the caller, since a stream neither begins before its counter is zero nor
/// goes on after the counter's end: the result may be negative, or [`INDEX_LIMIT`] and more.
pub(super) fn nearest(highest: u64, sequence: u16) -> i64 {
    let last = i64::from(highest as u16);
    let sequence = i64::from(sequence);
    let base = highest as i64 - last;
    if last < 0x8000 {
        if sequence - last > 0x8000 {
            return base - 0x1_0000 + sequence;
        }
    } else if last - 0x8000 > sequence {
        return base + 0x1_0000 + sequence;
    }
    base + sequence
}

/// The replay list: a sliding window over the indices that have been seen (RFC 3711 §3.3.2).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReplayWindow {
    highest: u64,
    /// Bit n: `highest - n` has been seen. Zero: nothing has.
    seen: u128,
}

impl ReplayWindow {
    /// The highest index seen.
    pub(super) fn highest(&self) -> Option<u64> {
        (self.seen != 0).then_some(self.highest)
    }

    /// Whether an index may still come.
    pub(super) fn check(&self, index: u64) -> Result<(), SrtpError> {
        if self.seen == 0 || index > self.highest {
            return Ok(());
        }
        match self.highest - index {
            behind if behind >= WINDOW => Err(SrtpError::Stale),
            behind if self.seen >> behind & 1 == 1 => Err(SrtpError::Replayed),
            _ => Ok(()),
        }
    }

    /// Notes an index that `check` let pass and that has been authenticated.
    pub(super) fn note(&mut self, index: u64) {
        if self.seen == 0 || index > self.highest {
            let ahead = if self.seen == 0 { WINDOW } else { index - self.highest };
            self.seen = if ahead >= WINDOW { 0 } else { self.seen << ahead };
            self.highest = index;
        }
        let behind = self.highest - index;
        if behind < WINDOW {
            self.seen |= 1 << behind;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::tests::Random;

    #[test]
    fn the_nearest_index_is_that_of_appendix_a() {
        let roc = 5u64 << 16;
        let cases = [
            (roc, 0, roc as i64),
            (roc + 100, 101, roc as i64 + 101),
            (roc + 100, 99, roc as i64 + 99),
            // back over the wrap
            (roc, 0xffff, roc as i64 - 1),
            (roc + 0x7fff, 0xffff, roc as i64 + 0xffff),
            (roc + 0x7ffe, 0xffff, roc as i64 - 1),
            // forward over the wrap
            (roc + 0xffff, 0, roc as i64 + 0x1_0000),
            (roc + 0x8000, 0, roc as i64),
            (roc + 0x8001, 0, roc as i64 + 0x1_0000),
            // beyond either end
            (0, 0xffff, -1),
            ((1 << 48) - 1, 0, INDEX_LIMIT),
        ];
        for (highest, sequence, index) in cases {
            assert_eq!(nearest(highest, sequence), index, "{highest:#x} {sequence:#x}");
        }
    }

    #[test]
    fn the_nearest_index_is_never_further_than_half_a_cycle() {
        let mut random = Random::new(7);
        for _ in 0..100_000 {
            let highest = random.next() >> 16;
            let sequence = random.next() as u16;
            let index = nearest(highest, sequence);
            assert_eq!(index as u16, sequence);
            assert!((index - highest as i64).abs() <= 0x8000, "{highest:#x} {sequence:#x}");
        }
    }

    #[test]
    fn the_window_agrees_with_a_list_of_everything_seen() {
        let mut random = Random::new(11);
        let mut window = ReplayWindow::default();
        let mut seen = std::collections::HashSet::new();
        let mut highest = 0;
        for step in 0..50_000u64 {
            let index = match random.next() % 20 {
                0 => highest + random.next() % 300,
                _ => (highest + 3).saturating_sub(random.next() % 150),
            };
            let expected = if step == 0 || index > highest {
                Ok(())
            } else if highest - index >= WINDOW {
                Err(SrtpError::Stale)
            } else if seen.contains(&index) {
                Err(SrtpError::Replayed)
            } else {
                Ok(())
            };
            assert_eq!(window.check(index), expected, "step {step}: {index} after {highest}");
            if expected.is_ok() {
                window.note(index);
                seen.insert(index);
                highest = if step == 0 { index } else { highest.max(index) };
                assert_eq!(window.highest(), Some(highest));
            }
        }
    }

    #[test]
    fn index_zero_is_seen_once() {
        let mut window = ReplayWindow::default();
        assert_eq!(window.highest(), None);
        window.note(0);
        assert_eq!(window.check(0), Err(SrtpError::Replayed));
        window.note(WINDOW - 1);
        assert_eq!(window.check(0), Err(SrtpError::Replayed));
        assert_eq!(window.check(1), Ok(()));
        window.note(WINDOW);
        assert_eq!(window.check(0), Err(SrtpError::Stale));
        window.note(u64::from(u32::MAX) << 16);
        assert_eq!(window.check(WINDOW), Err(SrtpError::Stale));
    }
}
