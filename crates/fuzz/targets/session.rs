//! A whole session: packets from anybody on any port, commands and time in any order.
#![no_main]

use std::net::SocketAddr;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use media_core::srtp::{CryptoSuite, SrtpKeys};
use media_core::{
    Audio, BadDigits, Cname, DigitTiming, Digits, EndpointSettings, Event, ForkPorts, ForkRole, ForkSettings, Format,
    Formats, Instant, Latch, Law, MediaKeys, NewFork, Numbers, Output, PairKey, Playback, Registry, RegistryOptions,
    Side, NS_PER_MS, NS_PER_S,
};

const ENDPOINTS: [&str; 2] = ["a", "b"];
const FORKS: [&str; 3] = ["f", "g", "h"];

/// Looks at what the registry wants done.
#[derive(Default)]
struct Judge {
    now: Instant,
    begun: Instant,
}

impl Output for Judge {
    fn send_rtp(&mut self, _: PairKey, _: SocketAddr, packet: &[u8]) -> bool {
        assert!(packet.len() <= 2048);
        packet.len() % 3 != 0
    }
    fn queue_rtp(&mut self, _: PairKey, _: SocketAddr, packets: &[u8], segment: usize) {
        assert!(segment > 0 && packets.len() % segment == 0 && packets.len() <= 65_507);
    }
    fn send_rtcp(&mut self, _: PairKey, _: SocketAddr, packet: &[u8]) {
        assert!(packet.len() <= 2048 + 64);
    }
    fn send_beside_rtp(&mut self, _: PairKey, _: SocketAddr, packet: &[u8]) {
        assert!(packet.len() <= 2048 + 64);
    }
    fn settle(&mut self, _: PairKey, _: Option<SocketAddr>) {}
    fn release_pair(&mut self, _: PairKey) {}
    fn write(&mut self, _: u64, at: u64, samples: &[i16]) {
        let elapsed = (self.now.mono_ns - self.begun.mono_ns) / NS_PER_MS * 8;
        assert!(at + samples.len() as u64 <= elapsed + 16_000 + 2048, "a file outgrows the time that has passed");
    }
    fn release_recorder(&mut self, _: u64, _: u64) {}
    fn report(&mut self, _: Event) {}
}

fn name(text: &str) -> Arc<str> {
    Arc::from(text)
}

fn host(which: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, which % 3], 1000 + u16::from(which % 2)))
}

fn formats(which: u8) -> Formats {
    let all = [
        Format::new(0, "PCMU", 8000, 1),
        Format::new(8, "PCMA", 8000, 1),
        Format::new(96, "L16", 8000, 1),
        Format::new(101, "telephone-event", 8000, 1),
        Format::new(102, "opus", 48_000, 2),
    ];
    all.into_iter().enumerate().filter(|(at, _)| which >> at & 1 == 1).map(|one| one.1).collect::<Vec<_>>().into()
}

fn keys(which: u8) -> Option<Box<MediaKeys>> {
    let suite = *CryptoSuite::ALL.get(usize::from(which % 16))?;
    let key = |seed| SrtpKeys::new(suite, &vec![seed; suite.key_len() + suite.salt_len()]).expect("the right length");
    Some(Box::new(MediaKeys { send: key(1), receive: key(2 + which / 16 % 2) }))
}

fuzz_target!(|data: &[u8]| {
    let mut registry = Registry::new(RegistryOptions { silence_ns: NS_PER_S });
    let begun = Instant { mono_ns: NS_PER_S, wall_ns: 1_764_000_000 * NS_PER_S };
    let mut judge = Judge { now: begun, begun };
    registry.open_session(&name("s"), begun);
    let numbers = |ssrc| Numbers { ssrc, sequence: 65_530, timestamp: u32::MAX };
    let mut pairs: Vec<PairKey> = ENDPOINTS
        .iter()
        .map(|endpoint| {
            registry.open_endpoint("s", &name(endpoint), numbers(1), Cname([1; 12])).expect("a new endpoint")
        })
        .collect();
    let mut rest = data;
    while let Some(([what, which, length], after)) = rest.split_first_chunk::<3>() {
        let (bytes, after) = after.split_at(after.len().min(usize::from(*length)));
        rest = after;
        let (which, first) = (*which, bytes.first().copied().unwrap_or_default());
        let endpoint = ENDPOINTS[usize::from(which) % 2];
        let fork = FORKS[usize::from(which) % 3];
        let now = judge.now;
        let out = &mut judge;
        match what % 16 {
            0..=4 => {
                let pair = pairs[usize::from(which) % pairs.len()];
                registry.receive_rtp(pair, host(which / 16), bytes, now, out);
            }
            5 => {
                let pair = pairs[usize::from(which) % pairs.len()];
                registry.receive_rtcp(pair, host(which / 16), bytes, now, out);
            }
            6 => registry.receive_shared_rtcp(host(which), bytes),
            7 => {
                let ns = u64::from(which) * u64::from(*length) * NS_PER_MS / 4;
                let until = judge.now.after(ns);
                while let Some(due_ns) = registry.poll_timeout().filter(|due_ns| *due_ns <= until.mono_ns) {
                    judge.now = judge.now.after(due_ns.saturating_sub(judge.now.mono_ns));
                    registry.handle_timeout(judge.now, &mut judge);
                    let next = registry.poll_timeout();
                    assert!(next.is_none_or(|next| next > judge.now.mono_ns), "a timeout that does not go away");
                }
                judge.now = until;
            }
            8 => {
                let settings = EndpointSettings {
                    remote: (which & 4 == 0).then(|| host(which / 16)),
                    remote_rtcp: None,
                    formats: formats(first),
                    send_formats: (first & 0x20 != 0).then(|| formats(first.rotate_left(3))),
                    latch: [Latch::Each, Latch::First, Latch::Signalled][usize::from(which / 2) % 3],
                    send: which & 8 == 0,
                    receive: first & 0x40 == 0,
                    rtcp_mux: first & 0x20 != 0,
                    keys: keys(*length),
                };
                let _ = registry.configure_endpoint("s", endpoint, settings, now, out);
            }
            9 => {
                let new = NewFork {
                    name: name(fork),
                    endpoint: name(endpoint),
                    side: if which & 1 == 0 { Side::Inbound } else { Side::Outbound },
                    role: if which & 4 == 0 { ForkRole::Endpoint } else { ForkRole::Translator },
                    ports: if which & 8 == 0 { ForkPorts::Own } else { ForkPorts::Shared },
                    batch_ns: u64::from(first) * NS_PER_MS,
                    drop_dtmf: which & 16 != 0,
                    cname: name("c"),
                    numbers: numbers(u32::from(which)),
                };
                pairs.extend(registry.open_fork("s", new));
            }
            10 => {
                let settings = ForkSettings {
                    remote: (which & 64 == 0).then(|| host(which / 16)),
                    remote_rtcp: None,
                    active: which & 128 == 0,
                    formats: formats(first),
                    keys: keys(*length),
                };
                let _ = registry.configure_fork("s", fork, settings, out);
            }
            11 => drop(registry.set_route(
                "s",
                endpoint,
                (which & 4 == 0).then_some(ENDPOINTS[usize::from(which / 8) % 2]),
            )),
            12 => drop(registry.open_recorder("s", &name("r"), endpoint, 1)),
            13 => drop(registry.close_fork("s", fork, now, out)),
            14 => {
                if let Ok(digits) = std::str::from_utf8(bytes)
                    .map_or(Err(BadDigits), |text| Digits::new(text, DigitTiming::default(), now.mono_ns))
                {
                    let _ = registry.send_digits("s", &name("p"), endpoint, digits, now, out);
                }
                let audio = Audio::Coded(Law::Mu, bytes.into());
                let playback = Playback { audio, loops: u32::from(which / 64), start_ms: u64::from(first) };
                let _ = registry.play("s", &name("p"), endpoint, playback, now, out);
            }
            _ => match which % 4 {
                0 if first & 1 == 0 => registry.stop_player("s", "p", out),
                0 => drop(registry.seek_player("s", "p", u64::from(*length))),
                1 => drop(registry.close_recorder("s", "r", out)),
                2 => registry.receive_unreachable(pairs[usize::from(which) % pairs.len()], now, out),
                _ => registry.receive_shared_unreachable(host(which / 16)),
            },
        }
    }
    registry.session_statistics("s").expect("an open session");
    registry.close_session("s", judge.now, &mut judge);
    assert!(registry.is_empty());
});
