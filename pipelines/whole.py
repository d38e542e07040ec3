"""A run as a whole: one at a time in an output directory, and one manifest over its stages."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator, Sequence
from io import FileIO
from typing import Any

from pipelines import telling
from pipelines.exits import LOCK_LOST
from pipelines.lease import Owner, check_writable, leased, this_process, why
from pipelines.local import end_with_workers
from pipelines.places import check_place
from pipelines.retention import SAMPLED, is_removed, removed
from schemas.errors import HeldError, RunError
from schemas.records import SCHEMA_VERSION, ConservationError, Manifest
from schemas.stages import BY_NAME, ENCODE
from transforms.beam import files, stores


@contextlib.contextmanager
def locked(out: str) -> Iterator[None]:
    """Keeps a second run out of an output directory, and clears away what a killed one left half-written. A local lock
    goes with the process, however that ends; one on an object store runs out when it is not renewed, see
    `pipelines.lease`. Raises RunError where the output cannot be written, HeldError where another run has it."""
    check_place(out, option="--output")
    if stores.is_stored(out):
        check_writable(out)
        with leased(out, lost=_give_up):
            telling.began()
            yield
        return
    if not files.is_local(out):
        telling.began()
        yield
        return
    import fcntl

    path = os.path.join(out, ".lock")
    try:
        os.makedirs(out, exist_ok=True)
        lock = open(path, "a+b", buffering=0)  # not yet emptied: it may be another run's
    except OSError as error:
        raise RunError(f"--output {out}: {error.strerror}. Choose a folder that you may write to.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise HeldError(f"--output {out}: another run is writing here. Wait, or give another --output.") from None
        files.clear_temporaries(out)
        with _said(lock):
            telling.began()
            yield


@contextlib.contextmanager
def _said(lock: FileIO) -> Iterator[None]:
    """Writes into a local lock who holds it, and in the end how it went, for `pipelines.status`: the lock itself is the
    operating system's."""
    owner = this_process()

    def say(owner: Owner) -> None:
        with contextlib.suppress(OSError):  # a full disk is told by what the run itself writes
            lock.truncate(0)  # opened for appending: what is written goes to the end, which is now the start
            lock.write(owner.to_bytes())

    say(owner)
    try:
        yield
    except BaseException as error:
        say(dataclasses.replace(owner, released=True, failed=why(error)))
        raise
    say(dataclasses.replace(owner, released=True))


def _give_up(message: str) -> None:
    """What this process and its workers would write is another run's now."""
    end_with_workers(f"{message} Run the same command again when the other has ended.", status=LOCK_LOST)


def write_whole(out: str, manifests: Sequence[Manifest], *, takedown: dict[str, Any] | None = None) -> None:
    """Checks the account from stage to stage and writes OUT/manifest.json: digests, counts, the data set's id, which
    stages' data --keep removed and, where there was a takedown, what it changed."""
    check_whole(manifests)
    files.publish(files.join(out, "manifest.json"), _whole(out, manifests, takedown), anew=True)


def is_unchanged(out: str, manifests: Sequence[Manifest], *, takedown: dict[str, Any] | None = None) -> bool:
    """Whether no stage was begun since a run of these manifests ended: a stage that begins removes both files first."""
    there = files.read_text(files.join(out, "manifest.json"))
    if there is None or there.encode() != _whole(out, manifests, takedown):
        return False
    gone = removed(out)
    return any(s.name in gone for s in SAMPLED) or files.size(files.join(out, "report.html")) is not None


def _whole(out: str, manifests: Sequence[Manifest], takedown: dict[str, Any] | None) -> bytes:
    with files.open_read(files.join(out, ENCODE.folder, "manifest.json")) as file:
        dataset_id = json.load(file)["dataset_id"]
    gone = removed(out)
    stages = {
        m.stage: {
            "folder": BY_NAME[m.stage].folder, "digest": m.digest, "came_in": m.counts.came_in,
            "went_out": m.counts.went_out, "dropped": m.counts.dropped, "dead_letters": m.counts.dead_letters,
            **({"removed": True} if is_removed(m, gone) else {}),
        }
        for m in manifests
    }
    whole = {"schema_version": SCHEMA_VERSION, "dataset_id": dataset_id, "stages": stages}
    if takedown:
        whole["takedown"] = takedown
    return (json.dumps(whole, indent=1, sort_keys=True) + "\n").encode()


def check_whole(manifests: Sequence[Manifest]) -> None:
    """What left one stage came into the next. Dedupe loses nothing: the documents it names are dropped by filter.

    Raises ConservationError, naming the two stages."""
    ingest, dedupe, sieve, *after = manifests
    pairs = [(ingest, ingest.counts.went_out, m) for m in (dedupe, sieve)]
    pairs += [(sieve, sieve.counts.went_out, m) for m in after]
    for before, went_out, stage in pairs:
        if stage.counts.came_in != went_out:
            raise ConservationError(
                f"{before.stage} gave {went_out:,} documents, but {stage.counts.came_in:,} came into {stage.stage}. "
                f"Documents were lost or doubled: remove {BY_NAME[stage.stage].folder}/ and run the same command again."
            )


