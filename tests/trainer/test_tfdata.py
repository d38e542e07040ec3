from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from schemas.errors import RunError
from tests.trainer.shard_sets import make_data
from trainer.dataset import open_data
from trainer.tfdata import tfrecord_rows


@pytest.mark.parametrize("vocab_size", [97, 70_000])
@pytest.mark.usefixtures("tf")
def test_tfrecords_hold_what_arrow_holds(tmp_path, vocab_size):
    data = open_data(str(make_data(tmp_path, sources={"web": 90, "wiki": 3}, seq_len=12, vocab_size=vocab_size)))
    for split in ("train", "validation"):
        for source in data.rows(split):
            expected = [row for s in data.shards(split, source) for row in data.mapped(s).rows.to_pylist()]
            found = [{name: getattr(value, "values", value).numpy().tolist() for name, value in row.items()}
                     for row in tfrecord_rows(data, split, source)]
            assert found == expected and len(found) == data.rows(split)[source]
    with pytest.raises(RunError, match="no split dev"):
        tfrecord_rows(data, "dev", "web")


@pytest.mark.usefixtures("tf")
def test_what_torch_imports_later_goes_on_after_tensorflow(tmp_path):
    """In a process of its own: Triton after TensorFlow aborts, and FSDP imports Triton at its first use."""
    pytest.importorskip("triton", reason="torch is here without Triton, so nothing can collide")
    manifest = make_data(tmp_path, sources={"web": 3}, seq_len=12, vocab_size=97)
    program = (
        "import sys; from trainer.dataset import open_data; from trainer.tfdata import tfrecord_rows; "
        "next(iter(tfrecord_rows(open_data(sys.argv[1]), 'train', 'web'))); import torch._dynamo"
    )
    subprocess.run([sys.executable, "-c", program, str(manifest)], check=True, cwd=Path(__file__).parents[2])
