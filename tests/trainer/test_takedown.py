from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from schemas.errors import RunError
from tests.trainer.shard_sets import make_data
from trainer.dataset import open_data
from trainer.takedown import Takedown, masked_rows, read_takedown

A, B = "00" * 15 + "a1", "FF" * 16


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return open_data(str(make_data(tmp_path_factory.mktemp("data"), sources={"web": 90, "wiki": 13}, seq_len=12)))


def listed(tmp_path, text: str) -> Takedown:
    path = tmp_path / "takedown.txt"
    path.write_text(text, encoding="utf-8")
    return read_takedown(str(path))


def test_a_list_has_documents_rows_and_comments(tmp_path):
    found = listed(tmp_path, f"# asked for on Monday\n{A}\n\n  {B}  # upper case\r\ntrain/web/shard 1.arrow 12\n"
                             f"a#b.arrow\t3\n{A}\n")
    assert found.documents == {bytes.fromhex(A), bytes.fromhex(B)}
    assert sorted(found.rows) == [("a#b.arrow", 3), ("train/web/shard 1.arrow", 12)]
    assert listed(tmp_path, "") == Takedown()


@pytest.mark.parametrize("line", [A[:-1], A + "0", A[:-1] + "g", "train/web/shard-00000.arrow", "shard.arrow -1",
                                  "shard.arrow 1.5", "shard.arrow ²", f"{A} {B}", "12"])
def test_a_line_that_is_neither_is_refused_by_its_number(tmp_path, line):
    with pytest.raises(RunError, match=r"takedown.txt, line 3: .* is neither the 32 hexadecimal digits"):
        listed(tmp_path, f"# one\n{A}\n{line}\n")


def test_a_list_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"none.txt: the takedown list cannot be read"):
        read_takedown(str(tmp_path / "none.txt"))
    (tmp_path / "bytes.txt").write_bytes(b"\xff")
    with pytest.raises(RunError, match=r"bytes.txt: the takedown list cannot be read"):
        read_takedown(str(tmp_path / "bytes.txt"))


def rows_with(data, split: str, wanted: set[bytes]) -> dict[str, list[int]]:
    """By reading every row."""
    found = {}
    for source in data.manifest.sources:
        rows = [row for s in data.manifest.splits[split] if s.source == source
                for row in pa.ipc.open_file(str(data.path.parent / s.path)).get_batch(0).to_pylist()]
        hits = [n for n, row in enumerate(rows) if wanted & set(row["doc_ids"])]
        if hits:
            found[source] = hits
    return found


def test_every_row_with_a_token_of_a_document_is_masked(data):
    every = sorted({i for s in data.manifest.splits["train"] for i in
                    data.mapped(s).rows.column("doc_ids").flatten().to_pylist()})
    rng = np.random.default_rng(1)
    for count in (1, 2, 5, 20):
        wanted = {every[i] for i in rng.choice(len(every), count, replace=False)} | {bytes(16)}
        for split in ("train", "validation"):
            masked = masked_rows(data, split, Takedown(documents=frozenset(wanted)))
            assert {s: rows.tolist() for s, rows in masked.items()} == rows_with(data, split, wanted)
            assert all(rows.dtype == np.int64 for rows in masked.values())
    long = max(every, key=lambda i: sum(map(len, rows_with(data, "train", {i}).values())))
    assert sum(len(rows) for rows in masked_rows(data, "train", Takedown(documents=frozenset([long]))).values()) >= 3


def test_listed_rows_are_masked_in_their_split_alone(data):
    rows = {("train/web/shard-00001.arrow", 0): "x", ("train/web/shard-00002.arrow", 9): "x",
            ("train/web/shard-00000.arrow", 39): "x", ("validation/wiki/shard-00000.arrow", 0): "x"}
    found = {split: {s: r.tolist() for s, r in masked_rows(data, split, Takedown(rows=rows)).items()}
             for split in ("train", "validation")}
    assert found == {"train": {"web": [39, 40, 89]}, "validation": {"wiki": [0]}}
    assert masked_rows(data, "train", Takedown()) == {}


def test_rows_that_do_not_exist_are_refused(data, tmp_path):
    for line, said in (("train/web/shard-00009.arrow 0", "has no shard train/web/shard-00009.arrow"),
                       ("train/web/shard-00002.arrow 10", "has rows 0 to 9, not 10")):
        with pytest.raises(RunError, match=f"takedown.txt, line 2: .*{said}"):
            masked_rows(data, "train", listed(tmp_path, f"\n{line}\n"))
