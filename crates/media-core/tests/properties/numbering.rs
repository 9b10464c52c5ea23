//! Reception, forks' numbers, SRTP's numbers and ports.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use media_core::rtp::{sequence_delta, timestamp_delta, RtpHeader, RtpPacket, HEADER_LEN};
use media_core::{Arrived, Histogram, Instant, Numbering, PortPool, Reception, Recorder, Rewriter, NS_PER_MS};
use proptest::collection::vec;
use proptest::prelude::*;

/// Numbers that never wrap begin here, so that those before the first exist; the lower half is that of the wrapping ones.
const FAR: u64 = 1 << 20;

/// How the next packet's number stands to the newest so far.
#[derive(Clone, Copy, Debug)]
enum Step {
    Forward(u32),
    Back(u32),
    Again,
}

/// Steps of a stream that never restarts: less than what RFC 3550 A.1 takes for one.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Forward(1)),
        2 => (1u32..300).prop_map(Step::Forward),
        1 => (1u32..3000).prop_map(Step::Forward),
        3 => (1u32..100).prop_map(Step::Back),
        1 => Just(Step::Again),
    ];
    vec(step, 1..150)
}

fn packet(ssrc: u32, sequence: u16, timestamp: u32) -> [u8; HEADER_LEN] {
    let mut bytes = [0; HEADER_LEN];
    RtpHeader { marker: false, payload_type: 0, sequence, timestamp, ssrc }.write(&mut bytes);
    bytes
}

proptest! {
    #[test]
    fn reception_agrees_with_a_set_of_all_numbers(base: u16, steps in steps()) {
        let mut reception = Reception::new(1, base);
        // numbers that never wrap, far from zero so that those before the first exist
        let (first, mut newest) = (FAR + u64::from(base), FAR + u64::from(base));
        let mut seen = BTreeSet::from([newest]);
        prop_assert_eq!(reception.receive(base), Arrived::InOrder);
        for step in steps {
            let number = match step {
                Step::Forward(by) => newest + u64::from(by),
                Step::Back(by) => newest - u64::from(by),
                Step::Again => newest,
            };
            // the lower half of a number that never wraps is what the packet says
            let arrived = reception.receive(number as u16);
            let expected = match (number > newest, seen.contains(&number)) {
                (true, _) => Arrived::InOrder,
                (false, true) => Arrived::Duplicate,
                (false, false) => Arrived::Late,
            };
            prop_assert_eq!(arrived, expected);
            seen.insert(number);
            newest = newest.max(number);
            let heard = seen.range(first..).count() as u64;
            prop_assert_eq!(reception.lost(), newest - first + 1 - heard);
            prop_assert_eq!(reception.extended_sequence(), (newest - FAR) as u32);
        }
        let block = reception.report();
        prop_assert_eq!(u64::from(block.cumulative_lost.unsigned_abs()), reception.lost());
    }

    #[test]
    fn reception_bears_any_numbers(sequences in vec((any::<u16>(), any::<u32>(), any::<u64>()), 1..300), rate in 1u32..=384_000) {
        let mut reception = Reception::new(1, sequences[0].0);
        let mut lost = 0;
        for (index, (sequence, timestamp, arrival)) in sequences.into_iter().enumerate() {
            let arrived = reception.receive(sequence);
            reception.receive_timing(timestamp, arrival, rate);
            reception.report();
            // nothing is ever found again in greater numbers than it was lost
            prop_assert!(arrived != Arrived::Late || reception.lost() <= lost);
            lost = reception.lost();
            prop_assert!(lost <= 3000 * (index as u64 + 1));
        }
    }

    #[test]
    fn a_fork_sends_one_stream_whatever_comes(
        packets in vec((0u32..3, any::<u16>(), any::<u32>(), 0u64..200, 0u8..20), 1..300), first: (u16, u32),
    ) {
        let mut rewriter = Rewriter::new(99, first.0, first.1);
        let (mut now_ns, mut newest, mut sent) = (0, None::<u16>, BTreeMap::<u16, u32>::new());
        let (mut sequence, mut timestamp) = (0u16, 0u32);
        for (source, jump, clock_jump, ms, kind) in packets {
            now_ns += ms * NS_PER_MS;
            match kind {
                0 => rewriter.pause(),
                1 => sequence = jump,
                2 => timestamp = clock_jump,
                _ => {}
            }
            (sequence, timestamp) = (sequence.wrapping_add(1), timestamp.wrapping_add(160));
            let bytes = packet(source, sequence, timestamp);
            let Some(header) = rewriter.rewrite(&RtpPacket::parse(&bytes).unwrap(), 8, 8000, now_ns) else { continue };
            prop_assert_eq!((header.ssrc, header.payload_type), (99, 8));
            let step = newest.map_or(1, |newest| sequence_delta(newest, header.sequence));
            prop_assert!(step > -100, "{step}");
            prop_assert!(step < 3000, "{step}");
            if step > 0 {
                newest = Some(header.sequence);
                prop_assert!(sent.insert(header.sequence, header.timestamp).is_none());
            }
        }
    }

    #[test]
    fn streams_of_srtp_never_jump_and_never_share_a_number(
        packets in vec((0u32..40, any::<u16>(), 0u8..40), 1..600),
    ) {
        let mut numbering = Numbering::default();
        let mut streams = HashMap::<u32, (u16, HashSet<u16>)>::new();
        let mut sequences = HashMap::<u32, u16>::new();
        for (source, jump, kind) in packets {
            let sequence = sequences.entry(source).or_insert(jump);
            *sequence = if kind == 0 { jump } else { sequence.wrapping_add(1) };
            let (ssrc, number) = numbering.number(source, *sequence);
            let (newest, seen) = streams.entry(ssrc).or_insert((number, HashSet::new()));
            let step = sequence_delta(*newest, number);
            prop_assert!((-100..3000).contains(&step));
            if step > 0 {
                *newest = number;
                prop_assert!(seen.insert(number), "a number of a stream that went on is given once");
            }
        }
        prop_assert!(streams.len() <= 32);
    }

    #[test]
    fn a_recording_is_bounded_by_the_time_that_has_passed(
        packets in vec((0u32..3, any::<u16>(), any::<u32>(), 0u64..100, any::<bool>(), 0usize..400), 1..200),
    ) {
        let mut recorder = Recorder::default();
        let mut now = Instant { mono_ns: 7, wall_ns: 1_764_000_000_000_000_000 };
        let (begin, mut sequence, mut timestamp) = (now, 0u16, 0u32);
        for (ssrc, jump, clock_jump, ms, jumps, samples) in packets {
            now = now.after(ms * NS_PER_MS);
            (sequence, timestamp) = match jumps {
                true => (jump, clock_jump),
                false => (sequence.wrapping_add(1), timestamp.wrapping_add(160)),
            };
            let bytes = packet(ssrc, sequence, timestamp);
            if let Some(place) = recorder.place(&RtpPacket::parse(&bytes).unwrap(), samples, now) {
                prop_assert!(place.skip < samples);
            }
            let elapsed = (now.mono_ns - begin.mono_ns) / NS_PER_MS * 8;
            prop_assert!(recorder.statistics().samples <= elapsed + 16_000 + 400);
        }
    }

    #[test]
    fn a_port_is_never_in_two_hands_and_always_rests(
        min in 1024u16..2000, span in 0u16..60, moves in vec((any::<bool>(), 0u64..5, any::<prop::sample::Index>()), 0..200),
    ) {
        const COOLDOWN: u64 = 9;
        let mut pool = PortPool::new(min, min + span, COOLDOWN);
        let all = pool.counts().0;
        let (mut now, mut held, mut given) = (0, Vec::<u16>::new(), HashMap::<u16, u64>::new());
        for (takes, wait, which) in moves {
            now += wait;
            pool.wake(now, |port, rests| port % 4 == 0 && rests < 2);
            if takes {
                let Some(port) = pool.take() else { continue };
                prop_assert!(port % 2 == 0 && port >= min && port < min + span);
                prop_assert!(!held.contains(&port));
                let rest = if port % 4 == 0 { 2 * COOLDOWN } else { COOLDOWN };
                prop_assert!(given.get(&port).is_none_or(|at| at + rest <= now));
                held.push(port);
            } else if !held.is_empty() {
                let port = held.swap_remove(which.index(held.len()));
                pool.give_back(port, now);
                given.insert(port, now);
            }
            let (free, cooling) = pool.counts();
            prop_assert_eq!(free + cooling + held.len(), all);
        }
    }

    #[test]
    fn a_quantile_is_of_what_was_counted(mut values in vec(0u64..60_000_000_000, 1..200), share in 0.0f64..=1.0) {
        let mut histogram = Histogram::default();
        values.iter().for_each(|value| histogram.record(*value));
        values.sort_unstable();
        let exact = values[((values.len() as f64 * share).ceil() as usize).clamp(1, values.len()) - 1];
        let found = histogram.quantile(share);
        prop_assert!(found >= exact && found <= exact + exact / 16 + 1, "{found} for {exact}");
    }

    #[test]
    fn deltas_are_the_shorter_way_round(from: u32, by in -0x7fff_ffffi32..) {
        prop_assert_eq!(timestamp_delta(from, from.wrapping_add_signed(by)), by);
        prop_assert_eq!(sequence_delta(from as u16, (from as u16).wrapping_add_signed(by as i16)), by as i16);
    }
}
