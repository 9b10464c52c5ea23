//! The way of a packet from its source to its sinks.

use std::net::SocketAddr;

use crate::arena::Key;
use crate::event::Event;
use crate::recorder::decode;
use crate::rtcp::{parse_compound, renumber_reports, ReportBlock, RtcpPacket};
use crate::rtp::{is_rtcp, RtpPacket};
use crate::srtp::SrtpError;
use crate::time::Instant;

use super::endpoint::{Admission, Endpoint};
use super::kernel;
use super::session::{Session, Sink};
use super::stream::Splice;
use super::timers::Unreachable;
use super::wheel::{Deadline, Wheel};
use super::{ForkRole, Member, Output, PairKey, Registry, Side, Totals};

/// No packet that is forked is longer: more does not fit an Ethernet frame, and comes from no telephone.
pub(super) const MAX_PACKET: usize = 2048;

/// Unreachable addresses that are looked after at one time; of more, the rest tell of themselves again.
const MAX_UNREACHABLE: usize = 64;

/// Room to work in, so that no packet allocates.
#[derive(Debug)]
pub(super) struct Scratch {
    /// A packet to be sent.
    pub(super) packet: Box<[u8; MAX_PACKET]>,
    /// A packet that was changed on its way.
    changed: Vec<u8>,
    samples: Vec<i16>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            packet: Box::new([0; MAX_PACKET]),
            changed: Vec::with_capacity(MAX_PACKET),
            samples: Vec::with_capacity(MAX_PACKET),
        }
    }
}

impl Registry {
    /// A datagram arrived on a pair's RTP port.
    pub fn receive_rtp(
        &mut self,
        pair: PairKey,
        source: SocketAddr,
        bytes: &[u8],
        arrival: Instant,
        out: &mut impl Output,
    ) {
        if is_rtcp(bytes) {
            return self.receive_rtcp(pair, source, bytes, arrival, out);
        }
        if self.uses_kernel {
            self.before_packet(pair, source, bytes, out);
        }
        let Some(owner) = self.pairs.get(pair) else { return };
        // an SRS sends no RTP; what comes to a fork's port is dropped
        let Member::Endpoint(key) = owner.member else { return };
        let Some(session) = self.sessions.get_mut(owner.session) else { return };
        let Some(endpoint) = session.endpoints.get_mut(key) else { return };
        let bytes = match open_rtp(endpoint, source, bytes, &mut self.opened[..]) {
            Some(Ok(bytes)) => bytes,
            Some(Err(error)) => {
                endpoint.count_refused(error);
                if error == SrtpError::Authentication && endpoint.note_fit(false) {
                    let (session, endpoint) = (session.name.clone(), endpoint.name.clone());
                    out.report(Event::Unauthenticated { session, endpoint });
                }
                return;
            }
            None => return,
        };
        let Ok(packet) = RtpPacket::parse(bytes) else {
            endpoint.count_invalid(bytes);
            return;
        };
        let name = &session.name;
        let mut learned = false;
        match endpoint.admit(&packet, source) {
            Admission::Stray => return,
            Admission::Heard => {}
            Admission::Learned(remote) => {
                learned = true;
                out.report(Event::Latched { session: name.clone(), endpoint: endpoint.name.clone(), remote });
            }
        }
        self.totals.octets += bytes.len() as u64;
        if !endpoint.takes_packet() {
            return;
        }
        let (clock_rate, event_rate) = endpoint.meaning(&packet);
        let timing = event_rate.is_none().then_some(clock_rate);
        if let Some(old) = endpoint.count_received(&packet, timing, arrival) {
            let (session, endpoint, new) = (name.clone(), endpoint.name.clone(), packet.ssrc());
            out.report(Event::SsrcChanged { session, endpoint, old, new });
        }
        if endpoint.is_first_packet() {
            let (session, endpoint) = (name.clone(), endpoint.name.clone());
            out.report(Event::FirstPacket { session, endpoint, at_ns: arrival.wall_ns });
        }
        if endpoint.settles() {
            out.settle(endpoint.pair, Some(source));
        }
        if !endpoint.configured || !endpoint.settings.receive {
            return;
        }
        if let Some(clock_rate) = event_rate {
            if let Some(digit) = endpoint.dtmf.receive(&packet, clock_rate, arrival.mono_ns) {
                out.report(Event::Dtmf { session: name.clone(), endpoint: endpoint.name.clone(), digit });
            }
        }
        let (scratch, totals, batches) = (&mut self.scratch, &mut self.totals, &mut self.batches);
        let mut way = Way { session: owner.session, arrival, scratch, totals, batches };
        way.deliver(session, key, &packet, out);
        if self.uses_kernel {
            if learned {
                // where the kernel sends the other party's packets is where this one was before
                kernel::take_all_back(session, &mut self.totals, out);
            }
            kernel::after_packet(session, key, (&packet, arrival), &mut self.totals, out);
        }
    }

    /// A datagram arrived on a pair's RTCP port.
    pub fn receive_rtcp(
        &mut self,
        pair: PairKey,
        source: SocketAddr,
        bytes: &[u8],
        arrival: Instant,
        out: &mut impl Output,
    ) {
        let Some(owner) = self.pairs.get(pair) else { return };
        let Some(session) = self.sessions.get_mut(owner.session) else { return };
        if !is_rtcp(bytes) {
            return;
        }
        match owner.member {
            Member::Endpoint(key) => relay_rtcp(session, key, source, (bytes, arrival), out),
            Member::Fork(key) => receive_srs_rtcp(session, key, source, bytes, out),
        }
    }

    /// A datagram arrived on a port that forks share: a report of an SRS on one of them, which it names by its SSRC.
    pub fn receive_shared_rtcp(&mut self, source: SocketAddr, bytes: &[u8]) {
        for block in report_blocks(bytes) {
            let Some(owner) = self.shared.get(&block.ssrc).and_then(|pair| self.pairs.get(*pair)) else { continue };
            let (Some(session), Member::Fork(key)) = (self.sessions.get_mut(owner.session), owner.member) else {
                continue;
            };
            if let Some(fork) = session.forks.get_mut(key).filter(|fork| fork.hears(source)) {
                fork.receive_report(&block);
            }
        }
    }

    /// An address to which forks send from ports that they share is unreachable, says ICMP. They are found on the
    /// regular visit of their sessions.
    pub fn receive_shared_unreachable(&mut self, remote: SocketAddr) {
        if self.unreachable.len() < MAX_UNREACHABLE && !self.unreachable.iter().any(|known| known.remote == remote) {
            self.unreachable.push(Unreachable::new(remote));
        }
    }

    /// A pair's remote is unreachable, says ICMP.
    pub fn receive_unreachable(&mut self, pair: PairKey, now: Instant, out: &mut impl Output) {
        let Some(owner) = self.pairs.get(pair) else { return };
        let Some(session) = self.sessions.get_mut(owner.session) else { return };
        let (name, told) = match owner.member {
            Member::Endpoint(key) => match session.endpoints.get_mut(key) {
                Some(endpoint) => (&endpoint.name, &mut endpoint.unreachable),
                None => return,
            },
            Member::Fork(key) => match session.forks.get_mut(key) {
                Some(fork) => (&fork.name, &mut fork.unreachable),
                None => return,
            },
        };
        if told.may_repeat(now.mono_ns) {
            out.report(Event::Unreachable { session: session.name.clone(), name: name.clone() });
        }
    }
}

/// What the way of a packet leads through.
pub(super) struct Way<'a> {
    pub(super) session: Key,
    pub(super) arrival: Instant,
    pub(super) scratch: &'a mut Scratch,
    pub(super) totals: &'a mut Totals,
    pub(super) batches: &'a mut Wheel,
}

impl Way<'_> {
    /// Gives a packet that an endpoint received to each of its sinks.
    fn deliver(&mut self, session: &mut Session, key: Key, packet: &RtpPacket<'_>, out: &mut impl Output) {
        let Some(endpoint) = session.endpoints.get_mut(key) else { return };
        // the list is put back below; nothing in between can change it
        let sinks = std::mem::take(&mut endpoint.received);
        for sink in &sinks {
            match *sink {
                Sink::Bridge(to) => {
                    let withheld = session.endpoints.get(to).is_none_or(|endpoint| endpoint.player.is_some());
                    if !withheld && self.send_to_remote(session, to, packet, out) {
                        self.totals.packets_relayed += 1;
                    }
                }
                Sink::Translate(to) => {
                    let withheld = session.endpoints.get(to).is_none_or(|endpoint| endpoint.player.is_some());
                    if !withheld && self.translate(session, key, to, packet, out) {
                        self.totals.packets_relayed += 1;
                    }
                }
                Sink::Fork(fork) => self.feed_fork(session, fork, packet, out),
                Sink::Recorder(recorder) => self.record(session, key, recorder, packet, out),
            }
        }
        if let Some(endpoint) = session.endpoints.get_mut(key) {
            endpoint.received = sinks;
        }
    }

    /// Relays a packet as the other side takes it; false if it may not be sent.
    fn translate(
        &mut self,
        session: &mut Session,
        from: Key,
        to: Key,
        packet: &RtpPacket<'_>,
        out: &mut impl Output,
    ) -> bool {
        let mut changed = std::mem::take(&mut self.scratch.changed);
        let wanted = change(session, from, to, packet, &mut changed);
        let sent =
            wanted && RtpPacket::parse(&changed).is_ok_and(|packet| self.send_to_remote(session, to, &packet, out));
        self.scratch.changed = changed;
        sent
    }

    /// Sends a packet to an endpoint's remote and to the forks of its outbound side; false if it may not be sent.
    pub(super) fn send_to_remote(
        &mut self,
        session: &mut Session,
        key: Key,
        packet: &RtpPacket<'_>,
        out: &mut impl Output,
    ) -> bool {
        let Some(endpoint) = session.endpoints.get_mut(key).filter(|endpoint| endpoint.settings.send) else {
            return false;
        };
        let Some(remote) = endpoint.remote else { return false };
        match seal_rtp(endpoint, packet.bytes(), &mut self.scratch.packet[..]) {
            Some(bytes) if out.send_rtp(endpoint.pair, remote, bytes) => {
                self.totals.octets += bytes.len() as u64;
                endpoint.count_sent(packet.payload().len());
            }
            Some(_) => {}
            None => endpoint.count_unprotected(),
        }
        let forks = std::mem::take(&mut endpoint.sent);
        for fork in &forks {
            self.feed_fork(session, *fork, packet, out);
        }
        if let Some(endpoint) = session.endpoints.get_mut(key) {
            endpoint.sent = forks;
        }
        true
    }

    fn feed_fork(&mut self, session: &mut Session, key: Key, packet: &RtpPacket<'_>, out: &mut impl Output) {
        let Some(fork) = session.forks.get_mut(key) else { return };
        let Some((to, copy)) = fork.forward(packet, self.arrival, &mut self.scratch.packet[..]) else { return };
        self.totals.octets += copy.len() as u64;
        if let Some(due_ns) = fork.send(to, copy, self.arrival.mono_ns, out) {
            let begun_ns = self.arrival.mono_ns;
            self.batches.add(due_ns, begun_ns, Deadline { session: self.session, fork: key, begun_ns });
        }
        self.totals.packets_forked += 1;
        if fork.starts(self.arrival.wall_ns) {
            let (session, fork) = (session.name.clone(), fork.name.clone());
            out.report(Event::ForkStarted { session, fork, at_ns: self.arrival.wall_ns });
        }
    }

    fn record(&mut self, session: &mut Session, of: Key, key: Key, packet: &RtpPacket<'_>, out: &mut impl Output) {
        let Some(slot) = session.recorders.get_mut(key) else { return };
        let formats = session.endpoints.get(of).map(|endpoint| &endpoint.settings.formats);
        let format = formats.and_then(|formats| formats.find(packet.payload_type()));
        if !format.is_some_and(|format| decode(format, packet.payload(), &mut self.scratch.samples)) {
            return slot.recorder.pass(packet, self.arrival);
        }
        if let Some(place) = slot.recorder.place(packet, self.scratch.samples.len(), self.arrival) {
            out.write(slot.id, place.at, &self.scratch.samples[place.skip..]);
        }
    }
}

/// Writes a packet of `from` as `to` takes it; false if it takes none of these, or this one is too late.
fn change(session: &mut Session, from: Key, to: Key, packet: &RtpPacket<'_>, changed: &mut Vec<u8>) -> bool {
    let Some(source) = session.endpoints.get(from) else { return false };
    let wanted = match &source.translation {
        Some(translation) => translation.translate(packet, changed),
        None => {
            changed.clear();
            changed.extend_from_slice(packet.bytes());
            true
        }
    };
    let Some(sink) = session.endpoints.get_mut(to) else { return false };
    let (ssrc, sequence) = (packet.ssrc(), packet.sequence());
    if !wanted {
        let splice = sink.splice.get_or_insert_with(|| Box::new(Splice::new(ssrc, sequence.wrapping_sub(1))));
        splice.omit(ssrc, sequence);
        return false;
    }
    let Some(splice) = &mut sink.splice else { return true };
    let Some(number) = splice.number(ssrc, sequence) else { return false };
    changed[2..4].copy_from_slice(&number.to_be_bytes());
    true
}

/// What an endpoint received, decrypted into `room` if all is, or why it is not; None, and counted, if nothing from there is
/// heard.
#[inline]
fn open_rtp<'a>(
    endpoint: &mut Endpoint,
    source: SocketAddr,
    bytes: &'a [u8],
    room: &'a mut [u8],
) -> Option<Result<&'a [u8], SrtpError>> {
    if endpoint.security.is_none() {
        return Some(Ok(bytes));
    }
    decrypt_rtp(endpoint, source, bytes, room)
}

fn decrypt_rtp<'a>(
    endpoint: &mut Endpoint,
    source: SocketAddr,
    bytes: &'a [u8],
    room: &'a mut [u8],
) -> Option<Result<&'a [u8], SrtpError>> {
    if endpoint.is_stranger(source) {
        return None;
    }
    let opened = endpoint.security.as_mut()?.open_rtp(bytes, room);
    if opened.is_ok() {
        endpoint.note_fit(true);
    }
    Some(opened)
}

/// What an endpoint sends for a packet: itself, or its protected form in `room`; None if it cannot be protected.
fn seal_rtp<'a>(endpoint: &mut Endpoint, packet: &'a [u8], room: &'a mut [u8]) -> Option<&'a [u8]> {
    let Some(security) = &mut endpoint.security else { return Some(packet) };
    room.get_mut(..packet.len())?.copy_from_slice(packet);
    let len = security.seal_rtp(room, packet.len()).ok()?;
    Some(&room[..len])
}

/// RTCP of one party goes to the other, and to the SRS from a fork that is a translator.
fn relay_rtcp(
    session: &mut Session,
    key: Key,
    source: SocketAddr,
    (bytes, arrival): (&[u8], Instant),
    out: &mut impl Output,
) {
    let Some(endpoint) = session.endpoints.get_mut(key) else { return };
    if !endpoint.knows(source) || !endpoint.takes_report() {
        return;
    }
    let opened = endpoint.security.as_mut().map(|security| security.open_rtcp(bytes)).transpose();
    // RFC 3550 §7.2: a translator that changed the numbers on the way there changes them back
    let mut opened = match opened {
        Ok(opened) => opened,
        Err(error) => return endpoint.count_refused(error),
    };
    if let (Some(security), Some(report)) = (&endpoint.security, &mut opened) {
        security.restore_numbers(report);
    }
    let bytes = opened.as_deref().unwrap_or(bytes);
    endpoint.learn_rtcp(source);
    endpoint.note_sender_report(bytes, arrival);
    let renumbered = endpoint.splice.as_ref().filter(|splice| splice.moves()).map(|splice| {
        let mut report = bytes.to_vec();
        renumber_reports(&mut report, splice.ssrc(), |highest| splice.source_number(highest));
        report
    });
    let mut forks: Vec<Key> = Vec::new();
    for sink in &endpoint.received.clone() {
        match *sink {
            // RFC 3550 §7.2: a translator that changes no packet passes reports on unchanged
            Sink::Bridge(to) | Sink::Translate(to) => {
                let Some(to) = session.endpoints.get_mut(to).filter(|to| to.configured) else { continue };
                if let Some(remote) = to.remote_rtcp {
                    to.send_rtcp(remote, renumbered.as_deref().unwrap_or(bytes), out);
                }
                forks.extend(&to.sent);
            }
            Sink::Fork(fork) => forks.push(fork),
            Sink::Recorder(_) => {}
        }
    }
    // RFC 7866 §8.2.1: reports of the call to the SRS
    for fork in forks {
        let Some(fork) = session.forks.get_mut(fork) else { continue };
        if fork.role == ForkRole::Translator && fork.destination().is_some() {
            fork.send_rtcp(bytes, out);
        }
    }
}

/// RTCP of the SRS is about the fork's own stream, or goes back to whom the fork is a translator for.
fn receive_srs_rtcp(session: &mut Session, key: Key, source: SocketAddr, bytes: &[u8], out: &mut impl Output) {
    let Some(fork) = session.forks.get_mut(key).filter(|fork| fork.hears(source)) else { return };
    let opened = fork.security.as_mut().map(|security| security.open_rtcp(bytes)).transpose();
    let Ok(mut opened) = opened else { return fork.count_unauthenticated() };
    if let (Some(security), Some(report)) = (&fork.security, &mut opened) {
        security.restore_numbers(report);
    }
    let bytes = opened.as_deref().unwrap_or(bytes);
    if fork.role == ForkRole::Endpoint {
        let ssrc = fork.ssrc();
        report_blocks(bytes).iter().filter(|block| block.ssrc == ssrc).for_each(|block| fork.receive_report(block));
        return;
    }
    let (of, side) = (fork.endpoint, fork.side);
    let is_source = |key: Key, endpoint: &Endpoint| match side {
        Side::Inbound => key == of,
        Side::Outbound => endpoint.bridge() == Some(of),
    };
    let sources: Vec<Key> =
        session.endpoints.iter().filter(|(key, endpoint)| is_source(*key, endpoint)).map(|(key, _)| key).collect();
    for key in sources {
        let Some(endpoint) = session.endpoints.get_mut(key).filter(|endpoint| endpoint.configured) else { continue };
        if let Some(remote) = endpoint.remote_rtcp {
            endpoint.send_rtcp(remote, bytes, out);
        }
    }
}

/// The reception reports of a compound packet; none if it is malformed.
fn report_blocks(bytes: &[u8]) -> Vec<ReportBlock> {
    let blocks = parse_compound(bytes).unwrap_or_default().into_iter().map(|packet| match packet {
        RtcpPacket::SenderReport { blocks, .. } | RtcpPacket::ReceiverReport { blocks, .. } => blocks,
        _ => Vec::new(),
    });
    blocks.flatten().collect()
}
