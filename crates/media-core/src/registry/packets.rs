//! The way of a packet from its source to its sinks.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::arena::Key;
use crate::event::Event;
use crate::recorder::decode;
use crate::rtp::{is_rtcp, RtpPacket};
use crate::time::Instant;

use super::endpoint::{may_repeat, Admission};
use super::fork::Fork;
use super::session::{Session, Sink};
use super::{ForkRole, Member, Output, PairKey, Registry, Side, Totals};

/// No packet that is forked is longer: more does not fit an Ethernet frame, and comes from no telephone.
const MAX_PACKET: usize = 2048;

/// Room to work in, so that no packet allocates.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) packet: Box<[u8; MAX_PACKET]>,
    samples: Vec<i16>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { packet: Box::new([0; MAX_PACKET]), samples: Vec::with_capacity(MAX_PACKET) }
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
            return self.receive_rtcp(pair, source, bytes, out);
        }
        let Some(owner) = self.pairs.get(pair) else { return };
        // an SRS sends no RTP; what comes to a fork's port is dropped
        let Member::Endpoint(key) = owner.member else { return };
        let Some(session) = self.sessions.get_mut(owner.session) else { return };
        let Some(endpoint) = session.endpoints.get_mut(key) else { return };
        let Ok(packet) = RtpPacket::parse(bytes) else {
            endpoint.count_invalid();
            return;
        };
        let name = &session.name;
        match endpoint.admit(&packet, source) {
            Admission::Stray => return,
            Admission::Heard => {}
            Admission::Learned(remote) => {
                out.report(Event::Latched { session: name.clone(), endpoint: endpoint.name.clone(), remote });
            }
        }
        if let Some(old) = endpoint.count_received(&packet, arrival) {
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
        let format = endpoint.settings.formats.find(packet.payload_type());
        if let Some(format) = format.filter(|format| format.is_telephone_event()) {
            if let Some(digit) = endpoint.dtmf.receive(&packet, format.clock_rate, arrival.mono_ns) {
                out.report(Event::Dtmf { session: name.clone(), endpoint: endpoint.name.clone(), digit });
            }
        }
        deliver(session, key, &packet, arrival, &mut self.scratch, &mut self.totals, out);
    }

    /// A datagram arrived on a pair's RTCP port.
    pub fn receive_rtcp(&mut self, pair: PairKey, source: SocketAddr, bytes: &[u8], out: &mut impl Output) {
        let Some(owner) = self.pairs.get(pair) else { return };
        let Some(session) = self.sessions.get_mut(owner.session) else { return };
        if !is_rtcp(bytes) {
            return;
        }
        match owner.member {
            Member::Endpoint(key) => relay_rtcp(session, key, source, bytes, out),
            Member::Fork(key) => receive_srs_rtcp(session, key, source, bytes, out),
        }
    }

    /// A pair's remote is unreachable, says ICMP.
    pub fn receive_unreachable(&mut self, pair: PairKey, now: Instant, out: &mut impl Output) {
        let Some(owner) = self.pairs.get(pair) else { return };
        let Some(session) = self.sessions.get_mut(owner.session) else { return };
        let (name, last) = match owner.member {
            Member::Endpoint(key) => match session.endpoints.get_mut(key) {
                Some(endpoint) => (&endpoint.name, &mut endpoint.unreachable_ns),
                None => return,
            },
            Member::Fork(key) => match session.forks.get_mut(key) {
                Some(fork) => (&fork.name, &mut fork.unreachable_ns),
                None => return,
            },
        };
        if may_repeat(last, now.mono_ns) {
            out.report(Event::Unreachable { session: session.name.clone(), name: name.clone() });
        }
    }
}

/// Gives a packet that an endpoint received to each of its sinks.
fn deliver(
    session: &mut Session,
    key: Key,
    packet: &RtpPacket<'_>,
    arrival: Instant,
    scratch: &mut Scratch,
    totals: &mut Totals,
    out: &mut impl Output,
) {
    let Some(endpoint) = session.endpoints.get_mut(key) else { return };
    // the list is put back below; nothing in between can change it
    let sinks = std::mem::take(&mut endpoint.received);
    let format = endpoint.settings.formats.find(packet.payload_type()).cloned();
    for sink in &sinks {
        match *sink {
            Sink::Bridge(to) => {
                let withheld = session.endpoints.get(to).is_none_or(|endpoint| endpoint.player.is_some());
                if !withheld && send_to_remote(session, to, packet, arrival, scratch, totals, out) {
                    totals.packets_relayed += 1;
                }
            }
            Sink::Fork(fork) => {
                if let Some(fork) = session.forks.get_mut(fork) {
                    feed_fork(fork, &session.name, packet, arrival, scratch, totals, out);
                }
            }
            Sink::Recorder(recorder) => {
                let Some(slot) = session.recorders.get_mut(recorder) else { continue };
                let Some(format) = &format else { continue };
                if !decode(format, packet.payload(), &mut scratch.samples) {
                    continue;
                }
                if let Some(place) = slot.recorder.place(packet, scratch.samples.len(), arrival) {
                    out.write(slot.id, place.at, &scratch.samples[place.skip..]);
                }
            }
        }
    }
    if let Some(endpoint) = session.endpoints.get_mut(key) {
        endpoint.received = sinks;
    }
}

/// Sends a packet to an endpoint's remote and to the forks of its outbound side; false if it may not be sent.
pub(super) fn send_to_remote(
    session: &mut Session,
    key: Key,
    packet: &RtpPacket<'_>,
    arrival: Instant,
    scratch: &mut Scratch,
    totals: &mut Totals,
    out: &mut impl Output,
) -> bool {
    let Some(endpoint) = session.endpoints.get_mut(key).filter(|endpoint| endpoint.settings.send) else { return false };
    let Some(remote) = endpoint.remote else { return false };
    if out.send_rtp(endpoint.pair, remote, packet.bytes()) {
        endpoint.count_sent(packet.payload().len());
    }
    for fork in &endpoint.sent {
        if let Some(fork) = session.forks.get_mut(*fork) {
            feed_fork(fork, &session.name, packet, arrival, scratch, totals, out);
        }
    }
    true
}

fn feed_fork(
    fork: &mut Fork,
    session: &Arc<str>,
    packet: &RtpPacket<'_>,
    arrival: Instant,
    scratch: &mut Scratch,
    totals: &mut Totals,
    out: &mut impl Output,
) {
    let pair = fork.pair;
    let Some((to, copy)) = fork.forward(packet, arrival, &mut scratch.packet[..]) else { return };
    out.queue_rtp(pair, to, copy);
    totals.packets_forked += 1;
    if fork.starts(arrival.wall_ns) {
        let (session, fork) = (session.clone(), fork.name.clone());
        out.report(Event::ForkStarted { session, fork, at_ns: arrival.wall_ns });
    }
}

/// RTCP of one party goes to the other, and to the SRS from a fork that is a translator.
fn relay_rtcp(session: &mut Session, key: Key, source: SocketAddr, bytes: &[u8], out: &mut impl Output) {
    let Some(endpoint) = session.endpoints.get_mut(key) else { return };
    if !endpoint.admit_rtcp(source) {
        return;
    }
    let mut forks: Vec<Key> = Vec::new();
    for sink in &endpoint.received.clone() {
        match *sink {
            // RFC 3550 §7.2: a translator that changes no packet passes reports on unchanged
            Sink::Bridge(to) => {
                let Some(to) = session.endpoints.get(to).filter(|to| to.configured) else { continue };
                if let Some(remote) = to.remote_rtcp {
                    out.send_rtcp(to.pair, remote, bytes);
                }
                forks.extend(&to.sent);
            }
            Sink::Fork(fork) => forks.push(fork),
            Sink::Recorder(_) => {}
        }
    }
    // RFC 7866 §8.2.1: reports of the call to the SRS
    for fork in forks.into_iter().filter_map(|fork| session.forks.get(fork)) {
        if fork.role == ForkRole::Translator && fork.destination().is_some() {
            if let Some(to) = fork.report_destination() {
                out.send_rtcp(fork.pair, to, bytes);
            }
        }
    }
}

/// RTCP of the SRS is about the fork's own stream, or goes back to whom the fork is a translator for.
fn receive_srs_rtcp(session: &mut Session, key: Key, source: SocketAddr, bytes: &[u8], out: &mut impl Output) {
    let Some(fork) = session.forks.get_mut(key) else { return };
    if fork.report_destination().is_none_or(|srs| srs.ip() != source.ip()) {
        return;
    }
    if fork.role == ForkRole::Endpoint {
        fork.receive_report(bytes);
        return;
    }
    let (of, side) = (fork.endpoint, fork.side);
    for (key, endpoint) in session.endpoints.iter() {
        let is_source = match side {
            Side::Inbound => key == of,
            Side::Outbound => endpoint.bridge() == Some(of),
        };
        if let Some(remote) = endpoint.remote_rtcp.filter(|_| is_source && endpoint.configured) {
            out.send_rtcp(endpoint.pair, remote, bytes);
        }
    }
}
