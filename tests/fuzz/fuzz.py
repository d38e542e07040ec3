"""The fuzz target: `python tests/fuzz/fuzz.py FIRST COUNT` has the cases FIRST to FIRST + COUNT read, taken apart and
extracted as a worker would, in this process and its child, and prints what became of them as one line of JSON."""

from __future__ import annotations

import io
import json
import resource
import sys
from collections import Counter

from mutations import GOOD_ID, Case, case

from schemas.recipes import Extract
from transforms.archive import read_archive
from transforms.beam.child import limits_of
from transforms.beam.children import end_idle
from transforms.beam.isolated import Isolated
from transforms.beam.metrics import peak_rss
from transforms.inflate import Inflated
from transforms.outcomes import DeadLetter, Outcome, Page


def main(first: int, count: int) -> None:
    found: dict[str, object] = {"cases": count, "outcomes": Counter(), "kinds": Counter(), "wrong": []}
    extract = Extract()
    for n in range(first, first + count):
        one = case(n)
        settle = Isolated(limits=limits_of(extract))
        outcomes = list(read_archive(Inflated(io.BytesIO(one.data)), extract=extract, settle=settle))
        found["kinds"][one.kind] += 1
        found["outcomes"].update("page" if isinstance(o, Page) else o.reason for o in outcomes)
        found["wrong"] += [f"case {n}, {one.kind}: {what}" for what in wrong(one, outcomes)]
    end_idle()
    found["outcomes"] = dict(sorted(found["outcomes"].items()))
    found["rss_mib"] = peak_rss() >> 20
    found["child_rss_mib"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10
    print(json.dumps(found))


def wrong(one: Case, outcomes: list[Outcome]) -> list[str]:
    """What is not as it must be, whatever the bytes: places inside the file, samples within their bound, text that is
    UTF-8, and the good records kept."""
    size, told = len(one.data), []
    for o in outcomes:
        if isinstance(o, Page):
            o.text.encode()
            told += [] if 0 <= o.offset < size else [f"a page at {o.offset} of {size} bytes"]
        elif isinstance(o, DeadLetter):
            o.detail.encode()
            good = 0 <= o.offset <= size and o.length >= 0 and len(o.record) <= 64 << 10 and len(o.detail) <= 500
            told += [] if good else [f"a dead letter of {o.length} bytes at {o.offset} of {size} bytes: {o.reason}"]
            if o.reason in ("damaged", "truncated") and not o.inner_offset and o.offset + o.length > size:
                told.append(f"lost {o.length} bytes from {o.offset} of {size}")
    good = sum(isinstance(o, Page) and o.record_id == GOOD_ID for o in outcomes)
    if good not in ((2,) if one.framed else (1, 2)):
        told.append(f"{good} of the 2 good records came out")
    return told


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
