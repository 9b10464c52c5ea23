//! What protects the packets of an endpoint or a fork.

use crate::numbering::Numbering;
use crate::refusal::{Refusal, RefusalCode};
use crate::rtcp::renumber_reports;
use crate::rtp::HEADER_LEN;
use crate::srtp::{KeyError, Rollover, SrtpError, SrtpSession};

use super::MediaKeys;

/// SRTP and SRTCP in both directions.
#[derive(Debug, Default)]
pub(super) struct Security {
    srtp: SrtpSession,
    numbering: Numbering,
}

impl Security {
    /// Takes what was agreed: keys, or None for plain RTP. On a refusal all stays as it was.
    pub(super) fn configure(
        slot: &mut Option<Box<Self>>,
        keys: Option<Box<MediaKeys>>,
        rollover: Rollover,
    ) -> Result<(), Refusal> {
        let Some(keys) = keys else {
            *slot = None;
            return Ok(());
        };
        let refusal = |error: KeyError| Refusal::new(RefusalCode::BadField, format!("send_key, receive_key: {error}"));
        if let Some(security) = slot {
            return security.set(&keys, rollover).map_err(refusal);
        }
        let mut security = Box::<Self>::default();
        security.set(&keys, rollover).map_err(refusal)?;
        *slot = Some(security);
        Ok(())
    }

    /// Protects the RTP packet in the first `len` octets of `buffer`; its new length.
    pub(super) fn seal_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let header = buffer.first_chunk_mut::<HEADER_LEN>().ok_or(SrtpError::TooShort)?;
        let source = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
        let (ssrc, sequence) = self.numbering.number(source, u16::from_be_bytes([header[2], header[3]]));
        header[2..4].copy_from_slice(&sequence.to_be_bytes());
        header[8..12].copy_from_slice(&ssrc.to_be_bytes());
        self.srtp.protect_rtp(buffer, len)
    }

    /// Verifies and decrypts an RTP packet into `room`.
    pub(super) fn open_rtp<'a>(&mut self, bytes: &[u8], room: &'a mut [u8]) -> Result<&'a [u8], SrtpError> {
        let room = room.get_mut(..bytes.len()).ok_or(SrtpError::TooLong)?;
        room.copy_from_slice(bytes);
        let len = self.srtp.unprotect_rtp(room)?;
        Ok(&room[..len])
    }

    /// A compound RTCP packet, protected. RTCP is rare: it may allocate.
    pub(super) fn seal_rtcp(&mut self, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
        let mut buffer = vec![0; packet.len() + self.srtp.rtcp_overhead()];
        buffer[..packet.len()].copy_from_slice(packet);
        let len = self.srtp.protect_rtcp(&mut buffer, packet.len())?;
        buffer.truncate(len);
        Ok(buffer)
    }

    /// A compound RTCP packet, verified and decrypted.
    pub(super) fn open_rtcp(&mut self, bytes: &[u8]) -> Result<Vec<u8>, SrtpError> {
        let mut buffer = bytes.to_vec();
        let len = self.srtp.unprotect_rtcp(&mut buffer)?;
        buffer.truncate(len);
        Ok(buffer)
    }

    /// Gives the numbers in reception reports on what was sent back those that they had before they were protected.
    pub(super) fn restore_numbers(&self, report: &mut [u8]) {
        for (ssrc, offset) in self.numbering.offsets() {
            renumber_reports(report, ssrc, |highest| highest.wrapping_sub(i32::from(offset as i16) as u32));
        }
    }

    fn set(&mut self, keys: &MediaKeys, rollover: Rollover) -> Result<(), KeyError> {
        let is_new = !self.srtp.is_sending_with(&keys.send);
        self.srtp.set_sending_keys(&keys.send, rollover)?;
        self.srtp.set_receiving_keys(&keys.receive)?;
        if is_new && rollover == Rollover::Restart {
            self.numbering.restart();
        }
        Ok(())
    }
}

/// What is to be sent for a packet of RTCP: itself, or its protected form; None if it cannot be protected.
pub(super) fn sealed<'a>(security: &mut Option<Box<Security>>, packet: &'a [u8]) -> Option<std::borrow::Cow<'a, [u8]>> {
    match security {
        None => Some(packet.into()),
        Some(security) => security.seal_rtcp(packet).ok().map(Into::into),
    }
}
