import gc
from typing import cast
from weakref import ref

from sidestream.calls.call import Call
from sidestream.calls.call_part import CallPart


class Owner:
    def __init__(self) -> None:
        self.part = CallPart(cast(Call, self))


def test_a_part_knows_its_call() -> None:
    owner = Owner()
    assert owner.part._call is cast(Call, owner)


def test_a_call_goes_without_the_garbage_collector() -> None:
    gc.disable()
    try:
        owner = Owner()
        trace = ref(owner)
        del owner
        assert trace() is None
    finally:
        gc.enable()
