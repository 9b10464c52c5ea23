from sidestream.recording.siprec import Track


def test_how_many_forks_a_track_uses() -> None:
    assert [track.fork_count for track in (Track.INBOUND, Track.OUTBOUND, Track.BOTH)] == [1, 1, 2]
