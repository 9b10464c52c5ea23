//! Whom an endpoint listens to (symmetric RTP, RFC 4961).

use std::net::SocketAddr;

use super::Latch;

/// After so many packets (2 s of speech) from where the remote was before, and none from elsewhere, it has not moved,
/// whatever was told. A phone moves when it hears of the answer, which a lost message delays by half a second or one
/// (RFC 3261 §17.1.1.2), and one that rang in vain goes on until it is told to stop.
const STAYED_PACKETS: u8 = 100;

/// Whom an endpoint listens to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Listening {
    /// Only to the remote that was told.
    Fixed,
    /// To whoever comes first.
    Open,
    /// To the one who came first, and is the remote in use.
    Taken,
    /// To whoever comes first, but for the one that the remote is moving away from.
    Moving(Box<Move>),
    /// To the one that was to move and did not, and is the remote in use, until the remote that was told comes after all.
    Stayed,
}

/// A remote that is moving away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Move {
    from: SocketAddr,
    /// Its last packets, which are heard and mean nothing.
    heard: u8,
}

/// What a source has become by a packet of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The remote, or on its way to be: what is sent goes there.
    Remote,
    /// One whose packets are heard, and nothing else.
    Former,
}

impl Listening {
    /// After a configuration: `told` is the new remote, `before` the one that was told before, `in_use` where packets went.
    pub(super) fn configured(
        &self,
        latch: Latch,
        told: Option<SocketAddr>,
        before: Option<SocketAddr>,
        in_use: Option<SocketAddr>,
    ) -> Self {
        let moving_from = |from| Self::Moving(Box::new(Move { from, heard: 0 }));
        match (latch, self) {
            (Latch::Signalled, _) => Self::Fixed,
            (Latch::First, Self::Taken | Self::Stayed) if told == before => self.clone(),
            (_, Self::Moving(moving)) if told == before => moving_from(moving.from),
            (_, Self::Stayed) if told == before => in_use.map_or(Self::Open, moving_from),
            _ => match in_use {
                // RFC 3264 §8.3.1: packets to the old address, and from it, may still be on their way
                Some(from) if before.is_some() && told != before && told.is_some_and(|told| told != from) => {
                    moving_from(from)
                }
                _ => Self::Open,
            },
        }
    }

    /// True if a source is not heard, whatever it sends.
    pub(super) fn is_deaf_to(&self, source: SocketAddr, told: Option<SocketAddr>, in_use: Option<SocketAddr>) -> bool {
        match self {
            Self::Fixed => told != Some(source),
            Self::Taken => in_use != Some(source),
            Self::Open | Self::Moving(_) => false,
            Self::Stayed => in_use != Some(source) && told != Some(source),
        }
    }

    /// True if the next packet of this source decides who is listened to.
    pub(super) fn is_open_to(&self, source: SocketAddr) -> bool {
        match self {
            Self::Open => true,
            Self::Moving(moving) => moving.from != source,
            Self::Fixed | Self::Taken | Self::Stayed => false,
        }
    }

    /// Takes a packet of a source that it is not deaf to.
    pub(super) fn hear(&mut self, source: SocketAddr, in_use: Option<SocketAddr>) -> Place {
        match self {
            Self::Fixed | Self::Taken => return Place::Remote,
            Self::Moving(moving) if moving.from == source => {
                moving.heard += 1;
                if moving.heard < STAYED_PACKETS {
                    return Place::Former;
                }
                *self = Self::Stayed;
            }
            Self::Stayed if in_use == Some(source) => {}
            Self::Open | Self::Moving(_) | Self::Stayed => *self = Self::Taken,
        }
        Place::Remote
    }

    /// True if nobody else will be listened to before the next configuration.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self, Self::Fixed | Self::Taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn moving(heard: u8) -> Listening {
        Listening::Moving(Box::new(Move { from: at(1), heard }))
    }

    /// One who was taken at 1 is told to be at 2.
    fn told_to_move(latch: Latch) -> Listening {
        Listening::Taken.configured(latch, Some(at(2)), Some(at(7)), Some(at(1)))
    }

    #[test]
    fn the_last_packets_from_the_old_place_decide_nothing() {
        for latch in [Latch::Each, Latch::First] {
            let mut listening = told_to_move(latch);
            assert_eq!(listening, moving(0));
            assert!(!listening.is_open_to(at(1)) && listening.is_open_to(at(3)));
            assert_eq!(listening.hear(at(1), Some(at(2))), Place::Former);
            assert!(!listening.is_settled());
            assert_eq!(listening.hear(at(3), Some(at(2))), Place::Remote);
            assert_eq!(listening, Listening::Taken);
            let is_deaf_to = |source| listening.is_deaf_to(source, Some(at(2)), Some(at(3)));
            assert!(is_deaf_to(at(1)) && is_deaf_to(at(2)) && !is_deaf_to(at(3)));
        }
    }

    #[test]
    fn who_does_not_move_stays_until_the_one_that_was_told_comes() {
        let mut listening = told_to_move(Latch::Each);
        let places: Vec<Place> = (0..STAYED_PACKETS).map(|_| listening.hear(at(1), Some(at(2)))).collect();
        assert!(places[..99].iter().all(|place| *place == Place::Former));
        assert_eq!((places[99], &listening), (Place::Remote, &Listening::Stayed));
        let is_deaf_to = |source| listening.is_deaf_to(source, Some(at(2)), Some(at(1)));
        assert!(is_deaf_to(at(3)) && !is_deaf_to(at(1)) && !is_deaf_to(at(2)));
        assert!(!listening.is_settled());
        // the same told again is the same move
        let again = |latch| listening.configured(latch, Some(at(2)), Some(at(2)), Some(at(1)));
        assert_eq!((again(Latch::Each), again(Latch::First)), (moving(0), Listening::Stayed));
        assert_eq!((listening.hear(at(1), Some(at(1))), &listening), (Place::Remote, &Listening::Stayed));
        assert_eq!((listening.hear(at(2), Some(at(1))), &listening), (Place::Remote, &Listening::Taken));
    }

    #[test]
    fn nobody_moves_to_where_he_is_or_to_nowhere_or_from_nowhere() {
        let told = |latch, told, before| Listening::Taken.configured(latch, told, before, Some(at(1)));
        assert_eq!(told(Latch::Each, Some(at(1)), Some(at(7))), Listening::Open);
        assert_eq!(told(Latch::Each, None, Some(at(7))), Listening::Open);
        assert_eq!(told(Latch::Each, Some(at(7)), None), Listening::Open);
        assert_eq!(Listening::Open.configured(Latch::First, Some(at(7)), None, None), Listening::Open);
        assert_eq!(told(Latch::Signalled, Some(at(2)), Some(at(7))), Listening::Fixed);
    }
}
