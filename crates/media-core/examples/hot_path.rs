//! The way of a packet, many times over, for `benches/instructions.py` to count instructions of.
//!
//! `hot_path WHAT PACKETS` with WHAT one of `parse`, `relay`, `fork`, `fork-batched`, `record`, `seal SUITE`, `open SUITE`. Each packet
//! is of another call than the one before, as on a worker. What comes out is counted, and printed, so that nothing of it
//! can be left out by the compiler.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

use media_core::rtp::{RtpHeader, RtpPacket, HEADER_LEN};
use media_core::srtp::{CryptoSuite, Rollover, SrtpKeys, SrtpSession};
use media_core::{
    Cname, EndpointSettings, Event, ForkPorts, ForkRole, ForkSettings, Format, Formats, Instant, Latch, NewFork,
    Numbers, Output, PairKey, Registry, RegistryOptions, Side, NS_PER_MS, NS_PER_S,
};

/// Calls that take turns.
const CALLS: usize = 100;
const PAYLOAD: usize = 160;
/// Audio that leaves in one batch of a fork.
const BATCH_NS: u64 = 80 * NS_PER_MS;

#[derive(Default)]
struct Counted {
    octets: usize,
}

impl Output for Counted {
    fn send_rtp(&mut self, _: PairKey, _: SocketAddr, packet: &[u8]) -> bool {
        self.octets += black_box(packet).len();
        true
    }
    fn queue_rtp(&mut self, _: PairKey, _: SocketAddr, packets: &[u8], _: usize) {
        self.octets += black_box(packets).len();
    }
    fn send_beside_rtp(&mut self, _: PairKey, _: SocketAddr, _: &[u8]) {}
    fn send_rtcp(&mut self, _: PairKey, _: SocketAddr, _: &[u8]) {}
    fn settle(&mut self, _: PairKey, _: Option<SocketAddr>) {}
    fn release_pair(&mut self, _: PairKey) {}
    fn write(&mut self, _: u64, _: u64, samples: &[i16]) {
        self.octets += black_box(samples).len();
    }
    fn release_recorder(&mut self, _: u64, _: u64) {}
    fn report(&mut self, _: Event) {}
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, packets, suite @ ..] = &arguments[..] else { panic!("WHAT PACKETS [SUITE]") };
    let packets: usize = packets.parse().expect("a number of packets");
    let suite = suite.first().and_then(|name| CryptoSuite::from_name(name)).unwrap_or(CryptoSuite::AesCm128HmacSha1_80);
    let counted = match &what[..] {
        "parse" => parse(packets),
        "seal" => protect(packets, suite, false),
        "open" => protect(packets, suite, true),
        _ => relay(packets, what),
    };
    println!("{counted}");
}

fn speech(call: usize, sequence: usize) -> [u8; HEADER_LEN + PAYLOAD] {
    let mut packet = [0xd5; HEADER_LEN + PAYLOAD];
    let (ssrc, timestamp) = (call as u32 + 1, (sequence * PAYLOAD) as u32);
    let header = RtpHeader { marker: false, payload_type: 0, sequence: sequence as u16, timestamp, ssrc };
    header.write(packet.first_chunk_mut().expect("there is room"));
    packet
}

fn parse(packets: usize) -> usize {
    let packet = speech(0, 0);
    (0..packets)
        .map(|_| {
            let parsed = RtpPacket::parse(black_box(&packet)).expect("a good packet");
            parsed.payload().len() + usize::from(parsed.sequence()) + parsed.timestamp() as usize
        })
        .sum()
}

/// Packets that are protected, or protected and opened again.
fn protect(packets: usize, suite: CryptoSuite, opens: bool) -> usize {
    let keys = SrtpKeys::new(suite, &vec![1; suite.key_len() + suite.salt_len()]).expect("the right length");
    let mut sessions: Vec<SrtpSession> = (0..CALLS)
        .map(|_| {
            let mut session = SrtpSession::default();
            session.set_sending_keys(&keys, Rollover::Restart).expect("good keys");
            session.set_receiving_keys(&keys).expect("good keys");
            session
        })
        .collect();
    let mut octets = 0;
    for n in 0..packets {
        let session = &mut sessions[n % CALLS];
        let mut room = [0; HEADER_LEN + PAYLOAD + 16];
        room[..HEADER_LEN + PAYLOAD].copy_from_slice(&speech(n % CALLS, n / CALLS));
        let length = session.protect_rtp(black_box(&mut room), HEADER_LEN + PAYLOAD).expect("a good packet");
        octets += match opens {
            true => session.unprotect_rtp(&mut room[..length]).expect("what was sealed just now"),
            false => length,
        };
    }
    octets
}

/// Packets that go from one party of a call to the other, and where else `what` says.
fn relay(packets: usize, what: &str) -> usize {
    let mut registry = Registry::new(RegistryOptions { silence_ns: 30 * NS_PER_S });
    let (mut out, mut now) = (Counted::default(), Instant { mono_ns: NS_PER_S, wall_ns: 1_764_000_000 * NS_PER_S });
    let pairs: Vec<PairKey> = (0..CALLS).map(|call| open(&mut registry, call, what, now, &mut out)).collect();
    for n in 0..packets {
        let (call, sequence) = (n % CALLS, n / CALLS);
        if call == 0 {
            now = now.after(20 * NS_PER_MS);
            if registry.poll_timeout().is_some_and(|due_ns| due_ns <= now.mono_ns) {
                registry.handle_timeout(now, &mut out);
            }
        }
        registry.receive_rtp(pairs[call], host(1000), black_box(&speech(call, sequence)), now, &mut out);
    }
    out.octets
}

fn host(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

/// Opens a call; the pair at which its packets arrive.
fn open(registry: &mut Registry, call: usize, what: &str, now: Instant, out: &mut Counted) -> PairKey {
    let session: Arc<str> = call.to_string().into();
    let name = |text: &str| Arc::<str>::from(text);
    let formats = || Formats::from(vec![Format::new(0, "PCMU", 8000, 1), Format::new(101, "telephone-event", 8000, 1)]);
    let numbers = Numbers { ssrc: call as u32, sequence: 0, timestamp: 0 };
    registry.open_session(&session, now);
    let [a, _] = [("a", 1000), ("b", 2000)].map(|(endpoint, port)| {
        let pair = registry.open_endpoint(&session, &name(endpoint), numbers, Cname([1; 12])).expect("a new endpoint");
        let settings = EndpointSettings {
            remote: Some(host(port)),
            remote_rtcp: None,
            formats: formats(),
            send_formats: None,
            latch: Latch::Each,
            send: true,
            receive: true,
            rtcp_mux: false,
            keys: None,
        };
        registry.configure_endpoint(&session, endpoint, settings, now, out).expect("good settings");
        pair
    });
    registry.set_route(&session, "a", Some("b")).expect("both are open");
    if what.starts_with("fork") {
        let new = NewFork {
            name: name("f"),
            endpoint: name("a"),
            side: Side::Inbound,
            role: ForkRole::Endpoint,
            ports: ForkPorts::Shared,
            batch_ns: if what == "fork-batched" { BATCH_NS } else { 0 },
            drop_dtmf: false,
            cname: name("c"),
            numbers,
        };
        registry.open_fork(&session, new).expect("a new fork");
        let settings =
            ForkSettings { remote: Some(host(3000)), remote_rtcp: None, active: true, formats: formats(), keys: None };
        registry.configure_fork(&session, "f", settings, out).expect("good settings");
    }
    if what == "record" {
        registry.open_recorder(&session, &name("r"), "a", 1).expect("a new recorder");
    }
    a
}
