"""What a finished run asks of a store: each output once, many at a time, and no listing."""

from __future__ import annotations

import collections
import threading

import pytest

from pipelines.run import Work, finished
from schemas.records import Counts, Manifest, Output, PartRecord, to_json
from schemas.stages import FILTER
from transforms.beam import files
from transforms.beam.parts import manifest_path

PARTS, EACH = 30, 2


@pytest.fixture
def whole(proxy):
    """A stage of PARTS parts with EACH outputs, all of them there; and the manifest's bytes in the bucket."""
    proxy, s3 = proxy
    records = [
        PartRecord(
            stage=FILTER.name, part=f"part-{n}", plan_key="a", source="web", name=f"{n}", counts=Counts(),
            outputs={
                kind: Output(path=f"{kind}/part-{n}.parquet", rows=1, bytes=n, xxh3="", content="")
                for kind in ("clean", "dropped")
            },
        )
        for n in range(PARTS)
    ]
    work = Work(stage=FILTER, parts=[], settings=None, recipes={}, libraries={})
    manifest = Manifest(stage=FILTER.name, plan_key=work.plan_key, recipes={}, libraries={}, parts=tuple(records))
    for record in records:
        for output in record.outputs.values():
            s3.put(f"out/{output.path}", bytes(output.bytes))
    files.write_bytes(manifest_path(f"{s3.url}/out", FILTER), to_json(manifest).encode())
    proxy.asked.clear()
    return proxy, s3, work


def test_every_output_is_asked_for_once_and_nothing_is_listed(whole):
    proxy, s3, work = whole
    assert finished(f"{s3.url}/out", work) is not None
    asked = collections.Counter((a.method, a.path) for a in proxy.asked)
    heads = {path for method, path in asked if method == "HEAD"}
    assert len(heads) == PARTS * EACH
    read = [f"{FILTER.folder}/{FILTER.manifest}", "removed.json"]
    assert [a.path for a in proxy.asked if a.method == "GET"] == [f"/{s3.name}/out/{path}" for path in read]
    assert set(asked.values()) == {1}


def test_outputs_are_asked_for_at_the_same_time(whole):
    """Sixteen questions are answered when all of them have come: one after another they would wait for ever."""
    proxy, s3, work = whole
    together, left = threading.Barrier(16), threading.Semaphore(16)

    def gather(asked):
        if asked.method == "HEAD" and left.acquire(blocking=False):
            together.wait(20)

    answer = proxy.fault
    proxy.fault = lambda method, path: (answer(method, path), gather(proxy.asked[-1]))[0]
    assert finished(f"{s3.url}/out", work) is not None
    assert not together.broken and not left.acquire(blocking=False)


@pytest.mark.parametrize("wrong", ["gone", "short"])
@pytest.mark.parametrize("n", [0, PARTS - 1])
def test_one_that_is_not_as_promised_makes_the_stage_unfinished(whole, wrong, n):
    _, s3, work = whole
    files.remove(f"{s3.url}/out/clean/part-{n}.parquet")
    if wrong == "short":
        s3.put(f"out/clean/part-{n}.parquet", bytes(n + 1))
    assert finished(f"{s3.url}/out", work) is None


def test_after_a_missing_one_the_others_are_not_asked_for(proxy):
    proxy, s3 = proxy
    answers = files.asked(files.size, [f"{s3.url}/{n}" for n in range(1000)])
    assert next(answers) is None
    answers.close()
    threads = [t for t in threading.enumerate() if t.name.startswith("ThreadPoolExecutor")]
    assert not threads, "requests go on when nobody wants their answers"
    assert len(proxy.asked) < 1000


def test_answers_come_in_the_order_of_the_questions(s3, tmp_path):
    paths = [s3.put(f"{n}", bytes(n)) for n in range(50)]
    assert list(files.asked(files.size, paths)) == list(range(50))
    local = tmp_path / "x"
    local.write_bytes(b"abc")
    assert list(files.asked(files.size, [str(local), str(tmp_path / "none")])) == [3, None]
    assert list(files.asked(files.size, [])) == []
