"""What a takedown has changed in shards/: said to trainers, and in the run's manifest."""

from __future__ import annotations

import json
from typing import Any

from pipelines.listed import BEFORE, before
from pipelines.run import needed, say
from schemas.records import Manifest, Output
from schemas.stages import ENCODE
from transforms.beam import files
from transforms.beam.replaced import INDEX_FOLDER, ROWS_FOLDER, rows_path
from transforms.beam.takedown_list import LIST, read_listed

HISTORY = "takedown/history.json"


def account(out: str) -> dict[str, Any] | None:
    """What OUT/manifest.json says of takedowns; None if nothing was ever taken down. If shards were made anew for one,
    the rows of the old ones that held what is gone are listed first, as `trainer.takedown` reads them."""
    listed = read_listed(out)
    if listed is None:
        return None
    old = before(out)
    history = json.loads(files.read_text(files.join(out, HISTORY)) or "[]")
    if old and (change := _change(out, *old)):
        history = [c for c in history if c["from"] != change["from"]] + [change]
        files.write_bytes(files.join(out, HISTORY), (json.dumps(history, indent=1, sort_keys=True) + "\n").encode())
    return {"list": LIST, "digest": listed.digest, "changes": history}


def settled(out: str) -> None:
    """To be called once the run's manifest tells of the change: what was kept for it may go."""
    if read_listed(out) is None:
        return
    files.remove(files.join(out, BEFORE))  # first: without it the rest is of no use, and goes the next time
    for folder in (INDEX_FOLDER, ROWS_FOLDER):
        for found in files.find(files.join(out, folder, "*")):
            files.remove(found.path)


def _replaced(old: Manifest, new: Manifest) -> list[tuple[str, tuple[str, str]]]:
    """(part, its plan keys before and after) of the parts that were made anew."""
    keys = {r.part: r.plan_key for r in new.parts}
    return [(r.part, (r.plan_key, keys[r.part])) for r in old.parts if keys.get(r.part, r.plan_key) != r.plan_key]


def _change(out: str, dataset: str, old: Manifest) -> dict[str, Any] | None:
    new = needed(out, ENCODE)
    was, now = _shards(old), _shards(new)
    if was == now:
        return None
    rows: dict[str, list[int]] = {}
    documents: set[str] = set()
    for part, key in _replaced(old, new):
        text = files.read_text(files.join(out, rows_path(part, *key)))
        if text is None:
            say(f"takedown  {part}: its shards are made anew for another reason too, so no rows of it are listed")
            continue
        found = json.loads(text)
        rows |= found["rows"]
        documents |= set(found["documents"])
    path = f"takedown/rows-{dataset}.txt"
    files.write_bytes(files.join(out, path), _listing(dataset, rows).encode())
    lost = sum(map(len, rows.values()))
    say(f"takedown  {len(documents):,} documents gone from {lost:,} rows of {len(rows):,} shards: {path}")
    with files.open_read(files.join(out, ENCODE.folder, "manifest.json")) as file:
        to = json.load(file)["dataset_id"]
    return {
        "from": dataset, "to": to, "list": path, "documents": len(documents), "rows": lost,
        "shards": [
            {"path": name, "xxh3_before": was.get(name), "xxh3_after": now.get(name)}
            for name in sorted(was.keys() | now.keys()) if was.get(name) != now.get(name)
        ],
    }


def _shards(manifest: Manifest) -> dict[str, str]:
    outputs: list[tuple[str, Output]] = [item for record in manifest.parts for item in record.outputs.items()]
    return {name: output.xxh3 for name, output in outputs if name.endswith(".arrow")}


def _listing(dataset: str, rows: dict[str, list[int]]) -> str:
    head = f"# Rows of the data set {dataset} with documents that were taken down: for trainer.train --takedown\n"
    return head + "".join(f"{shard} {row}\n" for shard in sorted(rows) for row in rows[shard])
