"""What a finished part and a finished stage say about themselves.

`part-X.json` beside a part is its commit record: the part is done if and only if the record is there and its plan key
is the planned one. `manifest.json` is the sorted merge of a stage's records, written last; readers follow it and
never list a folder. Neither holds a clock, a host name or an absolute path.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from dataclasses import dataclass, field
from typing import Any

SCHEMA_VERSION = 1


class ConservationError(Exception):
    """A stage's counts do not add up: documents were lost or doubled."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """A file of a part. `path` is relative to the output directory, `xxh3` the 128-bit digest of its bytes,
    `content` the digest of its rows, which survives a change of library."""

    path: str
    rows: int
    bytes: int
    xxh3: str
    content: str


@dataclass(frozen=True, kw_only=True)
class Counts:
    """The account of a part or stage: came_in = went_out + all of dropped + all of dead_letters."""

    came_in: int = 0
    went_out: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    dead_letters: dict[str, int] = field(default_factory=dict)

    def check(self, where: str) -> None:
        """Raises ConservationError, naming `where`, unless the account balances."""
        dropped, dead = sum(self.dropped.values()), sum(self.dead_letters.values())
        if self.came_in != self.went_out + dropped + dead:
            raise ConservationError(
                f"{where}: {self.came_in} came in, but {self.went_out} went out + {dropped} dropped + {dead} dead "
                f"letters = {self.went_out + dropped + dead}. Documents were lost or doubled; keep the output and "
                "report this."
            )


@dataclass(frozen=True, kw_only=True)
class PartRecord:
    """The commit record of one part. `tallies` are further sums by name, such as documents by language; `digests` are
    of the rows of some columns alone, by what reads just these."""

    stage: str
    part: str
    plan_key: str
    source: str
    name: str
    counts: Counts
    outputs: dict[str, Output] = field(default_factory=dict)
    tallies: dict[str, dict[str, int]] = field(default_factory=dict)
    input_bytes: int = 0
    text_bytes: int = 0
    digests: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A finished stage. `digest` covers the names, rows and digests of its outputs and nothing else."""

    stage: str
    plan_key: str
    recipes: dict[str, Any]
    libraries: dict[str, str]
    digest: str = ""
    counts: Counts = field(default_factory=Counts)
    tallies: dict[str, dict[str, int]] = field(default_factory=dict)
    parts: tuple[PartRecord, ...] = ()
    outputs: dict[str, Output] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION


def add_counts(parts: list[Counts]) -> Counts:
    """The sum of accounts, reasons sorted."""
    return Counts(
        came_in=sum(c.came_in for c in parts),
        went_out=sum(c.went_out for c in parts),
        dropped=add_tallies([c.dropped for c in parts]),
        dead_letters=add_tallies([c.dead_letters for c in parts]),
    )


def add_tallies(tallies: list[dict[str, int]]) -> dict[str, int]:
    """The sum of dictionaries of counts, keys sorted."""
    total: dict[str, int] = {}
    for tally in tallies:
        for key, n in tally.items():
            total[key] = total.get(key, 0) + n
    return dict(sorted(total.items()))


def merge(records: list[PartRecord], blank: Manifest) -> Manifest:
    """`blank` filled in with the records of all its parts, sorted. Raises ConservationError if they do not add up, or
    two are of one part."""
    parts = tuple(sorted(records, key=lambda r: r.part))
    for one, other in itertools.pairwise(parts):
        if one.part == other.part:
            raise ConservationError(f"{blank.stage}: two records of {one.part}, of {one.name} and of {other.name}")
    counts = add_counts([r.counts for r in parts])
    counts.check(blank.stage)
    names = sorted({name for r in parts for name in r.tallies})
    return dataclasses.replace(
        blank,
        parts=parts,
        counts=counts,
        tallies={name: add_tallies([r.tallies.get(name, {}) for r in parts]) for name in names},
        digest=output_digest([o for r in parts for o in r.outputs.values()] + list(blank.outputs.values())),
    )


def output_digest(outputs: list[Output]) -> str:
    """Hash of the names, rows and digests of files."""
    lines = sorted(f"{o.path} {o.rows} {o.bytes} {o.xxh3} {o.content}\n" for o in outputs)
    return hashlib.blake2b("".join(lines).encode(), digest_size=16).hexdigest()


def to_json(value: PartRecord | Manifest) -> str:
    """Sorted, indented JSON: the same value always gives the same bytes."""
    return json.dumps(dataclasses.asdict(value), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def part_from_json(text: str) -> PartRecord:
    """The inverse of `to_json`; raises ValueError on anything else."""
    return _part(_object(text))


def manifest_from_json(text: str) -> Manifest:
    """The inverse of `to_json`; raises ValueError on anything else."""
    raw = _object(text)
    try:
        raw["counts"] = Counts(**raw["counts"])
        raw["parts"] = tuple(_part(p) for p in raw["parts"])
        raw["outputs"] = {k: Output(**o) for k, o in raw["outputs"].items()}
        return Manifest(**raw)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a stage manifest: {error}") from error


def _part(raw: dict[str, Any]) -> PartRecord:
    try:
        raw["counts"] = Counts(**raw["counts"])
        raw["outputs"] = {k: Output(**o) for k, o in raw["outputs"].items()}
        return PartRecord(**raw)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a commit record: {error}") from error


def _object(text: str) -> dict[str, Any]:
    raw = json.loads(text)
    if not isinstance(raw, dict):
        raise ValueError("not a JSON object")
    return raw
