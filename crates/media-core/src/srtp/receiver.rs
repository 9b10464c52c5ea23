//! The receiving direction: protected packets in, packets out.

use super::error::{KeyError, SrtpError};
use super::index::{index_of, nearest, ReplayWindow, INDEX_LIMIT};
use super::keys::SrtpKeys;
use super::layout::{rtcp_ssrc, RtpLayout, RTCP_CLEAR_LEN};
use super::session_keys::{transforms, Transforms};
use super::transform::{Transform, ENCRYPTED, WORD_LEN};

/// Sources that are remembered. One more takes the place of the one that has been silent longest: only who has the key
/// can bring that about, and what is lost is the rollover counter and the replay list of a stream that has ended.
pub const MAX_RECEIVED_SOURCES: usize = 16;

/// Room for sources at the start: the usual stream, and one after it.
const USUAL_SOURCES: usize = 2;

/// What has been received from a source, all of it authenticated (RFC 4568 §6.4.1).
struct Source {
    ssrc: u32,
    rtp: ReplayWindow,
    rtcp: ReplayWindow,
    /// The turn in which it was last heard.
    heard: u64,
}

pub(super) struct Receiver {
    keys: SrtpKeys,
    rtp: Box<dyn Transform>,
    rtcp: Box<dyn Transform>,
    sources: Vec<Source>,
    /// Counts authenticated packets.
    turn: u64,
    /// The rollover counter of the RTP heard last.
    roc: u32,
}

impl Receiver {
    pub(super) fn new(keys: &SrtpKeys) -> Result<Self, KeyError> {
        let Transforms { rtp, rtcp } = transforms(keys)?;
        let sources = Vec::with_capacity(USUAL_SOURCES);
        Ok(Self { keys: keys.clone(), rtp, rtcp, sources, turn: 0, roc: 0 })
    }

    pub(super) fn keys(&self) -> &SrtpKeys {
        &self.keys
    }

    /// Takes the MKI's length from keys that have the same master and suite.
    pub(super) fn amend(&mut self, keys: &SrtpKeys) {
        self.keys = keys.clone();
    }

    /// Learns where the counter of the receiver stood whose keys these replace.
    pub(super) fn continue_from(&mut self, replaced: &Self) {
        self.roc = replaced.roc;
    }

    pub(super) fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let layout = RtpLayout::parse(packet)?;
        if packet.len() < layout.header_len + self.keys.overheads().0 {
            return Err(SrtpError::TooShort);
        }
        let mki_len = self.keys.mki().len();
        let known = self.sources.iter_mut().find(|source| source.ssrc == layout.ssrc);
        let Some((source, highest)) = known.and_then(|source| source.rtp.highest().map(|highest| (source, highest)))
        else {
            return self.unprotect_first_rtp(packet, &layout);
        };
        let mut index = nearest(highest, layout.sequence);
        if index < 0 {
            // No stream begins before its counter is zero: this one has made a large step
            index += 0x1_0000;
        }
        if index >= INDEX_LIMIT {
            return Err(SrtpError::KeyExpired);
        }
        let index = index as u64;
        source.rtp.check(index)?;
        let len = self.rtp.open_rtp(packet, &layout, index, mki_len)?;
        source.rtp.note(index);
        self.turn += 1;
        source.heard = self.turn;
        self.roc = (source.rtp.highest().unwrap_or(index) >> 16) as u32;
        Ok(len)
    }

    /// RTP of a source of which none has been received.
    fn unprotect_first_rtp(&mut self, packet: &mut [u8], layout: &RtpLayout) -> Result<usize, SrtpError> {
        for roc in self.first_counters(layout.sequence).into_iter().flatten() {
            let index = index_of(roc, layout.sequence);
            match self.rtp.open_rtp(packet, layout, index, self.keys.mki().len()) {
                Err(SrtpError::Authentication) => {}
                Err(error) => return Err(error),
                Ok(len) => {
                    self.source(layout.ssrc).rtp.note(index);
                    self.roc = roc;
                    return Ok(len);
                }
            }
        }
        Err(SrtpError::Authentication)
    }

    /// What a source's counter can be when its first packet comes; the tag tells which it is.
    fn first_counters(&self, sequence: u16) -> [Option<u32>; 4] {
        // RFC 4568 §6.4: zero; but one if every packet before the first wrap is lost, or comes later
        let wrapped = sequence < 0x8000;
        // RFC 3711 §3.3.1: the counter goes on when only the key changes. Some senders let it go on, others do not, and
        // there are those that do so when they change their SSRC.
        let kept = Some(self.roc).filter(|roc| *roc > 0);
        [Some(0), wrapped.then_some(1), kept, kept.filter(|_| wrapped).and_then(|roc| roc.checked_add(1))]
    }

    pub(super) fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let ssrc = rtcp_ssrc(packet)?;
        if packet.len() < RTCP_CLEAR_LEN + self.keys.overheads().1 {
            return Err(SrtpError::TooShort);
        }
        let mki_len = self.keys.mki().len();
        let word_at = packet.len() - mki_len - self.rtcp.rtcp_tail_len() - WORD_LEN;
        let word: &[u8; WORD_LEN] = packet[word_at..].first_chunk().ok_or(SrtpError::TooShort)?;
        let word = u32::from_be_bytes(*word);
        // RFC 3711 §3.4: the index is in the packet
        let index = u64::from(word & !ENCRYPTED);
        if let Some(source) = self.sources.iter().find(|source| source.ssrc == ssrc) {
            source.rtcp.check(index)?;
        }
        let len = self.rtcp.open_rtcp(packet, ssrc, word, mki_len)?;
        self.source(ssrc).rtcp.note(index);
        Ok(len)
    }

    /// The entry of a source that has just been authenticated.
    fn source(&mut self, ssrc: u32) -> &mut Source {
        self.turn += 1;
        let heard = self.turn;
        let known = self.sources.iter().position(|source| source.ssrc == ssrc);
        let at = known.unwrap_or_else(|| {
            let new = Source { ssrc, rtp: ReplayWindow::default(), rtcp: ReplayWindow::default(), heard };
            let silent = (0..self.sources.len()).min_by_key(|at| self.sources[*at].heard);
            match silent.filter(|_| self.sources.len() >= MAX_RECEIVED_SOURCES) {
                Some(silent) => {
                    self.sources[silent] = new;
                    silent
                }
                None => {
                    self.sources.push(new);
                    self.sources.len() - 1
                }
            }
        });
        let source = &mut self.sources[at];
        source.heard = heard;
        source
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::tests::{audio, keys};
    use crate::srtp::CryptoSuite;

    /// Keys, and a packet that was sent under them with an index.
    fn sealed(index: u64) -> (SrtpKeys, Vec<u8>) {
        let keys = keys(CryptoSuite::AeadAes128Gcm, 1);
        let mut packet = audio(7, index as u16);
        packet.resize(188, 0);
        let layout = RtpLayout::parse(&packet).expect("a good packet");
        let rtp = transforms(&keys).expect("good keys").rtp;
        assert_eq!(rtp.seal_rtp(&mut packet, 172, &layout, index, &[]), Ok(188));
        (keys, packet)
    }

    /// A receiver that has heard an index.
    fn receiver(keys: &SrtpKeys, index: u64) -> Receiver {
        let mut receiver = Receiver::new(keys).expect("good keys");
        receiver.source(7).rtp.note(index);
        receiver
    }

    #[test]
    fn a_stream_that_steps_far_ahead_in_its_first_cycle_is_followed() {
        let (keys, mut packet) = sealed(50_000);
        let mut receiver = receiver(&keys, 1000);
        assert_eq!(receiver.unprotect_rtp(&mut packet), Ok(172));
        assert_eq!(receiver.sources[0].rtp.highest(), Some(50_000));
    }

    #[test]
    fn a_late_packet_is_of_the_cycle_before() {
        let (keys, mut packet) = sealed(0x5_fff0);
        let mut receiver = receiver(&keys, 0x6_0010);
        assert_eq!(receiver.unprotect_rtp(&mut packet), Ok(172));
        assert_eq!(receiver.sources[0].rtp.highest(), Some(0x6_0010));
        assert_eq!(receiver.roc, 6);
    }

    #[test]
    fn the_counter_does_not_begin_again_at_its_end() {
        let (keys, mut last) = sealed(INDEX_LIMIT as u64 - 1);
        let mut receiver = receiver(&keys, INDEX_LIMIT as u64 - 5);
        assert_eq!(receiver.unprotect_rtp(&mut last), Ok(172));
        let (_, mut first) = sealed(0);
        assert_eq!(receiver.unprotect_rtp(&mut first), Err(SrtpError::KeyExpired));
    }
}
