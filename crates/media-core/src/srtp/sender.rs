//! The sending direction: packets in, protected packets out.

use super::error::{KeyError, SrtpError};
use super::index::{nearest, ReplayWindow, INDEX_LIMIT};
use super::keys::SrtpKeys;
use super::layout::{grown, rtcp_ssrc, RtpLayout};
use super::session_keys::{transforms, Transforms};
use super::transform::{Transform, ENCRYPTED};

/// Sources that one key protects. What has been sent of a source must never be forgotten while the key lives, or an
/// index could be used twice (RFC 7714 §8.4); so none makes room for another. A call has one, and one more for each
/// transfer or announcement that is relayed with its own SSRC.
pub const MAX_SENT_SOURCES: usize = 64;

/// RTCP packets that one key may protect (RFC 3711 §9.2).
pub const MAX_RTCP_PACKETS: u64 = 1 << 31;

/// Room for sources at the start: the usual stream, and one after it.
const USUAL_SOURCES: usize = 2;

/// What has been sent of a source.
struct Source {
    ssrc: u32,
    rtp: ReplayWindow,
    /// The index of the next RTCP packet.
    rtcp_next: u32,
}

pub(super) struct Sender {
    keys: SrtpKeys,
    rtp: Box<dyn Transform>,
    rtcp: Box<dyn Transform>,
    rtp_sent: u64,
    rtcp_sent: u64,
    sources: Vec<Source>,
}

impl Sender {
    pub(super) fn new(keys: &SrtpKeys) -> Result<Self, KeyError> {
        let Transforms { rtp, rtcp } = transforms(keys)?;
        let sources = Vec::with_capacity(USUAL_SOURCES);
        Ok(Self { keys: keys.clone(), rtp, rtcp, rtp_sent: 0, rtcp_sent: 0, sources })
    }

    pub(super) fn keys(&self) -> &SrtpKeys {
        &self.keys
    }

    /// Takes MKI, lifetime and the like from keys that have the same master and suite.
    pub(super) fn amend(&mut self, keys: &SrtpKeys) {
        self.keys = keys.clone();
    }

    /// Goes on with the indices of the sender whose keys these replace.
    pub(super) fn continue_from(&mut self, replaced: &mut Self) {
        self.sources = std::mem::take(&mut replaced.sources);
    }

    /// RTP packets that the key may still protect.
    pub(super) fn packets_left(&self) -> u64 {
        self.keys.lifetime().saturating_sub(self.rtp_sent)
    }

    pub(super) fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let layout = RtpLayout::parse(buffer.get(..len).ok_or(SrtpError::TooLong)?)?;
        grown(buffer, len, self.keys.overheads().0)?;
        // RFC 3711 §9.2: the sender counts, and stops
        if self.packets_left() == 0 {
            return Err(SrtpError::KeyExpired);
        }
        let source = find(&mut self.sources, layout.ssrc)?;
        // RFC 3711 §3.3.1: the counter begins at zero, and passes on when the sequence number wraps. What comes from
        // elsewhere comes in any order, so that a late packet still belongs before the wrap.
        let index = match source.rtp.highest() {
            None => i64::from(layout.sequence),
            Some(highest) => nearest(highest, layout.sequence),
        };
        if index >= INDEX_LIMIT {
            return Err(SrtpError::KeyExpired);
        }
        let index = u64::try_from(index).map_err(|_| SrtpError::Stale)?;
        // RFC 7714 §8.4: no index twice with one key
        source.rtp.check(index)?;
        let len = self.rtp.seal_rtp(buffer, len, &layout, index, self.keys.mki())?;
        source.rtp.note(index);
        self.rtp_sent += 1;
        Ok(len)
    }

    pub(super) fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let ssrc = rtcp_ssrc(buffer.get(..len).ok_or(SrtpError::TooLong)?)?;
        grown(buffer, len, self.keys.overheads().1)?;
        if self.rtcp_sent >= self.keys.lifetime().min(MAX_RTCP_PACKETS) {
            return Err(SrtpError::KeyExpired);
        }
        let source = find(&mut self.sources, ssrc)?;
        let index = source.rtcp_next;
        let word = if self.keys.encrypts_rtcp() { index | ENCRYPTED } else { index };
        let len = self.rtcp.seal_rtcp(buffer, len, ssrc, word, self.keys.mki())?;
        // RFC 3711 §3.4: modulo 2^31, and on from there with the next key; with one key the count above ends it before
        source.rtcp_next = (index + 1) & !ENCRYPTED;
        self.rtcp_sent += 1;
        Ok(len)
    }
}

/// The source's entry, a new one if it has none.
fn find(sources: &mut Vec<Source>, ssrc: u32) -> Result<&mut Source, SrtpError> {
    let at = match sources.iter().position(|source| source.ssrc == ssrc) {
        Some(at) => at,
        None if sources.len() >= MAX_SENT_SOURCES => return Err(SrtpError::TooManySources),
        None => {
            sources.push(Source { ssrc, rtp: ReplayWindow::default(), rtcp_next: 0 });
            sources.len() - 1
        }
    };
    Ok(&mut sources[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::tests::{audio, keys, report};
    use crate::srtp::CryptoSuite;

    /// A sender that has come to an index.
    fn sender(index: u64) -> Sender {
        let mut sender = Sender::new(&keys(CryptoSuite::AesCm128HmacSha1_80, 1)).expect("good keys");
        let mut rtp = ReplayWindow::default();
        rtp.note(index);
        sender.sources.push(Source { ssrc: 7, rtp, rtcp_next: 0 });
        sender
    }

    fn protect(sender: &mut Sender, sequence: u16) -> Result<usize, SrtpError> {
        let mut buffer = audio(7, sequence);
        buffer.resize(200, 0);
        sender.protect_rtp(&mut buffer, 172)
    }

    #[test]
    fn the_last_index_of_a_key_is_sent_and_none_after_it() {
        let mut sender = sender(INDEX_LIMIT as u64 - 3);
        assert_eq!(protect(&mut sender, 0xfffe), Ok(182));
        assert_eq!(protect(&mut sender, 0), Err(SrtpError::KeyExpired));
        assert_eq!(protect(&mut sender, 0xffff), Ok(182));
        assert_eq!(protect(&mut sender, 0), Err(SrtpError::KeyExpired));
        assert_eq!(protect(&mut sender, 0x7000), Err(SrtpError::KeyExpired));
    }

    #[test]
    fn a_key_protects_two_to_the_31_rtcp_packets() {
        let mut sender = sender(0);
        sender.rtcp_sent = MAX_RTCP_PACKETS - 1;
        sender.sources[0].rtcp_next = !ENCRYPTED;
        let mut buffer = report(7);
        let len = buffer.len();
        buffer.resize(len + 14, 0);
        assert_eq!(sender.protect_rtcp(&mut buffer, len), Ok(len + 14));
        assert_eq!(buffer[len..len + 4], [0xff; 4]);
        assert_eq!(sender.protect_rtcp(&mut buffer, len), Err(SrtpError::KeyExpired));
        assert_eq!(sender.sources[0].rtcp_next, 0, "where the next key goes on");
    }
}
