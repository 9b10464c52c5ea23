//! Legs in the kernel: the same packets leave, and the same is counted, as without it.

use std::collections::HashMap;

use crate::rtcp::tests::Random;
use crate::rtp::{is_rtcp, sequence_delta, timestamp_delta};
use crate::time::samples_in;

use super::super::{HandOver, KernelLeg, KernelTally};
use super::*;
use crate::quality::Quality;

/// What bpf/relay.bpf.c does, in Rust.
#[derive(Default)]
struct Kernel {
    out: Written,
    legs: HashMap<PairKey, (KernelLeg, KernelTally)>,
    /// Packets that it handled.
    handled: usize,
    /// One of so many of these is shown to user space.
    looked_at: usize,
    entered: usize,
    refuses: bool,
    backlog: bool,
    /// It is asleep: what it should handle goes to user space.
    deaf: bool,
}

impl Kernel {
    fn takes(&mut self, pair: PairKey, source: SocketAddr, bytes: &[u8], now: Instant) -> bool {
        let Some((leg, tally)) = self.legs.get_mut(&pair) else { return false };
        let Ok(packet) = RtpPacket::parse(bytes) else { return false };
        let step = sequence_delta(tally.newest, packet.sequence());
        let jump = timestamp_delta(tally.newest_timestamp, packet.timestamp()).unsigned_abs();
        let expected = source == leg.from && packet.ssrc() == leg.ssrc && packet.payload_type() == leg.payload_type;
        if self.deaf || !expected || bytes[0] != 0x80 || is_rtcp(bytes) {
            return false;
        }
        if !(1..3000).contains(&step) || jump > 2 * leg.clock_rate {
            return false;
        }
        self.looked_at += 1;
        if self.looked_at.is_multiple_of(256) {
            return false;
        }
        self.handled += 1;
        tally.packets += 1;
        tally.octets += packet.payload().len() as u64;
        tally.arrived_ns = now.mono_ns;
        tally.seen = if step < 128 { tally.seen << step | 1 } else { 1 };
        tally.newest = packet.sequence();
        tally.newest_timestamp = packet.timestamp();
        let transit = (samples_in(now.mono_ns, leg.clock_rate) as u32).wrapping_sub(packet.timestamp());
        let difference = (transit.wrapping_sub(tally.transit) as i32).unsigned_abs().min(leg.clock_rate);
        tally.jitter_scaled = tally.jitter_scaled + difference - ((tally.jitter_scaled + 8) >> 4);
        tally.transit = transit;
        if let Some((from, to)) = leg.relay {
            self.out.rtp.push((from, to, bytes.to_vec()));
        }
        for fork in &leg.forks {
            let mut copy = bytes.to_vec();
            let (ssrc, sequence_offset, timestamp_offset) = fork.numbers.unwrap_or((packet.ssrc(), 0, 0));
            RtpHeader {
                marker: packet.marker(),
                payload_type: fork.payload_type,
                sequence: packet.sequence().wrapping_add(sequence_offset),
                timestamp: packet.timestamp().wrapping_add(timestamp_offset),
                ssrc,
            }
            .rewrite(&mut copy);
            self.out.queued.push((fork.pair, fork.to, copy));
        }
        true
    }
}

impl Output for Kernel {
    fn send_rtp(&mut self, pair: PairKey, to: SocketAddr, packet: &[u8]) -> bool {
        self.out.send_rtp(pair, to, packet)
    }
    fn queue_rtp(&mut self, pair: PairKey, to: SocketAddr, packets: &[u8], segment: usize) {
        self.out.queue_rtp(pair, to, packets, segment);
    }
    fn send_beside_rtp(&mut self, pair: PairKey, to: SocketAddr, packet: &[u8]) {
        self.out.send_beside_rtp(pair, to, packet);
    }
    fn send_rtcp(&mut self, pair: PairKey, to: SocketAddr, packet: &[u8]) {
        self.out.send_rtcp(pair, to, packet);
    }
    fn settle(&mut self, pair: PairKey, remote: Option<SocketAddr>) {
        assert!(!self.legs.contains_key(&pair), "a leg is taken back before its socket changes");
        self.out.settle(pair, remote);
    }
    fn release_pair(&mut self, pair: PairKey) {
        assert!(!self.legs.contains_key(&pair), "a leg is taken back before its socket is closed");
        self.out.release_pair(pair);
    }
    fn write(&mut self, recorder: u64, at: u64, samples: &[i16]) {
        self.out.write(recorder, at, samples);
    }
    fn release_recorder(&mut self, recorder: u64, samples: u64) {
        self.out.release_recorder(recorder, samples);
    }
    fn report(&mut self, event: Event) {
        self.out.report(event);
    }
    fn enter_kernel(&mut self, pair: PairKey, leg: &KernelLeg, begin: &KernelTally) -> HandOver {
        assert!(leg.forks.len() <= super::super::MAX_KERNEL_FORKS);
        self.entered += 1;
        if self.backlog {
            return HandOver::NotYet;
        }
        if self.refuses {
            return HandOver::Refused;
        }
        assert_eq!(self.legs.insert(pair, (leg.clone(), *begin)), None);
        HandOver::Taken
    }
    fn read_kernel(&mut self, pair: PairKey) -> Option<KernelTally> {
        Some(self.legs.get(&pair)?.1)
    }
    fn leave_kernel(&mut self, pair: PairKey) -> Option<KernelTally> {
        Some(self.legs.remove(&pair)?.1)
    }
}

/// A bridged call of which the inbound and the outbound side are forked, with or without a kernel.
struct Call {
    registry: Registry,
    kernel: Kernel,
    now: Instant,
    pairs: [PairKey; 2],
}

impl Call {
    fn new(uses_kernel: bool) -> Self {
        let Scene { mut registry, out, now, a, b } = Scene::bridged();
        registry.use_kernel(uses_kernel);
        let mut call = Self { registry, kernel: Kernel { out, ..Kernel::default() }, now, pairs: [a, b] };
        call.open_fork("in", Side::Inbound, 5000);
        call.open_fork("out", Side::Outbound, 5002);
        call
    }

    fn open_fork(&mut self, name: &str, side: Side, port: u16) {
        self.registry.open_fork("s", fork(name, "a", side, ForkRole::Endpoint)).unwrap();
        self.set_fork(name, active(port));
    }

    fn set_fork(&mut self, name: &str, settings: ForkSettings) {
        self.registry.leave_kernel("s", &mut self.kernel);
        self.registry.configure_fork("s", name, settings, &mut self.kernel).unwrap();
    }

    fn set_endpoint(&mut self, name: &str, settings: EndpointSettings) {
        self.registry.leave_kernel("s", &mut self.kernel);
        self.registry.configure_endpoint("s", name, settings, self.now, &mut self.kernel).unwrap();
    }

    fn receive(&mut self, side: usize, port: u16, packet: &[u8]) {
        let (pair, source) = (self.pairs[side], host(port));
        if !self.kernel.takes(pair, source, packet, self.now) {
            self.registry.receive_rtp(pair, source, packet, self.now, &mut self.kernel);
        }
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now = self.now.after(NS_PER_MS);
            if self.registry.poll_timeout().is_some_and(|due| due <= self.now.mono_ns) {
                self.registry.handle_timeout(self.now, &mut self.kernel);
            }
        }
    }

    fn statistics(&mut self) -> crate::SessionStatistics {
        self.registry.update_from_kernel("s", &mut self.kernel);
        self.registry.session_statistics("s").unwrap()
    }

    /// So many packets of both parties, from this number on.
    fn talk(&mut self, from: u16, count: u16) {
        for n in from..from + count {
            self.pass(20);
            self.receive(0, 1000, &speech(1, n));
            self.receive(1, 2000, &speech(2, n));
        }
    }

    fn inside(&self) -> usize {
        self.kernel.legs.len()
    }
}

fn speech(ssrc: u32, sequence: u16) -> Vec<u8> {
    rtp(0, ssrc, sequence, u32::from(sequence) * 160, &[sequence as u8; 160])
}

#[test]
fn a_steady_call_is_handed_over_and_counted() {
    let mut call = Call::new(true);
    call.talk(0, 9);
    assert_eq!(call.inside(), 0);
    call.talk(9, 1);
    assert_eq!(call.inside(), 2);
    call.talk(10, 565);
    assert!(call.kernel.handled > 2 * 550, "{}", call.kernel.handled);
    let statistics = call.statistics();
    for endpoint in ["a", "b"] {
        let counts = statistics.endpoints[endpoint];
        assert_eq!((counts.packets_received, counts.packets_sent, counts.lost), (575, 575, 0), "{endpoint}");
        assert_eq!((counts.octets_received, counts.octets_sent), (575 * 160, 575 * 160));
    }
    assert_eq!(statistics.forks["in"].packets_sent, 575);
    assert_eq!(statistics.forks["out"].octets_sent, 575 * 160);
    let totals = call.registry.totals();
    assert_eq!((totals.packets_relayed, totals.packets_forked), (1150, 1150));
    assert!(!call.kernel.out.events.iter().any(|event| matches!(event, Event::SilenceTimeout { .. })));
    // sender reports tell of packets that the kernel sent
    let mut reports =
        call.kernel.out.rtcp.iter().filter_map(|(_, to, bytes)| match &parse_compound(bytes).unwrap()[0] {
            RtcpPacket::SenderReport { info, .. } if to.port() == 5001 => Some(info.packets),
            _ => None,
        });
    assert!(reports.next_back().is_some_and(|packets| packets > 200));
}

#[test]
fn jitter_goes_on_in_the_kernel_and_after_it() {
    let mut random = Random::new(4);
    let mut calls = [Call::new(true), Call::new(false)];
    for n in 0..400 {
        let gap = 16 + random.below(9) as u64;
        calls.iter_mut().for_each(|call| {
            call.pass(gap);
            call.receive(0, 1000, &speech(1, n));
        });
        if n % 40 == 0 {
            let [with, without] = calls.each_mut().map(|call| call.statistics().endpoints["a"].jitter_ms);
            assert_eq!(with, without, "{n}");
        }
    }
    assert_eq!(calls[0].inside(), 1);
    assert!(calls[1].statistics().endpoints["a"].jitter_ms > 1.0);
}

#[test]
fn silence_of_a_leg_in_the_kernel_is_told() {
    let mut call = Call::new(true);
    call.talk(0, 200);
    assert_eq!(call.inside(), 2);
    call.kernel.out.events.clear();
    call.pass(2500);
    let silent = call.kernel.out.events.iter().filter(|event| matches!(event, Event::SilenceTimeout { .. })).count();
    assert_eq!(silent, 2);
}

#[test]
fn a_command_takes_legs_back_and_they_return() {
    let mut call = Call::new(true);
    call.talk(0, 100);
    assert_eq!(call.inside(), 2);
    call.set_fork("in", ForkSettings { active: false, ..active(5000) });
    assert_eq!(call.inside(), 0);
    let copies = |call: &Call| call.kernel.out.queued.iter().filter(|(_, to, _)| to.port() == 5000).count();
    let before = copies(&call);
    call.talk(100, 100);
    assert_eq!((call.inside(), copies(&call)), (2, before), "a paused fork gets nothing");
}

#[test]
fn a_leg_that_goes_another_way_is_taken_back_and_the_others_stay() {
    let mut call = Call::new(true);
    call.talk(0, 100);
    call.registry.ways_have_changed(&[], &mut call.kernel);
    assert_eq!(call.inside(), 2);
    call.registry.ways_have_changed(&call.pairs[..1], &mut call.kernel);
    assert_eq!(call.inside(), 1);
    call.talk(100, 100);
    assert_eq!(call.inside(), 2);
    let counts = call.statistics().endpoints["a"];
    assert_eq!((counts.packets_received, counts.lost), (200, 0));
}

#[test]
fn what_the_kernel_refused_is_asked_again_when_ways_have_changed() {
    let mut call = Call::new(true);
    call.kernel.refuses = true;
    call.talk(0, 100);
    call.kernel.refuses = false;
    call.registry.ways_have_changed(&[], &mut call.kernel);
    call.talk(100, 100);
    assert_eq!(call.inside(), 2);
}

#[test]
fn what_the_kernel_refuses_is_asked_again_only_after_a_command() {
    let mut call = Call::new(true);
    call.kernel.refuses = true;
    call.talk(0, 500);
    assert_eq!((call.kernel.entered, call.inside()), (2, 0));
    call.kernel.refuses = false;
    call.set_fork("in", active(5000));
    call.talk(500, 100);
    assert_eq!(call.inside(), 2);
}

#[test]
fn while_packets_wait_in_user_space_nothing_is_handed_over() {
    let mut call = Call::new(true);
    call.kernel.backlog = true;
    call.talk(0, 200);
    assert_eq!((call.kernel.entered > 4, call.inside()), (true, 0));
    call.kernel.backlog = false;
    call.talk(200, 1);
    assert_eq!(call.inside(), 2);
}

#[test]
fn a_leg_whose_packets_do_not_pass_the_kernel_is_taken_back() {
    let mut call = Call::new(true);
    call.kernel.deaf = true;
    call.talk(0, 500);
    assert_eq!((call.kernel.entered, call.inside()), (2, 0));
    assert_eq!(call.statistics().endpoints["a"].packets_received, 500);
}

#[test]
fn a_flood_is_held_back_as_in_user_space() {
    let mut calls = [Call::new(true), Call::new(false)];
    let relayed = calls.each_mut().map(|call| {
        call.talk(0, 50);
        // ten a millisecond, for two seconds
        for n in 0..20_000u16 {
            call.pass(u64::from(n % 10 == 0));
            call.receive(0, 1000, &rtp(0, 1, 50 + n, 8000 + u32::from(n), &[0; 160]));
        }
        assert_eq!(call.inside(), usize::from(call.kernel.handled > 0), "the other party's stays");
        call.kernel.out.rtp.iter().filter(|(_, to, _)| *to == host(2000)).count()
    });
    // what came until it was noticed is on top
    assert!(relayed[0] < relayed[1] + 3000, "{relayed:?}");
    // no codec is as fast as that
    let mut call = Call::new(true);
    call.talk(0, 50);
    for n in 50..20_000 {
        call.pass(u64::from(n % 2 == 0));
        call.receive(0, 1000, &speech(1, n));
    }
    assert_eq!(call.inside(), 2);
}

#[test]
fn what_has_to_be_seen_in_user_space_is_not_handed_over() {
    let cases: [fn(&mut Call); 7] = [
        |call| {
            let a_law = EndpointSettings { formats: vec![Format::new(8, "PCMA", 8000, 1)].into(), ..settings(2000) };
            call.set_endpoint("b", a_law);
        },
        |call| call.registry.open_recorder("s", &name("r"), "a", 1).unwrap(),
        |call| {
            let silence = playback(Audio::Coded(Law::Mu, vec![0; 1600].into()), 0);
            call.registry.play("s", &name("p"), "b", silence, call.now, &mut call.kernel).unwrap();
        },
        |call| {
            call.set_fork("in", ForkSettings { formats: vec![Format::new(8, "PCMA", 8000, 1)].into(), ..active(5000) })
        },
        |call| call.set_endpoint("a", EndpointSettings { receive: false, ..settings(1000) }),
        |call| (0..4).for_each(|n| call.open_fork(&n.to_string(), Side::Inbound, 6000 + 2 * n)),
        |call| {
            let plain =
                EndpointSettings { formats: vec![Format::new(0, "telephone-event", 8000, 1)].into(), ..settings(1000) };
            call.set_endpoint("a", plain);
        },
    ];
    for (index, spoil) in cases.into_iter().enumerate() {
        let mut call = Call::new(true);
        spoil(&mut call);
        call.talk(0, 200);
        assert!(!call.kernel.legs.contains_key(&call.pairs[0]), "{index}");
    }
}

#[test]
fn a_change_that_no_command_announced_is_found_on_the_regular_visit() {
    let mut call = Call::new(true);
    call.talk(0, 100);
    call.registry.open_recorder("s", &name("r"), "a", 1).unwrap();
    call.talk(100, 15);
    assert!(!call.kernel.legs.contains_key(&call.pairs[0]));
}

#[test]
fn a_packet_that_comes_by_the_socket_in_spite_of_the_kernel_is_no_loss() {
    // one that was on its way to the socket already when the leg was handed over, or one of those that are shown
    for by_socket in [100, 101, 200, 280] {
        let mut call = Call::new(true);
        call.talk(0, 100);
        assert_eq!(call.inside(), 2);
        // all of it between two looks at what the kernel has counted
        for n in 100..300 {
            call.kernel.deaf = n == by_socket;
            call.receive(0, 1000, &speech(1, n));
        }
        let counts = call.statistics().endpoints["a"];
        assert_eq!((counts.packets_received, counts.lost, counts.quality.duplicates), (300, 0, 0), "{by_socket}");
    }
}

#[test]
fn however_packets_come_and_whenever_they_are_counted_the_counts_are_those_of_the_packets() {
    let mut handled = 0;
    for seed in 1..=60 {
        let mut random = Random::new(seed);
        let mut call = Call::new(true);
        call.talk(0, 60);
        let mut received = 60;
        // packets that are on their way to the socket, and overtaken by what the kernel handles
        let mut waiting: Vec<u16> = Vec::new();
        for n in 60..3000 {
            call.kernel.deaf = false;
            match random.below(200) {
                0 => continue,
                1 | 2 => {
                    waiting.push(n);
                    continue;
                }
                3 => call.kernel.deaf = true,
                4 if random.below(4) == 0 => call.set_fork("in", active(5000)),
                5 if random.below(4) == 0 => call.pass(1000),
                _ => {}
            }
            call.receive(0, 1000, &speech(1, n));
            received += 1;
            call.kernel.deaf = true;
            if random.below(10) == 0 {
                for late in waiting.drain(..) {
                    call.receive(0, 1000, &speech(1, late));
                    received += 1;
                }
            }
            if random.below(300) == 0 {
                let counts = call.statistics().endpoints["a"];
                let lost = u64::from(n) + 1 - received;
                assert_eq!((counts.packets_received, counts.lost), (received, lost), "seed {seed}, {n}");
                assert_eq!(counts.quality.duplicates, 0, "seed {seed}, {n}");
                assert_eq!(call.statistics().forks["in"].packets_sent, received, "seed {seed}, {n}");
            }
        }
        handled += call.kernel.handled;
    }
    assert!(handled > 60 * 2000, "the kernel had its share: {handled}");
}

/// A party that talks, with what may happen on its way.
struct Party {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    port: u16,
    held: Option<Vec<u8>>,
    event: u16,
}

impl Party {
    fn next(&mut self, random: &mut Random) -> Vec<Vec<u8>> {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
        match random.below(400) {
            0 => self.ssrc += 16,
            1 => self.sequence = random.next() as u16,
            2 => self.timestamp = random.next() as u32,
            3 => self.event = 10,
            4 => self.timestamp = self.timestamp.wrapping_add(8000),
            _ => {}
        }
        if self.event > 0 {
            self.event -= 1;
            let begun = self.timestamp.wrapping_sub(u32::from(10 - self.event) * 160);
            let end = if self.event < 3 { 0x80 } else { 0 };
            let duration = ((10 - self.event) * 160).to_be_bytes();
            return vec![rtp(101, self.ssrc, self.sequence, begun, &[5, end, duration[0], duration[1]])];
        }
        let mut packet = rtp(0, self.ssrc, self.sequence, self.timestamp, &[self.sequence as u8; 160]);
        packet[1] |= if random.below(100) == 0 { 0x80 } else { 0 };
        match random.below(60) {
            0 => vec![],
            1 => vec![packet.clone(), packet],
            2 if self.held.is_none() => {
                self.held = Some(packet);
                vec![]
            }
            _ => [Some(packet), self.held.take()].into_iter().flatten().collect(),
        }
    }
}

/// What left, by where it went.
fn by_destination(out: &Written) -> HashMap<SocketAddr, Vec<Vec<u8>>> {
    let mut found: HashMap<SocketAddr, Vec<Vec<u8>>> = HashMap::new();
    for (_, to, bytes) in out.rtp.iter().chain(&out.queued) {
        found.entry(*to).or_default().push(bytes.clone());
    }
    found
}

#[test]
fn whatever_happens_the_same_packets_leave_with_and_without_the_kernel() {
    let (mut handled, mut packets) = (0, 0);
    let pcmu = Format::new(0, "PCMU", 8000, 1);
    for seed in 1..=20 {
        let mut random = Random::new(seed);
        let mut calls = [Call::new(true), Call::new(false)];
        let party = |ssrc, port| Party { ssrc, sequence: 65_000, timestamp: 9, port, held: None, event: 0 };
        let mut parties = [party(1, 1000), party(2, 2000)];
        for _ in 0..3000 {
            let change = random.below(700);
            for call in &mut calls {
                call.pass(20);
                match change {
                    0 => call.set_fork("in", ForkSettings { active: false, ..active(5000) }),
                    1 | 2 => call.set_fork("in", active(5000)),
                    3 => call.set_endpoint("b", settings(2100)),
                    4 => call.set_endpoint("b", settings(2000)),
                    5 => call.pass(3000),
                    6 | 7 => call.set_fork("in", ForkSettings { formats: vec![pcmu.clone()].into(), ..active(5000) }),
                    _ => {}
                }
            }
            parties[1].port = [2100, 2000].get(change.wrapping_sub(3)).copied().unwrap_or(parties[1].port);
            for (side, party) in parties.iter_mut().enumerate() {
                for packet in party.next(&mut random) {
                    packets += 1;
                    calls.iter_mut().for_each(|call| call.receive(side, party.port, &packet));
                }
            }
        }
        let [with, without] = &mut calls;
        assert_eq!(by_destination(&with.kernel.out), by_destination(&without.kernel.out), "seed {seed}");
        let (mut counted, mut expected) = (with.statistics(), without.statistics());
        assert_eq!(with.registry.totals(), without.registry.totals());
        for name in ["a", "b"] {
            // the kernel's jitter is that of packets in order; here are many that are not
            for all in [&mut counted, &mut expected] {
                let endpoint = all.endpoints.get_mut(name).unwrap();
                endpoint.jitter_ms = 0.0;
                // which packets came too late to count as arrived depends on when the kernel's are counted
                let Quality { duplicates, reordered, ssrc_changes, restarts, wraps, .. } = endpoint.quality;
                endpoint.quality =
                    Quality { duplicates, reordered, ssrc_changes, restarts, wraps, ..Quality::default() };
            }
        }
        assert_eq!(counted, expected, "seed {seed}");
        assert_eq!(with.kernel.out.events, without.kernel.out.events, "seed {seed}");
        handled += with.kernel.handled;
    }
    assert!(handled * 2 > packets, "the kernel had its share: {handled} of {packets}");
}
