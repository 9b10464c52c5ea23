//! Forks that share their ports, and forks whose packets leave together.

use std::time::{Duration, Instant};

use media_core::rtcp::{parse_compound, CompoundBuilder, ReportBlock, RtcpPacket};
use media_core::rtp::RtpPacket;
use serde_json::{json, Value};

use crate::client::{pcmu, rtp, Client, Party, Running};
use crate::{address, payload};

/// A session with an endpoint `a` that is forked inbound.
fn forked(client: &mut Client, session: &str, options: Value) -> (Party, Value, Party) {
    client.ok(json!({"op": "open_session", "session": session}));
    let ports = client.ok(json!({"op": "open_endpoint", "session": session, "endpoint": "a"}));
    let party = Party::new(&ports);
    client.ok(json!({"op": "configure_endpoint", "session": session, "endpoint": "a",
        "remote": address(&party.rtp), "formats": pcmu()}));
    let mut open = json!({"op": "open_fork", "session": session, "fork": "f", "endpoint": "a", "side": "inbound",
        "cname": "c"});
    open.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    let fork = client.ok(open);
    let srs = Party::new(&fork);
    client.ok(json!({"op": "configure_fork", "session": session, "fork": "f", "remote": address(&srs.rtp),
        "active": true, "formats": pcmu()}));
    (party, fork, srs)
}

fn statistics(client: &mut Client, session: &str) -> Value {
    client.ok(json!({"op": "session_statistics", "session": session}))["forks"]["f"].clone()
}

#[test]
fn calls_share_ports_and_each_report_finds_its_fork() {
    let engine = Running::start();
    let mut client = engine.client();
    let (a, shared, srs_a) = forked(&mut client, "1", json!({}));
    let (b, other, srs_b) = forked(&mut client, "2", json!({}));
    let (_, own, _) = forked(&mut client, "3", json!({"fork_ports": "own"}));
    assert_eq!(shared, other);
    assert_ne!(shared, own);
    let second = client.ok(json!({"op": "open_fork", "session": "1", "fork": "g", "endpoint": "a",
        "side": "outbound", "cname": "c"}));
    assert_ne!(second, shared, "two forks of one call");
    for (party, srs, session, lost) in [(&a, &srs_a, "1", 5), (&b, &srs_b, "2", 6)] {
        party.send(&rtp(0, 1, 1, 0, &payload(1)));
        let packet = srs.receive();
        let packet = RtpPacket::parse(&packet).unwrap();
        assert_eq!(packet.payload(), payload(1));
        let sent = parse_compound(&srs.receive_rtcp()).unwrap();
        assert!(matches!(&sent[0], RtcpPacket::SenderReport { ssrc, .. } if *ssrc == packet.ssrc()));
        let block = ReportBlock {
            ssrc: packet.ssrc(),
            fraction_lost: 0,
            cumulative_lost: lost,
            extended_sequence: 1,
            jitter: 0,
            last_sr: 0,
            delay_since_sr: 0,
        };
        srs.send_rtcp(&CompoundBuilder::report(7, None, &[block]).cname(7, "srs").build());
        client.until(|client| statistics(client, session)["reported_lost"] == lost);
    }
    let refused = client.refused(json!({"op": "open_fork", "session": "1", "fork": "t", "endpoint": "a",
        "side": "inbound", "cname": "c", "role": "translator", "fork_ports": "shared"}));
    assert_eq!(refused, "bad-field");
}

#[test]
fn a_translator_passes_the_stream_and_all_reports_as_they_are() {
    let engine = Running::start();
    let mut client = engine.client();
    let (party, _, srs) = forked(&mut client, "1", json!({"role": "translator"}));
    // RFC 7866 §8.2.1: it keeps SSRC, sequence numbers and time stamps, over a wrap and a hole too
    for sequence in [65_534u16, 65_535, 0, 3] {
        let packet = rtp(0, 77, sequence, 160u32.wrapping_mul(sequence.into()), &payload(sequence.into()));
        party.send(&packet);
        assert_eq!(srs.receive(), packet);
    }
    // RFC 3550 §7.2: reports pass unchanged, both ways, and so does the end of the source
    let report = CompoundBuilder::report(77, None, &[]).cname(77, "a@call").build();
    party.send_rtcp(&report);
    assert_eq!(srs.receive_rtcp(), report);
    let block = ReportBlock { ssrc: 77, cumulative_lost: 2, ..ReportBlock::default() };
    let about = CompoundBuilder::report(9, None, &[block]).cname(9, "srs").build();
    srs.send_rtcp(&about);
    assert_eq!(party.receive_rtcp(), about);
    let goodbye = CompoundBuilder::report(77, None, &[]).cname(77, "a@call").goodbye(77).build();
    party.send_rtcp(&goodbye);
    assert_eq!(srs.receive_rtcp(), goodbye);
}

#[test]
fn ports_that_are_shared_stay_when_a_fork_goes() {
    let engine = Running::start();
    let mut client = engine.client();
    let (_, first, _) = forked(&mut client, "1", json!({}));
    client.ok(json!({"op": "close_fork", "session": "1", "fork": "f"}));
    let (party, again, srs) = forked(&mut client, "2", json!({}));
    assert_eq!(first, again);
    client.ok(json!({"op": "close_session", "session": "1"}));
    party.send(&rtp(0, 1, 1, 0, &payload(1)));
    srs.receive();
}

#[test]
fn a_recorder_that_is_gone_is_told_of_and_harms_no_other() {
    let engine = Running::start();
    let mut client = engine.client();
    let (a, _, gone) = forked(&mut client, "1", json!({}));
    let (b, _, srs) = forked(&mut client, "2", json!({}));
    drop(gone);
    for n in 0..300 {
        a.send(&rtp(0, 1, n, u32::from(n) * 160, &payload(usize::from(n))));
        b.send(&rtp(0, 1, n, u32::from(n) * 160, &payload(usize::from(n))));
        assert_eq!(RtpPacket::parse(&srs.receive()).unwrap().payload(), payload(usize::from(n)));
    }
    client.event("unreachable", |event| event["session"] == "1" && event["name"] == "f");
    assert_eq!(statistics(&mut client, "2")["send_errors"], 0);
}

#[test]
fn a_batch_arrives_as_the_packets_that_it_is_made_of() {
    for ports in ["shared", "own"] {
        let engine = Running::start();
        let mut client = engine.client();
        let (party, _, srs) = forked(&mut client, "1", json!({"fork_batch_ms": 80, "fork_ports": ports}));
        let begun = Instant::now();
        for n in 0..41 {
            party.send(&rtp(0, 1, n, u32::from(n) * 160, &payload(usize::from(n))));
        }
        let mut first = None;
        for n in 0..41 {
            let packet = srs.receive();
            let packet = RtpPacket::parse(&packet).unwrap();
            let (sequence, timestamp) = *first.get_or_insert((packet.sequence(), packet.timestamp()));
            assert_eq!(packet.sequence(), sequence.wrapping_add(n));
            assert_eq!(packet.timestamp(), timestamp.wrapping_add(u32::from(n) * 160));
            assert_eq!(packet.payload(), payload(usize::from(n)));
        }
        assert!(begun.elapsed() >= Duration::from_millis(80), "the last waited for others");
        let closed = client.ok(json!({"op": "close_fork", "session": "1", "fork": "f"}));
        assert_eq!((&closed["packets_sent"], &closed["send_errors"]), (&json!(41), &json!(0)));
    }
}

#[test]
fn what_a_closing_fork_holds_leaves() {
    for ports in ["shared", "own"] {
        let engine = Running::start();
        let mut client = engine.client();
        let (party, _, srs) = forked(&mut client, "1", json!({"fork_batch_ms": 160, "fork_ports": ports}));
        party.send(&rtp(0, 1, 1, 0, &payload(1)));
        client.until(|client| statistics(client, "1")["packets_sent"] == 1);
        client.ok(json!({"op": "close_session", "session": "1"}));
        assert_eq!(RtpPacket::parse(&srs.receive()).unwrap().payload(), payload(1));
    }
}
