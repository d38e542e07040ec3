"""The companion trainer: shards in, a language model out. `schemas` is all it imports of winnow.

Read it in this order: `order` (which row is sample i), `dataset` and `batches` (rows to memory), `model`, `objectives`,
`loop` (a step), `checkpoints` (what makes a run go on), `train` (the command).
"""
