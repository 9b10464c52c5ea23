//! How many descriptors an engine may have, and how many its ports and files take.
//!
//! Who opens something takes a seat before, so that the limit is a refusal with numbers rather than a call that lacks its
//! second leg.

use std::fs;
use std::io;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use media_core::{Refusal, RefusalCode};

use crate::sys::process;

/// Kept free for what is open for a moment only: a file that is read to be played, /proc, a connection that is refused.
const SPARE: usize = 16;

/// The seats of an engine; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Descriptors {
    most: usize,
    taken: Arc<AtomicUsize>,
}

/// The right to one descriptor; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Seat {
    taken: Arc<AtomicUsize>,
}

impl Descriptors {
    /// All that the process may open beyond what it has open now, but for `kept` others and a few to spare.
    pub(crate) fn new(kept: usize) -> io::Result<Self> {
        let limit = usize::try_from(process::raise_descriptor_limit()?).unwrap_or(usize::MAX);
        let open = fs::read_dir("/proc/self/fd")?.count();
        Ok(Self::with_most(limit.saturating_sub(open + kept + SPARE)))
    }

    pub(crate) fn with_most(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// A seat, if one is free.
    pub(crate) fn take(&self) -> Option<Seat> {
        let more = |taken| (taken < self.most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Seat { taken: self.taken.clone() })
    }

    /// (taken, all) seats.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.taken.load(Ordering::Relaxed), self.most)
    }

    /// What to say when too few are free.
    pub(crate) fn refusal(&self, wanted: usize) -> Refusal {
        let (taken, most) = self.counts();
        let text = format!("{wanted} descriptors are wanted, and {taken} of {most} are in use (RLIMIT_NOFILE)");
        Refusal::new(RefusalCode::Limit, text)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Something that has a descriptor, on its seat.
#[derive(Debug)]
pub(crate) struct Seated<T> {
    inner: T,
    _seat: Seat,
}

impl<T> Seated<T> {
    pub(crate) fn new(inner: T, seat: Seat) -> Self {
        Self { inner, _seat: seat }
    }
}

impl<T> Deref for Seated<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_run_out_and_come_back() {
        let descriptors = Descriptors::with_most(2);
        let one = Seated::new("one", descriptors.take().unwrap());
        let other = descriptors.take().unwrap();
        assert!(descriptors.take().is_none());
        let refusal = descriptors.refusal(4);
        assert_eq!(refusal.code, RefusalCode::Limit);
        assert!(refusal.message.contains("4 descriptors") && refusal.message.contains("2 of 2"), "{}", refusal.message);
        assert_eq!(one.len(), 3);
        drop(one);
        assert_eq!(descriptors.clone().counts(), (1, 2));
        drop(other);
        assert_eq!(descriptors.counts(), (0, 2));
    }

    #[test]
    fn all_that_the_process_may_open_can_be_had() {
        let (taken, most) = Descriptors::new(0).unwrap().counts();
        assert_eq!(taken, 0);
        let (fewer, more) = (Descriptors::new(1000).unwrap().counts().1, most);
        // the other tests of this process open and close meanwhile
        assert!(fewer.abs_diff(more.saturating_sub(1000)) < 500, "{fewer} {more}");
    }
}
