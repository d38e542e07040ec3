"""python -m pipelines.sample FOLDER: writes the sample crawl."""

from __future__ import annotations

import argparse

from pipelines.sample.write import expectation, write_sample


def main() -> None:
    """Parses the command line, writes the sample and says what was written."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.sample",
        description="Writes a small multilingual web crawl, made by this repository: four WARC files (one of them "
        "broken at its end), one WET file, two files of JSON lines, and expected.json, which names the fate of every "
        "record under the recipe web-en and why. It needs no network and gives the same bytes on every machine.",
        epilog="Example: python -m pipelines.sample crawl && python -m pipelines.clean --input 'crawl/web/*' "
        "--output out",
    )
    parser.add_argument("folder", metavar="FOLDER", help="where to write; made if it is not there, and files of the "
                        "sample that are already in it are replaced")
    arguments = parser.parse_args()
    write_sample(arguments.folder)
    expected = expectation()
    files, totals = expected["files"], expected["totals"]
    assert isinstance(files, dict) and isinstance(totals, dict)
    print(f"{arguments.folder}: {sum(files.values())} records in {len(files)} files, "
          f"{totals['clean']} of them clean text; their fates are in expected.json")


if __name__ == "__main__":
    main()
