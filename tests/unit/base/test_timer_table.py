from hypothesis import given
from hypothesis import strategies as st

from sidestream.base.timer_table import SLACK, TimerTable


def drain(table, now):
    due = []
    while (key := table.pop_due(now)) is not None:
        due.append(key)
    return due


def test_an_empty_table_has_no_deadline():
    table = TimerTable()
    assert table.next() is None
    assert table.pop_due(1e9) is None


def test_keys_come_due_in_order_of_their_deadlines():
    table = TimerTable()
    table.set("b", 2.0)
    table.set("a", 1.0)
    assert table.next() == 1.0
    assert drain(table, 1.5) == ["a"]
    assert drain(table, 2.0) == ["b"]
    assert len(table) == 0


def test_setting_again_moves_the_deadline_both_ways():
    table = TimerTable()
    table.set("a", 5.0)
    table.set("a", 1.0)
    assert table.next() == 1.0
    table.set("a", 9.0)
    assert drain(table, 8.0) == []
    assert drain(table, 9.0) == ["a"]


def test_a_stopped_key_never_comes_due():
    table = TimerTable()
    table.set("a", 1.0)
    table.stop("a")
    table.stop("never set")
    assert not table.is_armed("a")
    assert table.next() is None


def test_a_key_armed_by_a_handler_comes_due_in_the_same_drain():
    table = TimerTable()
    table.set("a", 1.0)
    assert table.pop_due(2.0) == "a"
    table.set("b", 2.0)
    assert drain(table, 2.0) == ["b"]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 100), st.booleans())), st.floats(0, 100))
def test_it_agrees_with_a_plain_dictionary(steps, now):
    table, model = TimerTable(), {}
    for key, deadline, arm in steps:
        if arm:
            table.set(key, deadline)
            model[key] = deadline
        else:
            table.stop(key)
            model.pop(key, None)
    assert table.next() == min(model.values(), default=None)
    assert set(drain(table, now)) == {key for key, deadline in model.items() if deadline <= now}


def test_several_are_stopped_at_once_whether_they_are_armed_or_not():
    table = TimerTable()
    for key, deadline in (("a", 1.0), ("b", 2.0), ("c", 3.0)):
        table.set(key, deadline)
    table.stop_all(["a", "b", "z"])
    assert (table.next(), len(table)) == (3.0, 1)


def test_what_was_stopped_is_swept_away_and_what_is_armed_stays():
    table = TimerTable()
    table.set("kept", 50.0)
    for number in range(10 * SLACK):
        table.set(number, 100.0 + number)
        table.stop(number)
        table.set("moved", 200.0 + number)
    assert len(table._heap) <= 2 * len(table) + SLACK
    assert (table.pop_due(1000.0), table.pop_due(1000.0), table.next()) == ("kept", "moved", None)
