from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.test_permutation import place
from trainer.order import ORDER_VERSION, WINDOW_BLOCKS, Component, Order, Phase
from trainer.permutation import key_of
from trainer.quotas import SLOTS, pattern_of

WEB, WIKI, CODE = (Component(name=n, rows=r, weight=w) for n, r, w in (("web", 301, 6.0), ("wiki", 70, 3.0),
                                                                       ("code", 7, 1.0)))
weights = st.lists(st.sampled_from([0.0, 1.0, 1.5, 2.0, 1e-9, 1 / 3, 40.0]), min_size=1, max_size=4).filter(any)


def one(*components: Component, seed: int = 3, block_rows: int = 1) -> Order:
    return Order(seed=seed, phases=(Phase(start=0, components=components),), block_rows=block_rows)


def triples(order: Order, samples: object) -> list[tuple[str, int, int]]:
    draw = order.draw(np.array(samples, np.int64))
    assert (draw.component.dtype, draw.epoch.dtype, draw.row.dtype) == (np.int16, np.int64, np.int64)
    return [(order.sources[c], e, r) for c, e, r in
            zip(draw.component.tolist(), draw.epoch.tolist(), draw.row.tolist(), strict=True)]


@st.composite
def phases(draw):
    """One to three phases over the same four sources, with zero and positive weights, some of another data set."""
    rows = draw(st.lists(st.integers(1, 40), min_size=4, max_size=4))
    start, made = draw(st.integers(0, 5)), []
    for _ in range(draw(st.integers(1, 3))):
        shares = draw(weights)
        names = draw(st.permutations("abcd"))[: len(shares)]
        rows = draw(st.sampled_from([rows, rows, [5, *rows[1:]]]))
        made.append(Phase(start=start, dataset_id=draw(st.sampled_from(["", "", "new"])), components=tuple(
            Component(name=n, rows=rows["abcd".index(n)], weight=w) for n, w in zip(names, shares, strict=True))))
        start += draw(st.integers(1, 400))
    return tuple(made)


def reference(order: Order, until: int) -> list[tuple[str, int, int]]:
    """Draws from the first phase on, one after another, with a list of counters."""
    drawn, found = {}, []
    for p, phase in enumerate(order.phases):
        stop = order.phases[p + 1].start if p + 1 < len(order.phases) else until
        if p and phase.dataset_id != order.phases[p - 1].dataset_id:
            drawn = {}
        for c in phase.components:
            if drawn.get(c.name, (0, 0))[0] != c.rows:
                drawn[c.name] = (c.rows, 0)
        quota = pattern_of(tuple(c.weight for c in phase.components)).quota.tolist()
        behind = [0] * len(quota)
        for _ in range(phase.start, stop):
            behind = [b + q for b, q in zip(behind, quota, strict=True)]
            k = max(range(len(quota)), key=lambda k: (behind[k], -k))
            behind[k] -= SLOTS
            c = phase.components[k]
            epoch, at = divmod(drawn[c.name][1], c.rows)
            drawn[c.name] = (c.rows, drawn[c.name][1] + 1)
            found.append((c.name, epoch, place(at, c.rows, key_of(order.seed, c.name, "rows", epoch, 0).tolist())))
    return found


@settings(deadline=None, max_examples=30)
@given(phases=phases(), seed=st.integers(0, 9), data=st.data())
def test_samples_are_those_of_a_loop_that_counts(phases, seed, data):
    order = Order(seed=seed, phases=phases)
    first, until = phases[0].start, phases[-1].start + 300
    expected = reference(order, until)
    assert triples(order, range(first, until)) == expected
    some = data.draw(st.lists(st.integers(first, until - 1), max_size=30))
    assert triples(order, some) == [expected[i - first] for i in some]


@settings(deadline=None, max_examples=30)
@given(phases=phases(), block_rows=st.sampled_from([1, 2, 7, 100]))
def test_an_epoch_is_every_row_once_across_phases(phases, block_rows):
    order = Order(seed=1, phases=phases, block_rows=block_rows)
    rows: dict[str, tuple[int, list[tuple[int, int]]]] = {}
    for p, phase in enumerate(order.phases):
        stop = order.phases[p + 1].start if p + 1 < len(phases) else phase.start + 600
        if p and phase.dataset_id != order.phases[p - 1].dataset_id:
            rows = {}
        for c in phase.components:
            if rows.get(c.name, (0, []))[0] != c.rows:
                rows[c.name] = (c.rows, [])
        for name, epoch, row in triples(order, range(phase.start, stop)):
            rows[name][1].append((epoch, row))
        for size, seen in rows.values():
            for n, of_epoch in itertools.groupby(seen, key=lambda pair: pair[0]):
                found = [row for _, row in of_epoch]
                assert len(set(found)) == len(found) and set(found) <= set(range(size))
                assert len(found) == min(size, len(seen) - n * size), "an epoch ends before its last row"


@settings(deadline=None, max_examples=15)
@given(weights=st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=12).filter(any))
def test_shares_are_right_to_a_slot_and_in_every_stretch(weights):
    pattern = pattern_of(tuple(weights))
    tiny = sum(0 < w * SLOTS < sum(weights) for w in weights)
    assert pattern.quota.sum() == SLOTS
    for k, w in enumerate(weights):
        share = w / sum(weights)
        assert (pattern.share(k) > 0) == (w > 0)
        assert abs(pattern.share(k) - share) <= max(1, tiny) / SLOTS + 1e-12
        seen = np.cumsum(pattern.source == k)
        assert seen[-1] == pattern.quota[k]
        assert np.abs(seen - np.arange(1, SLOTS + 1) * pattern.share(k)).max() < 2
        places = np.array([0, 1, 77, SLOTS - 1, SLOTS, 3 * SLOTS + 5])
        partial = np.concatenate([[0], seen])
        assert [pattern.count(k, n) for n in places] == [n // SLOTS * seen[-1] + partial[n % SLOTS] for n in places]


def test_a_mixture_in_one_phase_is_within_a_slot_of_its_weights():
    order = one(WEB, WIKI, CODE)
    drawn = np.bincount(order.draw(np.arange(3 * SLOTS)).component) / (3 * SLOTS)
    assert np.abs(drawn - [0.6, 0.3, 0.1]).max() <= 1 / SLOTS
    assert order.effective_weights(order.phases[0]) == dict(zip(("web", "wiki", "code"), drawn.tolist(), strict=True))


def test_a_source_of_no_weight_is_never_drawn_and_one_of_little_is():
    order = one(dataclasses.replace(WEB, weight=0), WIKI, dataclasses.replace(CODE, weight=1e-12))
    assert np.bincount(order.draw(np.arange(SLOTS)).component).tolist() == [0, SLOTS - 1, 1]


@settings(deadline=None, max_examples=50)
@given(worlds=st.lists(st.sampled_from([1, 2, 3, 4, 6, 8, 12, 16, 24, 48]), min_size=1, max_size=8))
def test_no_sample_is_lost_or_repeated_over_any_world_sizes(worlds):
    order, batch, seen = one(WEB, WIKI, CODE), 48, []
    for step, world in enumerate(worlds):
        for rank in reversed(range(world)):
            share = batch // world
            mine = order.draw(step * batch + rank * share + np.arange(share))
            seen += zip(mine.component.tolist(), mine.epoch.tolist(), mine.row.tolist(), strict=True)
    whole = order.draw(np.arange(len(worlds) * batch))
    assert len(set(seen)) == len(seen)
    assert set(seen) == set(zip(whole.component.tolist(), whole.epoch.tolist(), whole.row.tolist(), strict=True))


def test_seed_source_and_epoch_have_shuffles_of_their_own():
    same = dataclasses.replace(WEB, name="same")
    rows = {}
    for seed in (1, 2):
        for name, epoch, row in triples(one(WEB, same, seed=seed), range(4 * 301 * 2)):
            rows.setdefault((seed, name, epoch), []).append(row)
    shuffles = [tuple(r) for key, r in sorted(rows.items())]
    assert len(shuffles) == len(set(shuffles)) >= 8


@pytest.mark.parametrize("rows", [1, 5, 64, 4_096, 20_000, 20_001])
def test_block_shuffle_reads_few_places_at_a_time_and_many_in_a_step(rows):
    order = one(Component(name="web", rows=rows, weight=1), block_rows=16)
    draw = order.draw(np.arange(2 * rows))
    assert np.array_equal(np.sort(draw.row[:rows]), np.arange(rows))
    assert np.array_equal(np.sort(draw.row[rows:]), np.arange(rows)) and draw.epoch.tolist() == [0] * rows + [1] * rows
    if rows >= 20_000:
        blocks = draw.row // 16
        window = WINDOW_BLOCKS * 16
        for first in range(0, rows - window, window):
            # a row from the end of the short last block is shuffled on, into a block of another window
            assert len(np.unique(blocks[first : first + window])) <= WINDOW_BLOCKS + 16
        steps = [len(np.unique(blocks[s : s + 64])) for s in range(0, 10_000, 64)]
        assert min(steps) > 24  # 64 draws from 64 blocks hit 41 on average
        used = np.unique(blocks[:window])
        assert np.abs(np.diff(used)).max() > 10, "the blocks of a window are neighbours on disk"


def test_phases_go_on_where_the_last_left_off_and_start_anew_with_new_data():
    def order(*, dataset_id="", rows=301):
        web = dataclasses.replace(WEB, rows=rows)
        return Order(seed=3, phases=(
            Phase(start=0, components=(WEB,)), Phase(start=100, components=(WIKI,)),
            Phase(start=150, components=(WIKI, web), dataset_id=dataset_id)))

    first, *_ = (triples(one(WEB), range(301)),)
    again = [t for t in triples(order(), range(150, 900)) if t[0] == "web"]
    assert again[:201] == first[100:] and triples(order(), range(100)) == first[:100]
    for new in (order(dataset_id="b"), order(rows=300)):
        assert next(t for t in triples(new, range(150, 900)) if t[0] == "web")[1:] == (0, triples(
            Order(seed=3, phases=(Phase(start=0, components=(new.phases[-1].components[1],)),)), [0])[0][2])


GOLDEN = [
    (1, 0, [("we", 0, 417814), ("wi", 0, 14), ("we", 0, 453182),
            ("we", 0, 496388), ("wi", 0, 5), ("we", 0, 125131)]),
    (1, 997, [("wi", 4, 40), ("we", 0, 443847), ("we", 0, 706330),
              ("wi", 4, 56), ("co", 0, 5), ("wi", 4, 69)]),
    (1, 1000000000000, [("wi", 9118434356, 54), ("wi", 9118434356, 24), ("we", 148940, 702675),
                        ("wi", 9118434356, 64), ("co", 30395507782, 3), ("wi", 9118434356, 1)]),
    (16, 0, [("we", 0, 657054), ("wi", 0, 43), ("we", 0, 800786),
             ("we", 0, 217793), ("wi", 0, 69), ("we", 0, 940117)]),
    (16, 1000000, [("wi", 9114, 50), ("we", 0, 343337), ("wi", 9114, 5),
                   ("wi", 9114, 0), ("co", 30365, 4), ("wi", 9114, 21)]),
]


@pytest.mark.parametrize(("block_rows", "first", "expected"), GOLDEN)
def test_the_order_of_this_version_does_not_change(block_rows, first, expected):
    """If this fails on purpose, ORDER_VERSION goes up with it: runs of the old order cannot be continued."""
    assert ORDER_VERSION == 1
    order = Order(seed=1234, block_rows=block_rows, phases=(
        Phase(start=0, components=(dataclasses.replace(WEB, rows=1_000_003), WIKI)),
        Phase(start=1_000, components=(WIKI, CODE, dataclasses.replace(WEB, rows=1_000_003, weight=0.7)))))
    assert [(n[:2], e, r) for n, e, r in triples(order, range(first, first + 6))] == expected


@pytest.mark.parametrize(("phases", "said"), [
    ((), "phases must start"),
    ((Phase(start=-1, components=(WEB,)),), "phases must start"),
    ((Phase(start=5, components=(WEB,)), Phase(start=5, components=(WEB,))), "phases must start"),
    ((Phase(start=0, components=(WEB, WEB)),), "given twice: web, web"),
    ((Phase(start=0, components=(Component(name="web", rows=0, weight=1),)),), "no rows to draw from web"),
    ((Phase(start=0, components=()),), "not all 0"),
    ((Phase(start=0, components=(dataclasses.replace(WEB, weight=0),)),), "not all 0"),
    ((Phase(start=0, components=(dataclasses.replace(WEB, weight=-1), WIKI)),), "not negative"),
    ((Phase(start=0, components=(dataclasses.replace(WEB, weight=float("nan")),)),), "finite"),
    ((Phase(start=0, components=tuple(dataclasses.replace(WEB, name=str(i)) for i in range(1_025))),), "at most 1024"),
])
def test_orders_that_cannot_be_are_refused(phases, said):
    with pytest.raises(ValueError, match=said):
        Order(seed=1, phases=phases)


def test_samples_before_the_first_phase_are_refused():
    order = Order(seed=1, phases=(Phase(start=7, components=(WEB,)),))
    assert len(order.draw(np.arange(7, 9)).row) == 2 and len(order.draw(np.arange(0)).row) == 0
    with pytest.raises(ValueError, match="sample 6 is before the first phase, at 7"):
        order.draw(np.array([8, 6]))
    with pytest.raises(ValueError, match="block_rows"):
        one(WEB, block_rows=0)
