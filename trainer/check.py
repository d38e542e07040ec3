"""Every shard of a data set, read whole and held against its manifest.

    python -m trainer.check --data shards/manifest.json [--verify full|sample|off]

One line a problem on standard output, the progress on standard error; 1 if there is a problem.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import xxhash

from schemas.errors import RunError
from schemas.shards import Shard
from trainer.dataset import DataSet, check_shard, describe, to_verify
from trainer.mapped import REDO, verify_shard

_CHUNK = 1 << 20


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m trainer.check", description=__doc__)
    parser.add_argument("--data", required=True, metavar="MANIFEST")
    parser.add_argument("--verify", choices=("full", "sample", "off"), default="full",
                        help="whose bytes are read: those of all shards, of four, of none (sizes alone)")
    parser.add_argument("--arrow-only", action="store_true", help="leave the TFRecord files out")
    options = parser.parse_args(arguments)
    try:
        data = describe(options.data)
    except RunError as error:
        print(error)
        return 1
    found = 0
    for problem in problems(data, read=set(to_verify(data, verify=options.verify, rank=0, world=1)),
                            arrow_only=options.arrow_only):
        found += 1
        print(problem, flush=True)
    print(f"{options.data}: {len(data.all_shards)} shards, {found} problems", file=sys.stderr)
    return 1 if found else 0


def problems(data: DataSet, *, read: Collection[Shard], arrow_only: bool) -> Iterator[str]:
    """What is wrong, a line each, at most one a file. The files of the shards in `read` are read whole."""
    for number, shard in enumerate(data.all_shards, 1):
        print(f"{number}/{len(data.all_shards)} {shard.path}", file=sys.stderr, flush=True)
        try:
            check_shard(data, shard)
            if shard in read:
                verify_shard(data.file(shard), shard, data.manifest)
        except RunError as error:
            yield str(error)
        if shard in read and not arrow_only:
            yield from _tfrecord_problems(data.path.parent / shard.tfrecord_path, shard)


def _tfrecord_problems(path: Path, shard: Shard) -> Iterator[str]:
    digest = xxhash.xxh3_128()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        yield f"{path}: cannot be read ({error.strerror}), though the manifest names it; {REDO}, or give --arrow-only"
        return
    if digest.hexdigest() != shard.tfrecord_xxh3:
        yield (f"{path}: damaged or of another run: xxh3 {digest.hexdigest()}, but the manifest says "
               f"{shard.tfrecord_xxh3}; {REDO}")


if __name__ == "__main__":
    sys.exit(main())
