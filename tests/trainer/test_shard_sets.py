from __future__ import annotations

import pyarrow as pa

from schemas.shards import from_json
from tests.trainer.shard_sets import make_data


def test_a_data_set_has_the_rows_that_were_asked_for(tmp_path):
    manifest = from_json(make_data(tmp_path, sources={"web": 90, "wiki": 7}, seq_len=12, short=5).read_text())
    assert {k: {n: t.rows for n, t in v.items()} for k, v in manifest.totals.items()} == {
        "train": {"web": 90, "wiki": 7}, "validation": {"web": 11, "wiki": 1}
    }
    assert [s.rows for s in manifest.splits["train"]] == [40, 40, 10, 7]
    for shard in manifest.splits["train"]:
        rows = pa.ipc.open_file(pa.memory_map(str(tmp_path / shard.path))).get_batch(0)
        assert rows.num_rows == shard.rows and rows.column("n_real").to_pylist() == [13] * (shard.rows - 1) + [8]
