//! What the control process is told, and how often.

use super::*;

#[test]
fn changes_of_source_are_reported_at_most_once_a_second() {
    let mut scene = Scene::bridged();
    for (ssrc, ms) in [(1, 20), (2, 20), (1, 20), (2, 1000), (3, 20)] {
        scene.receive(scene.a, 1000, &rtp(0, ssrc, 1, 0, b""));
        scene.pass(ms);
    }
    let changes: Vec<_> = scene
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::SsrcChanged { old, new, .. } => Some((old, new)),
            _ => None,
        })
        .collect();
    assert_eq!(changes, [(1, 2), (2, 3)]);
}

#[test]
fn silence_is_reported_once_for_each_silence_of_who_may_speak() {
    let mut scene = Scene::bridged();
    scene.configure("b", EndpointSettings { receive: false, ..settings(2000) });
    let silent = |scene: &mut Scene| -> Vec<(Arc<str>, u64)> {
        scene
            .events()
            .into_iter()
            .filter_map(|event| match event {
                Event::SilenceTimeout { endpoint, silent_ms, .. } => Some((endpoint, silent_ms)),
                _ => None,
            })
            .collect()
    };
    scene.pass(1900);
    assert_eq!(silent(&mut scene), []);
    scene.pass(5000);
    let reported = silent(&mut scene);
    assert_eq!(reported.len(), 1);
    assert_eq!(&*reported[0].0, "a");
    assert!((2000..2300).contains(&reported[0].1));
    scene.receive(scene.a, 1000, &rtp(0, 1, 1, 0, b""));
    scene.pass(5000);
    assert_eq!(silent(&mut scene).len(), 1);
}

#[test]
fn unreachable_remotes_are_reported_at_most_once_a_second() {
    let mut scene = Scene::bridged();
    let inbound = scene.fork(&fork("in", "a", Side::Inbound, ForkRole::Endpoint), active(5000));
    for _ in 0..50 {
        scene.registry.receive_unreachable(scene.a, scene.now, &mut scene.out);
        scene.registry.receive_unreachable(inbound, scene.now, &mut scene.out);
        scene.pass(25);
    }
    let names: Vec<_> = scene
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Unreachable { name, .. } => Some(name.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(names, ["a", "in", "a", "in"]);
}
