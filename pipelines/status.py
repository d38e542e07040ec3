"""How far a run is, from another terminal or machine: it reads what the run has written, and writes nothing there.

    python -m pipelines.status OUT [--watch 5]

says of each stage its parts, documents, bytes, rate and time left; who holds the lock of the output; dead letters, and
the alarms of languages and sources that yield nothing. It ends with 0 if the run is done, 10 if it runs, 11 if it
failed, 12 if it was stopped (interrupted, killed, or only some stages were run); with 1 if that cannot be told. With
--watch it looks every so many seconds until the run ends.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from pipelines.places import check_place
from pipelines.run import main
from pipelines.state.lines import line, table
from pipelines.state.look import Looker, State, as_fields
from pipelines.state.prometheus import exposition
from schemas.errors import RunError
from transforms.beam import files

EXIT = {"done": 0, "running": 10, "failed": 11, "stopped": 12}
CLEAR = "\x1b[H\x1b[2J"


def run(argv: Sequence[str] | None) -> None:
    ours = _parser().parse_args(argv)
    out = ours.output.rstrip("/") or "/"
    check_place(out, option="OUT")
    if ours.watch is not None and not 0.1 <= ours.watch < float("inf"):
        raise RunError("--watch must be at least 0.1 seconds.")
    looker = Looker(out=out)
    while True:
        state = looker.look()
        sys.stdout.write(_shown(state, watched=ours.watch is not None, as_json=ours.json))
        sys.stdout.flush()
        if ours.prometheus:
            files.write_bytes(ours.prometheus, exposition(state, now=time.time()).encode())
        if ours.watch is None or state.run != "running":
            sys.exit(EXIT[state.run])
        time.sleep(ours.watch)


def _shown(state: State, *, watched: bool, as_json: bool) -> str:
    """The table; watched from no terminal, a line a look."""
    if as_json:
        return json.dumps(as_fields(state), ensure_ascii=False) + "\n"
    if watched and not sys.stdout.isatty():
        return f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}  {line(state)}\n"
    return (CLEAR if watched else "") + table(state)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.status", description=__doc__, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("output", metavar="OUT", help="the --output of a run: a folder, s3://… or gs://…")
    parser.add_argument("--watch", type=float, metavar="SECONDS", help="look again and again until the run ends")
    parser.add_argument("--json", action="store_true", help="everything as one JSON object a line")
    parser.add_argument(
        "--prometheus", metavar="FILE.prom",
        help="write the same as Prometheus metrics too, whole at once, for node_exporter's textfile collector",
    )
    return parser


if __name__ == "__main__":
    main(run)
