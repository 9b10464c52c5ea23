import pytest

from sidestream.sdp.direction import Direction


@pytest.mark.parametrize(
    ("direction", "sends", "receives", "opposite"),
    [
        (Direction.SENDRECV, True, True, Direction.SENDRECV),
        (Direction.SENDONLY, True, False, Direction.RECVONLY),
        (Direction.RECVONLY, False, True, Direction.SENDONLY),
        (Direction.INACTIVE, False, False, Direction.INACTIVE),
    ],
)
def test_a_direction_and_its_reverse(direction: Direction, sends: bool, receives: bool, opposite: Direction) -> None:
    assert (direction.sends, direction.receives) == (sends, receives)
    assert Direction.of(sends=sends, receives=receives) is direction
    assert direction.reversed is opposite


def test_within_keeps_what_both_allow() -> None:
    assert Direction.SENDRECV.within(Direction.RECVONLY) is Direction.RECVONLY
    assert Direction.SENDONLY.within(Direction.RECVONLY) is Direction.INACTIVE
    assert Direction.SENDRECV.within(Direction.SENDRECV) is Direction.SENDRECV
