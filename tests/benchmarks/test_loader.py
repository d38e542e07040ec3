"""Tokens a CPU second from warm shards to torch int64 [16, 2049], beside other loaders in the same run.

One process, one thread; the best of five turns, taken in rotation so that a busy machine is busy for all. litdata is
not among our dependencies: its row is there where `pip install litdata` has been run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.shard_sets import make_data
from trainer.batches import Batches
from trainer.dataset import DataSet, open_data
from trainer.mixture import components_of
from trainer.order import Order, Phase

pytestmark = pytest.mark.bench
BATCH, SEQ_LEN, ROWS, TURNS, BATCHES = 16, 2_048, 24_576, 5, 400


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> DataSet:
    """50 million tokens in four shards of two sources."""
    manifest = make_data(tmp_path_factory.mktemp("loader"), sources={"web": ROWS * 3 // 4, "wiki": ROWS // 4},
                         splits=("train",), seq_len=SEQ_LEN, vocab_size=50_257, document_tokens=700,
                         shard_rows=ROWS // 4)
    return open_data(str(manifest), verify="full")


@pytest.fixture(scope="module")
def stream(data, tmp_path_factory) -> Path:
    """The same tokens as one file of uint16, as nanoGPT keeps them."""
    path = tmp_path_factory.mktemp("stream") / "train.bin"
    with path.open("wb") as file:
        for shard in data.all_shards:
            file.write(data.mapped(shard).tokens[:, :-1].tobytes())
    return path


def ours(data: DataSet, block_rows: int) -> Callable[[], object]:
    phase = Phase(start=0, components=components_of(data.rows("train"), {}, where=""))
    order = Order(seed=1, phases=(phase,), block_rows=block_rows)
    batches = Batches(data=data, split="train", order=order, seq_len=SEQ_LEN)
    steps = iter(range(1 << 40))

    def batch() -> torch.Tensor:
        first = next(steps) * BATCH
        return torch.from_numpy(batches.read(np.arange(first, first + BATCH)).tokens.astype(np.int64))

    return batch


def memmapped(stream: Path, *, each_batch: bool) -> Callable[[], object]:
    """nanoGPT's technique: random offsets into a memmap, a slice each, inputs and targets stacked apart. It maps the
    file anew for each batch, against a leak; the kinder variant maps it once."""
    generator = torch.Generator().manual_seed(1)
    kept = np.memmap(stream, np.uint16, "r")

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        tokens = np.memmap(stream, np.uint16, "r") if each_batch else kept
        offsets = torch.randint(len(tokens) - SEQ_LEN, (BATCH,), generator=generator).tolist()
        inputs = torch.stack([torch.from_numpy(tokens[i : i + SEQ_LEN].astype(np.int64)) for i in offsets])
        targets = torch.stack([torch.from_numpy(tokens[i + 1 : i + 1 + SEQ_LEN].astype(np.int64)) for i in offsets])
        return inputs, targets

    return batch


def litdata_rows(data: DataSet, folder: Path) -> Callable[[], object] | None:
    """Its tokens in its own format, shuffled; no worker processes, which would cost it copies."""
    try:
        import litdata
    except ImportError:
        return None
    written = folder / "optimized"
    shards = list(range(len(data.all_shards)))
    litdata.optimize(fn=ShardTokens(str(data.path)), inputs=shards, output_dir=str(written), num_workers=1,
                     chunk_bytes="64MB", item_loader=litdata.TokensLoader(), verbose=False)
    loader = litdata.TokensLoader(block_size=SEQ_LEN + 1)
    rows = litdata.StreamingDataset(str(written), item_loader=loader, shuffle=True)

    def endless() -> Iterator[torch.Tensor]:
        while True:
            yield from litdata.StreamingDataLoader(rows, batch_size=BATCH, num_workers=0, drop_last=True)

    batches = endless()
    return lambda: next(batches).to(torch.int64)


class ShardTokens:
    """One shard's tokens as a tensor; a class, because litdata pickles it."""

    def __init__(self, manifest: str) -> None:
        self.manifest = manifest

    def __call__(self, number: int) -> Iterator[torch.Tensor]:
        data = open_data(self.manifest, verify="off")
        yield torch.from_numpy(data.mapped(data.all_shards[number]).tokens[:, :-1].reshape(-1).astype(np.int32))


def test_loader(data, stream, tmp_path):
    torch.set_num_threads(1)
    rows = {"ours": ours(data, 1), "ours, block_rows=64": ours(data, 64),
            "nanoGPT's get_batch, mapped once": memmapped(stream, each_batch=False),
            "nanoGPT's get_batch": memmapped(stream, each_batch=True),
            "litdata TokensLoader": litdata_rows(data, tmp_path)}
    rates: dict[str, list[float]] = {name: [] for name, batch in rows.items() if batch}
    for name in rates:
        for _ in range(ROWS // BATCH):  # an epoch, so that every page is in memory
            rows[name]()
    for _ in range(TURNS):
        for name in rates:
            since = time.process_time()
            for _ in range(BATCHES):
                rows[name]()
            rates[name].append(BATCHES * BATCH * SEQ_LEN / (time.process_time() - since) / 1e6)
    print(f"\nmillion tokens a CPU second, best of {TURNS} (median); load {os.getloadavg()[0]:.1f}")
    for name, seen in rates.items():
        ratio = max(rates["ours"]) / max(seen)
        print(f"{name:34} {max(seen):7.0f} ({sorted(seen)[TURNS // 2]:.0f})   ours is {ratio:.1f} x")
    assert max(rates["ours"]) >= 300
