"""A page that ends the process of the native parsers costs itself and nothing else; with good pages nothing changes."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.errors import RunError
from schemas.recipes import Extract
from transforms.archive import read_archive
from transforms.beam import child as one_child
from transforms.beam import children, isolated
from transforms.beam.child import Child, Limits, limits_of
from transforms.beam.children import borrowed
from transforms.beam.extractor_child import TEST_HOOK
from transforms.beam.isolated import Isolated
from transforms.extraction import Failed, Question, here
from transforms.inflate import Inflated
from transforms.outcomes import DeadLetter, Outcome, Page

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
LIMITS = limits_of(Extract())
CRASHES = {
    "abort": ("extractor_crashed", "the extractor's process was ended by SIGABRT"),
    "segfault": ("extractor_crashed", "the extractor's process was ended by SIGSEGV"),
    "exit": ("extractor_crashed", "the extractor's process ended with exit status 5"),
    "loop": ("extractor_exhausted", "the extractor's process took more than 120 CPU seconds"),
    "memory": ("extractor_exhausted", f"the extractor's process needed more than {4 << 30} bytes of memory"),
}


@pytest.fixture(autouse=True)
def hook(monkeypatch: pytest.MonkeyPatch):
    children.end_idle()
    monkeypatch.setenv(TEST_HOOK, str(Path(__file__).with_name("hostile_extractor.py")))
    yield
    children.end_idle()


def page(number: int, mark: str = "") -> bytes:
    body = f"<html><body><article><p>This is page {number}, and it has some text. {mark}</article></body></html>"
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body.encode()
    head = f"WARC/1.0\r\nWARC-Type: response\r\nContent-Type: application/http\r\nContent-Length: {len(block)}\r\n\r\n"
    return head.encode() + block + b"\r\n\r\n"


def archive(marks: dict[int, str], count: int = 12) -> bytes:
    return b"".join(page(k, marks.get(k, "")) for k in range(count))


def read(data: bytes, settle: Callable, extract: Extract | None = None) -> list[Outcome]:
    return list(read_archive(Inflated(io.BytesIO(data)), extract=extract or Extract(), settle=settle))


def test_children_give_what_this_process_gives(monkeypatch):
    data = archive({3: "é漢😀", 5: "MARK-print"}) + b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 99\r\n\r\nx"
    expected = read(data, here)
    assert [type(o).__name__ for o in expected] == ["Page"] * 12 + ["DeadLetter"]
    for records in (1, 5, 256):
        monkeypatch.setattr(isolated, "BATCH_RECORDS", records)
        assert read(data, Isolated(limits=LIMITS)) == expected


@pytest.mark.parametrize("mark", CRASHES)
@pytest.mark.parametrize("records", [4, 256])
def test_a_hostile_page_costs_itself(mark, records, monkeypatch):
    monkeypatch.setattr(isolated, "BATCH_RECORDS", records)
    data = archive({5: f"MARK-{mark}"})
    expected = read(data, here)
    judged = []
    found = read(data, Isolated(limits=LIMITS, judged=lambda w, v: judged.append((w.page.offset, v))))
    assert found[:5] + found[6:] == expected[:5] + expected[6:]
    letter, page_5 = found[5], page(5, f"MARK-{mark}")
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.detail) == CRASHES[mark]
    assert (letter.offset, letter.record) == (5 * len(page(0)), page_5[:-4])
    assert letter.length == len(letter.record)
    assert judged == [(letter.offset, Failed(reason=letter.reason, detail=letter.detail))]


def test_many_hostile_pages_in_one_batch():
    marks = {0: "MARK-abort", 1: "MARK-exit", 6: "MARK-abort", 11: "MARK-segfault"}
    data = archive(marks)
    expected = read(data, here)
    found = read(data, Isolated(limits=LIMITS))
    assert [k for k, o in enumerate(found) if isinstance(o, DeadLetter)] == sorted(marks)
    assert all(found[k] == expected[k] for k in range(12) if k not in marks)
    assert found == read(data, Isolated(limits=LIMITS))


def test_a_page_that_fails_only_among_others_is_a_page(tmp_path, monkeypatch):
    """As when another page had damaged the memory."""
    monkeypatch.setenv("WINNOW_ONCE", str(tmp_path / "once"))
    data = archive({7: "MARK-once"})
    judged = []
    assert read(data, Isolated(limits=LIMITS, judged=lambda *v: judged.append(v))) == read(data, here)
    assert (tmp_path / "once").exists()
    assert not judged


def test_a_page_judged_before_is_not_tried(tmp_path, monkeypatch):
    monkeypatch.setenv("WINNOW_TOLD", str(told := tmp_path / "told"))
    data, at = archive({2: "MARK-told"}), 2 * len(page(0))
    verdict = Failed(reason="extractor_crashed", detail="as we know")
    found = read(data, Isolated(limits=LIMITS, known=lambda w: verdict if w.page.offset == at else None))
    assert isinstance(found[2], DeadLetter)
    assert (found[2].reason, found[2].detail, sum(isinstance(o, Page) for o in found)) == (*vars(verdict).values(), 11)
    assert not told.exists()
    read(data, Isolated(limits=LIMITS))
    assert told.read_text() == "tried\n"


def test_who_kills_from_outside_is_not_the_page():
    with pytest.raises(RunError, match=r"ended by SIGKILL, 3 times, at the record at byte 1880: something outside"):
        read(archive({8: "MARK-killed"}), Isolated(limits=LIMITS))


def test_a_child_that_was_killed_while_idle_is_replaced():
    data = archive({})
    read(data, Isolated(limits=LIMITS))
    [idle] = children._IDLE
    idle._process.kill()
    idle._process.wait()
    assert read(data, Isolated(limits=LIMITS)) == read(data, here)


def test_a_child_that_waits_for_nothing_is_ended(monkeypatch):
    monkeypatch.setattr(one_child, "_STALL_S", 1.0)
    found = read(archive({4: "MARK-sleep"}), Isolated(limits=LIMITS))
    assert [(k, o.reason, o.detail) for k, o in enumerate(found) if isinstance(o, DeadLetter)] == [
        (4, "extractor_exhausted", "the extractor's process stood still")
    ]


def test_a_fault_of_ours_is_raised_as_such():
    with pytest.raises(RuntimeError, match="LookupError: a fault of ours"):
        read(archive({4: "MARK-fault"}), Isolated(limits=LIMITS))


def test_a_process_that_cannot_start_is_a_run_error(monkeypatch):
    monkeypatch.setenv(TEST_HOOK, "no_such_module")
    with pytest.raises(RunError, match="native parsers ended with exit status 1 before it was ready"):
        Child(LIMITS)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(RunError, match=r"native parsers cannot be started: .*nowhere"):
        Child(LIMITS)


def test_cpu_seconds_are_of_a_page_and_not_of_a_child():
    def question(text: str) -> Question:
        return Question(kind="response", body=text.encode(), media_type="text/html", extract=Extract())

    long = "<p>" * 500_000  # about half a second
    with borrowed(Limits(cpu_seconds=1, memory_bytes=4 << 30)) as [child]:
        child.exchange([question(long)] * 5)
        assert len(child.exchange()) == 5
    used = one_child._cpu_ticks(child._process.pid)
    assert used is None or int(used[0]) > 100, "the test asks too little"


def test_limits_grow_with_the_records_that_a_recipe_lets_in():
    assert limits_of(Extract()) == Limits(cpu_seconds=120, memory_bytes=4 << 30)
    assert limits_of(Extract(max_record_bytes=(16 << 20) + 1)) == Limits(cpu_seconds=240, memory_bytes=8 << 30)


def test_threads_have_a_child_each_and_children_are_kept():
    data, expected, found = archive({}), read(archive({}), here), []
    both = threading.Barrier(2)

    def work() -> None:
        records = read_archive(Inflated(io.BytesIO(data)), extract=Extract(), settle=Isolated(limits=LIMITS))
        first = next(records)
        both.wait()
        found.append([first, *records])

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected, expected]
    pids = {c._process.pid for c in children._IDLE}
    assert len(pids) == 2
    read(data, Isolated(limits=LIMITS))
    assert {c._process.pid for c in children._IDLE} == pids


def test_a_reader_that_is_left_ends_its_child():
    records = read_archive(Inflated(io.BytesIO(archive({}))), extract=Extract(), settle=Isolated(limits=LIMITS))
    next(records)
    records.close()
    assert not children._IDLE


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see processes")
def test_nothing_is_left_of_a_worker_that_is_killed():
    """Even of a child in the midst of a page, which would not read on for minutes."""
    program = (
        "from transforms.beam.child import Child, Limits\n"
        "from transforms.extraction import Question\nfrom schemas.recipes import Extract\n"
        "child = Child(Limits())\n"
        "child.exchange([Question(kind='response', body=b'MARK-sleep', media_type='text/html', extract=Extract())])\n"
        "print(child._process.pid, flush=True)\ninput()\n"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"},
    )
    with worker:
        pid = int(worker.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        time.sleep(0.3)  # it has taken the page up
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        deadline = time.monotonic() + 10
        while Path(f"/proc/{pid}").exists() and "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
            assert time.monotonic() < deadline, "the child outlives its worker"
            time.sleep(0.02)


REAL = ["warc/*.gz", "wet/*.gz", "wikipedia/ltgwiki*", "wikipedia/enwiki*"]


@pytest.mark.parametrize("pattern", [*REAL, pytest.param("wikipedia/*.bz2", marks=pytest.mark.slow)])
def test_real_archives_give_the_same_records(pattern):
    paths = sorted(SHARED.glob(pattern))
    if not paths:
        pytest.skip(f"the real archives are not at {SHARED}; they are not part of the repository")
    for path in paths:
        data = path.read_bytes()
        assert read(data, Isolated(limits=LIMITS)) == read(data, here), path
