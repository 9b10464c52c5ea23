from dataclasses import replace

from .conftest import STARTED, Scene


def test_the_snapshot_of_a_call(scene: Scene) -> None:
    call = replace(scene.call, parties=(scene.call.parties[0], None), inbound_sending=False)
    snapshot = call.snapshot()
    assert [party.name for party in snapshot.parties] == ["Ada"]
    assert (snapshot.session_id, snapshot.started_at) == ("+b6VvL1RRW24nrRQxci3lw==", STARTED)
    assert (snapshot.inbound_sending, snapshot.outbound_sending) == (False, True)
    assert len(scene.call.snapshot().parties) == 2
