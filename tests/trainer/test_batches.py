from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from schemas.errors import RunError
from tests.trainer.shard_sets import make_data
from trainer import batches as module
from trainer.batches import Batches, sample_rows
from trainer.dataset import DataSet, open_data
from trainer.order import Component, Order, Phase
from trainer.rows import Rows
from trainer.takedown import Takedown, masked_rows

SEQ_LEN = 24


@pytest.fixture(scope="module", params=[97, 70_000], ids=["uint16", "uint32"])
def data(request, tmp_path_factory) -> DataSet:
    folder = tmp_path_factory.mktemp("data")
    return open_data(str(make_data(folder, sources={"web": 90, "wiki": 13, "tiny": 1}, seq_len=SEQ_LEN, short=13,
                                   vocab_size=request.param)))


def order_of(rows: dict[str, int], *, start: int = 0, seed: int = 5) -> Order:
    return Order(seed=seed, phases=(Phase(start=start, components=tuple(
        Component(name=n, rows=r, weight=w) for (n, r), w in zip(rows.items(), (3.0, 2.0, 1.0), strict=True))),))


def batches(data: DataSet, seq_len: int, **more) -> Batches:
    order = order_of(sample_rows(data, "train", seq_len))
    return Batches(data=data, split="train", order=order, seq_len=seq_len, **more)


def stored(data: DataSet, source: str) -> list[dict]:
    """The rows as pyarrow reads them."""
    return [row for shard in data.manifest.splits["train"] if shard.source == source
            for row in pa.ipc.open_file(str(data.path.parent / shard.path)).get_batch(0).to_pylist()]


def expected(data: DataSet, reader: Batches, samples: list[int], masked: set[tuple[str, int]]) -> list[tuple]:
    """One tuple a sample: tokens, n_real, starts, source, lang; worked out token by token."""
    t, pieces = reader.seq_len, data.manifest.seq_len // reader.seq_len
    draw = reader.order.draw(np.array(samples))
    found = []
    for component, number in zip(draw.component.tolist(), draw.row.tolist(), strict=True):
        source = reader.order.sources[component]
        row = stored(data, source)[number // pieces]
        first = number % pieces * t
        real = [token for at, token in enumerate(row["input_ids"]) if first <= at <= first + t and at < row["n_real"]]
        if len(real) < 2 or (source, number // pieces) in masked:
            real = []
        starts = [s - first for s in row["doc_starts"] if first <= s < first + len(real)]
        found.append((real + [1] * (t + 1 - len(real)), len(real), starts, row["source"], row["lang"]))
    return found


def as_tuples(rows: Rows) -> list[tuple]:
    assert rows.n_real.dtype == rows.start_row.dtype == rows.start_at.dtype == np.int32
    assert rows.source.dtype == rows.lang.dtype == np.int16 and rows.samples.dtype == np.int64
    assert len(rows.tokens) == len(rows.samples) and (np.diff(rows.start_row) >= 0).all()
    return [(rows.tokens[i].tolist(), int(rows.n_real[i]), rows.start_at[rows.start_row == i].tolist(),
             int(rows.source[i]), int(rows.lang[i])) for i in range(len(rows))]


@pytest.mark.parametrize("seq_len", [24, 12, 8, 1])
def test_samples_are_what_pyarrow_reads_cut_to_pieces(data, seq_len, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 64)
    reader = batches(data, seq_len)
    samples = [*range(150), 7, 3, 1_000_000, 5, 127, 128]
    rows = reader.read(np.array(samples))
    assert rows.samples.tolist() == samples
    assert rows.tokens.dtype == data.manifest.token_dtype
    found = as_tuples(rows)
    assert found == expected(data, reader, samples, set())
    assert len(rows.start_at) > 10 and (seq_len == 24 or (rows.n_real == 0).any())
    assert not any(n_real == 1 for _, n_real, *_ in found)
    assert len(reader._blocks) <= 2


def test_an_epoch_of_pieces_has_every_target_once(data):
    """Tokens that some sample has as its target, against those of the streams: all but each stream's first."""
    for seq_len in (24, 8):
        reader = batches(data, seq_len)
        total = 0
        for source, rows in sample_rows(data, "train", seq_len).items():
            read = reader.read_source(source, np.arange(rows))
            total += int(np.maximum(read.n_real - 1, 0).sum())
        assert total == sum(s.tokens - 1 for s in data.manifest.splits["train"])


def test_reading_a_source_is_reading_its_rows_in_order(data):
    reader = batches(data, 24)
    for source in ("web", "wiki", "tiny"):
        rows = stored(data, source)
        read = reader.read_source(source, np.arange(len(rows)))
        assert read.tokens.tolist() == [row["input_ids"] for row in rows]
        assert read.source.tolist() == [data.manifest.sources.index(source)] * len(rows)


@pytest.mark.parametrize("worlds", [(1, 3, 2, 6), (6, 1, 4)])
def test_ranks_of_any_number_read_what_one_reads(data, worlds):
    alone = batches(data, 12).read(np.arange(len(worlds) * 12))
    found = []
    for step, world in enumerate(worlds):
        for rank in range(world):
            share = 12 // world
            found += as_tuples(batches(data, 12).read(step * 12 + rank * share + np.arange(share)))
    assert found == as_tuples(alone)


def test_masked_rows_give_padding_and_the_rest_stays(data, tmp_path):
    victim = stored(data, "web")[50]["doc_ids"][0]
    holding = {(s, n) for s in ("web", "wiki", "tiny") for n, row in enumerate(stored(data, s))
               if victim in row["doc_ids"]}
    assert holding
    masked = masked_rows(data, "train", Takedown(documents=frozenset([victim]), rows={}))
    assert {(s, n) for s, rows in masked.items() for n in rows.tolist()} == holding
    for seq_len in (24, 8):
        with_mask, without = batches(data, seq_len, masked=masked), batches(data, seq_len)
        samples = list(range(400 * 24 // seq_len))
        rows = with_mask.read(np.array(samples))
        assert as_tuples(rows) == expected(data, with_mask, samples, holding)
        plain = as_tuples(without.read(np.array(samples)))
        gone = [i for i, (a, b) in enumerate(zip(as_tuples(rows), plain, strict=True)) if a != b]
        assert gone and all(rows.n_real[i] == 0 and set(rows.tokens[i].tolist()) == {1} for i in gone)


@pytest.mark.parametrize(("seq_len", "said"), [
    (48, "--seq-len 48, but the rows of .*manifest.json have 24"), (0, "--seq-len 0, but"), (-24, "--seq-len -24, but"),
    (7, "--seq-len 7 does not divide the 24"),
])
def test_a_length_that_does_not_fit_is_refused(data, seq_len, said):
    with pytest.raises(RunError, match=said):
        sample_rows(data, "train", seq_len)
    with pytest.raises(RunError, match=said):
        Batches(data=data, split="train", order=order_of(data.rows("train")), seq_len=seq_len)


def test_an_order_of_other_rows_is_refused(data):
    now, then = order_of(data.rows("train"), start=10), order_of(sample_rows(data, "train", 12))
    with pytest.raises(RunError, match="the order is one of 2: it belongs"):
        Batches(data=data, split="train", order=Order(seed=1, phases=(*then.phases, *now.phases)), seq_len=24)
    with pytest.raises(RunError, match="the order is one of 1: it belongs to another data set or --seq-len"):
        Batches(data=data, split="train", order=order_of(data.rows("train")), seq_len=12)


def test_samples_before_the_order_begins_are_refused(data):
    reader = Batches(data=data, split="train", order=order_of(data.rows("train"), start=10), seq_len=24)
    assert len(reader.read(np.arange(10, 20))) == 10 and len(reader.read(np.arange(0))) == 0
    with pytest.raises(ValueError, match="sample 9 is before"):
        reader.read(np.arange(9, 20))
