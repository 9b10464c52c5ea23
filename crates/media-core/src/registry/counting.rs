//! What an endpoint counts, and what it tells of it.

use crate::g711::Law;
use crate::reception::Reception;
use crate::rtp::RtpPacket;
use crate::srtp::SrtpError;
use crate::statistics::EndpointStatistics;
use crate::time::{Instant, NS_PER_S};

use super::endpoint::Endpoint;

/// RTP packets that an endpoint takes from its source between two visits of its session, which are a quarter of a second
/// apart: ten times what any codec sends (2.5 ms a packet, RFC 7587 §4.2). More is a loop or a flood, and of no use to
/// anybody; relaying it would be at the cost of other calls.
pub(super) const MAX_PACKETS: u16 = 1000;
/// RTCP packets likewise: RFC 3550 §6.2 allows for one in seconds, feedback (RFC 4585) for some more.
const MAX_REPORTS: u16 = 50;
/// Takes packets that were not sent out of counts, with the mean of the payloads: nobody knows theirs any more.
pub(super) fn take_unsent(packets: &mut u64, octets: &mut u64, unsent: u64) {
    let unsent = unsent.min(*packets);
    // 64 bits are enough: a stream of a year is 2^38 octets, and so many of its packets are not under way at once
    *octets -= (*octets).saturating_mul(unsent).checked_div(*packets).unwrap_or(0);
    *packets -= unsent;
}

/// Repeated reports of one kind are at least this far apart.
const REPEAT_NS: u64 = NS_PER_S;

/// What is counted, as [`EndpointStatistics`] tells it; the rest of that is worked out when somebody asks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    packets_received: u64,
    octets_received: u64,
    packets_sent: u64,
    octets_sent: u64,
    strays: Rare,
    invalid: Rare,
    unauthenticated: Rare,
    replayed: Rare,
    unprotected: Rare,
}

/// What was taken since the last visit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    packets: u16,
    reports: u16,
}

impl Endpoint {
    /// True if one more packet of the source is taken; one too many is counted as if it came from elsewhere.
    pub(super) fn takes_packet(&mut self) -> bool {
        if self.taken.packets == MAX_PACKETS {
            self.count_stray();
            return false;
        }
        self.taken.packets += 1;
        true
    }

    /// The same of RTCP.
    pub(super) fn takes_report(&mut self) -> bool {
        if self.taken.reports == MAX_REPORTS {
            self.count_stray();
            return false;
        }
        self.taken.reports += 1;
        true
    }

    /// The session is visited.
    pub(super) fn renew(&mut self) {
        self.taken = Taken::default();
    }

    /// Counts a packet; tells the SSRC before, if it has changed and that may be reported.
    ///
    /// `clock_rate` is that of its payload type; None for a telephone event, whose packets share one time stamp, which
    /// is no jitter.
    pub(super) fn count_received(
        &mut self,
        packet: &RtpPacket<'_>,
        clock_rate: Option<u32>,
        arrival: Instant,
    ) -> Option<u32> {
        self.counts.packets_received += 1;
        self.counts.octets_received += packet.payload().len() as u64;
        self.heard_ns = arrival.mono_ns;
        self.silence_reported = false;
        let mut changed = None;
        match &self.reception {
            Some(reception) if reception.ssrc() == packet.ssrc() => {}
            before => {
                changed = before.as_ref().map(Reception::ssrc);
                self.lost_before += before.as_ref().map_or(0, Reception::lost);
                self.reception = Some(match before {
                    Some(before) => before.succeed(packet.ssrc(), packet.sequence()),
                    None => Reception::new(packet.ssrc(), packet.sequence()),
                });
            }
        }
        if let Some(reception) = &mut self.reception {
            reception.receive(packet.sequence());
            if let Some(clock_rate) = clock_rate {
                self.clock_rate = clock_rate;
                reception.receive_timing(packet.timestamp(), arrival.mono_ns, clock_rate);
            }
        }
        changed.filter(|_| self.ssrc_changed.may_repeat(arrival.mono_ns))
    }

    /// Counts packets that were received elsewhere.
    pub(super) fn add_counts(&mut self, packets: u64, payload_octets: u64) {
        self.counts.packets_received += packets;
        self.counts.octets_received += payload_octets;
    }

    /// Counts packets that were sent elsewhere.
    pub(super) fn add_sent(&mut self, packets: u64, payload_octets: u64) {
        self.counts.packets_sent += packets;
        self.counts.octets_sent += payload_octets;
    }

    /// How many RTP packets were sent.
    pub(super) fn packets_sent(&self) -> u64 {
        self.counts.packets_sent
    }

    pub(super) fn count_sent(&mut self, payload_octets: usize) {
        self.counts.packets_sent += 1;
        self.counts.octets_sent += payload_octets as u64;
    }

    /// Packets that were counted as sent were not.
    pub(super) fn count_unsent(&mut self, packets: u64) {
        let Counts { packets_sent, octets_sent, .. } = &mut self.counts;
        take_unsent(packets_sent, octets_sent, packets);
    }

    pub(super) fn is_first_packet(&self) -> bool {
        self.counts.packets_received == 1
    }

    /// Counts a datagram that is no RTP. RFC 6263 §4.1: an empty one keeps the path open, and is no fault.
    pub(super) fn count_invalid(&mut self, datagram: &[u8]) {
        self.counts.invalid.add(u64::from(!datagram.is_empty()));
    }

    /// Counts a packet that was not authentic, or came twice.
    pub(super) fn count_refused(&mut self, error: SrtpError) {
        match error {
            SrtpError::TooShort | SrtpError::TooLong | SrtpError::Version => self.counts.invalid.add(1),
            SrtpError::Replayed | SrtpError::Stale => self.counts.replayed.add(1),
            _ => self.counts.unauthenticated.add(1),
        }
    }

    /// Counts a packet of somebody who is not listened to.
    pub(super) fn count_stray(&mut self) {
        self.counts.strays.add(1);
    }

    pub(super) fn count_unprotected(&mut self) {
        self.counts.unprotected.add(1);
    }

    pub(super) fn statistics(&self) -> EndpointStatistics {
        let reception = self.reception.as_ref();
        let jitter = reception.map_or(0, Reception::jitter);
        EndpointStatistics {
            lost: self.lost_before + reception.map_or(0, Reception::lost),
            jitter_ms: f64::from(jitter) * 1000.0 / f64::from(self.clock_rate.max(1)),
            quality: reception
                .map(|reception| reception.quality(self.clock_rate, self.hears_g711()))
                .unwrap_or_default(),
            packets_received: self.counts.packets_received,
            octets_received: self.counts.octets_received,
            packets_sent: self.counts.packets_sent,
            octets_sent: self.counts.octets_sent,
            strays: self.counts.strays.into(),
            invalid: self.counts.invalid.into(),
            unauthenticated: self.counts.unauthenticated.into(),
            replayed: self.counts.replayed.into(),
            unprotected: self.counts.unprotected.into(),
        }
    }

    /// Whether what is received is G.711, as far as is known.
    fn hears_g711(&self) -> bool {
        let formats = &self.settings.formats;
        formats.is_empty() || formats.iter().any(|format| Law::of(&format.encoding).is_some())
    }
}

/// A count of what hardly ever happens. Where it does, as by a flood of half a day, it stays at the most that it can tell.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rare(u32);

impl Rare {
    pub(super) fn add(&mut self, times: u64) {
        self.0 = self.0.saturating_add(u32::try_from(times).unwrap_or(u32::MAX));
    }
}

impl From<Rare> for u64 {
    fn from(count: Rare) -> Self {
        count.0.into()
    }
}

/// When something was told, and may be told again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    again_ns: u64,
}

impl Told {
    /// True, and noted, if the last time is long enough ago.
    pub(super) fn may_repeat(&mut self, now_ns: u64) -> bool {
        let may = now_ns >= self.again_ns;
        if may {
            self.again_ns = now_ns + REPEAT_NS;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hardly_ever_happens_is_not_forgotten_when_it_does() {
        let mut count = Rare::default();
        count.add(1);
        count.add(u64::from(u32::MAX) - 2);
        assert_eq!(u64::from(count), u64::from(u32::MAX) - 1);
        count.add(1 << 40);
        assert_eq!(u64::from(count), u32::MAX.into());
    }

    #[test]
    fn what_was_told_is_told_again_after_a_second() {
        let mut told = Told::default();
        let told_at =
            [0, 1, REPEAT_NS - 1, REPEAT_NS, 2 * REPEAT_NS - 1, 5 * REPEAT_NS].map(|now| told.may_repeat(now));
        assert_eq!(told_at, [true, false, false, true, false, true]);
    }
}
