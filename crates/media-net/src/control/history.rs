//! The events that happened last, for a client that comes back after its connection broke.

use std::collections::VecDeque;

use media_core::Event;

/// So many are kept: as many as may wait for a client that does not read.
pub(crate) const MAX_KEPT: usize = super::MAX_WAITING_EVENTS;

/// Events are numbered from 1 on, over the whole life of the engine.
#[derive(Debug, Default)]
pub(crate) struct History {
    kept: VecDeque<Event>,
    last: u64,
}

impl History {
    pub(crate) fn add(&mut self, events: &[Event]) {
        self.last += events.len() as u64;
        self.kept.extend(events.iter().cloned());
        self.kept.drain(..self.kept.len().saturating_sub(MAX_KEPT));
    }

    /// The number of the event that happened last; 0 before the first.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// What happened after the event of a number, and how much of it is not kept any more.
    pub(crate) fn after(&self, number: u64) -> (impl Iterator<Item = &Event>, u64) {
        let missed = self.last.saturating_sub(number);
        let there = usize::try_from(missed).unwrap_or(usize::MAX).min(self.kept.len());
        (self.kept.range(self.kept.len() - there..), missed - there as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u64) -> Event {
        Event::ForkStarted { session: "s".into(), fork: "f".into(), at_ns: number }
    }

    fn after(history: &History, number: u64) -> (Vec<Event>, u64) {
        let (events, dropped) = history.after(number);
        (events.cloned().collect(), dropped)
    }

    #[test]
    fn what_happened_after_a_number_is_found() {
        let mut history = History::default();
        assert_eq!(after(&history, 0), (vec![], 0));
        history.add(&[event(1), event(2)]);
        history.add(&[event(3)]);
        assert_eq!(history.last(), 3);
        assert_eq!(after(&history, 0), (vec![event(1), event(2), event(3)], 0));
        assert_eq!(after(&history, 2), (vec![event(3)], 0));
        assert_eq!(after(&history, 3), (vec![], 0));
        assert_eq!(after(&history, 4), (vec![], 0), "a number that was never given");
    }

    #[test]
    fn what_is_too_long_ago_is_counted() {
        let mut history = History::default();
        let events: Vec<Event> = (1..=MAX_KEPT as u64 + 5).map(event).collect();
        history.add(&events);
        let (kept, dropped) = after(&history, 2);
        assert_eq!((kept.len(), kept[0].clone(), dropped), (MAX_KEPT, event(6), 3));
    }
}
