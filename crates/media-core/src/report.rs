//! When and what a sender reports by RTCP (RFC 3550 §6).

use std::fmt::Display;

use crate::rtcp::{CompoundBuilder, ReportBlock, SenderInfo};
use crate::time::{Instant, NS_PER_MS, NS_PER_S};

/// RFC 3550 §6.2: the recommended minimum.
const SENDING_INTERVAL_NS: u64 = 5 * NS_PER_S;
/// Without media, reports keep the path open (RFC 6263 §4.6, 8: every 15 s).
const IDLE_INTERVAL_NS: u64 = 15 * NS_PER_S;
/// The first sender report follows the first packet quickly: a recorder needs it to align the streams.
const FIRST_DELAY_NS: u64 = 100 * NS_PER_MS;

const NOT_DUE: u64 = u64::MAX;

/// The RTCP side of a stream that the engine sends with an SSRC of its own.
#[derive(Clone, Debug)]
pub(crate) struct Reporter<C> {
    ssrc: u32,
    cname: C,
    packets: u32,
    octets: u32,
    packets_reported: u32,
    /// When the next report is due; [`NOT_DUE`]: that is not settled.
    due_ns: u64,
    noise: u32,
}

impl<C: Display> Reporter<C> {
    pub(crate) fn new(ssrc: u32, cname: C) -> Self {
        Self { ssrc, cname, packets: 0, octets: 0, packets_reported: 0, due_ns: NOT_DUE, noise: ssrc | 1 }
    }

    /// A packet left.
    pub(crate) fn note_sent(&mut self, payload_octets: usize, now_ns: u64) {
        if self.packets == self.packets_reported {
            // the first packet ever, or since a report said that nothing is sent
            let delay = if self.packets == 0 { FIRST_DELAY_NS } else { SENDING_INTERVAL_NS };
            self.due_ns = self.due_ns.min(now_ns + delay);
        }
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload_octets as u32);
    }

    /// Packets left elsewhere, the last at `last_ns`.
    pub(crate) fn note_sent_elsewhere(&mut self, packets: u64, payload_octets: u64, last_ns: u64) {
        self.note_sent(payload_octets as usize, last_ns);
        self.packets = self.packets.wrapping_add(packets as u32).wrapping_sub(1);
    }

    /// A packet of somebody else arrived, which there is to report on.
    pub(crate) fn note_heard(&mut self, now_ns: u64) {
        self.due_ns = self.due_ns.min(now_ns + SENDING_INTERVAL_NS);
    }

    /// True if a report is due.
    pub(crate) fn is_due(&self, now_ns: u64) -> bool {
        self.due_ns <= now_ns
    }

    /// A report if one is due; `timestamp` is the stream's at `now`, None while nothing was sent; `blocks` tell of what
    /// was received since the last.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Instant,
        timestamp: Option<u32>,
        blocks: &[ReportBlock],
    ) -> Option<Vec<u8>> {
        if self.due_ns == NOT_DUE {
            self.due_ns = now.mono_ns + IDLE_INTERVAL_NS;
        }
        if !self.is_due(now.mono_ns) {
            return None;
        }
        let sending = self.packets != self.packets_reported;
        let interval = if sending || !blocks.is_empty() { SENDING_INTERVAL_NS } else { IDLE_INTERVAL_NS };
        self.due_ns = now.mono_ns + self.spread(interval);
        let info = if sending { timestamp.map(|timestamp| self.info(now, timestamp)) } else { None };
        self.packets_reported = self.packets;
        Some(CompoundBuilder::report(self.ssrc, info, blocks).cname(self.ssrc, &self.cname.to_string()).build())
    }

    /// A report that is sent for the path's sake, about what is received.
    pub(crate) fn keep_alive(&self, blocks: &[ReportBlock]) -> Vec<u8> {
        CompoundBuilder::report(self.ssrc, None, blocks).cname(self.ssrc, &self.cname.to_string()).build()
    }

    /// The last packet of the stream (RFC 3550 §6.6).
    pub(crate) fn goodbye(&self, now: Instant, timestamp: Option<u32>) -> Vec<u8> {
        let info = timestamp.map(|timestamp| self.info(now, timestamp));
        CompoundBuilder::report(self.ssrc, info, &[])
            .cname(self.ssrc, &self.cname.to_string())
            .goodbye(self.ssrc)
            .build()
    }

    fn info(&self, now: Instant, timestamp: u32) -> SenderInfo {
        SenderInfo { ntp: now.ntp(), rtp_timestamp: timestamp, packets: self.packets, octets: self.octets }
    }

    /// Between 3/4 and 5/4 of an interval, so that streams that began together do not report together.
    fn spread(&mut self, interval_ns: u64) -> u64 {
        self.noise = self.noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        interval_ns * 3 / 4 + (interval_ns / 2) * u64::from(self.noise >> 16) / 0xffff
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{parse_compound, RtcpPacket};

    fn at(ms: u64) -> Instant {
        Instant { mono_ns: ms * NS_PER_MS, wall_ns: 1_764_000_000 * NS_PER_S + ms * NS_PER_MS }
    }

    #[test]
    fn a_sender_reports_soon_after_its_first_packet_and_then_about_every_five_seconds() {
        let mut reporter = Reporter::new(5, "me@here");
        reporter.note_sent(160, 0);
        let mut reports = Vec::new();
        for ms in (0..60_000).step_by(20) {
            reporter.note_sent(160, at(ms).mono_ns);
            if let Some(bytes) = reporter.handle_timeout(at(ms), Some(ms as u32 * 8), &[]) {
                reports.push(ms);
                let packets = parse_compound(&bytes).unwrap();
                let [RtcpPacket::SenderReport { ssrc: 5, info, .. }, RtcpPacket::SourceDescription { cnames }] =
                    &packets[..]
                else {
                    panic!("{packets:?}")
                };
                assert_eq!((info.ntp, info.rtp_timestamp), (at(ms).ntp(), ms as u32 * 8));
                assert_eq!(u64::from(info.octets), u64::from(info.packets) * 160);
                assert_eq!(cnames[..], [(5, b"me@here".to_vec())]);
            }
        }
        assert_eq!(reports[0], 100);
        assert!(reports.windows(2).all(|pair| (3750..=6300).contains(&(pair[1] - pair[0]))), "{reports:?}");
        assert!((10..=15).contains(&reports.len()));
    }

    #[test]
    fn an_idle_stream_sends_receiver_reports_and_says_goodbye() {
        let mut reporter = Reporter::new(5, "me@here");
        assert_eq!(reporter.handle_timeout(at(0), None, &[]), None);
        assert_eq!(reporter.handle_timeout(at(14_999), None, &[]), None);
        let bytes = reporter.handle_timeout(at(15_000), None, &[]).unwrap();
        assert_eq!(parse_compound(&bytes).unwrap()[0], RtcpPacket::ReceiverReport { ssrc: 5, blocks: vec![] });
        assert_eq!(reporter.handle_timeout(at(26_000), None, &[]), None);
        assert!(reporter.handle_timeout(at(34_000), None, &[]).is_some());
        let last = parse_compound(&reporter.goodbye(at(35_000), None)).unwrap();
        assert_eq!(last[2], RtcpPacket::Goodbye { ssrcs: vec![5] });
    }
}
