"""deploy/SCALE.md quotes what the plan says today."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.planning.scale import paper

TEXT = (Path(__file__).parents[2] / "deploy/SCALE.md").read_text()


@pytest.mark.parametrize(("snapshots", "workers"), [(1, 4_000), (10, 20_000)])
def test_its_tables_are_those_of_the_plan(snapshots: int, workers: int) -> None:
    assert paper(snapshots=snapshots, workers=workers) in TEXT
