"""Several threads of a process may be given the same part: a cluster's engine runs bundles again, and at once."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from transforms.beam import files
from transforms.beam.tables import write_table

SCHEMA = pa.schema([("n", pa.int64())])


def test_threads_that_write_the_same_part_at_once_give_the_same_bytes(tmp_path):
    count = 8
    together = threading.Barrier(count)

    def batches():
        for k in range(20):
            together.wait(30)  # every writer has its file open before any goes on
            yield pa.record_batch({"n": range(1000 * k, 1000 * k + 1000)}, SCHEMA)

    with ThreadPoolExecutor(count) as pool:
        found = list(pool.map(lambda _: write_table(str(tmp_path), "part.parquet", batches(), SCHEMA), range(count)))
    alone = write_table(str(tmp_path), "alone.parquet", (pa.record_batch({"n": range(20_000)}, SCHEMA),), SCHEMA)
    assert {o.xxh3 for o in found} == {alone.xxh3}
    assert (tmp_path / "part.parquet").read_bytes() == (tmp_path / "alone.parquet").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["alone.parquet", "part.parquet"]


def test_one_writer_that_fails_leaves_the_others_alone(tmp_path):
    path = str(tmp_path / "part")
    with files.create(path) as kept:
        with pytest.raises(ZeroDivisionError), files.create(path) as failed:
            failed.write(b"half")
            raise ZeroDivisionError
        kept.write(b"whole")
    assert (tmp_path / "part").read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["part"]


def test_a_temporary_tells_whose_it_is(tmp_path):
    for process in (1, 22):
        open(files.temporary_name(str(tmp_path / "part-0.parquet"), process), "w").close()
    assert files.half_written(str(tmp_path), {22}) == [str(tmp_path / "part-0.parquet")]
    files.clear_temporaries(str(tmp_path))
    assert os.listdir(tmp_path) == []
