//! An endpoint: whom it listens to, what it counts, what it sends as its own.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::arena::Key;
use crate::dtmf::DtmfDetector;
use crate::format::Formats;
use crate::reception::Reception;
use crate::refusal::Refusal;
use crate::rtp::RtpPacket;
use crate::srtp::Rollover;
use crate::translation::Translation;

use super::counting::{Counts, Taken, Told};
use super::kernel::Nearness;
use super::listening::{Listening, Place};
use super::reporting::{Quiet, SenderReport};
use super::security::{sealed, Security};
use super::session::Sink;
use super::stream::{OwnStream, Splice, Stream};
use super::{Cname, EndpointSettings, Latch, Numbers, Output, PairKey};

/// After so many packets in a row from one source (a fifth of a second of speech) its address is given to the kernel to filter by, to
/// which a connected socket sends for less as well.
const SETTLED_PACKETS: u32 = 10;
/// After so many packets in a row that its key does not fit (1 s of speech) a party cannot be heard: it is told.
const REFUSED_PACKETS: u8 = 50;
/// The RTP clock of G.711.
pub(super) const RATE: u32 = 8000;

/// Whether a packet is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Stray,
    Heard,
    /// Heard, and its source is the new remote.
    Learned(SocketAddr),
}

/// Where a received stream has got to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) ssrc: u32,
    /// The newest.
    pub(super) sequence: u16,
    /// What the source's clock shows now.
    pub(super) timestamp: u32,
    pub(super) clock_rate: u32,
}

#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) name: Arc<str>,
    pub(super) pair: PairKey,
    pub(super) configured: bool,
    pub(super) settings: EndpointSettings,
    pub(super) security: Option<Box<Security>>,
    /// Where RTP is sent: as configured, or as learned since.
    pub(super) remote: Option<SocketAddr>,
    pub(super) remote_rtcp: Option<SocketAddr>,
    /// Sinks of what is received.
    pub(super) received: Vec<Sink>,
    /// Forks of what is sent.
    pub(super) sent: Vec<Key>,
    pub(super) player: Option<Key>,
    pub(super) own: OwnStream,
    /// Where a stream that is relayed to the remote was changed; what follows is numbered by it.
    pub(super) splice: Option<Box<Splice>>,
    /// What changes on the way from here to the endpoint that this one is relayed to.
    pub(super) translation: Option<Box<Translation>>,
    pub(super) dtmf: DtmfDetector,
    pub(super) heard_ns: u64,
    pub(super) silence_reported: bool,
    pub(super) unreachable: Told,
    /// Whether the kernel relays its packets, or might.
    pub(super) kernel: Nearness,
    listening: Listening,
    steady: u32,
    settled: bool,
    pub(super) reception: Option<Reception>,
    pub(super) lost_before: u64,
    pub(super) clock_rate: u32,
    pub(super) ssrc_changed: Told,
    pub(super) counts: Counts,
    pub(super) taken: Taken,
    /// Packets in a row that the key does not fit.
    refused: u8,
    pub(super) quiet: Quiet,
    pub(super) sender_report: Option<SenderReport>,
}

impl Endpoint {
    pub(super) fn new(name: Arc<str>, pair: PairKey, numbers: Numbers, cname: Cname) -> Self {
        Self {
            name,
            pair,
            configured: false,
            settings: EndpointSettings {
                remote: None,
                remote_rtcp: None,
                formats: Formats::default(),
                send_formats: None,
                latch: Latch::Each,
                send: false,
                receive: false,
                rtcp_mux: false,
                keys: None,
            },
            security: None,
            remote: None,
            remote_rtcp: None,
            received: Vec::new(),
            sent: Vec::new(),
            player: None,
            own: OwnStream::new(numbers, cname),
            splice: None,
            translation: None,
            dtmf: DtmfDetector::default(),
            heard_ns: 0,
            silence_reported: false,
            unreachable: Told::default(),
            kernel: Nearness::default(),
            listening: Listening::Open,
            steady: 0,
            settled: false,
            reception: None,
            lost_before: 0,
            clock_rate: RATE,
            ssrc_changed: Told::default(),
            counts: Counts::default(),
            taken: Taken::default(),
            refused: 0,
            quiet: Quiet::default(),
            sender_report: None,
        }
    }

    /// Takes what offer/answer agreed; true if the kernel's filter has to be lifted.
    pub(super) fn configure(&mut self, mut settings: EndpointSettings, now_ns: u64) -> Result<bool, Refusal> {
        let rollover = rollover(self.settings.remote, settings.remote);
        Security::configure(&mut self.security, settings.keys.take(), rollover)?;
        // a remote learned behind a NAT stays in use over a re-INVITE that repeats the same private address
        let is_same = self.configured && settings.remote == self.settings.remote;
        let told_anew = !is_same || settings.latch == Latch::Signalled;
        let told_before = self.settings.remote.filter(|_| self.configured);
        self.listening = self.listening.configured(settings.latch, settings.remote, told_before, self.remote);
        if told_anew {
            self.remote = settings.remote;
        }
        let rtcp = |settings: &EndpointSettings| (settings.rtcp_mux, told_rtcp(settings));
        if told_anew || rtcp(&settings) != rtcp(&self.settings) {
            self.remote_rtcp = rtcp_of(&settings, self.remote);
        }
        (self.steady, self.refused) = (0, 0);
        self.settings = settings;
        self.configured = true;
        self.heard_ns = now_ns;
        self.quiet.begin(now_ns);
        self.silence_reported = false;
        Ok(std::mem::take(&mut self.settled))
    }

    /// True, and counted, if nothing from there is heard, whatever it is: no reason to decrypt it.
    pub(super) fn is_stranger(&mut self, source: SocketAddr) -> bool {
        // nobody can be answered at port 0, whoever latches on to it
        let known = !self.listening.is_deaf_to(source, self.settings.remote, self.remote) && source.port() != 0;
        if !known {
            self.count_stray();
            self.steady = 0;
        }
        !known
    }

    /// Decides by its source whether a packet is heard, and learns the remote from the first.
    #[inline]
    pub(super) fn admit(&mut self, packet: &RtpPacket<'_>, source: SocketAddr) -> Admission {
        // all but always; whom it listens to then is the remote
        if self.configured && self.listening.is_settled() && self.remote == Some(source) && source.port() != 0 {
            return Admission::Heard;
        }
        self.admit_another(packet, source)
    }

    fn admit_another(&mut self, packet: &RtpPacket<'_>, source: SocketAddr) -> Admission {
        if self.is_stranger(source) {
            return Admission::Stray;
        }
        if self.listening.is_open_to(source) && !self.is_plausible(packet, source) {
            self.count_stray();
            self.steady = 0;
            return Admission::Stray;
        }
        if self.listening.is_open_to(source) {
            self.steady = 0;
        }
        if self.configured && self.listening.hear(source, self.remote) == Place::Remote && self.remote != Some(source) {
            self.remote = Some(source);
            self.remote_rtcp = rtcp_of(&self.settings, self.remote);
            return Admission::Learned(source);
        }
        Admission::Heard
    }

    /// True once when the source has been the same for long enough for the kernel to filter by it.
    pub(super) fn settles(&mut self) -> bool {
        self.steady = self.steady.saturating_add(1);
        let now = self.steady >= SETTLED_PACKETS && self.configured && !self.settled && self.listening.is_settled();
        self.settled |= now;
        now
    }

    /// True while the kernel filters by the source.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// True for the packet with the newest number of the current SSRC.
    pub(super) fn is_newest(&self, packet: &RtpPacket<'_>) -> bool {
        let current = self.reception.as_ref().filter(|reception| reception.ssrc() == packet.ssrc());
        current.is_some_and(|reception| reception.extended_sequence() as u16 == packet.sequence())
    }

    pub(super) fn reception_mut(&mut self) -> Option<&mut Reception> {
        self.reception.as_mut()
    }

    /// Transit and jitter of the current SSRC, as the kernel goes on with them.
    pub(super) fn timing(&self) -> Option<(u32, u32)> {
        self.reception.as_ref()?.timing()
    }

    /// True if RTCP from there is the remote's.
    pub(super) fn knows(&self, source: SocketAddr) -> bool {
        let mut known = [self.remote, told_rtcp(&self.settings)].into_iter().flatten();
        self.configured && known.any(|host| host.ip() == source.ip())
    }

    /// RTCP of the remote came from there, so there RTCP goes.
    pub(super) fn learn_rtcp(&mut self, source: SocketAddr) {
        if self.settings.latch != Latch::Signalled && !self.settings.rtcp_mux {
            self.remote_rtcp = Some(source);
        }
    }

    /// What a packet's payload type means: (its clock rate, that of an event if it is one).
    pub(super) fn meaning(&self, packet: &RtpPacket<'_>) -> (u32, Option<u32>) {
        match self.settings.formats.find(packet.payload_type()) {
            Some(format) => (format.clock_rate, format.is_telephone_event().then_some(format.clock_rate)),
            None => (RATE, None),
        }
    }

    /// Notes whether the key fits a packet of RTP. True if it has not for too long, once after each configuration.
    pub(super) fn note_fit(&mut self, fits: bool) -> bool {
        if self.refused < REFUSED_PACKETS {
            self.refused = if fits { 0 } else { self.refused + 1 };
            return self.refused == REFUSED_PACKETS;
        }
        false
    }

    /// Sends RTCP to an address, protected if all is.
    pub(super) fn send_rtcp(&mut self, to: SocketAddr, packet: &[u8], out: &mut impl Output) {
        match sealed(&mut self.security, packet) {
            // RFC 5761 §5.1.1: RTCP goes to the RTP port, and comes from it
            Some(packet) if self.settings.rtcp_mux => out.send_beside_rtp(self.pair, to, &packet),
            Some(packet) => out.send_rtcp(self.pair, to, &packet),
            None => self.count_unprotected(),
        }
    }

    /// The endpoint that what is received is relayed to.
    pub(super) fn bridge(&self) -> Option<Key> {
        self.received.iter().find_map(|sink| sink.bridge())
    }

    /// The stream that a player's packets belong to.
    pub(super) fn played(&mut self, spliced: bool) -> Option<&mut Stream> {
        if spliced {
            return self.splice.as_mut()?.inserted();
        }
        Some(&mut self.own.stream)
    }

    /// Where the stream that is received has got to; None before its first audio.
    pub(super) fn heard(&self, now_ns: u64) -> Option<Heard> {
        let reception = self.reception.as_ref()?;
        Some(Heard {
            ssrc: reception.ssrc(),
            sequence: reception.extended_sequence() as u16,
            timestamp: reception.timestamp_at(now_ns, self.clock_rate)?,
            clock_rate: self.clock_rate,
        })
    }

    fn is_plausible(&self, packet: &RtpPacket<'_>, source: SocketAddr) -> bool {
        let formats = &self.settings.formats;
        formats.is_empty()
            || formats.find(packet.payload_type()).is_some()
            || self.settings.remote.is_some_and(|remote| remote.ip() == source.ip())
    }
}

/// What becomes of SRTP's rollover counters when the remote is told anew.
pub(super) fn rollover(before: Option<SocketAddr>, after: Option<SocketAddr>) -> Rollover {
    // RFC 4568 §7.1.4: who has moved may be another, which knows no counters
    if before == after {
        Rollover::Continue
    } else {
        Rollover::Restart
    }
}

/// Where RTCP goes while RTP goes to `remote`.
fn rtcp_of(settings: &EndpointSettings, remote: Option<SocketAddr>) -> Option<SocketAddr> {
    if settings.rtcp_mux {
        return remote;
    }
    // RFC 4961: RTCP is as symmetric as RTP; an explicit port on that host still stands (RFC 3605)
    let stands = |told: &SocketAddr| remote == settings.remote || remote.is_some_and(|remote| remote.ip() == told.ip());
    told_rtcp(settings).filter(stands).or_else(|| remote.and_then(port_above))
}

fn told_rtcp(settings: &EndpointSettings) -> Option<SocketAddr> {
    settings.remote_rtcp.as_deref().copied()
}

/// The RTCP address that belongs to an RTP address (RFC 3550 §11); None above the last port.
pub fn port_above(rtp: SocketAddr) -> Option<SocketAddr> {
    Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?))
}
