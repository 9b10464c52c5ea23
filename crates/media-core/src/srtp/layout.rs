//! Where things are in a packet.

use crate::rtp::HEADER_LEN;

use super::error::SrtpError;

/// Octets of the longest datagram.
pub const MAX_PACKET: usize = 65_535;

/// Octets of an RTCP packet that stay readable: the first header and the sender's SSRC (RFC 3711 §3.4).
pub(super) const RTCP_CLEAR_LEN: usize = 8;

/// What the header of an RTP packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RtpLayout {
    pub(super) ssrc: u32,
    pub(super) sequence: u16,
    /// Octets before the payload.
    pub(super) header_len: usize,
}

impl RtpLayout {
    /// Reads a header. The last octet is not looked at: before decryption it is no padding count.
    pub(super) fn parse(packet: &[u8]) -> Result<Self, SrtpError> {
        let header: &[u8; HEADER_LEN] = packet.first_chunk().ok_or(SrtpError::TooShort)?;
        if header[0] >> 6 != 2 {
            return Err(SrtpError::Version);
        }
        let mut header_len = HEADER_LEN + 4 * usize::from(header[0] & 0x0f);
        if header[0] & 0x10 != 0 {
            // RFC 3550 §5.3.1: profile, then the extension's length in 32-bit words; RFC 3711 §3.1: left readable
            let words = packet.get(header_len + 2..header_len + 4).ok_or(SrtpError::TooShort)?;
            header_len += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        if header_len > packet.len() {
            return Err(SrtpError::TooShort);
        }
        Ok(Self {
            ssrc: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
            sequence: u16::from_be_bytes([header[2], header[3]]),
            header_len,
        })
    }
}

/// The SSRC of the first packet of a compound, which names the context (RFC 3711 §3.4).
pub(super) fn rtcp_ssrc(packet: &[u8]) -> Result<u32, SrtpError> {
    let header: &[u8; RTCP_CLEAR_LEN] = packet.first_chunk().ok_or(SrtpError::TooShort)?;
    if header[0] >> 6 != 2 {
        return Err(SrtpError::Version);
    }
    Ok(u32::from_be_bytes([header[4], header[5], header[6], header[7]]))
}

/// The length after protection; an error if the packet is too long or the buffer too small.
pub(super) fn grown(buffer: &[u8], len: usize, overhead: usize) -> Result<usize, SrtpError> {
    let grown = len.saturating_add(overhead);
    if grown > MAX_PACKET || grown > buffer.len() {
        return Err(SrtpError::TooLong);
    }
    Ok(grown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csrcs_and_extension_belong_to_the_header() {
        let mut packet = vec![0x92, 0, 0x12, 0x34, 0, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef];
        packet.extend([0; 8]);
        packet.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
        let expected = RtpLayout { ssrc: 0xdead_beef, sequence: 0x1234, header_len: 28 };
        assert_eq!(RtpLayout::parse(&packet), Ok(expected));
        packet.push(0);
        assert_eq!(RtpLayout::parse(&packet), Ok(expected));
        for len in 0..28 {
            assert_eq!(RtpLayout::parse(&packet[..len]), Err(SrtpError::TooShort), "{len}");
        }
        packet[0] = 0x52;
        assert_eq!(RtpLayout::parse(&packet), Err(SrtpError::Version));
    }

    #[test]
    fn rtcp_is_known_by_its_first_ssrc() {
        assert_eq!(rtcp_ssrc(&[0x80, 201, 0, 1, 1, 2, 3, 4]), Ok(0x0102_0304));
        assert_eq!(rtcp_ssrc(&[0x80, 201, 0, 1, 1, 2, 3]), Err(SrtpError::TooShort));
        assert_eq!(rtcp_ssrc(&[0x00, 201, 0, 1, 1, 2, 3, 4]), Err(SrtpError::Version));
    }

    #[test]
    fn a_packet_grows_within_its_buffer_and_a_datagram() {
        assert_eq!(grown(&[0; 30], 20, 10), Ok(30));
        assert_eq!(grown(&[0; 29], 20, 10), Err(SrtpError::TooLong));
        assert_eq!(grown(&vec![0; MAX_PACKET + 1], MAX_PACKET - 9, 10), Err(SrtpError::TooLong));
        assert_eq!(grown(&[0; 30], usize::MAX, 10), Err(SrtpError::TooLong));
    }
}
