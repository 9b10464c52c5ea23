//! Whole sessions against an output that writes down what it is asked for.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::event::Event;
use crate::format::Format;
use crate::g711::Law;
use crate::player::Audio;
use crate::refusal::RefusalCode;
use crate::rtcp::{compact_ntp, parse_compound, CompoundBuilder, ReportBlock, RtcpPacket, SenderInfo};
use crate::rtp::{RtpHeader, RtpPacket, HEADER_LEN};
use crate::time::{Instant, NS_PER_MS, NS_PER_S};

use super::{
    Cname, EndpointSettings, ForkPorts, ForkRole, ForkSettings, Latch, NewFork, Numbers, Output, PairKey, Playback,
    Registry, RegistryOptions, Side,
};

mod commands;
mod digits;
mod events;
mod forks;
mod kernel;
mod playing;
mod relaying;
mod remotes;
mod security;
mod translation;

const WALL: u64 = 1_764_000_000 * NS_PER_S;

#[derive(Default)]
struct Written {
    rtp: Vec<(PairKey, SocketAddr, Vec<u8>)>,
    queued: Vec<(PairKey, SocketAddr, Vec<u8>)>,
    sends: usize,
    rtcp: Vec<(PairKey, SocketAddr, Vec<u8>)>,
    beside: Vec<(PairKey, SocketAddr, Vec<u8>)>,
    closed_rtcp: Vec<PairKey>,
    /// Closed RTCP ports have been taken by others.
    taken: bool,
    settled: Vec<(PairKey, Option<SocketAddr>)>,
    released: Vec<PairKey>,
    samples: Vec<(u64, u64, Vec<i16>)>,
    recorders: Vec<(u64, u64)>,
    events: Vec<Event>,
}

impl Output for Written {
    fn send_rtp(&mut self, pair: PairKey, to: SocketAddr, packet: &[u8]) -> bool {
        self.rtp.push((pair, to, packet.to_vec()));
        true
    }
    fn queue_rtp(&mut self, pair: PairKey, to: SocketAddr, packets: &[u8], segment: usize) {
        self.sends += 1;
        self.queued.extend(packets.chunks(segment).map(|packet| (pair, to, packet.to_vec())));
    }
    fn send_beside_rtp(&mut self, pair: PairKey, to: SocketAddr, packet: &[u8]) {
        self.beside.push((pair, to, packet.to_vec()));
    }
    fn send_rtcp(&mut self, pair: PairKey, to: SocketAddr, packet: &[u8]) {
        self.rtcp.push((pair, to, packet.to_vec()));
    }
    fn open_rtcp(&mut self, pair: PairKey) -> bool {
        let opens = !self.taken || !self.closed_rtcp.contains(&pair);
        self.closed_rtcp.retain(|closed| *closed != pair || !opens);
        opens
    }
    fn close_rtcp(&mut self, pair: PairKey) {
        if !self.closed_rtcp.contains(&pair) {
            self.closed_rtcp.push(pair);
        }
    }
    fn settle(&mut self, pair: PairKey, remote: Option<SocketAddr>) {
        self.settled.push((pair, remote));
    }
    fn release_pair(&mut self, pair: PairKey) {
        self.released.push(pair);
    }
    fn write(&mut self, recorder: u64, at: u64, samples: &[i16]) {
        self.samples.push((recorder, at, samples.to_vec()));
    }
    fn release_recorder(&mut self, recorder: u64, samples: u64) {
        self.recorders.push((recorder, samples));
    }
    fn report(&mut self, event: Event) {
        self.events.push(event);
    }
}

/// A session `s` with endpoints `a` (remote port 1000) and `b` (2000).
struct Scene {
    registry: Registry,
    out: Written,
    now: Instant,
    a: PairKey,
    b: PairKey,
}

fn name(text: &str) -> Arc<str> {
    Arc::from(text)
}

fn host(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn formats() -> Vec<Format> {
    vec![Format::new(0, "PCMU", 8000, 1), Format::new(101, "telephone-event", 8000, 1)]
}

fn settings(port: u16) -> EndpointSettings {
    EndpointSettings {
        remote: Some(host(port)),
        remote_rtcp: None,
        formats: formats().into(),
        send_formats: None,
        latch: Latch::Each,
        send: true,
        receive: true,
        rtcp_mux: false,
        keys: None,
    }
}

fn numbers(ssrc: u32) -> Numbers {
    Numbers { ssrc, sequence: 100, timestamp: 7000 }
}

fn playback(audio: Audio, loops: u32) -> Playback {
    Playback { audio, loops, start_ms: 0 }
}

fn fork(name_: &str, endpoint: &str, side: Side, role: ForkRole) -> NewFork {
    NewFork {
        name: name(name_),
        endpoint: name(endpoint),
        side,
        role,
        ports: ForkPorts::Own,
        batch_ns: 0,
        drop_dtmf: false,
        cname: name("cname@fork"),
        numbers: numbers(0xf0),
    }
}

fn active(port: u16) -> ForkSettings {
    ForkSettings { remote: Some(host(port)), remote_rtcp: None, active: true, formats: formats().into(), keys: None }
}

fn rtp(payload_type: u8, ssrc: u32, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_LEN];
    RtpHeader { marker: false, payload_type, sequence, timestamp, ssrc }.write(bytes.first_chunk_mut().unwrap());
    bytes.extend_from_slice(payload);
    bytes
}

impl Scene {
    fn new() -> Self {
        let mut registry = Registry::new(RegistryOptions { silence_ns: 2 * NS_PER_S });
        let now = Instant { mono_ns: NS_PER_S, wall_ns: WALL };
        registry.open_session(&name("s"), now);
        let a = registry.open_endpoint("s", &name("a"), numbers(0xa), Cname([0xa; 12])).unwrap();
        let b = registry.open_endpoint("s", &name("b"), numbers(0xb), Cname([0xb; 12])).unwrap();
        Self { registry, out: Written::default(), now, a, b }
    }

    fn bridged() -> Self {
        let mut scene = Self::new();
        scene.configure("a", settings(1000));
        scene.configure("b", settings(2000));
        scene.registry.set_route("s", "a", Some("b")).unwrap();
        scene.registry.set_route("s", "b", Some("a")).unwrap();
        scene
    }

    fn configure(&mut self, endpoint: &str, settings: EndpointSettings) {
        self.registry.configure_endpoint("s", endpoint, settings, self.now, &mut self.out).unwrap();
    }

    fn fork(&mut self, new: &NewFork, settings: ForkSettings) -> PairKey {
        let pair = self.registry.open_fork("s", new.clone()).unwrap();
        self.registry.configure_fork("s", &new.name, settings, &mut self.out).unwrap();
        pair
    }

    fn receive(&mut self, pair: PairKey, port: u16, packet: &[u8]) {
        self.registry.receive_rtp(pair, host(port), packet, self.now, &mut self.out);
    }

    /// Time passes in steps of a millisecond, each timeout handled when it is due.
    fn pass(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now = self.now.after(NS_PER_MS);
            if self.registry.poll_timeout().is_some_and(|due| due <= self.now.mono_ns) {
                self.registry.handle_timeout(self.now, &mut self.out);
            }
        }
    }

    fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.out.events)
    }
}
