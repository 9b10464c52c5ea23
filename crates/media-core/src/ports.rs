//! Port pairs: an even RTP port and the RTCP port above it (RFC 3550 §11), each rested before it is used again.

use std::collections::VecDeque;

/// The free and resting port pairs of one interface.
///
/// A freed pair rests so that packets still under way to the old call do not land in the next one.
#[derive(Clone, Debug)]
pub struct PortPool {
    free: VecDeque<u16>,
    cooling: VecDeque<(u64, u16)>,
    cooldown_ns: u64,
}

impl PortPool {
    /// All pairs that lie wholly within `min` to `max`.
    pub fn new(min: u16, max: u16, cooldown_ns: u64) -> Self {
        let free = (min..=max).filter(|port| port % 2 == 0 && *port != 0 && *port < max).collect();
        Self { free, cooling: VecDeque::new(), cooldown_ns }
    }

    /// Takes the pair that was free for longest; its RTP port is given.
    pub fn take(&mut self, now_ns: u64) -> Option<u16> {
        self.wake(now_ns);
        self.free.pop_front()
    }

    /// Gives a pair back; it rests from `now_ns` on.
    pub fn give_back(&mut self, rtp_port: u16, now_ns: u64) {
        self.cooling.push_back((now_ns + self.cooldown_ns, rtp_port));
    }

    /// (free, cooling) pairs.
    pub fn counts(&mut self, now_ns: u64) -> (usize, usize) {
        self.wake(now_ns);
        (self.free.len(), self.cooling.len())
    }

    fn wake(&mut self, now_ns: u64) {
        while self.cooling.front().is_some_and(|(until, _)| *until <= now_ns) {
            self.free.extend(self.cooling.pop_front().map(|(_, port)| port));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_even_and_wholly_inside() {
        let mut pool = PortPool::new(4001, 4006, 0);
        assert_eq!([pool.take(0), pool.take(0), pool.take(0)], [Some(4002), Some(4004), None]);
        assert_eq!(PortPool::new(65_534, 65_535, 0).take(0), Some(65_534));
        assert_eq!(PortPool::new(0, 1, 0).take(0), None);
    }

    #[test]
    fn a_freed_pair_rests_and_comes_back_last() {
        let mut pool = PortPool::new(4000, 4005, 4);
        let first = pool.take(0).unwrap();
        pool.give_back(first, 10);
        assert_eq!(pool.counts(13), (2, 1));
        assert_eq!([pool.take(13), pool.take(13), pool.take(13)], [Some(4002), Some(4004), None]);
        assert_eq!(pool.take(14), Some(first));
    }
}
