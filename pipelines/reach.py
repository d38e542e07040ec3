"""How inputs that lie elsewhere are found and fetched: the options of cc:, wiki: and https://."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass

from schemas.errors import RunError
from transforms.beam.web_addresses import is_web
from transforms.beam.web_requests import NETWORK, Network

CC_BASE = "https://data.commoncrawl.org/"
"""https://commoncrawl.org/get-started"""
WIKI_BASE = "https://dumps.wikimedia.org/"
"""https://meta.wikimedia.org/wiki/Data_dumps"""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """`cc_base` and `wiki_base` end with a slash. Of a snapshot's files the first `limit_files` of the list are read,
    or `sample_files` by hash; None: all."""

    network: Network = NETWORK
    cc_base: str = CC_BASE
    wiki_base: str = WIKI_BASE
    limit_files: int | None = None
    sample_files: int | None = None
    tolerate_missing: bool = False


NEAR = Reach()
"""Where nothing was asked for."""


def add_reach(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cc-base", default=CC_BASE, metavar="BASE",
        help="where crawl-data/ lies for cc:SNAPSHOT, and what an index names: an address, s3://commoncrawl/ or a "
             f"folder (default {CC_BASE})",
    )
    parser.add_argument(
        "--wiki-base", default=WIKI_BASE, metavar="BASE",
        help=f"where DB/DATE/ lies for wiki:DB/DATE: an address, a bucket or a folder (default {WIKI_BASE})",
    )
    parser.add_argument("--limit-files", type=int, metavar="N", help="only the first N files of each cc:SNAPSHOT")
    parser.add_argument(
        "--sample-files", type=int, metavar="N",
        help="only N files of each cc:SNAPSHOT, by a hash of their names: the same ones each time, and among those of "
             "a larger N",
    )
    parser.add_argument(
        "--tolerate-missing", action="store_true",
        help="an input that cannot be had, after all tries, becomes a dead letter instead of the run's end; a later "
             "run without this tries it again",
    )
    parser.add_argument(
        "--requests-per-second", type=float, default=Network.rate, metavar="N",
        help=f"at most, to each https:// host, from all workers of a machine (default {Network.rate:g})",
    )
    parser.add_argument(
        "--cache", metavar="FOLDER",
        help="keep files of https:// in this folder of each machine, whole and by version, for other runs; nothing "
             "clears it",
    )
    parser.add_argument("--allow-http", action="store_true", help="take http:// addresses of other machines too")


def reach_of(ours: argparse.Namespace) -> Reach:
    """Raises RunError at a value out of range, or options of cc: without such an input."""
    chosen = {"--limit-files": ours.limit_files, "--sample-files": ours.sample_files}
    for name, count in chosen.items():
        if count is not None and count < 1:
            raise RunError(f"{name} must be at least 1.")
        if count is not None and not any("cc:" in text for text in ours.input or ()):
            raise RunError(f"{name} chooses among the files of cc:SNAPSHOT, which no --input asks for. Leave it out.")
    if None not in chosen.values():
        raise RunError("--limit-files and --sample-files exclude each other. Give one.")
    if not 0 < ours.requests_per_second < float("inf"):
        raise RunError("--requests-per-second must be above 0.")
    network = Network(
        allow_http=ours.allow_http, rate=ours.requests_per_second,
        cache=os.path.abspath(ours.cache) if ours.cache else None,
    )
    for name, base in (("--cc-base", ours.cc_base), ("--wiki-base", ours.wiki_base)):
        if not base or (is_web(base) and "?" in base):
            raise RunError(f"{name} {base}: is no place to find files below. Give an address, a bucket or a folder.")
    return Reach(
        network=network, cc_base=ours.cc_base.rstrip("/") + "/", wiki_base=ours.wiki_base.rstrip("/") + "/",
        limit_files=ours.limit_files, sample_files=ours.sample_files, tolerate_missing=ours.tolerate_missing,
    )
