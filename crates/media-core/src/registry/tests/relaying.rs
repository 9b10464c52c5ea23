//! What one party sends, and what becomes of it on the way to the other.

use super::*;

#[test]
fn a_bridge_relays_both_ways_unchanged() {
    let mut scene = Scene::bridged();
    let there = rtp(0, 1, 5, 800, b"from a");
    let back = rtp(13, 2, 6, 900, b"from b, in a payload type that nobody named");
    scene.receive(scene.a, 1000, &there);
    scene.receive(scene.b, 2000, &back);
    assert_eq!(scene.out.rtp, [(scene.b, host(2000), there), (scene.a, host(1000), back)]);
    let (session, at_ns) = (name("s"), WALL);
    assert_eq!(
        scene.events(),
        [
            Event::FirstPacket { session: session.clone(), endpoint: name("a"), at_ns },
            Event::FirstPacket { session, endpoint: name("b"), at_ns }
        ]
    );
    let statistics = scene.registry.session_statistics("s").unwrap();
    assert_eq!(statistics.endpoints["a"].octets_received, 6);
    assert_eq!(statistics.endpoints["b"].packets_sent, 1);
    assert_eq!(scene.registry.totals().packets_relayed, 2);
    scene.registry.set_route("s", "a", None).unwrap();
    scene.receive(scene.a, 1000, &rtp(0, 1, 6, 960, b""));
    assert_eq!(scene.out.rtp.len(), 2);
}

#[test]
fn nothing_flows_before_an_endpoint_is_configured() {
    let mut scene = Scene::new();
    scene.registry.set_route("s", "a", Some("b")).unwrap();
    scene.configure("b", settings(2000));
    scene.receive(scene.a, 1000, &rtp(0, 1, 5, 800, b"early"));
    scene.receive(scene.a, 3333, &rtp(0, 1, 5, 800, b"early"));
    assert_eq!(scene.out.rtp, []);
    assert_eq!(scene.events().len(), 1);
    assert_eq!(scene.registry.session_statistics("s").unwrap().endpoints["a"].packets_received, 2);
}

#[test]
fn directions_are_kept() {
    let mut scene = Scene::bridged();
    scene.fork(&fork("out", "b", Side::Outbound, ForkRole::Endpoint), active(5000));
    scene.fork(&fork("in", "a", Side::Inbound, ForkRole::Endpoint), active(5002));
    scene.configure("b", EndpointSettings { send: false, ..settings(2000) });
    scene.receive(scene.a, 1000, &rtp(0, 1, 1, 0, b"x"));
    assert_eq!((scene.out.rtp.len(), scene.out.queued.len()), (0, 1));
    scene.configure("b", settings(2000));
    scene.configure("a", EndpointSettings { receive: false, ..settings(1000) });
    scene.receive(scene.a, 1000, &rtp(0, 1, 2, 0, b"x"));
    assert_eq!((scene.out.rtp.len(), scene.out.queued.len()), (0, 1));
    scene.configure("a", settings(1000));
    scene.receive(scene.a, 1000, &rtp(0, 1, 3, 0, b"x"));
    assert_eq!((scene.out.rtp.len(), scene.out.queued.len()), (1, 3));
}

#[test]
fn reports_are_relayed_between_the_parties_only_from_the_parties() {
    let mut scene = Scene::bridged();
    scene.fork(&fork("in", "a", Side::Inbound, ForkRole::Endpoint), active(5000));
    let report = CompoundBuilder::report(1, None, &[]).build();
    let stranger = SocketAddr::from(([198, 51, 100, 9], 1001));
    scene.registry.receive_rtcp(scene.a, stranger, &report, scene.now, &mut scene.out);
    scene.registry.receive_rtcp(scene.a, host(1001), b"nonsense", scene.now, &mut scene.out);
    assert_eq!(scene.out.rtcp, []);
    // from another port than the one above: there it goes from now on; and on the RTP port it is known too
    scene.receive(scene.a, 1017, &report);
    scene.registry.receive_rtcp(scene.b, host(2001), &report, scene.now, &mut scene.out);
    assert_eq!(scene.out.rtcp, [(scene.b, host(2001), report.clone()), (scene.a, host(1017), report)]);
}
