//! Port pairs: an even RTP port and the RTCP port above it (RFC 3550 §11), each rested before it is used again.

use std::collections::VecDeque;

/// The free and resting port pairs of one interface.
///
/// A freed pair rests so that packets of the old call do not land in the next one, and goes on resting while they come.
#[derive(Clone, Debug)]
pub struct PortPool {
    free: VecDeque<u16>,
    cooling: VecDeque<Cooling>,
    cooldown_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Cooling {
    until_ns: u64,
    rtp_port: u16,
    rests: u32,
}

impl PortPool {
    /// All pairs that lie wholly within `min` to `max`.
    pub fn new(min: u16, max: u16, cooldown_ns: u64) -> Self {
        let free = (min..=max).filter(|port| port % 2 == 0 && *port != 0 && *port < max).collect();
        Self { free, cooling: VecDeque::new(), cooldown_ns }
    }

    /// Takes the pair that was free for longest; its RTP port is given.
    pub fn take(&mut self) -> Option<u16> {
        self.free.pop_front()
    }

    /// Gives a pair back; it rests from `now_ns` on.
    pub fn give_back(&mut self, rtp_port: u16, now_ns: u64) {
        self.cooling.push_back(Cooling { until_ns: now_ns + self.cooldown_ns, rtp_port, rests: 1 });
    }

    /// (free, cooling) pairs.
    pub fn counts(&self) -> (usize, usize) {
        (self.free.len(), self.cooling.len())
    }

    /// Frees the pairs that have rested, before any is taken or counted.
    ///
    /// `is_in_use` is asked of each once a rest, with how many it has had; where it is true, the pair rests once more.
    pub fn wake(&mut self, now_ns: u64, mut is_in_use: impl FnMut(u16, u32) -> bool) {
        while let Some(Cooling { rtp_port, rests, .. }) =
            self.cooling.front().filter(|one| one.until_ns <= now_ns).copied()
        {
            self.cooling.pop_front();
            if is_in_use(rtp_port, rests) {
                let until_ns = now_ns + self.cooldown_ns.max(1);
                self.cooling.push_back(Cooling { until_ns, rtp_port, rests: rests + 1 });
            } else {
                self.free.push_back(rtp_port);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_even_and_wholly_inside() {
        let mut pool = PortPool::new(4001, 4006, 0);
        assert_eq!([pool.take(), pool.take(), pool.take()], [Some(4002), Some(4004), None]);
        assert_eq!(PortPool::new(65_534, 65_535, 0).take(), Some(65_534));
        assert_eq!(PortPool::new(0, 1, 0).take(), None);
    }

    #[test]
    fn a_freed_pair_rests_and_comes_back_last() {
        let mut pool = PortPool::new(4000, 4005, 4);
        let first = pool.take().unwrap();
        pool.give_back(first, 10);
        pool.wake(13, |_, _| unreachable!("it rests"));
        assert_eq!(pool.counts(), (2, 1));
        pool.wake(14, |_, _| false);
        assert_eq!([pool.take(), pool.take(), pool.take(), pool.take()], [Some(4002), Some(4004), Some(first), None]);
    }

    #[test]
    fn a_pair_in_use_rests_once_more() {
        let mut pool = PortPool::new(4000, 4003, 4);
        let used = pool.take().unwrap();
        pool.give_back(used, 10);
        let mut asked = Vec::new();
        for now_ns in 10..30 {
            pool.wake(now_ns, |port, rests| {
                asked.push((now_ns, port, rests));
                rests < 3
            });
        }
        assert_eq!(asked, [(14, used, 1), (18, used, 2), (22, used, 3)]);
        assert_eq!(pool.counts(), (2, 0));
    }
}
