from __future__ import annotations

import numpy as np
import pytest

from schemas.errors import RunError
from trainer.mixture import PlannedPhase, check_rows, components_of, order_of, parse_mix
from trainer.order import Component, Order, Phase

ROWS = {"web": 300, "wiki": 100, "empty": 0}


def phase(start: int, dataset_id: str = "a", mix: dict[str, float] | None = None) -> PlannedPhase:
    return PlannedPhase(start=start, data=f"{dataset_id}/manifest.json", dataset_id=dataset_id, mix=mix or {})


def order(*phases: PlannedPhase, dataset_id: str = "a") -> Order:
    return order_of(seed=1, block_rows=2, phases=phases, rows=ROWS, dataset_id=dataset_id)


def test_a_mix_is_names_and_weights():
    assert parse_mix("web=.7,wiki=.3") == {"web": 0.7, "wiki": 0.3}
    assert parse_mix(" web = 1e3 , a-b=0") == {"web": 1000.0, "a-b": 0.0}


@pytest.mark.parametrize("text", ["", "web", "web=", "=1", "web=-.1", "web=nan", "web=inf", "web=1,", "web=1;wiki=2"])
def test_what_is_not_a_mix_is_refused(text):
    with pytest.raises(RunError, match=r"--mix .*is not SOURCE=WEIGHT"):
        parse_mix(text)


def test_a_name_given_twice_is_refused():
    with pytest.raises(RunError, match="web is given twice"):
        parse_mix("web=1,wiki=2,web=1")


def test_weights_are_in_proportion_to_rows_unless_said():
    every = components_of(ROWS, {}, where="d")
    assert [(c.name, c.rows, c.weight) for c in every] == [("empty", 0, 0.0), ("web", 300, 300.0), ("wiki", 100, 100.0)]
    drawn = Order(seed=1, phases=(Phase(start=0, components=every),)).draw(np.arange(400))
    assert np.bincount(drawn.component).tolist() == [0, 300, 100] and not drawn.epoch.any()
    assert components_of(ROWS, {"wiki": 1.0}, where="d") == (Component(name="wiki", rows=100, weight=1.0),)
    assert components_of(ROWS, {"wiki": 1.0, "web": 2.0}, where="d") == components_of(ROWS, {"web": 2.0, "wiki": 1.0},
                                                                                      where="d")


@pytest.mark.parametrize(("mix", "said"), [
    ({"books": 1.0}, "d has no source books; it has empty, web, wiki"),
    ({"web": -1.0}, "weight -1.0 of source web: give 0 or more"),
    ({"web": float("nan")}, "weight nan of source web"),
    ({"empty": 0.5, "web": 1.0}, "source empty has weight 0.5 but no rows"),
    ({"web": 0.0, "empty": 0.0}, "no source with rows and a positive weight"),
])
def test_weights_that_cannot_be_are_refused(mix, said):
    with pytest.raises(RunError, match=said):
        components_of(ROWS, mix, where="d")


def test_a_data_set_without_rows_is_refused():
    with pytest.raises(RunError, match="no source with rows"):
        components_of({}, {}, where="d")


def test_phases_are_those_since_the_data_set_changed():
    mix = {"web": 1.0}
    made = order(phase(0, mix=mix), phase(50), phase(70))
    assert [p.start for p in made.phases] == [0, 50, 70] and made.block_rows == 2 and made.seed == 1
    back = order(phase(0), phase(50, "b", {"books": 1.0}), phase(70), phase(90, mix=mix))
    assert [p.start for p in back.phases] == [70, 90]
    alone = order(phase(70), phase(90, mix=mix))
    assert np.array_equal(back.draw(np.arange(70, 200)).row, alone.draw(np.arange(70, 200)).row)


def test_phases_of_another_data_set_are_refused():
    with pytest.raises(RunError, match=r"from sample 50 on draws from data set b \(b/manifest.json\), not from a"):
        order(phase(0), phase(50, "b"))


def test_phases_that_do_not_ascend_are_refused():
    with pytest.raises(RunError, match=r"a/manifest.json: phases must start at ascending samples"):
        order(phase(50), phase(50))


def test_a_batch_must_not_be_larger_than_an_epoch():
    made = order(phase(0), phase(10, mix={"wiki": 1.0, "web": 0.0}))
    check_rows(made, global_batch=100, where="d")
    with pytest.raises(RunError, match="d has 100 rows to draw from, fewer than one global batch of 101"):
        check_rows(made, global_batch=101, where="d")
