//! Loss, order and latching of a relayed and forked call.

use std::collections::BTreeSet;

use media_core::rtp::sequence_delta;
use media_core::{Event, Reception};
use netem::{Line, Loss, Random, Weather};

use crate::rig::{host, number_of, parsed, speech, weathers, Rig, MS, PACKET_NS};

const PACKETS: u32 = 3000;
const SEEDS: std::ops::Range<u64> = 0..8;

/// Puts a stream of speech on a line and gives what arrives, with when it did, in its order.
fn arrivals(seed: u64, weather: Weather, ssrc: u32, begin_ns: u64) -> Vec<(u64, u32, Vec<u8>)> {
    let mut line = Line::new(seed, weather);
    for n in 0..PACKETS {
        line.send((n, speech(ssrc, n)), begin_ns + u64::from(n) * PACKET_NS);
    }
    std::iter::from_fn(|| line.receive(u64::MAX)).map(|(at_ns, (n, packet))| (at_ns, n, packet)).collect()
}

/// How many of the packets from the first that arrived to the newest never did.
fn lost_of(arrived: impl IntoIterator<Item = u32>) -> u64 {
    let arrived: Vec<u32> = arrived.into_iter().collect();
    let first = arrived[0];
    let distinct: BTreeSet<u32> = arrived.into_iter().filter(|n| *n >= first).collect();
    u64::from(distinct.last().expect("the first is one of them") - first + 1) - distinct.len() as u64
}

#[test]
fn the_loss_figure_is_what_the_line_has_lost() {
    for (kind, weather) in weathers() {
        for seed in SEEDS {
            let arrived = arrivals(seed, weather, 7, 0);
            let first = parsed(&arrived[0].2);
            let mut reception = Reception::new(first.ssrc(), first.sequence());
            for (_, _, bytes) in &arrived {
                reception.receive(parsed(bytes).sequence());
            }
            assert_eq!(reception.lost(), lost_of(arrived.iter().map(|one| one.1)), "{kind}, seed {seed}");
        }
    }
}

#[test]
fn jitter_is_nothing_on_an_even_line_and_bounded_by_what_a_line_does() {
    for (kind, weather) in weathers() {
        let arrived = arrivals(1, weather, 7, 0);
        let mut reception = Reception::new(7, parsed(&arrived[0].2).sequence());
        let mut most = 0;
        for (at_ns, _, bytes) in &arrived {
            let packet = parsed(bytes);
            reception.receive(packet.sequence());
            reception.receive_timing(packet.timestamp(), *at_ns, 8000);
            most = most.max(reception.jitter());
        }
        let spread_ms = (weather.jitter_ns + weather.held_back_ns) / MS;
        assert!(u64::from(most) <= 8 * spread_ms, "{kind}: {most} samples in {spread_ms} ms");
        assert_eq!(most == 0, spread_ms == 0, "{kind}");
    }
}

#[test]
fn all_that_arrives_is_relayed_once_unchanged_and_in_its_order() {
    for (kind, weather) in weathers() {
        for seed in SEEDS {
            let mut rig = Rig::new();
            let begin_ns = rig.now.mono_ns;
            let there = arrivals(seed, weather, 7, begin_ns);
            let back = arrivals(seed + 1000, weather, 8, begin_ns);
            let mut both: Vec<_> =
                there.iter().map(|one| (true, one)).chain(back.iter().map(|one| (false, one))).collect();
            both.sort_by_key(|(_, one)| one.0);
            for (is_there, (at_ns, _, bytes)) in both {
                let (pair, from) = if is_there { (rig.a, host(1000)) } else { (rig.b, host(2000)) };
                rig.receive(pair, from, bytes, *at_ns);
            }
            assert!(rig.sent_from(rig.b).iter().eq(there.iter().map(|one| &one.2)), "{kind}, seed {seed}");
            assert!(rig.sent_from(rig.a).iter().eq(back.iter().map(|one| &one.2)), "{kind}, seed {seed}");
            let statistics = rig.registry.session_statistics("s").expect("an open session");
            for (endpoint, arrived) in [("a", &there), ("b", &back)] {
                let found = statistics.endpoints[endpoint];
                assert_eq!(found.packets_received, arrived.len() as u64, "{kind}, seed {seed}");
                assert_eq!(found.lost, lost_of(arrived.iter().map(|one| one.1)), "{kind}, seed {seed}");
            }
        }
    }
}

#[test]
fn a_fork_loses_what_the_line_lost_and_nothing_else() {
    for (kind, weather) in weathers() {
        for seed in SEEDS {
            let mut rig = Rig::new();
            let arrived = arrivals(seed, weather, 7, rig.now.mono_ns);
            for (at_ns, _, bytes) in &arrived {
                rig.receive(rig.a, host(1000), bytes, *at_ns);
            }
            let forked = rig.sent_from(rig.fork);
            let first = (arrived[0].1, parsed(forked[0]));
            for bytes in &forked {
                let copy = parsed(bytes);
                let n = number_of(copy.payload());
                let steps = n as i32 - first.0 as i32;
                // whatever came between, the place in the stream and in time is the one that the source gave
                assert_eq!(
                    i32::from(sequence_delta(first.1.sequence(), copy.sequence())),
                    steps,
                    "{kind}, seed {seed}"
                );
                assert_eq!(
                    copy.timestamp().wrapping_sub(first.1.timestamp()) as i32,
                    steps * 160,
                    "{kind}, seed {seed}"
                );
                assert_eq!(copy.ssrc(), first.1.ssrc());
            }
            let numbers = |found: &mut dyn Iterator<Item = u32>| found.collect::<BTreeSet<u32>>();
            let copied = numbers(&mut forked.iter().map(|bytes| number_of(parsed(bytes).payload())));
            let expected = numbers(&mut arrived.iter().map(|one| one.1).filter(|n| *n >= first.0));
            assert_eq!(copied, expected, "{kind}, seed {seed}");
        }
    }
}

#[test]
fn a_stranger_is_never_heard_once_somebody_is_latched_on_to() {
    let (_, weather) = weathers()[5];
    for seed in SEEDS {
        let mut rig = Rig::new();
        let mut random = Random::new(seed);
        let begin_ns = rig.now.mono_ns;
        let talker = host(40_000);
        let mut all: Vec<_> =
            arrivals(seed, weather, 7, begin_ns).into_iter().map(|(at, _, bytes)| (at, talker, bytes)).collect();
        let first_ns = all[0].0;
        for (at_ns, n, mut bytes) in arrivals(seed + 50, weather, 7, begin_ns + 60 * MS) {
            if at_ns > first_ns {
                // another host, another port, or the very numbers of the talker with other words
                let from = [host(40_001), "198.51.100.9:40000".parse().expect("an address")][n as usize % 2];
                bytes[12..].fill(0x7e);
                all.push((at_ns, from, bytes));
            }
        }
        all.sort_by_cached_key(|one| (one.0, random.number()));
        for (at_ns, from, bytes) in &all {
            rig.receive(rig.a, *from, bytes, *at_ns);
        }
        let expected = all.iter().filter(|one| one.1 == talker).map(|one| &one.2[..]);
        assert!(rig.sent_from(rig.b).into_iter().eq(expected), "seed {seed}");
        let latched: Vec<_> = rig.done.events.iter().filter(|event| matches!(event, Event::Latched { .. })).collect();
        assert!(matches!(latched[..], [Event::Latched { remote, .. }] if *remote == talker), "{latched:?}");
        assert!(rig.done.settled.iter().all(|(pair, remote)| *pair != rig.a || *remote == Some(talker)), "seed {seed}");
        let strays = all.iter().filter(|one| one.1 != talker).count() as u64;
        let statistics = rig.registry.session_statistics("s").expect("an open session");
        assert_eq!(statistics.endpoints["a"].strays, strays, "seed {seed}");
    }
}

#[test]
fn a_source_that_changes_in_bad_weather_is_counted_with_both_its_losses() {
    for seed in SEEDS {
        let mut rig = Rig::new();
        let weather = Weather { loss: Loss::Bursts { begin: 0.05, end: 0.3, within: 1.0 }, ..Weather::FINE };
        let begin_ns = rig.now.mono_ns;
        let before = arrivals(seed, weather, 7, begin_ns);
        let after = arrivals(seed + 9, weather, 8, begin_ns + u64::from(PACKETS) * PACKET_NS);
        for (at_ns, _, bytes) in before.iter().chain(&after) {
            rig.receive(rig.a, host(1000), bytes, *at_ns);
        }
        let lost = lost_of(before.iter().map(|one| one.1)) + lost_of(after.iter().map(|one| one.1));
        assert_eq!(rig.registry.session_statistics("s").expect("an open session").endpoints["a"].lost, lost);
        let changes = rig.done.events.iter().filter(|event| matches!(event, Event::SsrcChanged { old: 7, new: 8, .. }));
        assert_eq!(changes.count(), 1);
        // what the fork sends stays one stream
        let forked = rig.sent_from(rig.fork);
        assert!(forked.windows(2).all(|pair| {
            let (one, next) = (parsed(pair[0]), parsed(pair[1]));
            one.ssrc() == next.ssrc() && sequence_delta(one.sequence(), next.sequence()) > 0
        }));
    }
}
