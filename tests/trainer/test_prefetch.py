from __future__ import annotations

import threading
import time

import pytest

from trainer.prefetch import Prefetch


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name == "prefetch"]


def test_values_come_in_order_and_the_thread_ends():
    with Prefetch(lambda k: k * k, first=10, step=3) as ahead:
        assert [ahead.next()[0] for _ in range(20)] == [(10 + 3 * n) ** 2 for n in range(20)]
        assert threads() == ["prefetch"]
    assert threads() == []


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_no_more_than_depth_is_made_ahead(depth):
    made, fresh = [], threading.Event()

    def make(k: int) -> int:
        made.append(k)
        fresh.set()
        return k

    with Prefetch(make, first=0, depth=depth) as ahead:
        for taken in range(4):
            until = time.monotonic() + 10
            while len(made) < taken + depth and time.monotonic() < until:
                time.sleep(0.001)
            time.sleep(0.02)  # time enough to make one too many
            assert len(made) == taken + depth
            assert ahead.next()[0] == taken


def test_waiting_is_measured():
    with Prefetch(lambda k: time.sleep(0.2) or k, first=0) as ahead:
        assert ahead.next()[1] > 0.1
    gate = threading.Event()
    with Prefetch(lambda k: k, first=0, depth=1) as ahead:
        gate.wait(0.2)
        assert ahead.next()[1] < 0.1


def test_what_the_thread_raises_is_raised_after_what_it_made():
    def make(k: int) -> int:
        if k == 3:
            raise KeyError("shard gone")
        return k

    with Prefetch(make, first=0) as ahead:
        assert [ahead.next()[0] for _ in range(3)] == [0, 1, 2]
        for _ in range(2):
            with pytest.raises(KeyError, match="shard gone"):
                ahead.next()
    assert threads() == []


def test_an_error_outside_ends_the_thread_too():
    with pytest.raises(RuntimeError, match="loss"), Prefetch(lambda k: k, first=0) as ahead:
        ahead.next()
        raise RuntimeError("loss is not a number")
    assert threads() == []


def test_leaving_waits_for_the_call_in_progress_alone():
    calls = []

    def make(k: int) -> int:
        calls.append(k)
        time.sleep(0.1)
        return k

    with Prefetch(make, first=0, depth=50):
        while not calls:
            time.sleep(0.001)
    assert len(calls) <= 2 and threads() == []


def test_a_depth_of_zero_is_refused():
    with pytest.raises(ValueError, match="depth must be at least 1"):
        Prefetch(lambda k: k, first=0, depth=0)
