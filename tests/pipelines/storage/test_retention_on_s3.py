"""--keep, --gc and --status-file where the output is on an object store."""

from __future__ import annotations

import json

import pytest

from pipelines import clean
from pipelines.run import main
from pipelines.whole import locked
from schemas.errors import HeldError

ORPHAN = "out/documents/part-00000000000000aa.parquet"


def test_keep_gc_and_status_file(job, finished, promised, s3, capsys):
    out = f"{s3.url}/out"
    s3.fill(finished, "out")
    for key in (ORPHAN, "out/documents/notes.txt", "outside/documents/part-00000000000000aa.parquet"):
        s3.put(key, b"x")
    before = set(s3.keys())
    with locked(out), pytest.raises(HeldError):
        clean.run(["--gc", f"--output={out}"])
    clean.run(["--gc=list", f"--output={out}"])
    assert capsys.readouterr().out == f"{ORPHAN.removeprefix('out/')}\t1\n"
    assert set(s3.keys()) == before
    main(clean.run, [*job.arguments(out, "--keep=clean,shards", "--gc"), f"--status-file={s3.url}/status.json"])
    said = capsys.readouterr().err
    assert "nothing to do" in said and "removed the data of documents/, duplicates/, tokenizer/" in said
    gone = {
        f"out/{folder}/{path.name}" for folder in ("documents", "dead_letters", "duplicates", "tokenizer")
        for path in (finished / folder).glob("*.parquet")
    }
    assert before - set(s3.keys()) == gone | {ORPHAN}
    assert json.loads(s3.get("status.json"))["exit_code"] == 0
    assert json.loads(s3.get("out/manifest.json"))["stages"]["ingest"]["removed"]
    clean.run(job.arguments(out, "--keep=clean,shards"))
    assert "nothing to do" in capsys.readouterr().err
    kept = {name: digest for name, digest in promised(finished).items() if f"out/{name}" not in gone}
    assert s3.promised("out") == kept
