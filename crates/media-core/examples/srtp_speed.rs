//! What SRTP costs: nanoseconds per packet of 20 ms of G.711, and per set of keys.
//!
//! `cargo run --release -p media-core --example srtp_speed`

use std::hint::black_box;
use std::time::Instant;

use media_core::srtp::{CryptoSuite, Rollover, SrtpKeys, SrtpSession};

/// A header of 12 octets and 160 samples.
const PACKET_LEN: usize = 172;
/// More than any suite adds.
const ROOM: usize = 32;
/// Packets of a batch: enough to time, few enough to stay in the cache as live packets do.
const BATCH: u16 = 256;
/// Batches of a suite; the quickest counts, which no other process disturbed.
const BATCHES: u32 = 2000;

fn main() {
    println!("{:24} {:>11} {:>13} {:>8}", "suite", "protect ns", "unprotect ns", "keys ns");
    for suite in CryptoSuite::ALL {
        let (protect, unprotect) = packet_times(suite);
        println!("{:24} {:>11.0} {:>13.0} {:>8.0}", suite.name(), protect, unprotect, keys_time(suite));
    }
}

fn keys(suite: CryptoSuite, seed: u8) -> SrtpKeys {
    SrtpKeys::new(suite, &vec![seed; suite.key_len() + suite.salt_len()]).expect("the right length")
}

/// The least time of a packet, protected and unprotected.
fn packet_times(suite: CryptoSuite) -> (f64, f64) {
    let mut sender = SrtpSession::default();
    let mut receiver = SrtpSession::default();
    sender.set_sending_keys(&keys(suite, 1), Rollover::Restart).expect("good keys");
    receiver.set_receiving_keys(&keys(suite, 1)).expect("good keys");
    let (mut protect, mut unprotect) = (f64::MAX, f64::MAX);
    let mut packets = vec![[0u8; PACKET_LEN + ROOM]; usize::from(BATCH)];
    let mut lengths = vec![0; usize::from(BATCH)];
    for batch in 0..BATCHES {
        for (n, packet) in (0..BATCH).zip(&mut packets) {
            packet[0] = 0x80;
            packet[2..4].copy_from_slice(&((batch as u16).wrapping_mul(BATCH).wrapping_add(n)).to_be_bytes());
        }
        let begin = Instant::now();
        for (packet, len) in packets.iter_mut().zip(&mut lengths) {
            *len = sender.protect_rtp(black_box(packet), PACKET_LEN).expect("a packet that may be sent");
        }
        protect = protect.min(begin.elapsed().as_nanos() as f64);
        let begin = Instant::now();
        for (packet, len) in packets.iter_mut().zip(&lengths) {
            let opened = receiver.unprotect_rtp(black_box(&mut packet[..*len]));
            assert_eq!(opened, Ok(PACKET_LEN));
        }
        unprotect = unprotect.min(begin.elapsed().as_nanos() as f64);
    }
    (protect / f64::from(BATCH), unprotect / f64::from(BATCH))
}

/// The mean time of setting the keys of both directions.
fn keys_time(suite: CryptoSuite) -> f64 {
    const ROUNDS: u32 = 10_000;
    let (sending, receiving) = (keys(suite, 1), keys(suite, 2));
    let begin = Instant::now();
    for _ in 0..ROUNDS {
        let mut session = SrtpSession::default();
        session.set_sending_keys(black_box(&sending), Rollover::Restart).expect("good keys");
        session.set_receiving_keys(black_box(&receiving)).expect("good keys");
        black_box(&session);
    }
    begin.elapsed().as_nanos() as f64 / f64::from(ROUNDS)
}
