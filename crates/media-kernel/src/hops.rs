//! Numbers in the maps: who has which, and when it may be another's.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::layout::{RawHop, RawLeg, RawRoute, MAX_HOPS};

/// A number that was given back rests so long, far beyond the microseconds that the program works on a packet: one that is
/// under way must not be sent where those of the next one's owner go.
const REST: Duration = Duration::from_secs(1);

/// Numbers of one map.
pub(crate) struct Numbers {
    free: Vec<u32>,
    resting: VecDeque<(Instant, u32)>,
}

impl Numbers {
    pub(crate) fn new(all: std::ops::Range<u32>) -> Self {
        Self { free: all.rev().collect(), resting: VecDeque::new() }
    }

    /// One that nobody has had for long enough.
    pub(crate) fn take(&mut self, now: Instant) -> Option<u32> {
        while let Some((since, number)) = self.resting.front().copied() {
            if now.duration_since(since) < REST {
                break;
            }
            self.resting.pop_front();
            self.free.push(number);
        }
        self.free.pop()
    }

    pub(crate) fn give_back(&mut self, number: u32, now: Instant) {
        self.resting.push_back((now, number));
    }
}

/// Interface, local address and destination.
type Way = (u32, [u8; 16], [u8; 16]);

/// The destinations of legs: those on one way share what the program knows of their neighbour.
pub(crate) struct Hops {
    numbers: Numbers,
    /// Which number a way has, and how many routes of legs go there.
    ways: HashMap<Way, (u32, usize)>,
}

impl Hops {
    pub(crate) fn new() -> Self {
        // 0 is for those that have none
        Self { numbers: Numbers::new(1..MAX_HOPS), ways: HashMap::new() }
    }

    /// Gives the routes of a leg the numbers of their ways; `tell` is told of those that are new, and true if it could pass
    /// it on. A route without a number is looked up for each packet.
    pub(crate) fn enter(&mut self, leg: &mut RawLeg, now: Instant, mut tell: impl FnMut(u32, &RawHop) -> bool) {
        for route in routes(leg) {
            let Self { numbers, ways } = self;
            if let Some((number, users)) = ways.get_mut(&way(route)) {
                (route.hop, *users) = (*number, *users + 1);
                continue;
            }
            let Some(number) = numbers.take(now) else { continue };
            let (interface, source, destination) = way(route);
            if tell(number, &RawHop { interface, source, destination, ..RawHop::default() }) {
                route.hop = number;
                ways.insert(way(route), (number, 1));
            } else {
                numbers.give_back(number, now);
            }
        }
    }

    /// A leg is closed, or was never opened.
    pub(crate) fn leave(&mut self, leg: &mut RawLeg, now: Instant) {
        for route in routes(leg).filter(|route| route.hop != 0) {
            if let Some((number, users)) = self.ways.get_mut(&way(route)) {
                *users -= 1;
                if *users == 0 {
                    self.numbers.give_back(*number, now);
                    self.ways.remove(&way(route));
                }
            }
        }
    }
}

fn way(route: &RawRoute) -> Way {
    (route.interface, route.source, route.destination)
}

/// The routes that a leg has to neighbours. The loopback has none, and what the kernel finds on the way there is more than
/// hardware addresses: without its route, a packet from this machine's own address would be taken for a forgery.
fn routes(leg: &mut RawLeg) -> impl Iterator<Item = &mut RawRoute> {
    let forks = leg.fork.iter_mut().take(usize::from(leg.forks)).map(|fork| &mut fork.route);
    forks.chain([&mut leg.relay]).filter(|route| route.interface != 0 && route.loopback == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::RawFork;

    fn to(interface: u32, destination: u8) -> RawRoute {
        RawRoute { interface, destination: [destination; 16], ..RawRoute::default() }
    }

    fn leg(relay: RawRoute, forks: &[RawRoute]) -> RawLeg {
        let mut leg = RawLeg { relay, forks: forks.len() as u8, ..RawLeg::default() };
        for (fork, route) in leg.fork.iter_mut().zip(forks) {
            *fork = RawFork { route: *route, ..RawFork::default() };
        }
        leg
    }

    fn numbers(leg: &RawLeg) -> (u32, Vec<u32>) {
        (leg.relay.hop, leg.fork[..usize::from(leg.forks)].iter().map(|fork| fork.route.hop).collect())
    }

    #[test]
    fn a_number_rests_before_it_is_anothers() {
        let now = Instant::now();
        let mut all = Numbers::new(3..5);
        assert_eq!((all.take(now), all.take(now), all.take(now)), (Some(3), Some(4), None));
        all.give_back(4, now);
        assert_eq!(all.take(now + REST / 2), None);
        assert_eq!(all.take(now + REST), Some(4));
    }

    #[test]
    fn legs_on_one_way_share_its_number() {
        let (now, mut told) = (Instant::now(), Vec::new());
        let mut hops = Hops::new();
        let mut one = leg(to(7, 1), &[to(7, 2), to(8, 2), to(7, 2)]);
        let mut other = leg(to(7, 2), &[]);
        for leg in [&mut one, &mut other] {
            hops.enter(leg, now, |number, hop| {
                told.push((number, hop.interface, hop.destination[0]));
                true
            });
        }
        assert_eq!(told, [(1, 7, 2), (2, 8, 2), (3, 7, 1)]);
        assert_eq!((numbers(&one), numbers(&other)), ((3, vec![1, 2, 1]), (1, vec![])));
        hops.leave(&mut one, now);
        assert_eq!(hops.ways.len(), 1, "the other leg still goes there");
        hops.leave(&mut other, now);
        assert!(hops.ways.is_empty());
    }

    #[test]
    fn where_there_is_no_number_a_leg_does_without() {
        let now = Instant::now();
        let mut hops = Hops { numbers: Numbers::new(1..2), ways: HashMap::new() };
        let mut refused = leg(to(7, 1), &[]);
        hops.enter(&mut refused, now, |_, _| false);
        assert_eq!(numbers(&refused), (0, vec![]));
        // what was refused rests as well
        let mut late = leg(to(7, 1), &[to(7, 2)]);
        hops.enter(&mut late, now + REST, |_, _| true);
        assert_eq!(numbers(&late), (0, vec![1]));
        hops.leave(&mut late, now);
        assert!(hops.ways.is_empty());
    }

    #[test]
    fn what_is_nowhere_has_no_number() {
        let mut nowhere = leg(RawRoute::default(), &[]);
        Hops::new().enter(&mut nowhere, Instant::now(), |_, _| unreachable!("there is no way to tell of"));
        assert_eq!(numbers(&nowhere), (0, vec![]));
        let mut local = leg(RawRoute { loopback: 1, ..to(1, 1) }, &[]);
        Hops::new().enter(&mut local, Instant::now(), |_, _| unreachable!("the loopback has no neighbours"));
        assert_eq!(numbers(&local), (0, vec![]));
    }
}
