//! Whom an endpoint listens to (symmetric RTP, RFC 4961).

use std::net::SocketAddr;

use super::Latch;

/// After so many packets (2 s of speech) from where the remote was before, and none from elsewhere, it has not moved,
/// whatever was told. A phone moves when it hears of the answer, which a lost message delays by half a second or one
/// (RFC 3261 §17.1.1.2), and one that rang in vain goes on until it is told to stop.
const STAYED_PACKETS: u8 = 100;

/// Whom an endpoint listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listening {
    /// Only to the remote that was told.
    Fixed,
    /// To whoever comes first.
    Open,
    /// To the one who came first.
    Taken(SocketAddr),
    /// To whoever comes first, but for the one that the remote is moving away from: its last packets, of which so many
    /// came, are heard and mean nothing.
    Moving { from: SocketAddr, heard: u8 },
    /// To the one that was to move and did not, until the remote that was told comes after all.
    Stayed(SocketAddr),
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
        self,
        latch: Latch,
        told: Option<SocketAddr>,
        before: Option<SocketAddr>,
        in_use: Option<SocketAddr>,
    ) -> Self {
        match (latch, self) {
            (Latch::Signalled, _) => Self::Fixed,
            (Latch::First, Self::Taken(_) | Self::Stayed(_)) if told == before => self,
            (_, Self::Moving { from, .. } | Self::Stayed(from)) if told == before => Self::Moving { from, heard: 0 },
            _ => match in_use {
                // RFC 3264 §8.3.1: packets to the old address, and from it, may still be on their way
                Some(from) if before.is_some() && told != before && told.is_some_and(|told| told != from) => {
                    Self::Moving { from, heard: 0 }
                }
                _ => Self::Open,
            },
        }
    }

    /// True if a source is not heard, whatever it sends.
    pub(super) fn is_deaf_to(self, source: SocketAddr, told: Option<SocketAddr>) -> bool {
        match self {
            Self::Fixed => told != Some(source),
            Self::Taken(taken) => taken != source,
            Self::Open | Self::Moving { .. } => false,
            Self::Stayed(stayed) => stayed != source && told != Some(source),
        }
    }

    /// True if the next packet of this source decides who is listened to.
    pub(super) fn is_open_to(self, source: SocketAddr) -> bool {
        match self {
            Self::Open => true,
            Self::Moving { from, .. } => from != source,
            Self::Fixed | Self::Taken(_) | Self::Stayed(_) => false,
        }
    }

    /// Takes a packet of a source that it is not deaf to.
    pub(super) fn hear(&mut self, source: SocketAddr) -> Place {
        *self = match *self {
            Self::Moving { from, heard } if from == source && heard + 1 < STAYED_PACKETS => {
                *self = Self::Moving { from, heard: heard + 1 };
                return Place::Former;
            }
            Self::Moving { from, .. } | Self::Stayed(from) if from == source => Self::Stayed(from),
            Self::Fixed => Self::Fixed,
            _ => Self::Taken(source),
        };
        Place::Remote
    }

    /// True if nobody else will be listened to before the next configuration.
    pub(super) fn is_settled(self) -> bool {
        matches!(self, Self::Fixed | Self::Taken(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn moving(latch: Latch) -> Listening {
        Listening::Taken(at(1)).configured(latch, Some(at(2)), Some(at(7)), Some(at(1)))
    }

    #[test]
    fn the_last_packets_from_the_old_place_decide_nothing() {
        for latch in [Latch::Each, Latch::First] {
            let mut listening = moving(latch);
            assert_eq!(listening, Listening::Moving { from: at(1), heard: 0 });
            assert!(!listening.is_open_to(at(1)) && listening.is_open_to(at(3)));
            assert_eq!(listening.hear(at(1)), Place::Former);
            assert!(!listening.is_settled());
            assert_eq!((listening.hear(at(3)), listening), (Place::Remote, Listening::Taken(at(3))));
            assert!(listening.is_deaf_to(at(1), Some(at(2))) && listening.is_deaf_to(at(2), Some(at(2))));
        }
    }

    #[test]
    fn who_does_not_move_stays_until_the_one_that_was_told_comes() {
        let mut listening = moving(Latch::Each);
        let places: Vec<Place> = (0..STAYED_PACKETS).map(|_| listening.hear(at(1))).collect();
        assert!(places[..99].iter().all(|place| *place == Place::Former));
        assert_eq!((places[99], listening), (Place::Remote, Listening::Stayed(at(1))));
        assert!(listening.is_deaf_to(at(3), Some(at(2))) && !listening.is_deaf_to(at(1), Some(at(2))));
        assert!(!listening.is_settled());
        // the same told again is the same move
        assert_eq!(
            listening.configured(Latch::Each, Some(at(2)), Some(at(2)), Some(at(1))),
            Listening::Moving { from: at(1), heard: 0 }
        );
        assert_eq!(listening.configured(Latch::First, Some(at(2)), Some(at(2)), Some(at(1))), listening);
        assert_eq!((listening.hear(at(2)), listening), (Place::Remote, Listening::Taken(at(2))));
    }

    #[test]
    fn nobody_moves_to_where_he_is_or_to_nowhere_or_from_nowhere() {
        let taken = Listening::Taken(at(1));
        assert_eq!(taken.configured(Latch::Each, Some(at(1)), Some(at(7)), Some(at(1))), Listening::Open);
        assert_eq!(taken.configured(Latch::Each, None, Some(at(7)), Some(at(1))), Listening::Open);
        assert_eq!(taken.configured(Latch::Each, Some(at(7)), None, Some(at(1))), Listening::Open);
        assert_eq!(Listening::Open.configured(Latch::First, Some(at(7)), None, None), Listening::Open);
        assert_eq!(taken.configured(Latch::Signalled, Some(at(2)), Some(at(7)), Some(at(1))), Listening::Fixed);
    }
}
