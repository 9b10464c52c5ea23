//! A fork: a copy of one side of an endpoint on its way to an SRS.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::arena::Key;
use crate::fork::Rewriter;
use crate::format::Formats;
use crate::report::Reporter;
use crate::rtcp::{parse_compound, RtcpPacket};
use crate::rtp::{RtpHeader, RtpPacket};
use crate::statistics::ForkStatistics;
use crate::time::Instant;

use super::endpoint::port_above;
use super::{ForkRole, ForkSettings, NewFork, PairKey, Side};

/// A payload type of the call and what it is to the SRS.
#[derive(Clone, Copy, Debug)]
struct Mapped {
    from: u8,
    to: u8,
    clock_rate: u32,
}

#[derive(Debug)]
pub(super) struct Fork {
    pub(super) name: Arc<str>,
    pub(super) pair: PairKey,
    pub(super) endpoint: Key,
    pub(super) side: Side,
    pub(super) role: ForkRole,
    pub(super) settings: ForkSettings,
    pub(super) unreachable_ns: Option<u64>,
    rewriter: Rewriter,
    reporter: Reporter,
    map: Vec<Mapped>,
    /// A packet has left since it became active.
    started: bool,
    clock_rate: u32,
    counts: ForkStatistics,
}

impl Fork {
    pub(super) fn new(new: &NewFork, pair: PairKey, endpoint: Key) -> Self {
        Self {
            name: new.name.clone(),
            pair,
            endpoint,
            side: new.side,
            role: new.role,
            settings: ForkSettings { remote: None, remote_rtcp: None, active: false, formats: Formats::default() },
            unreachable_ns: None,
            rewriter: Rewriter::new(new.numbers.ssrc, new.numbers.sequence, new.numbers.timestamp),
            reporter: Reporter::new(new.numbers.ssrc, &new.cname),
            map: Vec::new(),
            started: false,
            clock_rate: 8000,
            counts: ForkStatistics::default(),
        }
    }

    pub(super) fn configure(&mut self, mut settings: ForkSettings) {
        settings.remote_rtcp = settings.remote_rtcp.or_else(|| settings.remote.and_then(port_above));
        self.settings = settings;
        if self.destination().is_none() {
            self.rewriter.pause();
            self.started = false;
        }
    }

    /// Where packets go; None while nothing may be sent.
    pub(super) fn destination(&self) -> Option<SocketAddr> {
        self.settings.remote.filter(|_| self.settings.active)
    }

    /// Where reports go.
    pub(super) fn report_destination(&self) -> Option<SocketAddr> {
        self.settings.remote_rtcp
    }

    /// The packet as the SRS gets it, written into `out`; None if it does not get it.
    pub(super) fn forward<'a>(
        &mut self,
        packet: &RtpPacket<'_>,
        arrival: Instant,
        out: &'a mut [u8],
    ) -> Option<(SocketAddr, &'a [u8])> {
        let destination = self.destination()?;
        let Some(mapped) = self.map.iter().find(|mapped| mapped.from == packet.payload_type()).copied() else {
            self.counts.packets_filtered += 1;
            return None;
        };
        let header = match self.role {
            ForkRole::Endpoint => self.rewriter.rewrite(packet, mapped.to, mapped.clock_rate, arrival.mono_ns)?,
            // RFC 7866 §8.2.1: SSRC, sequence number and time stamp are kept
            ForkRole::Translator => RtpHeader {
                marker: packet.marker(),
                payload_type: mapped.to,
                sequence: packet.sequence(),
                timestamp: packet.timestamp(),
                ssrc: packet.ssrc(),
            },
        };
        let out = out.get_mut(..packet.bytes().len())?;
        out.copy_from_slice(packet.bytes());
        header.rewrite(out);
        self.clock_rate = mapped.clock_rate;
        self.reporter.note_sent(packet.payload().len(), arrival.mono_ns);
        self.counts.packets_sent += 1;
        self.counts.octets_sent += packet.payload().len() as u64;
        Some((destination, out))
    }

    /// True for the first packet since the fork became active; `now_ns` is the wall clock.
    pub(super) fn starts(&mut self, now_ns: u64) -> bool {
        self.counts.first_packet_ns.get_or_insert(now_ns);
        !std::mem::replace(&mut self.started, true)
    }

    pub(super) fn count_send_error(&mut self) {
        self.counts.send_errors += 1;
        self.counts.packets_sent = self.counts.packets_sent.saturating_sub(1);
    }

    /// A report of its own, if one is due.
    pub(super) fn report(&mut self, now: Instant) -> Option<(SocketAddr, Vec<u8>)> {
        let destination = self.report_destination().filter(|_| self.role == ForkRole::Endpoint)?;
        let report = self.reporter.handle_timeout(now, self.rewriter.timestamp_at(now.mono_ns))?;
        Some((destination, report))
    }

    /// The goodbye of a fork that has sent something.
    pub(super) fn goodbye(&self, now: Instant) -> Option<(SocketAddr, Vec<u8>)> {
        let destination = self.report_destination().filter(|_| self.role == ForkRole::Endpoint)?;
        let timestamp = Some(self.rewriter.timestamp_at(now.mono_ns)?);
        Some((destination, self.reporter.goodbye(now, timestamp)))
    }

    /// Takes what the SRS reports about the fork's stream.
    pub(super) fn receive_report(&mut self, bytes: &[u8]) {
        for packet in parse_compound(bytes).unwrap_or_default() {
            let (RtcpPacket::SenderReport { blocks, .. } | RtcpPacket::ReceiverReport { blocks, .. }) = packet else {
                continue;
            };
            for block in blocks.iter().filter(|block| block.ssrc == self.rewriter.ssrc()) {
                self.counts.reported_lost = Some(block.cumulative_lost);
                self.counts.reported_jitter_ms = Some(f64::from(block.jitter) * 1000.0 / f64::from(self.clock_rate));
            }
        }
    }

    pub(super) fn statistics(&self) -> ForkStatistics {
        self.counts
    }

    /// Works out which payload types are passed on, given the formats of the packets' sources, first come first.
    pub(super) fn map_payload_types(&mut self, sources: &[&Formats]) {
        let agreed = &self.settings.formats;
        let mut map: Vec<Mapped> = Vec::new();
        let mut known = [false; 128];
        for format in sources.iter().flat_map(|formats| formats.iter()) {
            let from = format.payload_type;
            if std::mem::replace(&mut known[usize::from(from & 0x7f)], true) {
                continue;
            }
            // the same number, if it means the same, else the first that does
            let same = agreed.find(from).filter(|there| there.same_encoding(format));
            if let Some(there) = same.or_else(|| agreed.first(|there| there.same_encoding(format))) {
                map.push(Mapped { from, to: there.payload_type, clock_rate: there.clock_rate.max(1) });
            }
        }
        for there in agreed.iter().filter(|there| !known[usize::from(there.payload_type & 0x7f)]) {
            map.push(Mapped { from: there.payload_type, to: there.payload_type, clock_rate: there.clock_rate.max(1) });
        }
        self.map = map;
    }
}
