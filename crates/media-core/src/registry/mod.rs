//! One worker's sessions and the packets that flow in them.
//!
//! Each source of packets has a list of sinks: a route, a fork and a recorder are each one more sink of what an endpoint
//! receives; forks of the outbound side are sinks of what is sent to its remote.

mod commands;
mod counting;
mod endpoint;
mod fork;
mod kernel;
mod listening;
mod packets;
mod playing;
mod reporting;
mod security;
mod session;
mod stream;
mod timers;
mod wheel;

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::arena::{Arena, Key};
use crate::event::Event;
use crate::format::Formats;
use crate::srtp::SrtpKeys;

pub use playing::Playback;

use session::Session;

pub use endpoint::port_above;
pub use kernel::{HandOver, KernelFork, KernelLeg, KernelTally, MAX_KERNEL_FORKS};

/// Names the port pair of an endpoint or fork.
pub type PairKey = Key;

/// What the registry wants done, at once and in this order.
pub trait Output {
    /// Send RTP from a pair's RTP port now: somebody is listening. False if the kernel would not take it. What has arrived
    /// together may be sent together, and is told of by [`Registry::note_send_errors`] if that fails.
    fn send_rtp(&mut self, pair: PairKey, to: SocketAddr, packet: &[u8]) -> bool;
    /// Send RTP packets of `segment` octets each, which stand one after the other, from a pair's RTP port by the end of this
    /// round: a recorder is listening.
    fn queue_rtp(&mut self, pair: PairKey, to: SocketAddr, packets: &[u8], segment: usize);
    /// Send what is no RTP from a pair's RTP port: RTCP that shares it, or nothing at all to keep the path open.
    fn send_beside_rtp(&mut self, pair: PairKey, to: SocketAddr, packet: &[u8]);
    /// Send RTCP from a pair's RTCP port.
    fn send_rtcp(&mut self, pair: PairKey, to: SocketAddr, packet: &[u8]);
    /// Open a pair's RTCP port, if it is closed; false if that fails.
    fn open_rtcp(&mut self, _pair: PairKey) -> bool {
        true
    }
    /// Close a pair's RTCP port: RTCP shares the other.
    fn close_rtcp(&mut self, _pair: PairKey) {}
    /// From now on a pair's RTP goes to, and comes from, this address only; None: anybody again. Packets that were queued
    /// before go where they were to go.
    fn settle(&mut self, pair: PairKey, remote: Option<SocketAddr>);
    /// Close a pair's sockets, after what was queued for them; ports that forks share stay open.
    fn release_pair(&mut self, pair: PairKey);
    /// Put samples into a recorder's file, the first of them at `at`.
    fn write(&mut self, recorder: u64, at: u64, samples: &[i16]);
    /// Complete a recorder's file, which has `samples`.
    fn release_recorder(&mut self, recorder: u64, samples: u64);
    /// Tell the control process.
    fn report(&mut self, event: Event);
    /// Have the kernel relay and fork what arrives on a pair's RTP port as the leg says, going on from `begin`. What
    /// it does not relay still arrives here.
    fn enter_kernel(&mut self, _pair: PairKey, _leg: &KernelLeg, _begin: &KernelTally) -> HandOver {
        HandOver::Refused
    }
    /// What the kernel has done for a pair so far.
    fn read_kernel(&mut self, _pair: PairKey) -> Option<KernelTally> {
        None
    }
    /// From now on the kernel relays nothing of a pair; what it has done.
    fn leave_kernel(&mut self, _pair: PairKey) -> Option<KernelTally> {
        None
    }
}

/// Which audio of an endpoint a fork copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What the endpoint receives.
    Inbound,
    /// What is sent to its remote.
    Outbound,
}

/// Who a fork is to the SRS (RFC 7866 §8.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForkRole {
    /// An SSRC and reports of its own.
    Endpoint,
    /// The call's packets and reports, passed on.
    Translator,
}

/// Which ports a fork sends from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForkPorts {
    /// A pair of its own.
    Own,
    /// A pair that it shares with forks of other sessions.
    Shared,
}

/// What protects a stream: SRTP and SRTCP (RFC 3711). Neither key may ever be set again after another took its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaKeys {
    /// Of what is sent.
    pub send: SrtpKeys,
    /// Of what is received.
    pub receive: SrtpKeys,
}

/// Whose packets become the remote's (symmetric RTP, RFC 4961).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latch {
    /// Nobody's: only the remote that was told is heard.
    Signalled,
    /// The first source's, until another remote is told.
    First,
    /// The first source's after each configuration.
    Each,
}

/// What `configure_endpoint` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Where RTP is sent.
    pub remote: Option<SocketAddr>,
    /// Where RTCP is sent; None, as a rule: the port above.
    pub remote_rtcp: Option<Box<SocketAddr>>,
    /// What payload types mean.
    pub formats: Formats,
    /// How the remote numbers what it takes; None: as `formats`.
    pub send_formats: Option<Formats>,
    /// Which source becomes the remote.
    pub latch: Latch,
    /// RTP may be sent.
    pub send: bool,
    /// RTP may be received.
    pub receive: bool,
    /// RTCP shares the RTP ports of both sides (RFC 5761).
    pub rtcp_mux: bool,
    /// All is SRTP and SRTCP; None: nothing is.
    pub keys: Option<Box<MediaKeys>>,
}

/// What `configure_fork` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForkSettings {
    /// Where RTP is sent.
    pub remote: Option<SocketAddr>,
    /// Where RTCP is sent; None, as a rule: the port above.
    pub remote_rtcp: Option<Box<SocketAddr>>,
    /// Packets flow.
    pub active: bool,
    /// What the SRS has agreed to.
    pub formats: Formats,
    /// All is SRTP and SRTCP; None: nothing is.
    pub keys: Option<Box<MediaKeys>>,
}

/// The random beginnings of a stream that the engine sends as its own (RFC 3550 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// SSRC.
    pub ssrc: u32,
    /// First sequence number.
    pub sequence: u16,
    /// First time stamp.
    pub timestamp: u32,
}

/// A CNAME that says nothing about its host: 96 random bits (RFC 7022 §4.2), and their digits where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cname(pub [u8; 12]);

impl fmt::Display for Cname {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// What `open_fork` says.
#[derive(Clone, Debug)]
pub struct NewFork {
    /// Its name.
    pub name: Arc<str>,
    /// The endpoint it copies.
    pub endpoint: Arc<str>,
    /// Which side of it.
    pub side: Side,
    /// Who it is to the SRS.
    pub role: ForkRole,
    /// Which ports it sends from; those of a translator are its own.
    pub ports: ForkPorts,
    /// Packets of so much audio leave together; 0: each at once.
    pub batch_ns: u64,
    /// Telephone events are left out, whatever the SRS has agreed to.
    pub drop_dtmf: bool,
    /// Its CNAME.
    pub cname: Arc<str>,
    /// Where its stream begins.
    pub numbers: Numbers,
}

/// What all sessions of a registry share.
#[derive(Clone, Copy, Debug)]
pub struct RegistryOptions {
    /// After this long without a packet an endpoint is reported silent.
    pub silence_ns: u64,
}

/// Counts since the registry began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// RTP packets that were relayed.
    pub packets_relayed: u64,
    /// RTP packets that were forked.
    pub packets_forked: u64,
    /// Octets of the RTP packets that endpoints received, and of those that were sent.
    pub octets: u64,
}

/// Whose port pair it is.
#[derive(Clone, Copy, Debug)]
enum Member {
    Endpoint(Key),
    Fork(Key),
}

#[derive(Clone, Copy, Debug)]
struct PairOwner {
    session: Key,
    member: Member,
}

/// A player's next packet: (due, session, player).
type Due = Reverse<(u64, Key, Key)>;

/// One worker's sessions.
#[derive(Debug)]
pub struct Registry {
    options: RegistryOptions,
    sessions: Arena<Session>,
    names: HashMap<Arc<str>, Key>,
    pairs: Arena<PairOwner>,
    /// Forks that share their ports, by the SSRC that reports on them name.
    shared: HashMap<u32, PairKey>,
    /// Whither forks that share their ports could not send, until each session was looked at.
    unreachable: Vec<timers::Unreachable>,
    batches: wheel::Wheel,
    players: BinaryHeap<Due>,
    tick: timers::Tick,
    totals: Totals,
    uses_kernel: bool,
    scratch: packets::Scratch,
    /// The packet that is on its way, if it came encrypted.
    opened: Box<[u8; packets::MAX_PACKET]>,
}

impl Registry {
    /// An empty registry.
    pub fn new(options: RegistryOptions) -> Self {
        Self {
            options,
            sessions: Arena::default(),
            names: HashMap::new(),
            pairs: Arena::default(),
            shared: HashMap::new(),
            unreachable: Vec::new(),
            batches: wheel::Wheel::default(),
            players: BinaryHeap::new(),
            tick: timers::Tick::default(),
            totals: Totals::default(),
            uses_kernel: false,
            scratch: packets::Scratch::default(),
            opened: Box::new([0; packets::MAX_PACKET]),
        }
    }

    /// How many sessions are open.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// True if none is.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Counts since the registry began.
    pub fn totals(&self) -> Totals {
        self.totals
    }
}
