"""Fetches what an engine needs into the cache, and prints where it is.

    python -m pipelines.engines [--prism] [--flink] [--spark]        without an option: all three
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pipelines.engines.artifacts import FLINK, SPARK
from pipelines.engines.fetch import fetch_engine, fetch_prism
from pipelines.run import main


def run(argv: Sequence[str] | None) -> None:
    parser = argparse.ArgumentParser(prog="python -m pipelines.engines", description=__doc__, allow_abbrev=False)
    for name in ("prism", "flink", "spark"):
        parser.add_argument(f"--{name}", action="store_true")
    asked = vars(parser.parse_args(argv))
    wanted = {name for name, given in asked.items() if given} or set(asked)
    if "prism" in wanted:
        print(fetch_prism())
    for engine in (FLINK, SPARK):
        if engine.name in wanted:
            print(fetch_engine(engine))


if __name__ == "__main__":
    main(run)
