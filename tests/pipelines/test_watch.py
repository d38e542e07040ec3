"""Progress: what the line says, and that it is drawn on a terminal and nowhere else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from pipelines.watch import Progress
from schemas.records import Counts, PartRecord, to_json
from schemas.stages import INGEST
from transforms.beam import files
from transforms.beam.parts import PlannedPart, record_path

ROOT = Path(__file__).parents[2]


def planned(name: str, size: int) -> PlannedPart:
    return PlannedPart(stage="ingest", part=name, plan_key="k", source="web", name=name, number=0, size=size)


def commit(out: Path, part: PlannedPart, documents: int, plan_key: str = "k") -> None:
    record = PartRecord(
        stage="ingest", part=part.part, plan_key=plan_key, source="web", name=part.name,
        counts=Counts(came_in=documents, went_out=documents),
    )
    files.write_bytes(record_path(str(out), "ingest", part.part), to_json(record).encode())


def test_rates_and_time_left_come_from_the_parts_of_this_run(tmp_path, capsys):
    sizes = {"part-a": 5_000_000, "part-b": 10_000_000, "part-c": 20_000_000}
    parts = {name: planned(name, size) for name, size in sizes.items()}
    progress = Progress(stage=INGEST, out=str(tmp_path), parts=parts)
    commit(tmp_path, parts["part-a"], 7)
    commit(tmp_path, parts["part-b"], 9, plan_key="of an older plan")
    progress.show()
    assert "ingest    1/3 parts  0 documents/s  0.0 MB/s  --:-- left" in capsys.readouterr().err
    commit(tmp_path, parts["part-b"], 4000)
    progress.show()
    # part-b alone was done in this run: 4,000 documents and 10 MB in 10 s; 20 MB are left
    assert progress.line(10) == "ingest    2/3 parts  400 documents/s  1.0 MB/s  00:20 left"
    progress.clear()
    assert capsys.readouterr().err.endswith("\r\x1b[K")


def test_a_terminal_sees_progress_and_a_file_does_not(job, tmp_path):
    command = [sys.executable, "-m", "pipelines.clean"]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command + job.arguments(tmp_path / "a"), cwd=ROOT, stderr=theirs, stdin=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            data = os.read(ours, 4096)
        except OSError:  # what Linux says when the other end is closed
            break
        if not data:
            break
        seen += data
    os.close(ours)
    assert process.wait() == 0
    assert b"/7 parts" in seen, seen
    quiet = subprocess.run(command + job.arguments(tmp_path / "b"), cwd=ROOT, capture_output=True, text=True)
    assert quiet.returncode == 0
    assert "\r" not in quiet.stderr
    assert quiet.stdout == ""
