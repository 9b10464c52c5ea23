//! Both directions of an endpoint.

use std::fmt;

use super::error::{KeyError, SrtpError};
use super::keys::SrtpKeys;
use super::receiver::Receiver;
use super::sender::Sender;

/// What becomes of the rollover counters of sent streams when their key changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rollover {
    /// They begin at zero: an address or port has changed, on whichever side (RFC 4568 §7.1.4).
    Restart,
    /// They go on: the key alone has changed (RFC 3711 §3.3.1).
    Continue,
}

/// What protects an endpoint's packets: a key for what it sends, another for what it receives, and what has been seen of
/// each source.
///
/// Either direction refuses packets with [`SrtpError::NoKeys`] until its keys are set. A packet that is refused is left
/// as it was; the caller drops and counts it.
#[derive(Default)]
pub struct SrtpSession {
    sender: Option<Box<Sender>>,
    receiver: Option<Box<Receiver>>,
    /// Keys that were replaced, until the first packet comes with the new ones.
    replaced: Option<Box<Receiver>>,
}

impl SrtpSession {
    /// Sets, or replaces, the keys of the sending direction.
    ///
    /// A key that is set already keeps its counters, whatever `rollover` says, so that an answer may be repeated; MKI
    /// and lifetime are taken from the new `keys`. On an error the keys stay as they were.
    pub fn set_sending_keys(&mut self, keys: &SrtpKeys, rollover: Rollover) -> Result<(), KeyError> {
        if let Some(sender) = self.sender.as_mut().filter(|sender| sender.keys().is_same_master(keys)) {
            if sender.keys().suite() != keys.suite() {
                return Err(KeyError::Reused);
            }
            sender.amend(keys);
            return Ok(());
        }
        let mut sender = Box::new(Sender::new(keys)?);
        if let Some(replaced) = self.sender.as_mut().filter(|_| rollover == Rollover::Continue) {
            sender.continue_from(replaced);
        }
        self.sender = Some(sender);
        Ok(())
    }

    /// Sets, or replaces, the keys of the receiving direction.
    ///
    /// Until the first packet comes with the new key, those that were on their way with the old one are still taken
    /// (RFC 4568 §7.1.4). Whether the peer restarts its rollover counters is found out from its packets. A key that is
    /// set already keeps its counters. On an error the keys stay as they were.
    pub fn set_receiving_keys(&mut self, keys: &SrtpKeys) -> Result<(), KeyError> {
        let is_same = |old: &SrtpKeys| old.is_same_master(keys) && old.suite() == keys.suite();
        if let Some(receiver) = self.receiver.as_mut().filter(|receiver| is_same(receiver.keys())) {
            receiver.amend(keys);
            return Ok(());
        }
        let mut receiver = Box::new(Receiver::new(keys)?);
        if let Some(replaced) = &self.receiver {
            receiver.continue_from(replaced);
        }
        self.replaced = self.receiver.replace(receiver);
        Ok(())
    }

    /// Protects the RTP packet in the first `len` octets of `buffer`, and returns its new length.
    ///
    /// The buffer must have room for [`rtp_overhead`](Self::rtp_overhead) octets more.
    pub fn protect_rtp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        self.sender.as_mut().ok_or(SrtpError::NoKeys)?.protect_rtp(buffer, len)
    }

    /// Protects the compound RTCP packet in the first `len` octets of `buffer`, and returns its new length.
    ///
    /// The buffer must have room for [`rtcp_overhead`](Self::rtcp_overhead) octets more.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        self.sender.as_mut().ok_or(SrtpError::NoKeys)?.protect_rtcp(buffer, len)
    }

    /// Verifies and decrypts an RTP packet, and returns the length of what is in its place.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        self.unprotect(packet, Receiver::unprotect_rtp)
    }

    /// Verifies and decrypts a compound RTCP packet, and returns the length of what is in its place.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        self.unprotect(packet, Receiver::unprotect_rtcp)
    }

    /// Whether these are the keys of the sending direction already.
    pub fn is_sending_with(&self, keys: &SrtpKeys) -> bool {
        self.sender.as_ref().is_some_and(|sender| sender.keys().is_same_master(keys))
    }

    /// Octets that RTP grows by when it is protected; 0 without keys.
    pub fn rtp_overhead(&self) -> usize {
        self.sender.as_ref().map_or(0, |sender| sender.keys().overheads().0)
    }

    /// Octets that RTCP grows by when it is protected; 0 without keys.
    pub fn rtcp_overhead(&self) -> usize {
        self.sender.as_ref().map_or(0, |sender| sender.keys().overheads().1)
    }

    /// RTP packets that the sending key may still protect: before none are left, new keys must be agreed on
    /// (RFC 3711 §9.2).
    pub fn packets_left(&self) -> Option<u64> {
        self.sender.as_ref().map(|sender| sender.packets_left())
    }

    fn unprotect(
        &mut self,
        packet: &mut [u8],
        with: impl Fn(&mut Receiver, &mut [u8]) -> Result<usize, SrtpError>,
    ) -> Result<usize, SrtpError> {
        let receiver = self.receiver.as_mut().ok_or(SrtpError::NoKeys)?;
        let result = with(receiver, packet);
        match (&result, &mut self.replaced) {
            (_, None) => result,
            (Ok(_), replaced) => {
                *replaced = None;
                result
            }
            (Err(_), Some(replaced)) => with(replaced, packet).or(result),
        }
    }
}

impl fmt::Debug for SrtpSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpSession")
            .field("sending", &self.sender.as_ref().map(|sender| sender.keys()))
            .field("receiving", &self.receiver.as_ref().map(|receiver| receiver.keys()))
            .finish_non_exhaustive()
    }
}
