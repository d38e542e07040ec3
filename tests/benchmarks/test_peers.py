"""The comparison with other tools, as far as it needs none of them: order, ratios, table, inputs."""

from __future__ import annotations

import ast
import gzip
import importlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def modules():
    """(comparison, peers, peers/common), imported as the script imports them, and forgotten again."""
    names = ("comparison", "peers", "common")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE / "peers"))
        patch.syspath_prepend(str(HERE))
        yield tuple(importlib.import_module(name) for name in names)
        for name in names:
            patch.delitem(sys.modules, name)


@pytest.fixture(scope="module")
def comparison(modules):
    return modules[0]


@pytest.fixture(scope="module")
def peers(modules):
    return modules[1]


def a_task(comparison, name="t", tools=("winnow", "a", "b")):
    return comparison.Task(name=name, title=f"the task {name}", tools=tools, note="a note.")


def a_run(comparison, tool, number, cpu_s, *, task="t", documents=100, result="same"):
    return comparison.Run(
        task=task, tool=tool, round=number, cpu_s=cpu_s, startup_s=0.5, documents=documents, result=result
    )


def test_tools_take_turns_within_a_task(comparison):
    tasks = [a_task(comparison), a_task(comparison, "u", ("winnow", "b"))]
    order = [(t.name, n, tool) for t, n, tool in comparison.schedule(tasks, rounds=2, absent=frozenset("b"))]
    assert order == [("t", 0, "winnow"), ("t", 0, "a"), ("t", 1, "winnow"), ("t", 1, "a"), ("u", 0, "winnow"),
                     ("u", 1, "winnow")]


def test_a_ratio_is_of_two_runs_of_one_round(comparison):
    # a takes 4, 4 and 8 times winnow's time in its round; the medians, 8 and 2, would give 4 too, the means 5
    runs = [a_run(comparison, "winnow", n, s) for n, s in enumerate((1, 2, 4))]
    runs += [a_run(comparison, "a", n, s) for n, s in enumerate((4, 8, 32))]
    assert comparison.ratios(runs, task="t", tool="a") == [4, 4, 8]
    runs = [a_run(comparison, "winnow", n, s) for n, s in enumerate((1, 2, 3))]
    runs += [a_run(comparison, "a", n, s) for n, s in enumerate((3, 2, 3))]  # medians 2 and 3: 1.5; in pairs 3, 1, 1
    assert comparison.table([a_task(comparison, tools=("winnow", "a"))], runs, [], {}).count("**1** (1 to 3)") == 1


def test_a_ratio_is_of_rates_and_of_one_task(comparison):
    runs = [a_run(comparison, "winnow", 0, 2, documents=500), a_run(comparison, "a", 0, 2, documents=100),
            a_run(comparison, "winnow", 0, 7, task="u"), a_run(comparison, "a", 1, 2)]
    assert comparison.ratios(runs, task="t", tool="a") == [5]


def test_the_table(comparison):
    runs = [a_run(comparison, "winnow", n, s, documents=3000) for n, s in enumerate((0.5, 3, 1))]
    runs += [a_run(comparison, "a", n, s, documents=3000, result=f"r{n % 2}") for n, s in enumerate((100, 300, 200))]
    failures = [
        comparison.Failure(tool="b", task=None, reason="cannot be installed: no\n wheel | for this"),
        comparison.Failure(tool="a", task="t", reason="4 broke"),
        comparison.Failure(tool="a", task="another", reason="not of this task"),
    ]
    lines = comparison.table([a_task(comparison)], runs, failures, {"a": "1"}).splitlines()
    assert lines[2:] == [
        "| the task t | winnow | 3,000 | 1 | 3,000 |  | 0.5 | same |",
        "| the task t | a 1 | 3,000 | 200 | 15 | **200** (100 to 200) | 0.5 | r0 or r1; **a run failed**: 4 broke |",
        "| the task t | b |  |  |  |  |  | **not measured**: cannot be installed: no wheel \\| for this |",
        "",
        "- the task t: a note.",
    ]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines[:5]} == {9}


def test_a_tool_is_shown_where_winnow_failed(comparison):
    rows = comparison.table([a_task(comparison)], [a_run(comparison, "a", 0, 1)], [], {})
    assert "winnow was not measured" in rows
    assert "| the task t | winnow |  |  |  |  |  | **not measured**: no run |" in rows


def response(page: bytes, *, trap: bytes = b"") -> bytes:
    block = b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + page
    return b"WARC/1.0\r\n" + trap + b"content-length: %d\r\n\r\n" % len(block) + block + b"\r\n\r\n"


def test_the_archive_is_cut_between_records(peers):
    pages = [b"first", b"", b"a blank line\r\n\r\ninside", "\u00e9".encode() * 40]
    archive = [response(page) for page in pages]
    assert list(peers.records(io.BytesIO(b"".join(archive)))) == list(zip(archive, pages, strict=True))


def test_the_inputs(peers, tmp_path):
    pages = [b"<p>%d</p>" % k for k in range(peers.PAGES + 1)]
    (tmp_path / "docs.warc.gz").write_bytes(b"".join(gzip.compress(response(page)) for page in pages))
    lines = [json.dumps({"text": f"t{k}"}) for k in range(peers.DOCUMENTS + 1)]
    (tmp_path / "docs.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    peers.cut(tmp_path, tmp_path / "in")
    read = {path.name: gzip.decompress(path.read_bytes()) for path in (tmp_path / "in").iterdir()}
    assert read["pages.warc.gz"] == b"".join(response(page) for page in pages[:-1])
    assert read["warm-up.warc.gz"] == b"".join(response(page) for page in pages[: peers.WARM_UP])
    assert [json.loads(row)["html"].encode() for row in read["pages.jsonl.gz"].splitlines()] == pages[:-1]
    assert read["documents.jsonl.gz"].decode().splitlines() == lines[:-1]


def test_what_cannot_be_installed_has_its_reason(peers, monkeypatch, tmp_path):
    def installed(tool: str, folder: Path) -> Path:
        if tool == "rensa":
            raise subprocess.CalledProcessError(1, ["pip"], stderr="a warning\nERROR: no such version\n")
        return folder / tool

    monkeypatch.setattr(peers, "installed", installed)
    pythons, failures = peers.install(tmp_path)
    assert [(f.tool, f.task, f.reason) for f in failures] == [
        ("rensa", None, "cannot be installed: ERROR: no such version")
    ]
    assert pythons.keys() == {tool for task in peers.TASKS for tool in task.tools} - {"rensa"}


def test_a_run_that_fails_has_its_reason_and_the_rest_goes_on(peers, monkeypatch, tmp_path):
    def run(python: Path, tool: str, task: str, *, number: int, inputs: Path) -> object:
        if (tool, number) == ("tiktoken", 1):
            raise subprocess.CalledProcessError(1, ["watch"], stderr="Traceback\nKeyError: 'x'\n")
        return a_run(peers, tool, number, 1, task=task)

    monkeypatch.setattr(peers, "run", run)
    tools = {tool: tmp_path for task in peers.TASKS for tool in task.tools}
    runs, failures = peers.compare(tools, inputs=tmp_path, rounds=3)
    assert [(f.tool, f.task, f.reason) for f in failures] == [("tiktoken", "encode", "KeyError: 'x'")]
    assert len(runs) == 3 * sum(len(task.tools) for task in peers.TASKS) - 1


def test_every_tool_is_pinned_and_has_a_driver_for_its_tasks(peers):
    for tool in {tool for task in peers.TASKS for tool in task.tools}:
        wanted = {task.name for task in peers.TASKS if tool in task.tools}
        tree = ast.parse((HERE / f"peers/drive_{tool}.py").read_text())
        driven = {key.value for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys
                  if isinstance(key, ast.Constant)}
        assert wanted <= driven, tool
        if tool != "winnow":
            pins = (HERE / f"peers/requirements-{tool}.txt").read_text().splitlines()[1:]
            assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][^\s*]*", pin) for pin in pins), tool
            assert peers.version(tool)


def test_shingles_and_what_is_told(modules):
    common = modules[2]
    assert common.shingles("A b  c\nd e f") == {"a b c d e", "b c d e f"}
    assert common.shingles("One two") == {"one two"}
    assert common.tokens_told([1, 2]) != common.tokens_told([2, 1])
    assert common.tokens_told(range(1200)).startswith("1,200 tokens, ")
    assert common.merges_told(["a b", "c d"]) != common.merges_told(["c d", "a b"])


def test_a_short_pass_is_repeated_and_the_mean_counts(modules, monkeypatch):
    common, clock = modules[2], iter([10.0, 10.4, 10.8, 11.2])
    monkeypatch.setattr(common, "cpu_s", lambda: next(clock))
    cost, found = common.measured(lambda: "out")
    assert (round(cost.spent_s, 6), cost.passes, found) == (1.2, 3, "out")
