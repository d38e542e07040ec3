"""Exact values at the corners of each schedule, and its shape between them."""

from __future__ import annotations

import math

import pytest

from schemas.errors import RunError
from trainer.schedule import learning_rate
from trainer.settings import Settings, parse


def settings(schedule: str, *, warmup: int = 10, decay: float = 0.2) -> Settings:
    return Settings(data="d", out="o", steps=110, lr=1.0, min_lr=0.1, schedule=schedule, warmup=warmup, decay=decay)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "wsd"])
def test_it_rises_in_a_line_and_ends_at_its_floor(schedule):
    given = settings(schedule)
    assert [learning_rate(step, given) for step in (1, 5, 9)] == pytest.approx([0.1, 0.5, 0.9])
    assert learning_rate(10, given) == 1.0
    assert learning_rate(110, given) == pytest.approx(0.1)
    assert learning_rate(1000, given) == pytest.approx(0.1)
    after = [learning_rate(step, given) for step in range(10, 111)]
    assert after == sorted(after, reverse=True)


def test_halfway():
    assert learning_rate(60, settings("cosine")) == pytest.approx(0.55)
    assert learning_rate(35, settings("cosine")) == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2)
    assert learning_rate(60, settings("linear")) == pytest.approx(0.55)
    assert learning_rate(35, settings("linear")) == pytest.approx(0.775)


def test_wsd_is_flat_until_its_decay():
    given = settings("wsd")
    assert {learning_rate(step, given) for step in range(10, 89)} == {1.0}  # 22 of 110 steps decay
    assert learning_rate(99, given) == pytest.approx(0.55)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "wsd"])
def test_without_warmup_the_first_step_has_nearly_the_full_rate(schedule):
    assert learning_rate(1, settings(schedule, warmup=0)) == pytest.approx(1.0, abs=0.01)


def test_a_wsd_that_leaves_no_room_is_refused():
    command = ["--data", "d", "--out", "o", "--schedule", "wsd", "--steps", "100"]
    assert parse([*command, "--warmup", "80", "--decay", "0.2"]).warmup == 80
    with pytest.raises(RunError, match="leave no steps between"):
        parse([*command, "--warmup", "81", "--decay", "0.2"])


def test_every_setting_has_its_option():
    given = parse(["--data", "d", "--out", "o"])
    assert given == Settings(data="d", out="o")  # the parser's defaults are the dataclass's


@pytest.mark.parametrize(
    "option", ["--steps", "--global-batch", "--micro-batch", "--block-rows", "--replicas", "--keep"]
)
def test_numbers_below_one_are_refused(option):
    with pytest.raises(RunError, match=f"{option} 0"):
        parse(["--data", "d", "--out", "o", option, "0"])
