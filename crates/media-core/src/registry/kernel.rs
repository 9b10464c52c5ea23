//! Which endpoints' packets the kernel may relay and fork by itself, and what it has done.
//!
//! The kernel relays packets that change nothing but addresses, and copies them to forks whose numbers are those of the
//! call moved by constants ([`Rewriter::offsets`](crate::Rewriter::offsets)). Whatever could change one of these
//! constants takes the leg back first: a command, another SSRC, a jump. What comes to the engine in spite of it — a
//! telephone event, a late packet, a sample — is handled as ever, after what the kernel has done before it was counted.

use std::net::SocketAddr;

use crate::arena::Key;
use crate::reception::Reception;
use crate::rtp::{sequence_delta, timestamp_delta, RtpPacket, HEADER_LEN};
use crate::time::{Instant, NS_PER_S};

use super::counting::MAX_PACKETS;
use super::endpoint::Endpoint;
use super::session::{Session, Sink};
use super::timers::VISIT_NS;
use super::{Member, Output, PairKey, Registry, Totals};

/// Forks of one leg that the kernel can feed; a call with two recorders has as many.
pub const MAX_KERNEL_FORKS: usize = 4;
/// A leg is handed over after so many ordinary packets in a row since it came, or came back: a tenth of a second of speech.
/// Each of them costs ten times what it does in the kernel, so that calls that begin are most of an engine's work.
const ORDINARY_PACKETS: u32 = 5;
/// A leg is taken back after so many packets in a row that should have been relayed below: they arrive on an interface
/// that is not the one to their sender.
const IGNORED_PACKETS: u32 = 10;
/// Packets that arrived sooner after the hand-over were waiting for the engine already.
const BACKLOG_NS: u64 = NS_PER_S / 2;
/// A larger step is a restart of the source rather than loss or reordering (RFC 3550 A.1).
const MAX_DROPOUT: i16 = 3000;
const MAX_MISORDER: i16 = 100;
/// A larger step of the time stamp may be one of the source's clock.
const TIMESTAMP_JUMP_S: u32 = 2;

/// A stream for the kernel to relay and fork.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelLeg {
    /// Where its packets come from.
    pub from: SocketAddr,
    /// Their SSRC.
    pub ssrc: u32,
    /// Their payload type.
    pub payload_type: u8,
    /// The clock rate of that payload type.
    pub clock_rate: u32,
    /// The pair that they leave from and where they go, as they are.
    pub relay: Option<(PairKey, SocketAddr)>,
    /// Where copies go; at most [`MAX_KERNEL_FORKS`].
    pub forks: Vec<KernelFork>,
}

/// A copy of each packet of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelFork {
    /// The pair that it leaves from.
    pub pair: PairKey,
    /// Where it goes.
    pub to: SocketAddr,
    /// Its payload type.
    pub payload_type: u8,
    /// Its SSRC, and what is added to sequence numbers and time stamps; None: all stay those of the call.
    pub numbers: Option<(u32, u16, u32)>,
}

/// What became of a hand-over to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandOver {
    /// The kernel relays from now on.
    Taken,
    /// Packets that came before wait for the engine still, and would be overtaken.
    NotYet,
    /// What the kernel needs for it is being made ready.
    Later,
    /// The kernel will not.
    Refused,
}

/// What the kernel has done for a leg since it was handed over; at that time, where it has to go on from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelTally {
    /// Packets relayed.
    pub packets: u64,
    /// Octets of payload in them.
    pub octets: u64,
    /// When the last came, on the monotonic clock.
    pub arrived_ns: u64,
    /// Bit n is set if the packet n before the newest was relayed.
    pub seen: u128,
    /// Sequence number of the newest.
    pub newest: u16,
    /// Its time stamp.
    pub newest_timestamp: u32,
    /// Its relative transit time (RFC 3550 A.8).
    pub transit: u32,
    /// 16 times the jitter (RFC 3550 A.8).
    pub jitter_scaled: u32,
    /// Copies that could not be sent, by the leg's forks.
    pub unsent: [u32; MAX_KERNEL_FORKS],
}

/// An endpoint's leg that is in the kernel.
#[derive(Debug)]
pub(super) struct InKernel {
    plan: Plan,
    /// What of its doings has been counted.
    counted: KernelTally,
    /// Packets since the kernel was last seen to work that it should have relayed.
    ignored: u32,
    /// When the last packet before the hand-over came.
    since_ns: u64,
    /// Since when, and after how many packets, it is looked at how fast they come.
    pace: (u64, u64),
}

/// A leg, and who it is made of.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    leg: KernelLeg,
    sink: Option<Key>,
    forks: Vec<Key>,
}

/// How far an endpoint is from the kernel.
#[derive(Debug, Default)]
pub(super) struct Nearness {
    /// Ordinary packets in a row.
    ordinary: u32,
    /// The kernel would not take it; until the next command it is not asked again.
    refused: bool,
    pub(super) leg: Option<Box<InKernel>>,
}

impl Registry {
    /// Lets legs be handed to the kernel, or no longer.
    pub fn use_kernel(&mut self, wanted: bool) {
        self.uses_kernel = wanted;
    }

    /// Takes a session's legs back from the kernel: something is about to change. They return by themselves.
    pub fn leave_kernel(&mut self, session: &str, out: &mut impl Output) {
        let Some(key) = self.names.get(session).copied().filter(|_| self.uses_kernel) else { return };
        if let Some(session) = self.sessions.get_mut(key) {
            take_all_back(session, &mut self.totals, out);
        }
    }

    /// Takes back the legs whose packets have to go other ways now; what the kernel refused before may be tried again.
    pub fn ways_have_changed(&mut self, moved: &[PairKey], out: &mut impl Output) {
        for pair in moved {
            let Some(owner) = self.pairs.get(*pair) else { continue };
            let (Some(session), Member::Endpoint(key)) = (self.sessions.get_mut(owner.session), owner.member) else {
                continue;
            };
            take_back(session, key, &mut self.totals, out);
        }
        for session in self.sessions.values_mut() {
            session.endpoints.values_mut().for_each(|endpoint| endpoint.kernel.refused = false);
        }
    }

    /// Counts what the kernel has done for a session.
    pub fn update_from_kernel(&mut self, session: &str, out: &mut impl Output) {
        let Some(key) = self.names.get(session).copied().filter(|_| self.uses_kernel) else { return };
        if let Some(session) = self.sessions.get_mut(key) {
            legs_of(session).into_iter().for_each(|key| count(session, key, &mut self.totals, out));
        }
    }

    /// Makes ready for a packet that came to the socket of an endpoint.
    pub(super) fn before_packet(&mut self, pair: PairKey, source: SocketAddr, bytes: &[u8], out: &mut impl Output) {
        let Some(owner) = self.pairs.get(pair) else { return };
        let (Some(session), Member::Endpoint(key)) = (self.sessions.get_mut(owner.session), owner.member) else {
            return;
        };
        if session.endpoints.get(key).is_none_or(|endpoint| endpoint.kernel.leg.is_none()) {
            return;
        }
        count(session, key, &mut self.totals, out);
        let keeps = session.endpoints.get(key).is_some_and(|endpoint| keeps_constants(endpoint, source, bytes));
        if !keeps || is_omitted(session, key, bytes) {
            take_back(session, key, &mut self.totals, out);
        }
    }
}

/// Looks at a packet that was handled in user space, and hands its endpoint over after enough ordinary ones.
pub(super) fn after_packet(
    session: &mut Session,
    key: Key,
    (packet, arrival): (&RtpPacket<'_>, Instant),
    totals: &mut Totals,
    out: &mut impl Output,
) {
    let Some(endpoint) = session.endpoints.get_mut(key) else { return };
    let ordinary = endpoint.is_newest(packet) && endpoint.meaning(packet).1.is_none();
    let Some(inside) = &mut endpoint.kernel.leg else {
        endpoint.kernel.ordinary = if ordinary { endpoint.kernel.ordinary + 1 } else { 0 };
        if endpoint.kernel.ordinary >= ORDINARY_PACKETS && !endpoint.kernel.refused {
            endpoint.kernel.ordinary = 0;
            hand_over(session, key, (packet, arrival), out);
        }
        return;
    };
    inside.ignored += u32::from(ordinary && arrival.mono_ns > inside.since_ns + BACKLOG_NS);
    let forks = inside.plan.forks.clone();
    if inside.ignored >= IGNORED_PACKETS {
        endpoint.kernel.refused = true;
        take_back(session, key, totals, out);
    }
    // what the kernel copies next must not overtake this packet
    for fork in forks {
        if let Some(fork) = session.forks.get_mut(fork) {
            fork.flush(out);
        }
    }
}

/// Counts what the kernel has done for a session, and takes back what is not as it was.
pub(super) fn visit(session: &mut Session, totals: &mut Totals, out: &mut impl Output) {
    for key in legs_of(session) {
        count(session, key, totals, out);
        let Some(leg) = session.endpoints.get(key).and_then(|endpoint| endpoint.kernel.leg.as_ref()) else { continue };
        let (ssrc, payload_type) = (leg.plan.leg.ssrc, leg.plan.leg.payload_type);
        if plan(session, key, ssrc, payload_type).as_ref() != Some(&leg.plan) {
            take_back(session, key, totals, out);
        }
    }
}

/// Takes all legs of a session back; each may be tried again.
pub(super) fn take_all_back(session: &mut Session, totals: &mut Totals, out: &mut impl Output) {
    for key in legs_of(session) {
        take_back(session, key, totals, out);
    }
    for endpoint in session.endpoints.values_mut() {
        endpoint.kernel.refused = false;
        endpoint.kernel.ordinary = 0;
    }
}

fn legs_of(session: &Session) -> Vec<Key> {
    let inside = session.endpoints.iter().filter(|(_, endpoint)| endpoint.kernel.leg.is_some());
    inside.map(|(key, _)| key).collect()
}

/// True if a packet in user space leaves all as it is that the kernel was told.
fn keeps_constants(endpoint: &Endpoint, source: SocketAddr, bytes: &[u8]) -> bool {
    let Some(inside) = &endpoint.kernel.leg else { return true };
    // what is no RTP is counted and dropped
    let Ok(packet) = RtpPacket::parse(bytes) else { return true };
    let leg = &inside.plan.leg;
    let known = packet.payload_type() == leg.payload_type || endpoint.meaning(&packet).1.is_some();
    let step = sequence_delta(inside.counted.newest, packet.sequence());
    let jump = timestamp_delta(inside.counted.newest_timestamp, packet.timestamp());
    source == leg.from
        && packet.ssrc() == leg.ssrc
        && known
        && (-MAX_MISORDER..MAX_DROPOUT).contains(&step)
        && jump.unsigned_abs() <= TIMESTAMP_JUMP_S * leg.clock_rate
}

/// True if one of the leg's forks leaves the packet out, after which its numbers are moved by something else.
fn is_omitted(session: &Session, key: Key, bytes: &[u8]) -> bool {
    let inside = session.endpoints.get(key).and_then(|endpoint| endpoint.kernel.leg.as_ref());
    let (Some(inside), Ok(packet)) = (inside, RtpPacket::parse(bytes)) else { return false };
    let mut forks = inside.plan.forks.iter().filter_map(|fork| session.forks.get(*fork));
    forks.any(|fork| !fork.passes(packet.payload_type()))
}

/// What an endpoint's stream is to the kernel; None if it has to be handled in user space.
fn plan(session: &Session, key: Key, ssrc: u32, payload_type: u8) -> Option<Plan> {
    let endpoint = session.endpoints.get(key).filter(|endpoint| endpoint.is_steady())?;
    // RFC 5761 §4: with the marker bit these would be taken for RTCP
    let format = endpoint.settings.formats.find(payload_type).filter(|_| !(64..=95).contains(&payload_type))?;
    if format.is_telephone_event() {
        return None;
    }
    let (mut relay, mut sink, mut forks) = (None, None, Vec::new());
    for one in &endpoint.received {
        match *one {
            // what is changed on its way, or written down, has to come by here
            Sink::Recorder(_) | Sink::Translate(_) => return None,
            Sink::Fork(fork) => forks.push(fork),
            Sink::Bridge(to) => {
                let other = session.endpoints.get(to)?;
                if other.player.is_some() || other.security.is_some() {
                    return None;
                }
                let Some(remote) = other.remote.filter(|_| other.settings.send) else { continue };
                let sources = session.endpoints.iter().filter(|(_, source)| source.bridge() == Some(to)).count();
                if sources != 1 && !other.sent.is_empty() {
                    return None;
                }
                (relay, sink) = (Some((other.pair, remote)), Some(to));
                forks.extend(&other.sent);
            }
        }
    }
    let mut fed = Vec::new();
    let mut copies = Vec::new();
    for key in forks {
        let fork = session.forks.get(key)?;
        if fork.destination().is_some() {
            copies.push(fork.in_kernel(ssrc, payload_type)?);
            fed.push(key);
        }
    }
    if (relay.is_none() && copies.is_empty()) || copies.len() > MAX_KERNEL_FORKS {
        return None;
    }
    let clock_rate = format.clock_rate;
    let leg = KernelLeg { from: endpoint.remote?, ssrc, payload_type, clock_rate, relay, forks: copies };
    Some(Plan { leg, sink, forks: fed })
}

fn hand_over(session: &mut Session, key: Key, (packet, arrival): (&RtpPacket<'_>, Instant), out: &mut impl Output) {
    let Some(plan) = plan(session, key, packet.ssrc(), packet.payload_type()) else { return };
    for fork in &plan.forks {
        if let Some(fork) = session.forks.get_mut(*fork) {
            fork.flush(out);
        }
    }
    let Some(endpoint) = session.endpoints.get_mut(key) else { return };
    let Some((transit, jitter_scaled)) = endpoint.timing() else { return };
    let counted = KernelTally {
        newest: packet.sequence(),
        newest_timestamp: packet.timestamp(),
        transit,
        jitter_scaled,
        ..KernelTally::default()
    };
    match out.enter_kernel(endpoint.pair, &plan.leg, &counted) {
        HandOver::Taken => {
            endpoint.kernel.leg = Some(Box::new(InKernel::new(plan, counted, arrival.mono_ns)));
        }
        // under load, some packet or other waits most of the time: each is a new chance
        HandOver::NotYet => endpoint.kernel.ordinary = ORDINARY_PACKETS,
        HandOver::Later => {}
        HandOver::Refused => endpoint.kernel.refused = true,
    }
}

fn take_back(session: &mut Session, key: Key, totals: &mut Totals, out: &mut impl Output) {
    let Some(endpoint) = session.endpoints.get_mut(key) else { return };
    let Some(inside) = endpoint.kernel.leg.take() else { return };
    let pair = endpoint.pair;
    if let Some(tally) = out.leave_kernel(pair) {
        add(session, key, &inside, &tally, totals);
    }
}

fn count(session: &mut Session, key: Key, totals: &mut Totals, out: &mut impl Output) {
    let Some(endpoint) = session.endpoints.get_mut(key) else { return };
    let Some(mut inside) = endpoint.kernel.leg.take() else { return };
    if let Some(tally) = out.read_kernel(endpoint.pair).filter(|tally| tally.packets > inside.counted.packets) {
        add(session, key, &inside, &tally, totals);
        inside.counted = tally;
        inside.ignored = 0;
    }
    let is_flooded = inside.is_flooded();
    if let Some(endpoint) = session.endpoints.get_mut(key) {
        endpoint.kernel.leg = Some(inside);
        endpoint.kernel.refused |= is_flooded;
    }
    if is_flooded {
        take_back(session, key, totals, out);
    }
}

/// Counts what is in a tally and was not counted before, as if the packets had come this way.
fn add(session: &mut Session, key: Key, inside: &InKernel, tally: &KernelTally, totals: &mut Totals) {
    let before = &inside.counted;
    let packets = tally.packets - before.packets;
    if packets == 0 {
        return;
    }
    let octets = tally.octets - before.octets;
    let Plan { leg, sink, forks } = &inside.plan;
    let whole = octets + packets * HEADER_LEN as u64;
    totals.octets += whole;
    if let Some(endpoint) = session.endpoints.get_mut(key) {
        endpoint.add_received(before, tally, leg.clock_rate);
    }
    if let Some(sink) = sink.and_then(|sink| session.endpoints.get_mut(sink)) {
        sink.add_sent(packets, octets);
        totals.packets_relayed += packets;
        totals.octets += whole;
    }
    for (index, fork) in forks.iter().enumerate() {
        let Some(fork) = session.forks.get_mut(*fork) else { continue };
        let unsent = u64::from(tally.unsent[index] - before.unsent[index]);
        fork.add_sent((packets, octets), tally, leg.clock_rate);
        fork.count_send_errors(unsent);
        totals.packets_forked += packets - unsent.min(packets);
        totals.octets += whole;
    }
}

impl InKernel {
    fn new(plan: Plan, counted: KernelTally, since_ns: u64) -> Self {
        Self { plan, counted, ignored: 0, since_ns, pace: (since_ns, counted.packets) }
    }

    /// True if more packets have come than an endpoint takes: in user space, too many are not relayed.
    fn is_flooded(&mut self) -> bool {
        let (since_ns, packets) = self.pace;
        let elapsed_ns = self.counted.arrived_ns.saturating_sub(since_ns);
        if elapsed_ns < VISIT_NS {
            return false;
        }
        self.pace = (self.counted.arrived_ns, self.counted.packets);
        self.counted.packets - packets > u64::from(MAX_PACKETS) * elapsed_ns.div_ceil(VISIT_NS)
    }
}

impl Endpoint {
    /// True if it should hear something, has not for so long, and nobody was told of it yet.
    pub(super) fn is_silent(&self, silence_ns: u64, now_ns: u64) -> bool {
        let listens = self.configured && self.settings.receive;
        listens && !self.silence_reported && now_ns.saturating_sub(self.heard_ns) >= silence_ns
    }

    /// True if its packets come from one source that is not expected to change, and nobody else's come to its socket.
    fn is_steady(&self) -> bool {
        self.configured && self.settings.receive && self.security.is_none() && self.is_settled()
    }

    fn add_received(&mut self, before: &KernelTally, tally: &KernelTally, clock_rate: u32) {
        self.add_counts(tally.packets - before.packets, tally.octets - before.octets);
        self.heard_ns = self.heard_ns.max(tally.arrived_ns);
        self.silence_reported = false;
        if let Some(reception) = self.reception_mut() {
            replay(before, tally, reception);
            reception.set_timing((tally.transit, tally.jitter_scaled), tally.arrived_ns, clock_rate);
        }
    }
}

/// Receives the sequence numbers that a tally has more than the one before, in their order.
fn replay(before: &KernelTally, tally: &KernelTally, reception: &mut Reception) {
    let step = u32::from(tally.newest.wrapping_sub(before.newest));
    let window = step.min(u128::BITS);
    let new = if window == u128::BITS { tally.seen } else { tally.seen & ((1 << window) - 1) };
    let missing = (tally.packets - before.packets).saturating_sub(u64::from(new.count_ones()));
    reception.receive_among(before.newest, step - window, missing);
    for back in (0..window).rev().filter(|back| new >> back & 1 != 0) {
        reception.receive(tally.newest.wrapping_sub(back as u16));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replayed(before: KernelTally, tally: KernelTally) -> Reception {
        let mut reception = Reception::new(1, before.newest);
        reception.receive(before.newest);
        replay(&before, &tally, &mut reception);
        reception
    }

    #[test]
    fn numbers_come_in_their_order_without_those_that_were_lost() {
        let before = KernelTally { newest: 65_534, packets: 5, ..KernelTally::default() };
        let after = KernelTally { newest: 2, packets: 8, seen: 0b1_1110_1101, ..before };
        let reception = replayed(before, after);
        assert_eq!((reception.extended_sequence(), reception.lost()), (0x1_0002, 1));
        assert_eq!([65_535, 0, 1, 2].map(|number| reception.has_seen(number)), [true, true, false, true]);
        assert_eq!(replayed(after, after).lost(), 0);
    }

    #[test]
    fn what_is_further_back_than_the_window_is_known_by_its_count() {
        let before = KernelTally { newest: 100, packets: 10, ..KernelTally::default() };
        let after = KernelTally { newest: 300, packets: 180, seen: u128::MAX, ..before };
        let reception = replayed(before, after);
        assert_eq!((reception.extended_sequence(), reception.lost()), (300, 30));
    }
}
