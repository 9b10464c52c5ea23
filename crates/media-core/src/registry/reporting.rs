//! What an endpoint says by RTCP for itself, and how it keeps its path open.

use crate::reception::Reception;
use crate::rtcp::{compact_sender_report, ReportBlock};
use crate::time::{Instant, NS_PER_S};

use super::endpoint::Endpoint;
use super::Output;

/// RFC 6263 §7: a path is kept open by a packet in so long a time at least.
const KEEP_ALIVE_NS: u64 = 15 * NS_PER_S;
/// RFC 3550 §6.4.1: the delay since a sender report is told in parts of a second.
const DELAY_UNITS_PER_S: u64 = 65_536;

/// Since when no RTP was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quiet {
    packets: u64,
    since_ns: u64,
}

impl Quiet {
    /// Begins anew.
    pub(super) fn begin(&mut self, now_ns: u64) {
        self.since_ns = now_ns;
    }
}

/// The last sender report of a source.
#[derive(Clone, Copy, Debug)]
pub(super) struct SenderReport {
    source: u32,
    /// The middle of its NTP time stamp.
    ntp: u32,
    arrived_ns: u64,
}

impl Endpoint {
    /// Notes the sender report of a compound packet, for the one who sent it to know how long the way is.
    pub(super) fn note_sender_report(&mut self, compound: &[u8], arrival: Instant) {
        if let Some((source, ntp)) = compact_sender_report(compound) {
            self.sender_report = Some(SenderReport { source, ntp, arrived_ns: arrival.mono_ns });
        }
    }

    /// True if [`report`](Self::report) would tell of what was received.
    pub(super) fn is_report_due(&self, now_ns: u64) -> bool {
        self.is_receiver() && self.remote_rtcp.is_some() && self.own.reporter.is_due(now_ns)
    }

    /// A report of its own, if one is due: on the stream that it sends, and on what it receives if nobody else does.
    pub(super) fn report(&mut self, now: Instant) -> Option<Vec<u8>> {
        let timestamp = self.own.stream.timestamp_at(now.mono_ns);
        let has_heard = self.is_receiver() && self.reception.as_ref().is_some_and(Reception::has_news);
        if has_heard {
            self.own.reporter.note_heard(now.mono_ns);
        }
        // who neither sends nor receives has nothing to say; relayed streams have their sender's reports
        if !has_heard && timestamp.is_none() {
            return None;
        }
        let is_told = has_heard && self.own.reporter.is_due(now.mono_ns);
        let blocks = if is_told { self.report_blocks(now) } else { Vec::new() };
        self.own.reporter.handle_timeout(now, timestamp, &blocks)
    }

    /// Keeps the path to the remote open while nothing else does (RFC 6263).
    pub(super) fn keep_alive(&mut self, now: Instant, out: &mut impl Output) {
        let Some(remote) = self.remote.filter(|_| self.configured) else { return };
        if self.packets_sent() != self.quiet.packets {
            self.quiet = Quiet { packets: self.packets_sent(), since_ns: now.mono_ns };
        }
        if now.mono_ns.saturating_sub(self.quiet.since_ns) < KEEP_ALIVE_NS {
            return;
        }
        self.quiet.since_ns = now.mono_ns;
        // RFC 6263 §4.3: RTCP that shares the port is all it takes
        if let Some(to) = self.remote_rtcp {
            let blocks = self.report_blocks(now);
            let report = self.own.reporter.keep_alive(&blocks);
            self.send_rtcp(to, &report, out);
        }
        if !self.settings.rtcp_mux {
            // RFC 6263 §4.1: of what is left to those who have no such port, the one that no peer can misunderstand
            out.send_beside_rtp(self.pair, remote, &[]);
        }
    }

    /// RFC 3550 §6.4: who receives a stream reports on it. What is relayed is received, and reported on, by the other party.
    fn is_receiver(&self) -> bool {
        self.configured && self.settings.receive && self.bridge().is_none()
    }

    /// What is to be said of what is received; begins a new interval for the fraction lost.
    fn report_blocks(&mut self, now: Instant) -> Vec<ReportBlock> {
        let heard = self.sender_report;
        let block = self.reception.as_mut().map(Reception::report).map(|block| {
            let Some(report) = heard.filter(|report| report.source == block.ssrc) else { return block };
            let delay_ns = u128::from(now.mono_ns.saturating_sub(report.arrived_ns));
            let delay = delay_ns * u128::from(DELAY_UNITS_PER_S) / u128::from(NS_PER_S);
            ReportBlock { last_sr: report.ntp, delay_since_sr: delay.min(u128::from(u32::MAX)) as u32, ..block }
        });
        block.into_iter().collect()
    }
}
