"""How far a run on an object store is: its lock's heartbeat, and that looking writes nothing there."""

from __future__ import annotations

import json

import pytest

from pipelines import lease
from pipelines.state.holder import holder
from pipelines.state.look import Looker
from pipelines.whole import locked
from schemas.errors import RunError
from tests.pipelines.status_command import code, told


def test_a_run_is_seen_by_its_heartbeat(s3, monkeypatch, capsys):
    out = f"{s3.url}/out"
    with locked(out):
        before = dict(s3.keys())
        assert code(out) == 10
        assert ": running, process " in capsys.readouterr().out
        assert dict(s3.keys()) == before, "a look has written something"
        found = holder(out)
        assert found.state == "held" and found.age_s is not None and found.age_s < 10
        monkeypatch.setattr("pipelines.state.holder.gone", lambda owner: False)
        owner = {**json.loads(s3.get("out/.lock")), "lasts_s": 0.0, "machine": "other/1"}
        s3.put("out/.lock", json.dumps(owner).encode())
        assert holder(out).state == "ran out"
        assert Looker(out=out).look().run == "stopped"
        s3.put("out/.lock", json.dumps({**owner, "lasts_s": lease.BEAT_S * lease.BEATS}).encode())
        assert holder(out).state == "held"


def test_the_store_keeps_why_a_run_failed(s3):
    out = f"{s3.url}/out"
    with pytest.raises(RunError):
        with locked(out):
            raise RunError("dedupe: broken")
    assert (found := holder(out)).state == "free" and found.owner and found.owner.failed == "dedupe: broken"
    assert code(out) == 11
    with locked(out):
        assert "failed" not in json.loads(s3.get("out/.lock")), "other versions would take such a lock for none"
        assert code(out) == 10
    assert code(out) == 12
    assert told(f"{s3.url}/none").startswith("winnow: s3://")
