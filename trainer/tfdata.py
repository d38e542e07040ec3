"""The same rows through tf.data, for those whose pipeline is one. TensorFlow is imported when it is called."""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

from schemas.shards import TFRECORD_FEATURES
from trainer.dataset import DataSet


def tfrecord_rows(data: DataSet, split: str, source: str) -> Any:
    """A tf.data.Dataset of one source's rows as stored, shard after shard.

    Each is a dict of tensors by column: `input_ids` int64[seq_len + 1]; `doc_starts` int64[m] and `doc_ids` string[d]
    as sparse tensors; `n_bytes`, `n_real`, `source` and `lang` int64[]. The order of `trainer.order` needs random
    access, which TFRecord has not: shuffle in a buffer, or read Arrow. Raises RunError on an unknown split, ImportError
    without TensorFlow.
    """
    tf = _tensorflow()
    kinds = {"int64_list": tf.int64, "bytes_list": tf.string}
    width = data.manifest.seq_len + 1
    spec = {
        f.name: tf.io.VarLenFeature(kinds[f.kind]) if f.length == "any"
        else tf.io.FixedLenFeature([width] if f.length == "row" else [], kinds[f.kind])
        for f in TFRECORD_FEATURES
    }
    paths = [str(data.path.parent / shard.tfrecord_path) for shard in data.shards(split, source)]
    return tf.data.TFRecordDataset(paths).map(lambda raw: tf.io.parse_single_example(raw, spec))


def _tensorflow() -> Any:
    """The module. Both it and Triton, which torch's FSDP imports at its first use, bring an LLVM; the second to come
    aborts the process ("registered more than once"), unless that is TensorFlow."""
    with contextlib.suppress(ImportError):
        importlib.import_module("triton")
    return importlib.import_module("tensorflow")
