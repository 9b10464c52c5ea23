//! Deadlines of batches, to a slot of 20 ms: coarse, so that many of them are few wake-ups.

use crate::arena::Key;
use crate::batch::MAX_BATCH_NS;
use crate::time::NS_PER_MS;

const SLOT_NS: u64 = 20 * NS_PER_MS;
/// More slots than the longest batch takes, and the one that runs.
const SLOTS: usize = (MAX_BATCH_NS / SLOT_NS) as usize + 2;

/// A batch of a fork, by the time of its first packet: it may have left since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deadline {
    pub(super) session: Key,
    pub(super) fork: Key,
    pub(super) begun_ns: u64,
}

#[derive(Debug, Default)]
pub(super) struct Wheel {
    slots: [Vec<Deadline>; SLOTS],
    waiting: usize,
    /// Number of the slot, counted from the clock's zero, before which all are empty.
    next: u64,
}

impl Wheel {
    /// Adds a deadline at `due_ns`, at most [`MAX_BATCH_NS`] from now.
    pub(super) fn add(&mut self, due_ns: u64, now_ns: u64, deadline: Deadline) {
        if self.waiting == 0 {
            self.next = now_ns / SLOT_NS;
        }
        // a slot is handled at its end
        let slot = (due_ns / SLOT_NS).clamp(self.next, self.next + SLOTS as u64 - 1);
        self.slots[slot as usize % SLOTS].push(deadline);
        self.waiting += 1;
    }

    /// When [`Wheel::take`] has to be called next.
    pub(super) fn poll(&self) -> Option<u64> {
        if self.waiting == 0 {
            return None;
        }
        let slot = (self.next..).take(SLOTS).find(|slot| !self.slots[*slot as usize % SLOTS].is_empty())?;
        Some((slot + 1) * SLOT_NS)
    }

    /// The next deadline that has passed.
    pub(super) fn take(&mut self, now_ns: u64) -> Option<Deadline> {
        while self.waiting > 0 && (self.next + 1) * SLOT_NS <= now_ns {
            if let Some(deadline) = self.slots[self.next as usize % SLOTS].pop() {
                self.waiting -= 1;
                return Some(deadline);
            }
            self.next += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = NS_PER_MS;

    fn deadline(begun_ns: u64) -> Deadline {
        Deadline { session: Key::from_bits(1), fork: Key::from_bits(2), begun_ns }
    }

    #[test]
    fn a_deadline_comes_after_its_time_and_at_most_a_slot_later() {
        let mut wheel = Wheel::default();
        assert_eq!((wheel.poll(), wheel.take(u64::MAX / 2)), (None, None));
        for now_ns in (1000 * MS..1500 * MS).step_by(7_000_000) {
            let due_ns = now_ns + 80 * MS;
            wheel.add(due_ns, now_ns, deadline(now_ns));
            let told = wheel.poll().unwrap();
            assert!((due_ns..=due_ns + SLOT_NS).contains(&told), "{due_ns} {told}");
            assert_eq!(wheel.take(told - 1), None);
            assert_eq!(wheel.take(told), Some(deadline(now_ns)));
            assert_eq!(wheel.poll(), None);
        }
    }

    #[test]
    fn many_come_in_order_of_their_slots() {
        let mut wheel = Wheel::default();
        let now_ns = 990 * MS;
        for ms in [160, 20, 80, 21] {
            wheel.add(now_ns + ms * MS, now_ns, deadline(ms));
        }
        let mut taken = Vec::new();
        while let Some(due_ns) = wheel.poll() {
            taken.extend(std::iter::from_fn(|| wheel.take(due_ns)).map(|one| one.begun_ns));
        }
        assert_eq!(taken, [21, 20, 80, 160]);
    }

    #[test]
    fn after_a_long_stop_all_that_is_due_comes_at_once() {
        let mut wheel = Wheel::default();
        wheel.add(100 * MS, 20 * MS, deadline(1));
        wheel.add(180 * MS, 20 * MS, deadline(2));
        assert_eq!(std::iter::from_fn(|| wheel.take(10_000 * MS)).count(), 2);
        wheel.add(20_000 * MS, 19_900 * MS, deadline(3));
        assert_eq!(wheel.poll(), Some(20_020 * MS));
    }
}
