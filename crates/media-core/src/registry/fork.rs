//! A fork: a copy of one side of an endpoint on its way to an SRS.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::arena::Key;
use crate::batch::Batch;
use crate::fork::Rewriter;
use crate::format::{Format, Formats};
use crate::refusal::{Refusal, RefusalCode};
use crate::report::Reporter;
use crate::rtcp::{CompoundBuilder, ReportBlock};
use crate::rtp::{RtpHeader, RtpPacket};
use crate::statistics::ForkStatistics;
use crate::time::Instant;

use super::counting::{take_unsent, Rare, Told};
use super::endpoint::{port_above, rollover};
use super::security::{sealed, Security};
use super::{ForkPorts, ForkRole, ForkSettings, KernelFork, KernelTally, NewFork, Output, PairKey, Side};

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
    pub(super) ports: ForkPorts,
    drop_dtmf: bool,
    pub(super) settings: ForkSettings,
    pub(super) security: Option<Box<Security>>,
    pub(super) unreachable: Told,
    rewriter: Rewriter,
    reporter: Reporter<Arc<str>>,
    map: Box<[Mapped]>,
    batch: Option<Box<Batch>>,
    /// A packet has left since it became active.
    started: bool,
    /// The source whose packets a translator passed on last.
    passed_on: Option<u32>,
    clock_rate: u32,
    counts: Counts,
}

/// What is counted, as [`ForkStatistics`] tells it.
#[derive(Debug, Default)]
struct Counts {
    packets_sent: u64,
    octets_sent: u64,
    send_errors: Rare,
    packets_filtered: Rare,
    unauthenticated: Rare,
    unprotected: Rare,
    /// On the wall clock; 0: there was none.
    first_packet_ns: u64,
    /// Packets lost and jitter, in units of the time stamp, by the last report.
    reported: Option<(i32, u32)>,
}

impl Fork {
    pub(super) fn new(new: &NewFork, pair: PairKey, endpoint: Key) -> Self {
        Self {
            name: new.name.clone(),
            pair,
            endpoint,
            side: new.side,
            role: new.role,
            ports: new.ports,
            drop_dtmf: new.drop_dtmf,
            settings: ForkSettings {
                remote: None,
                remote_rtcp: None,
                active: false,
                formats: Formats::default(),
                keys: None,
            },
            security: None,
            unreachable: Told::default(),
            rewriter: Rewriter::new(new.numbers.ssrc, new.numbers.sequence, new.numbers.timestamp),
            reporter: Reporter::new(new.numbers.ssrc, new.cname.clone()),
            map: Box::default(),
            batch: (new.batch_ns > 0).then(|| Box::new(Batch::new(new.batch_ns))),
            started: false,
            passed_on: None,
            clock_rate: 8000,
            counts: Counts::default(),
        }
    }

    pub(super) fn ssrc(&self) -> u32 {
        self.rewriter.ssrc()
    }

    /// Takes what the SRS has agreed to; what was collected before leaves for where it was to go.
    pub(super) fn configure(&mut self, mut settings: ForkSettings, out: &mut impl Output) -> Result<(), Refusal> {
        if settings.keys.is_some() && self.ports == ForkPorts::Shared {
            // which fork a report is about could not be told before it is decrypted, nor by whose key it has to be
            return Err(Refusal::new(RefusalCode::BadField, "send_key: a fork with keys has ports of its own"));
        }
        self.flush(out);
        let rollover = rollover(self.settings.remote, settings.remote);
        Security::configure(&mut self.security, settings.keys.take(), rollover)?;
        self.settings = settings;
        if self.destination().is_none() {
            self.rewriter.pause();
            self.started = false;
        }
        Ok(())
    }

    /// Where packets go; None while nothing may be sent.
    pub(super) fn destination(&self) -> Option<SocketAddr> {
        self.settings.remote.filter(|_| self.settings.active)
    }

    /// True if reports from there are of its SRS.
    pub(super) fn hears(&self, source: SocketAddr) -> bool {
        self.report_destination().is_some_and(|srs| srs.ip() == source.ip())
    }

    /// True if packets of this payload type are sent to the SRS.
    pub(super) fn passes(&self, payload_type: u8) -> bool {
        self.map.iter().any(|mapped| mapped.from == payload_type)
    }

    /// Where reports go.
    pub(super) fn report_destination(&self) -> Option<SocketAddr> {
        self.settings.remote_rtcp.as_deref().copied().or_else(|| self.settings.remote.and_then(port_above))
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
            self.counts.packets_filtered.add(1);
            self.rewriter.omit(packet);
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
        let plain = out.get_mut(..packet.bytes().len())?;
        plain.copy_from_slice(packet.bytes());
        header.rewrite(plain);
        let mut len = plain.len();
        if let Some(security) = &mut self.security {
            let Ok(sealed) = security.seal_rtp(out, len) else {
                self.counts.unprotected.add(1);
                return None;
            };
            len = sealed;
        }
        self.clock_rate = mapped.clock_rate;
        self.passed_on = Some(packet.ssrc()).filter(|_| self.role == ForkRole::Translator);
        self.reporter.note_sent(packet.payload().len(), arrival.mono_ns);
        self.counts.packets_sent += 1;
        self.counts.octets_sent += packet.payload().len() as u64;
        Some((destination, &out[..len]))
    }

    /// Sends a packet that was made ready, or lets it wait for others; tells when they have to leave, if it is the first.
    pub(super) fn send(&mut self, to: SocketAddr, copy: &[u8], now_ns: u64, out: &mut impl Output) -> Option<u64> {
        let (Some(batch), Ok(packet)) = (&mut self.batch, RtpPacket::parse(copy)) else {
            out.queue_rtp(self.pair, to, copy, copy.len());
            return None;
        };
        if batch.is_closed_to(&packet) {
            self.flush(out);
        }
        let joined = self.batch.as_mut()?.join(&packet, self.clock_rate, now_ns);
        if joined.full {
            self.flush(out);
            return None;
        }
        joined.due_ns
    }

    /// Sends the packets that wait.
    pub(super) fn flush(&mut self, out: &mut impl Output) {
        let Some(batch) = &mut self.batch else { return };
        if let (Some((packets, segment)), Some(to)) = (batch.waiting(), self.settings.remote) {
            out.queue_rtp(self.pair, to, packets, segment);
        }
        batch.clear();
    }

    /// Sends the packets that wait if the first of them does so since then.
    pub(super) fn flush_since(&mut self, begun_ns: u64, out: &mut impl Output) {
        if self.batch.as_ref().is_some_and(|batch| batch.has_waited_since(begun_ns)) {
            self.flush(out);
        }
    }

    /// What the kernel has to know to feed it from a stream; None if it cannot.
    pub(super) fn in_kernel(&self, source: u32, payload_type: u8) -> Option<KernelFork> {
        let to = self.destination().filter(|_| self.started && self.security.is_none())?;
        let mapped = self.map.iter().find(|mapped| mapped.from == payload_type)?;
        let numbers = match self.role {
            ForkRole::Endpoint => {
                let (sequence_offset, timestamp_offset) = self.rewriter.offsets(source)?;
                Some((self.rewriter.ssrc(), sequence_offset, timestamp_offset))
            }
            ForkRole::Translator => None,
        };
        Some(KernelFork { pair: self.pair, to, payload_type: mapped.to, numbers })
    }

    /// Counts packets and octets that the kernel has copied to it, the newest as the tally says.
    pub(super) fn add_sent(&mut self, (packets, octets): (u64, u64), tally: &KernelTally, clock_rate: u32) {
        if self.role == ForkRole::Endpoint {
            self.rewriter.skip_to(tally.newest, tally.newest_timestamp, clock_rate, tally.arrived_ns);
        }
        self.clock_rate = clock_rate;
        self.reporter.note_sent_elsewhere(packets, octets, tally.arrived_ns);
        self.counts.packets_sent += packets;
        self.counts.octets_sent += octets;
    }

    /// True for the first packet since the fork became active; `now_ns` is the wall clock.
    pub(super) fn starts(&mut self, now_ns: u64) -> bool {
        if self.counts.first_packet_ns == 0 {
            self.counts.first_packet_ns = now_ns;
        }
        !std::mem::replace(&mut self.started, true)
    }

    pub(super) fn count_send_errors(&mut self, packets: u64) {
        self.counts.send_errors.add(packets);
        take_unsent(&mut self.counts.packets_sent, &mut self.counts.octets_sent, packets);
    }

    /// True if [`report`](Self::report) would tell of what was sent.
    pub(super) fn is_report_due(&self, now_ns: u64) -> bool {
        self.role == ForkRole::Endpoint && self.report_destination().is_some() && self.reporter.is_due(now_ns)
    }

    /// Sends a report of its own, if one is due.
    pub(super) fn report(&mut self, now: Instant, out: &mut impl Output) {
        if self.role == ForkRole::Endpoint && self.report_destination().is_some() {
            if let Some(report) = self.reporter.handle_timeout(now, self.rewriter.timestamp_at(now.mono_ns), &[]) {
                self.send_rtcp(&report, out);
            }
        }
    }

    /// Sends the goodbye of a fork that has sent something.
    pub(super) fn goodbye(&mut self, now: Instant, out: &mut impl Output) {
        if let Some(source) = self.passed_on {
            // RFC 3550 §7.2: a translator says so when it stops to forward a source
            self.send_rtcp(&CompoundBuilder::report(source, None, &[]).goodbye(source).build(), out);
        }
        let timestamp = self.rewriter.timestamp_at(now.mono_ns).filter(|_| self.role == ForkRole::Endpoint);
        if timestamp.is_some() {
            self.send_rtcp(&self.reporter.goodbye(now, timestamp), out);
        }
    }

    /// Sends RTCP to the SRS, protected if all is.
    pub(super) fn send_rtcp(&mut self, packet: &[u8], out: &mut impl Output) {
        let Some(to) = self.report_destination() else { return };
        match sealed(&mut self.security, packet) {
            Some(packet) => out.send_rtcp(self.pair, to, &packet),
            None => self.counts.unprotected.add(1),
        }
    }

    pub(super) fn count_unauthenticated(&mut self) {
        self.counts.unauthenticated.add(1);
    }

    /// Takes what the SRS reports about the fork's stream.
    pub(super) fn receive_report(&mut self, block: &ReportBlock) {
        self.counts.reported = Some((block.cumulative_lost, block.jitter));
    }

    pub(super) fn statistics(&self) -> ForkStatistics {
        let jitter_ms = |jitter: u32| f64::from(jitter) * 1000.0 / f64::from(self.clock_rate);
        ForkStatistics {
            packets_sent: self.counts.packets_sent,
            octets_sent: self.counts.octets_sent,
            send_errors: self.counts.send_errors.into(),
            first_packet_ns: Some(self.counts.first_packet_ns).filter(|first| *first > 0),
            packets_filtered: self.counts.packets_filtered.into(),
            reported_lost: self.counts.reported.map(|(lost, _)| lost),
            reported_jitter_ms: self.counts.reported.map(|(_, jitter)| jitter_ms(jitter)),
            unauthenticated: self.counts.unauthenticated.into(),
            unprotected: self.counts.unprotected.into(),
        }
    }

    /// Works out which payload types are passed on, given the formats of the packets' sources, first come first.
    pub(super) fn map_payload_types(&mut self, sources: &[&Formats]) {
        let drop_dtmf = self.drop_dtmf;
        let is_wanted = |format: &Format| !(drop_dtmf && format.is_telephone_event());
        let agreed = &self.settings.formats;
        let mut map: Vec<Mapped> = Vec::new();
        let mut known = [false; 128];
        for format in sources.iter().flat_map(|formats| formats.iter()) {
            let from = format.payload_type;
            if std::mem::replace(&mut known[usize::from(from & 0x7f)], true) {
                continue;
            }
            if !is_wanted(format) {
                continue;
            }
            // the same number, if it means the same, else the first that does
            let same = agreed.find(from).filter(|there| there.same_encoding(format));
            if let Some(there) = same.or_else(|| agreed.first(|there| there.same_encoding(format))) {
                map.push(Mapped { from, to: there.payload_type, clock_rate: there.clock_rate.max(1) });
            }
        }
        let unnamed = |format: &&Format| !known[usize::from(format.payload_type & 0x7f)];
        for there in agreed.iter().filter(unnamed).filter(|there| is_wanted(there)) {
            map.push(Mapped { from: there.payload_type, to: there.payload_type, clock_rate: there.clock_rate.max(1) });
        }
        // no longer than it has to be: a vector that shrinks keeps its place
        self.map = Box::from(&map[..]);
    }
}
