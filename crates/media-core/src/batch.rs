//! Packets of one fork that wait to leave together.

use crate::rtp::{timestamp_delta, RtpPacket};
use crate::time::{NS_PER_MS, NS_PER_S};

/// The longest that packets may wait: a recorder that is followed live is still a moment behind only.
pub const MAX_BATCH_NS: u64 = 160 * NS_PER_MS;
/// No kernel that cuts a send into packets refuses so many (64 since UDP GSO exists).
const MAX_SEGMENTS: usize = 32;
/// Well below the longest datagram, of which all packets of a send are cut.
const MAX_BYTES: usize = 32 * 1024;

/// Packets of one size that leave in one send, which the kernel cuts apart again.
///
/// Nothing in them is changed: only when they leave.
#[derive(Debug)]
pub struct Batch {
    span_ns: u64,
    bytes: Vec<u8>,
    /// Octets of each packet.
    segment: usize,
    begun_ns: u64,
    first_timestamp: u32,
    newest_timestamp: u32,
    /// Audio of one packet, as the stream's last step tells it.
    step: u32,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// It is the first of those that wait: they have to leave by then at the latest.
    pub due_ns: Option<u64>,
    /// They are complete.
    pub full: bool,
}

impl Batch {
    /// Collects packets of `span_ns` of audio, at most [`MAX_BATCH_NS`].
    pub fn new(span_ns: u64) -> Self {
        Self {
            span_ns: span_ns.min(MAX_BATCH_NS),
            bytes: Vec::new(),
            segment: 0,
            begun_ns: 0,
            first_timestamp: 0,
            newest_timestamp: 0,
            step: 0,
        }
    }

    /// True if those that wait have to leave before this packet joins: it has another size, or begins something new.
    pub fn is_closed_to(&self, packet: &RtpPacket<'_>) -> bool {
        let length = packet.bytes().len();
        let room = self.bytes.len() + length <= MAX_BYTES && self.bytes.len() < MAX_SEGMENTS * self.segment;
        !self.bytes.is_empty() && (packet.marker() || length != self.segment || !room)
    }

    /// Adds a packet, to which the batch is not closed.
    pub fn join(&mut self, packet: &RtpPacket<'_>, clock_rate: u32, now_ns: u64) -> Joined {
        let timestamp = packet.timestamp();
        let first = self.bytes.is_empty();
        let step = timestamp_delta(self.newest_timestamp, timestamp);
        if first {
            self.segment = packet.bytes().len();
            self.begun_ns = now_ns;
            self.first_timestamp = timestamp;
        } else if step > 0 {
            self.step = step as u32;
        }
        self.newest_timestamp = timestamp;
        self.bytes.extend_from_slice(packet.bytes());
        let covered = u64::from(timestamp.wrapping_sub(self.first_timestamp)) + u64::from(self.step);
        let full = covered * NS_PER_S >= self.span_ns * u64::from(clock_rate);
        Joined { due_ns: first.then_some(now_ns + self.span_ns), full }
    }

    /// True if packets wait whose first joined then.
    pub fn has_waited_since(&self, begun_ns: u64) -> bool {
        !self.bytes.is_empty() && self.begun_ns == begun_ns
    }

    /// Those that wait, one after the other, and the length of each; None if there is none.
    pub fn waiting(&self) -> Option<(&[u8], usize)> {
        (!self.bytes.is_empty()).then_some((&self.bytes[..], self.segment))
    }

    /// They have left.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::{RtpHeader, HEADER_LEN};

    const MS: u64 = NS_PER_MS;

    fn packet(marker: bool, timestamp: u32, payload: usize) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LEN + payload];
        RtpHeader { marker, payload_type: 0, sequence: 1, timestamp, ssrc: 1 }.write(bytes.first_chunk_mut().unwrap());
        bytes
    }

    /// (closed before it, full after it), and what left by then is counted.
    fn feed(batch: &mut Batch, bytes: &[u8], now_ns: u64) -> (bool, bool) {
        let packet = RtpPacket::parse(bytes).unwrap();
        let closed = batch.is_closed_to(&packet);
        if closed {
            batch.clear();
        }
        let full = batch.join(&packet, 8000, now_ns).full;
        if full {
            batch.clear();
        }
        (closed, full)
    }

    #[test]
    fn packets_leave_when_they_cover_the_time() {
        let mut batch = Batch::new(80 * MS);
        for round in 0..3u32 {
            for n in 0..4u32 {
                let bytes = packet(false, (4 * round + n).wrapping_mul(160).wrapping_sub(320), 160);
                assert_eq!(feed(&mut batch, &bytes, 0), (false, n == 3), "{round} {n}");
            }
        }
    }

    #[test]
    fn a_time_shorter_than_a_packet_holds_nothing_up_once_the_step_is_known() {
        let mut batch = Batch::new(10 * MS);
        assert_eq!(feed(&mut batch, &packet(false, 0, 160), 0), (false, false));
        assert_eq!(feed(&mut batch, &packet(false, 160, 160), 0), (false, true));
        assert_eq!(feed(&mut batch, &packet(false, 320, 160), 0), (false, true));
    }

    #[test]
    fn another_size_or_a_mark_lets_the_waiting_go_first() {
        let mut batch = Batch::new(MAX_BATCH_NS);
        feed(&mut batch, &packet(true, 0, 160), 0);
        assert_eq!(feed(&mut batch, &packet(false, 160, 160), 0), (false, false));
        assert_eq!(feed(&mut batch, &packet(false, 320, 80), 0), (true, false));
        assert_eq!(feed(&mut batch, &packet(true, 400, 80), 0), (true, false));
        let (bytes, segment) = batch.waiting().unwrap();
        assert_eq!((bytes.len(), segment), (92, 92));
    }

    #[test]
    fn a_batch_is_due_from_its_first_packet_on() {
        let mut batch = Batch::new(80 * MS);
        let bytes = packet(false, 0, 160);
        let packet = RtpPacket::parse(&bytes).unwrap();
        assert_eq!(batch.join(&packet, 8000, 7 * MS), Joined { due_ns: Some(87 * MS), full: false });
        assert_eq!(batch.join(&packet, 8000, 9 * MS), Joined { due_ns: None, full: false });
        assert!(batch.has_waited_since(7 * MS) && !batch.has_waited_since(9 * MS));
        batch.clear();
        assert!(!batch.has_waited_since(7 * MS));
        assert!(batch.waiting().is_none());
    }

    #[test]
    fn neither_packets_nor_octets_grow_without_bound() {
        let mut batch = Batch::new(u64::MAX);
        let bytes = packet(false, 0, 10);
        assert_eq!((0..100).filter(|_| feed(&mut batch, &bytes, 0).0).count(), 3);
        let mut batch = Batch::new(MAX_BATCH_NS);
        let bytes = packet(false, 0, 1988);
        assert!((0..100).filter(|_| feed(&mut batch, &bytes, 0).0).count() >= 6);
    }
}
