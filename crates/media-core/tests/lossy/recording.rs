//! The recording of a bad line: every word at its time, and none twice.

use std::collections::{BTreeMap, HashSet};

use media_core::g711::MU_LAW_TO_LINEAR;
use netem::{Line, Weather};

use crate::rig::{host, speech, speech_payload, weathers, Rig, PACKET_NS, SAMPLES};

const PACKETS: u32 = 3000;

/// The samples of packet `n`.
fn samples(n: u32) -> Vec<i16> {
    speech_payload(n).iter().map(|code| MU_LAW_TO_LINEAR[usize::from(*code)]).collect()
}

/// The file that what was written makes; a sample that is written twice must not change.
fn file(written: &[(u64, Vec<i16>)]) -> Vec<i16> {
    let mut file = Vec::new();
    for (at, samples) in written {
        let at = usize::try_from(*at).expect("a short file");
        file.resize(file.len().max(at + samples.len()), 0);
        file[at..at + samples.len()].copy_from_slice(samples);
    }
    file
}

/// Records a stream in this weather, and checks the file against what arrived.
fn record(seed: u64, weather: Weather, is_sent: impl Fn(u32) -> bool) -> Rig {
    let mut rig = Rig::new();
    let begin_ns = rig.now.mono_ns;
    let mut line = Line::new(seed, weather);
    for n in (0..PACKETS).filter(|n| is_sent(*n)) {
        line.send((n, speech(7, n)), begin_ns + u64::from(n) * PACKET_NS);
    }
    let mut arrived = BTreeMap::new();
    let mut first = None;
    while let Some((at_ns, (n, bytes))) = line.receive(u64::MAX) {
        first.get_or_insert(n);
        *arrived.entry(n).or_insert(0u64) += 1;
        rig.receive(rig.a, host(1000), &bytes, at_ns);
    }
    let statistics = rig.registry.session_statistics("s").expect("an open session").recorders["r"].1.clone();
    let closed = rig.registry.close_recorder("s", "r", &mut rig.done).expect("an open recorder");
    let first = first.expect("something arrived");
    let newest = *arrived.last_key_value().expect("something arrived").0;
    let words: HashSet<Vec<i16>> = (0..PACKETS).map(samples).collect();
    let file = file(&rig.done.written);
    assert_eq!(file.len(), ((newest - first + 1) * SAMPLES) as usize, "the file is as long as the call");
    assert_eq!(closed.samples, file.len() as u64);
    for (n, heard) in (first..=newest).zip(file.chunks(SAMPLES as usize)) {
        match arrived.contains_key(&n) {
            true => assert_eq!(heard, samples(n), "packet {n} is not at its time"),
            // what was lost is silence, or marked as concealed: in no case another packet's words at the wrong time
            false => {
                assert!(!words.contains(heard), "packet {n} was lost, and yet is heard")
            }
        }
    }
    let distinct = arrived.range(first..).count() as u64;
    assert_eq!(statistics.packets, distinct, "each packet once");
    let marked: Vec<u64> = closed.gaps.iter().flat_map(|gap| gap.at..gap.at + gap.samples).collect();
    let lost = (first..=newest).filter(|n| !arrived.contains_key(n)).map(|n| u64::from((n - first) * SAMPLES));
    assert_eq!(
        marked,
        lost.flat_map(|at| at..at + u64::from(SAMPLES)).collect::<Vec<_>>(),
        "all that is lost is marked"
    );
    assert_eq!(statistics.lost, u64::from(newest - first + 1) - distinct);
    rig
}

#[test]
fn every_word_is_at_its_time_and_none_twice() {
    for (kind, weather) in weathers() {
        for seed in 0..4 {
            eprintln!("{kind}, seed {seed}");
            record(seed, weather, |_| true);
        }
    }
}

#[test]
fn silence_that_is_not_sent_leaves_the_rest_at_its_time() {
    // a talker who is silent for whole seconds: his numbers go on without a gap, his time stamps do not
    let mut rig = Rig::new();
    let begin_ns = rig.now.mono_ns;
    let mut line = Line::new(3, weathers()[4].1);
    let mut sent = Vec::new();
    for n in (0..PACKETS).filter(|n| n % 400 < 150) {
        let mut bytes = speech(7, n);
        bytes[2..4].copy_from_slice(&(sent.len() as u16).to_be_bytes());
        line.send((n, bytes), begin_ns + u64::from(n) * PACKET_NS);
        sent.push(n);
    }
    let mut first = None;
    while let Some((at_ns, (n, bytes))) = line.receive(u64::MAX) {
        first.get_or_insert(n);
        rig.receive(rig.a, host(1000), &bytes, at_ns);
    }
    let first = first.expect("something arrived");
    let closed = rig.registry.close_recorder("s", "r", &mut rig.done).expect("an open recorder");
    assert_eq!((closed.lost, closed.gaps), (0, vec![]), "nothing was");
    let file = file(&rig.done.written);
    for n in sent.into_iter().filter(|n| *n >= first) {
        let at = ((n - first) * SAMPLES) as usize;
        assert_eq!(file[at..at + SAMPLES as usize], samples(n), "packet {n} is not at its time");
    }
}
