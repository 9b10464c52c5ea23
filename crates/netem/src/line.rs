//! One direction of a line: what is sent comes later, twice, out of order or never.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::Random;

/// Which packets are lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// None.
    Never,
    /// Each with this probability, whatever became of the one before.
    Independent(f64),
    /// In bursts, by the model of Gilbert and Elliott: a line that is good or bad, and changes between packets.
    Bursts {
        /// Probability that a good line is bad for the next packet.
        begin: f64,
        /// Probability that a bad line is good for the next packet: the mean burst is the inverse of it.
        end: f64,
        /// Probability of loss while the line is bad; while it is good none is lost.
        within: f64,
    },
}

/// What a line does to packets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weather {
    /// Which are lost.
    pub loss: Loss,
    /// Probability that a packet comes twice; the second one takes a way of its own.
    pub duplicated: f64,
    /// Every packet takes so long.
    pub latency_ns: u64,
    /// And up to so much longer, without overtaking another.
    pub jitter_ns: u64,
    /// Probability that a packet is held back, so that later ones overtake it.
    pub held_back: f64,
    /// For so long at most.
    pub held_back_ns: u64,
}

impl Weather {
    /// A line that changes nothing, and takes no time.
    pub const FINE: Self =
        Self { loss: Loss::Never, duplicated: 0.0, latency_ns: 0, jitter_ns: 0, held_back: 0.0, held_back_ns: 0 };
}

/// What became of the packets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that were given to the line.
    pub sent: u64,
    /// Those of them that will never come.
    pub lost: u64,
    /// Those of them that come twice.
    pub duplicated: u64,
    /// Those that were, or are, held back.
    pub held_back: u64,
    /// What has come, second ones included.
    pub delivered: u64,
}

struct UnderWay<T> {
    due_ns: u64,
    order: u64,
    packet: T,
}

impl<T> PartialEq for UnderWay<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.due_ns, self.order) == (other.due_ns, other.order)
    }
}

impl<T> Eq for UnderWay<T> {}

impl<T> PartialOrd for UnderWay<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for UnderWay<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due_ns, self.order).cmp(&(other.due_ns, other.order))
    }
}

/// One direction of a line. The same seed, weather and packets give the same line.
pub struct Line<T> {
    weather: Weather,
    random: Random,
    is_bad: bool,
    under_way: BinaryHeap<Reverse<UnderWay<T>>>,
    order: u64,
    /// When the last of those arrives that are not held back.
    newest_due_ns: u64,
    counts: Counts,
}

impl<T: Clone> Line<T> {
    /// A line in this weather.
    pub fn new(seed: u64, weather: Weather) -> Self {
        Self {
            weather,
            random: Random::new(seed),
            is_bad: false,
            under_way: BinaryHeap::new(),
            order: 0,
            newest_due_ns: 0,
            counts: Counts::default(),
        }
    }

    /// Packets that are sent from now on meet another weather.
    pub fn change(&mut self, weather: Weather) {
        self.weather = weather;
        self.is_bad = false;
    }

    /// Sends a packet; true if it will arrive at all.
    pub fn send(&mut self, packet: T, now_ns: u64) -> bool {
        self.counts.sent += 1;
        if self.loses() {
            self.counts.lost += 1;
            return false;
        }
        if self.random.chance(self.weather.duplicated) {
            self.counts.duplicated += 1;
            self.start(packet.clone(), now_ns);
        }
        self.start(packet, now_ns);
        true
    }

    /// The next packet that has arrived by `now_ns`, with the moment at which it did.
    pub fn receive(&mut self, now_ns: u64) -> Option<(u64, T)> {
        if self.poll_timeout()? > now_ns {
            return None;
        }
        let Reverse(arrived) = self.under_way.pop()?;
        self.counts.delivered += 1;
        Some((arrived.due_ns, arrived.packet))
    }

    /// When the next packet arrives; None while none is under way.
    pub fn poll_timeout(&self) -> Option<u64> {
        self.under_way.peek().map(|Reverse(next)| next.due_ns)
    }

    /// What became of the packets so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn loses(&mut self) -> bool {
        match self.weather.loss {
            Loss::Never => false,
            Loss::Independent(probability) => self.random.chance(probability),
            Loss::Bursts { begin, end, within } => {
                let changes = self.random.chance(if self.is_bad { end } else { begin });
                self.is_bad ^= changes;
                self.is_bad && self.random.chance(within)
            }
        }
    }

    fn start(&mut self, packet: T, now_ns: u64) {
        let Weather { latency_ns, jitter_ns, held_back, held_back_ns, .. } = self.weather;
        let mut due_ns = (now_ns + latency_ns + self.random.below(jitter_ns + 1)).max(self.newest_due_ns);
        if self.random.chance(held_back) {
            self.counts.held_back += 1;
            due_ns += self.random.below(held_back_ns + 1);
        } else {
            self.newest_due_ns = due_ns;
        }
        self.under_way.push(Reverse(UnderWay { due_ns, order: self.order, packet }));
        self.order += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Sends a packet every 20 ms and takes what arrives: (when, number) of each.
    fn run(seed: u64, weather: Weather, packets: u64) -> (Vec<(u64, u64)>, Counts) {
        let mut line = Line::new(seed, weather);
        let mut arrived = Vec::new();
        for n in 0..packets {
            while let Some(packet) = line.receive(n * 20 * MS) {
                arrived.push(packet);
            }
            line.send(n, n * 20 * MS);
        }
        while let Some(due_ns) = line.poll_timeout() {
            arrived.extend(line.receive(due_ns));
        }
        (arrived, line.counts())
    }

    #[test]
    fn in_fine_weather_all_arrives_at_once() {
        let (arrived, counts) = run(1, Weather::FINE, 100);
        assert_eq!(arrived, (0..100).map(|n| (n * 20 * MS, n)).collect::<Vec<_>>());
        assert_eq!(counts, Counts { sent: 100, delivered: 100, ..Counts::default() });
    }

    #[test]
    fn a_seed_gives_the_same_line() {
        let weather = Weather { loss: Loss::Independent(0.3), duplicated: 0.1, jitter_ns: 50 * MS, ..Weather::FINE };
        assert_eq!(run(5, weather, 500), run(5, weather, 500));
        assert_ne!(run(5, weather, 500), run(6, weather, 500));
    }

    #[test]
    fn losses_are_as_frequent_as_told_and_counted() {
        let (arrived, counts) = run(2, Weather { loss: Loss::Independent(0.05), ..Weather::FINE }, 100_000);
        assert_eq!(arrived.len() as u64, counts.sent - counts.lost);
        assert!((4_700..5_300).contains(&counts.lost), "{counts:?}");
    }

    #[test]
    fn bursts_have_their_length() {
        let loss = Loss::Bursts { begin: 0.01, end: 0.2, within: 1.0 };
        let (arrived, counts) = run(3, Weather { loss, ..Weather::FINE }, 200_000);
        // the line is bad for begin / (begin + end) of the time
        assert!((8_500..10_500).contains(&counts.lost), "{counts:?}");
        let gaps = arrived.windows(2).filter(|pair| pair[1].1 - pair[0].1 > 1).count() as f64;
        let mean = counts.lost as f64 / gaps;
        assert!((4.5..5.5).contains(&mean), "{mean}");
    }

    #[test]
    fn jitter_keeps_the_order_and_its_bounds() {
        let weather = Weather { latency_ns: 30 * MS, jitter_ns: 90 * MS, ..Weather::FINE };
        let (arrived, _) = run(4, weather, 10_000);
        assert!(arrived.windows(2).all(|pair| pair[0].1 + 1 == pair[1].1 && pair[0].0 <= pair[1].0));
        assert!(arrived.iter().all(|(at, n)| (30 * MS..=120 * MS).contains(&(at - n * 20 * MS))));
        assert!(arrived.iter().any(|(at, n)| at - n * 20 * MS > 110 * MS));
    }

    #[test]
    fn what_is_held_back_is_overtaken() {
        let weather = Weather { held_back: 0.1, held_back_ns: 100 * MS, ..Weather::FINE };
        let (arrived, counts) = run(4, weather, 10_000);
        let overtaken = arrived.windows(2).filter(|pair| pair[1].1 < pair[0].1).count() as u64;
        assert!(overtaken > 500 && overtaken <= counts.held_back, "{overtaken} {counts:?}");
        assert_eq!(arrived.len(), 10_000);
    }

    #[test]
    fn duplicates_take_their_own_way() {
        let weather = Weather { duplicated: 0.2, jitter_ns: 40 * MS, ..Weather::FINE };
        let (arrived, counts) = run(9, weather, 10_000);
        assert_eq!(arrived.len() as u64, 10_000 + counts.duplicated);
        assert!((1_800..2_200).contains(&counts.duplicated));
    }

    #[test]
    fn the_weather_changes_for_what_is_sent_later() {
        let mut line = Line::new(1, Weather { latency_ns: 50, ..Weather::FINE });
        line.send('a', 0);
        line.change(Weather { loss: Loss::Independent(1.0), ..Weather::FINE });
        assert!(!line.send('b', 1));
        assert_eq!(line.receive(49), None);
        assert_eq!(line.receive(60), Some((50, 'a')));
        assert_eq!(line.poll_timeout(), None);
    }
}
