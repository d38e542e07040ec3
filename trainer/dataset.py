"""A data set of shards, opened: the manifest believed only as far as the files bear it out, rows mapped and not copied.

Opening looks at the manifest, at token_bytes and at the size of every Arrow file; a shard is mapped when a row of it is
first wanted. Arrow reads a flipped bit or a wrong magic without a word, so digests are what tells a damaged file.
What `verify` asks for, on top:

    full     of every Arrow file the digest, the range of ids, and the columns; shared out over the ranks
    sample   the same of SAMPLE_SHARDS shards of each rank's share, chosen by hash
    off      nothing
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import xxhash

from schemas.errors import RunError
from schemas.shards import Shard, ShardManifest, from_json
from trainer.mapped import REDO, Mapped, file_size, map_shard, verify_shard

Verify = Literal["full", "sample", "off"]
SAMPLE_SHARDS = 4
"""xxh3 takes 10 GB a second and a shard is some 100 MB: no start is held up, and more ranks look at more shards."""
PADDING = "<|pad|>"


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """`path`: of the manifest; `token_bytes` int32[vocab_size]: UTF-8 bytes of each id, 0 for special tokens."""

    path: Path
    manifest: ShardManifest
    token_bytes: npt.NDArray[np.int32]
    _mapped: dict[str, Mapped] = field(default_factory=dict, repr=False, compare=False)

    @property
    def pad_id(self) -> int:
        return self.manifest.special_ids[PADDING]

    def rows(self, split: str) -> dict[str, int]:
        """The rows of each source that has shards in `split`. Raises RunError if there is no such split."""
        return {name: t.rows for name, t in self.manifest.totals[self._known(split)].items()}

    def shards(self, split: str, source: str) -> tuple[Shard, ...]:
        """The shards of a source in the manifest's order; row r of the source is counted through them."""
        return tuple(s for s in self.manifest.splits[self._known(split)] if s.source == source)

    @property
    def all_shards(self) -> tuple[Shard, ...]:
        """Of all splits, by the splits' names."""
        return tuple(s for split in sorted(self.manifest.splits) for s in self.manifest.splits[split])

    def mapped(self, shard: Shard) -> Mapped:
        """The rows of `shard`. Raises RunError when the file is not what the manifest says."""
        found = self._mapped.get(shard.path)
        if found is None:
            found = self._mapped[shard.path] = map_shard(self.file(shard), shard, self.manifest)
        return found

    def file(self, shard: Shard) -> Path:
        return self.path.parent / shard.path

    def _known(self, split: str) -> str:
        if split not in self.manifest.splits:
            raise RunError(f"{self.path}: no split {split}; it has {', '.join(sorted(self.manifest.splits))}")
        return split


def open_data(path: str, *, verify: Verify = "sample", rank: int = 0, world: int = 1) -> DataSet:
    """The data set of the manifest at `path`, after the checks named above.

    Every rank looks at the size of every file, as each may have a disk of its own. Raises RunError, naming the file,
    what was expected, what is there, and what to do.
    """
    data = describe(path)
    for shard in data.all_shards:
        check_shard(data, shard)
    for shard in to_verify(data, verify=verify, rank=rank, world=world):
        verify_shard(data.file(shard), shard, data.manifest)
    return data


def describe(path: str) -> DataSet:
    """The data set without a look at its shards. Raises RunError unless manifest and token_bytes can be used."""
    manifest = _manifest(Path(path))
    return DataSet(path=Path(path), manifest=manifest, token_bytes=_token_bytes(Path(path), manifest))


def check_shard(data: DataSet, shard: Shard) -> None:
    """What can be seen without reading the file. Raises RunError on a missing or short one, and on ids beyond the
    vocabulary."""
    file_size(data.file(shard), shard, data.manifest)
    if shard.max_id >= data.manifest.vocab_size:
        raise RunError(f"{data.file(shard)}: token id {shard.max_id}, but the vocabulary has "
                       f"{data.manifest.vocab_size} ids; {REDO}")


def to_verify(data: DataSet, *, verify: Verify, rank: int, world: int) -> Sequence[Shard]:
    """This rank's share: every `world`-th shard; for a sample, the share's smallest hashes of path and digest."""
    share = data.all_shards[rank::world]
    if verify == "sample":
        return sorted(share, key=lambda s: xxhash.xxh3_64_intdigest(f"{s.path} {s.xxh3}".encode()))[:SAMPLE_SHARDS]
    return share if verify == "full" else ()


def _manifest(path: Path) -> ShardManifest:
    try:
        manifest = from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"{path}: no manifest of shards to read ({error.strerror}); --data is the path of the "
                       "shards/manifest.json that python -m pipelines.clean writes last") from error
    except ValueError as error:
        raise RunError(f"{path}: {error}; write the shards again with python -m pipelines.encode, or use the winnow "
                       "that wrote them") from error
    if PADDING not in manifest.special_ids:
        raise RunError(f"{path}: special_ids has no {PADDING}; {REDO}")
    return manifest


def _token_bytes(path: Path, manifest: ShardManifest) -> npt.NDArray[np.int32]:
    table = path.parent / manifest.token_bytes
    try:
        sizes = np.load(table, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise RunError(f"{table}: cannot be read ({str(error).splitlines()[0]}); {REDO}") from error
    if sizes.dtype != np.int32 or sizes.shape != (manifest.vocab_size,):
        raise RunError(f"{table}: {sizes.dtype}{list(sizes.shape)}, but the vocabulary wants "
                       f"int32[{manifest.vocab_size}]; {REDO}")
    found: npt.NDArray[np.int32] = sizes
    return found
