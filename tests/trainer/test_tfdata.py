from __future__ import annotations

import pytest

from schemas.errors import RunError
from tests.trainer.shard_sets import make_data
from trainer.dataset import open_data
from trainer.tfdata import tfrecord_rows


@pytest.mark.parametrize("vocab_size", [97, 70_000])
def test_tfrecords_hold_what_arrow_holds(tmp_path, vocab_size):
    pytest.importorskip("tensorflow", reason="TFRECORDS ARE NOT READ: pip install tensorflow-cpu")
    data = open_data(str(make_data(tmp_path, sources={"web": 90, "wiki": 3}, seq_len=12, vocab_size=vocab_size)))
    for split in ("train", "validation"):
        for source in data.rows(split):
            expected = [row for s in data.shards(split, source) for row in data.mapped(s).rows.to_pylist()]
            found = [{name: getattr(value, "values", value).numpy().tolist() for name, value in row.items()}
                     for row in tfrecord_rows(data, split, source)]
            assert found == expected and len(found) == data.rows(split)[source]
    with pytest.raises(RunError, match="no split dev"):
        tfrecord_rows(data, "dev", "web")
