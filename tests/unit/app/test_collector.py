import gc
from collections.abc import Iterator

import pytest

from sidestream.app.collector import THRESHOLDS, settle_collector


@pytest.fixture
def restored() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("restored")
def test_what_exists_is_left_out_and_what_comes_later_is_collected() -> None:
    frozen = gc.get_freeze_count()
    settle_collector()
    assert gc.get_freeze_count() > frozen
    assert gc.get_threshold() == THRESHOLDS
    loop: list[object] = []
    loop.append(loop)
    del loop
    assert gc.collect() >= 1
