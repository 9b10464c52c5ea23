//! Sessions by their public interface, two of them facing each other.

mod keys;
mod order;
mod packets;

use super::*;
use crate::rtcp::tests::Random;

/// Two sessions with keys of a suite: what `near` protects `far` can open, and the other way round.
pub(super) struct Pair {
    pub(super) near: SrtpSession,
    pub(super) far: SrtpSession,
}

impl Pair {
    pub(super) fn new(suite: CryptoSuite) -> Self {
        Self::with(|seed| keys(suite, seed))
    }

    /// With the keys that `keys` makes for either direction.
    pub(super) fn with(keys: impl Fn(u8) -> SrtpKeys) -> Self {
        let session = |sending, receiving| {
            let mut session = SrtpSession::default();
            session.set_sending_keys(&keys(sending), Rollover::Restart).expect("good keys");
            session.set_receiving_keys(&keys(receiving)).expect("good keys");
            session
        };
        Self { near: session(1, 2), far: session(2, 1) }
    }

    /// RTP of `near`, protected.
    pub(super) fn sealed(&mut self, packet: &[u8]) -> Vec<u8> {
        seal(&mut self.near, packet, SrtpSession::protect_rtp).expect("a packet that may be sent")
    }

    /// RTCP of `near`, protected.
    pub(super) fn sealed_rtcp(&mut self, packet: &[u8]) -> Vec<u8> {
        seal(&mut self.near, packet, SrtpSession::protect_rtcp).expect("a packet that may be sent")
    }

    /// What `far` makes of RTP.
    pub(super) fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, SrtpError> {
        open(&mut self.far, sealed, SrtpSession::unprotect_rtp)
    }

    /// What `far` makes of RTCP.
    pub(super) fn open_rtcp(&mut self, sealed: &[u8]) -> Result<Vec<u8>, SrtpError> {
        open(&mut self.far, sealed, SrtpSession::unprotect_rtcp)
    }
}

/// Keys of a suite, others for each seed.
pub(super) fn keys(suite: CryptoSuite, seed: u8) -> SrtpKeys {
    let octets: Vec<u8> = (0..suite.key_len() + suite.salt_len()).map(|n| (n as u8).wrapping_mul(7) ^ seed).collect();
    SrtpKeys::new(suite, &octets).expect("the right length")
}

pub(super) fn seal(
    session: &mut SrtpSession,
    packet: &[u8],
    protect: impl Fn(&mut SrtpSession, &mut [u8], usize) -> Result<usize, SrtpError>,
) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = [packet, &[0xee; 160]].concat();
    let len =
        protect(session, &mut buffer, packet.len()).inspect_err(|_| assert_eq!(buffer[..packet.len()], *packet))?;
    assert_eq!(buffer[len..], [0xee; 160][len - packet.len()..], "nothing is written behind the packet");
    buffer.truncate(len);
    Ok(buffer)
}

pub(super) fn open(
    session: &mut SrtpSession,
    sealed: &[u8],
    unprotect: impl Fn(&mut SrtpSession, &mut [u8]) -> Result<usize, SrtpError>,
) -> Result<Vec<u8>, SrtpError> {
    let mut packet = sealed.to_vec();
    let len = unprotect(session, &mut packet).inspect_err(|_| assert_eq!(packet, sealed, "left as it was"))?;
    packet.truncate(len);
    Ok(packet)
}

/// 20 ms of G.711.
pub(super) fn audio(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..160).map(|n| n ^ sequence as u8));
    packet
}

/// A receiver report without blocks, and a CNAME.
pub(super) fn report(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x81, 202, 0, 3]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend([1, 5, b'a', b'l', b'i', b'c', b'e', 0]);
    packet
}

/// RTP with any header that can be: CSRCs, an extension, padding.
pub(super) fn any_rtp(random: &mut Random, ssrc: u32, sequence: u16) -> Vec<u8> {
    let (csrcs, words) = (random.below(16), random.below(5));
    let extended = random.below(2) == 1;
    let mut packet = vec![0x80 | csrcs as u8 | u8::from(extended) << 4, random.next() as u8];
    packet.extend(sequence.to_be_bytes());
    packet.extend((random.next() as u32).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..4 * csrcs).map(|_| random.next() as u8));
    if extended {
        packet.extend([0xbe, 0xde, 0, words as u8]);
        packet.extend((0..4 * words).map(|_| random.next() as u8));
    }
    packet.extend(random.bytes(400));
    packet
}
