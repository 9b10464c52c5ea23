//! RTP packets (RFC 3550 §5.1).

/// Octets of the fixed header.
pub const HEADER_LEN: usize = 12;

/// Why bytes are not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtpError {
    /// Shorter than its header, its CSRC list or its extension says.
    Short,
    /// Not version 2.
    Version,
    /// The padding count is zero or larger than the payload.
    Padding,
}

/// A packet whose length and version have been checked, borrowed from the buffer it arrived in.
#[derive(Clone, Copy, Debug)]
pub struct RtpPacket<'a> {
    bytes: &'a [u8],
    payload_start: usize,
    payload_end: usize,
}

impl<'a> RtpPacket<'a> {
    /// Checks the header of a datagram (RFC 3550 A.1: version, length, padding).
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtpError> {
        if bytes.len() < HEADER_LEN {
            return Err(RtpError::Short);
        }
        if bytes[0] >> 6 != 2 {
            return Err(RtpError::Version);
        }
        let mut payload_start = HEADER_LEN + 4 * usize::from(bytes[0] & 0x0f);
        if bytes[0] & 0x10 != 0 {
            // RFC 3550 §5.3.1: profile, then the extension's length in 32-bit words
            let words = bytes.get(payload_start + 2..payload_start + 4).ok_or(RtpError::Short)?;
            payload_start += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        if payload_start > bytes.len() {
            return Err(RtpError::Short);
        }
        let mut payload_end = bytes.len();
        if bytes[0] & 0x20 != 0 {
            let padding = usize::from(bytes[bytes.len() - 1]);
            if padding == 0 || padding > payload_end - payload_start {
                return Err(RtpError::Padding);
            }
            payload_end -= padding;
        }
        Ok(Self { bytes, payload_start, payload_end })
    }

    /// The whole packet.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The marker bit.
    pub fn marker(&self) -> bool {
        self.bytes[1] & 0x80 != 0
    }

    /// The payload type, 0–127.
    pub fn payload_type(&self) -> u8 {
        self.bytes[1] & 0x7f
    }

    /// The sequence number.
    pub fn sequence(&self) -> u16 {
        u16::from_be_bytes([self.bytes[2], self.bytes[3]])
    }

    /// The time stamp.
    pub fn timestamp(&self) -> u32 {
        u32::from_be_bytes([self.bytes[4], self.bytes[5], self.bytes[6], self.bytes[7]])
    }

    /// The synchronisation source.
    pub fn ssrc(&self) -> u32 {
        u32::from_be_bytes([self.bytes[8], self.bytes[9], self.bytes[10], self.bytes[11]])
    }

    /// Where in the packet the payload lies, without padding.
    pub fn payload_range(&self) -> std::ops::Range<usize> {
        self.payload_start..self.payload_end
    }

    /// The payload without padding.
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[self.payload_range()]
    }
}

/// The fields of a fixed header that a sender chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    /// The marker bit.
    pub marker: bool,
    /// The payload type, 0–127.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The time stamp.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: u32,
}

impl RtpHeader {
    /// Writes a header without padding, extension and CSRCs.
    pub fn write(&self, out: &mut [u8; HEADER_LEN]) {
        out[0] = 0x80;
        self.write_fields(out);
    }

    /// Overwrites the fields in a packet; padding, extension, CSRCs and payload stay. The packet has been parsed.
    pub fn rewrite(&self, packet: &mut [u8]) {
        if let Some(header) = packet.first_chunk_mut::<HEADER_LEN>() {
            self.write_fields(header);
        }
    }

    fn write_fields(&self, out: &mut [u8; HEADER_LEN]) {
        out[1] = (u8::from(self.marker) << 7) | (self.payload_type & 0x7f);
        out[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        out[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        out[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
    }
}

/// True for a datagram on an RTP port that is RTCP: payload types 64–95 with the marker bit are not used by RTP there
/// (RFC 5761 §4).
pub fn is_rtcp(bytes: &[u8]) -> bool {
    bytes.len() >= 8 && bytes[0] >> 6 == 2 && (192..=223).contains(&bytes[1])
}

/// How far `to` lies after `from` on the circle of sequence numbers; negative if before.
pub fn sequence_delta(from: u16, to: u16) -> i16 {
    to.wrapping_sub(from) as i16
}

/// How far `to` lies after `from` on the circle of time stamps; negative if before.
pub fn timestamp_delta(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: RtpHeader =
        RtpHeader { marker: true, payload_type: 101, sequence: 0xfffe, timestamp: 0xdead_beef, ssrc: 0x0102_0304 };

    fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_LEN];
        HEADER.write(bytes.first_chunk_mut().unwrap());
        bytes[0] = first;
        bytes.extend_from_slice(rest);
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = packet(0x80, b"payload");
        let read = RtpPacket::parse(&bytes).unwrap();
        assert_eq!(
            (read.marker(), read.payload_type(), read.sequence(), read.timestamp(), read.ssrc(), read.payload()),
            (true, 101, 0xfffe, 0xdead_beef, 0x0102_0304, &b"payload"[..])
        );
        assert_eq!(read.bytes(), &bytes[..]);
    }

    #[test]
    fn csrcs_extension_and_padding_are_not_payload() {
        let bytes = packet(0xb1, &[9, 9, 9, 9, 0xbe, 0xde, 0, 1, 7, 7, 7, 7, b'a', b'b', 0, 2]);
        let packet = RtpPacket::parse(&bytes).unwrap();
        assert_eq!((packet.payload(), packet.payload_range()), (&b"ab"[..], 24..26));
    }

    #[test]
    fn a_rewrite_keeps_all_but_its_fields() {
        let mut bytes = packet(0xb1, &[9, 9, 9, 9, 0xbe, 0xde, 0, 1, 7, 7, 7, 7, b'a', b'b', 0, 2]);
        let before = bytes.clone();
        RtpHeader { marker: false, payload_type: 0, sequence: 1, timestamp: 2, ssrc: 3 }.rewrite(&mut bytes);
        assert_eq!(bytes[0], before[0]);
        assert_eq!(bytes[HEADER_LEN..], before[HEADER_LEN..]);
        let read = RtpPacket::parse(&bytes).unwrap();
        assert_eq!(
            (read.marker(), read.payload_type(), read.sequence(), read.timestamp(), read.ssrc()),
            (false, 0, 1, 2, 3)
        );
        RtpHeader { ..HEADER }.rewrite(&mut [0; 3]);
    }

    #[test]
    fn bad_packets_are_told_apart() {
        let cases: [(&[u8], RtpError); 7] = [
            (&[], RtpError::Short),
            (&packet(0x80, &[])[..11], RtpError::Short),
            (&packet(0x40, &[]), RtpError::Version),
            (&packet(0x81, &[]), RtpError::Short),
            (&packet(0x90, &[0, 0, 0, 9]), RtpError::Short),
            (&packet(0xa0, &[1, 0]), RtpError::Padding),
            (&packet(0xa0, &[1, 3]), RtpError::Padding),
        ];
        for (bytes, error) in cases {
            assert_eq!(RtpPacket::parse(bytes).err(), Some(error), "{bytes:?}");
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic() {
        let mut random = crate::rtcp::tests::Random::new(1);
        for _ in 0..200_000 {
            let bytes = random.bytes(64);
            if let Ok(packet) = RtpPacket::parse(&bytes) {
                assert!(packet.payload().len() + HEADER_LEN <= bytes.len());
            }
            is_rtcp(&bytes);
        }
    }

    #[test]
    fn rtcp_is_told_from_rtp() {
        assert!(is_rtcp(&[0x80, 200, 0, 1, 0, 0, 0, 0]));
        assert!(!is_rtcp(&[0x80, 0, 0, 1, 0, 0, 0, 0]));
        assert!(!is_rtcp(&[0x80, 200, 0, 1]));
        assert!(!is_rtcp(&[0x00, 200, 0, 1, 0, 0, 0, 0]));
    }

    #[test]
    fn deltas_wrap() {
        assert_eq!(sequence_delta(0xffff, 2), 3);
        assert_eq!(sequence_delta(2, 0xffff), -3);
        assert_eq!(timestamp_delta(0xffff_ff60, 0), 160);
        assert_eq!(timestamp_delta(0, 0xffff_ff60), -160);
    }
}
