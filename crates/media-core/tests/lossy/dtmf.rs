//! Keys over bad lines: none is reported twice, and none is made up.

use media_core::rtp::RtpHeader;
use media_core::Event;
use netem::{Line, Loss, Random, Weather};

use crate::rig::{host, packet, weathers, Rig, EVENT_TYPE, MS, PACKET_NS, SAMPLES};

const KEYS: &[u8] = b"0123456789*#ABCD";
const PRESSED: usize = 300;
/// Packets while a key is held, the end of it sent three times after them (RFC 4733 §2.5.1.4).
const HELD: u32 = 5;
const PAUSE: u32 = 8;

/// The packets of a key: what is sent, and how many packet times after its begin.
fn event(key: u8, sequence: &mut u16, timestamp: u32) -> Vec<(u32, Vec<u8>)> {
    (0..HELD + 3)
        .map(|n| {
            let (is_end, duration) = (n >= HELD, ((n + 1).min(HELD) * SAMPLES) as u16);
            *sequence = sequence.wrapping_add(1);
            let header =
                RtpHeader { marker: n == 0, payload_type: EVENT_TYPE, sequence: *sequence, timestamp, ssrc: 7 };
            let [high, low] = duration.to_be_bytes();
            (n, packet(header, &[key, if is_end { 0x8a } else { 0x0a }, high, low]))
        })
        .collect()
}

/// Presses keys over a line: (those of which anything arrived, those that were reported).
fn press(seed: u64, weather: Weather) -> (Vec<char>, Vec<char>) {
    let mut rig = Rig::new();
    let begin_ns = rig.now.mono_ns;
    let (mut line, mut random) = (Line::new(seed, weather), Random::new(seed));
    let (mut sequence, mut keys) = (65_000, Vec::new());
    for index in 0..PRESSED {
        let key = random.below(16) as u8;
        let begin = index as u32 * (HELD + 3 + PAUSE);
        keys.push((key, false));
        for (n, bytes) in event(key, &mut sequence, begin.wrapping_mul(SAMPLES)) {
            line.send((index, bytes), begin_ns + u64::from(begin + n) * PACKET_NS);
        }
    }
    while let Some((at_ns, (index, bytes))) = line.receive(u64::MAX) {
        keys[index].1 = true;
        rig.receive(rig.a, host(1000), &bytes, at_ns);
    }
    rig.pass_to(rig.now.mono_ns + 2000 * MS);
    let arrived = keys.iter().filter(|key| key.1).map(|key| char::from(KEYS[usize::from(key.0)])).collect();
    let reported = rig.done.events.iter().filter_map(|event| match event {
        Event::Dtmf { digit, .. } => Some(digit.key),
        _ => None,
    });
    (arrived, reported.collect())
}

#[test]
fn each_key_of_which_anything_arrived_is_reported_once_and_in_order() {
    for (kind, weather) in weathers() {
        for seed in 0..10 {
            let (arrived, reported) = press(seed, weather);
            assert_eq!(reported, arrived, "{kind}, seed {seed}");
        }
    }
}

#[test]
fn a_line_that_loses_half_of_all_packets_makes_no_key_up() {
    for seed in 0..20 {
        let weather = Weather { loss: Loss::Bursts { begin: 0.1, end: 0.1, within: 1.0 }, ..Weather::FINE };
        let (arrived, reported) = press(seed, weather);
        assert!(arrived.len() < PRESSED, "a line that bad loses whole keys");
        assert_eq!(reported, arrived, "seed {seed}");
    }
}
