//! What closing takes along, and what is refused.

use super::*;

#[test]
fn closing_takes_everything_along() {
    let mut scene = Scene::bridged();
    let inbound = scene.fork(&fork("in", "a", Side::Inbound, ForkRole::Endpoint), active(5000));
    scene.registry.open_recorder("s", &name("r"), "a", 1).unwrap();
    let audio = Audio::Coded(Law::Mu, vec![0; 1600].into());
    scene.registry.play("s", &name("p"), "a", playback(audio, 0), scene.now, &mut scene.out).unwrap();
    scene.pass(30);
    scene.registry.close_endpoint("s", "a", scene.now, &mut scene.out);
    scene.registry.close_endpoint("s", "a", scene.now, &mut scene.out);
    assert_eq!(scene.out.released, [inbound, scene.a]);
    assert_eq!(scene.out.recorders, [(1, 0)]);
    scene.receive(scene.b, 2000, &rtp(0, 1, 1, 0, b""));
    scene.receive(scene.a, 1000, &rtp(0, 1, 1, 0, b""));
    assert_eq!(scene.out.rtp.len(), 2);
    let statistics = scene.registry.close_session("s", scene.now, &mut scene.out).unwrap();
    assert_eq!(statistics.endpoints.keys().map(|name| &**name).collect::<Vec<_>>(), ["b"]);
    assert!(scene.registry.is_empty());
    assert_eq!(scene.registry.len(), 0);
    assert_eq!(scene.registry.close_session("s", scene.now, &mut scene.out), None);
    scene.pass(300);
    assert_eq!(scene.registry.poll_timeout(), None);
}

#[test]
fn what_cannot_be_is_refused() {
    let mut scene = Scene::bridged();
    let code = |result: Result<(), crate::refusal::Refusal>| result.unwrap_err().code;
    let Scene { registry, out, now, .. } = &mut scene;
    let audio = || playback(Audio::Coded(Law::Mu, vec![0; 160].into()), 1);
    assert_eq!(code(registry.session_statistics("x").map(|_| ())), RefusalCode::NoSession);
    assert_eq!(code(registry.set_route("s", "a", Some("x"))), RefusalCode::NoEndpoint);
    assert_eq!(code(registry.configure_fork("s", "x", active(1), out)), RefusalCode::NoFork);
    assert_eq!(code(registry.configure_endpoint("s", "x", settings(1), *now, out)), RefusalCode::NoEndpoint);
    assert_eq!(
        code(registry.open_endpoint("s", &name("a"), numbers(1), Cname([1; 12])).map(|_| ())),
        RefusalCode::Conflict
    );
    let new = fork("in", "a", Side::Inbound, ForkRole::Endpoint);
    registry.open_fork("s", new.clone()).unwrap();
    assert_eq!(code(registry.open_fork("s", new).map(|_| ())), RefusalCode::Conflict);
    registry.open_recorder("s", &name("r"), "a", 1).unwrap();
    assert_eq!(code(registry.open_recorder("s", &name("r"), "a", 1)), RefusalCode::Conflict);
    registry.play("s", &name("p"), "a", audio(), *now, out).unwrap();
    assert_eq!(code(registry.play("s", &name("p"), "a", audio(), *now, out)), RefusalCode::Conflict);
    let g729 = EndpointSettings { formats: vec![Format::new(18, "G729", 8000, 1)].into(), ..settings(1) };
    registry.configure_endpoint("s", "b", g729, *now, out).unwrap();
    let refusal = registry.play("s", &name("q"), "b", audio(), *now, out).unwrap_err();
    assert_eq!(refusal.to_string(), "no-format: endpoint b has no PCMU or PCMA");
    let opened =
        (0..100).map_while(|n| registry.open_endpoint("s", &name(&n.to_string()), numbers(n), Cname([1; 12])).ok());
    assert_eq!(opened.count(), 14);
    assert_eq!(
        code(registry.open_endpoint("s", &name("more"), numbers(1), Cname([1; 12])).map(|_| ())),
        RefusalCode::Limit
    );
    registry.open_session(&name("s"), *now);
    assert_eq!(registry.len(), 1);
}
