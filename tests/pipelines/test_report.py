"""The report: its numbers against an independent count, the same bytes each time, crawled text as nothing but text."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines import clean
from pipelines.report import report, run
from pipelines.report_page import charts, examples, facts, gather, reading, reasons, samples
from pipelines.report_page.markup import clip, foreign, percent, size, tag, value
from pipelines.report_page.page import page
from pipelines.sample.prose import read_prose
from schemas.errors import RunError
from schemas.recipes import Rule
from schemas.records import ConservationError, Counts, Output, PartRecord, manifest_from_json
from schemas.stages import STAGES
from transforms.pretokens import byte_alphabet

SCRIPT = "<script>document.title='owned'</script>"
IMAGE = "\"'><img src=x onerror=\"document.title='owned'\">"
TURN = "\u202eright to left\u2066"
BOUNDS = {  # recipe web-en, written down once more
    "language_confidence": (6500, None), "word_count": (50, 100_000), "mean_word_length": (3, 10),
    "hash_word_ratio": (None, 0.1), "ellipsis_word_ratio": (None, 0.1), "bullet_line_ratio": (None, 0.9),
    "ellipsis_line_ratio": (None, 0.3), "alpha_word_ratio": (0.8, None), "stop_word_count": (2, None),
    "duplicate_line_ratio": (None, 0.3), "duplicate_line_char_ratio": (None, 0.2),
    "duplicate_paragraph_ratio": (None, 0.3), "duplicate_paragraph_char_ratio": (None, 0.2),
}
VOID = {"meta", "br"}
CHROMIUM = shutil.which("chromium")


class Dom(HTMLParser):
    """Tags and attributes of a page, the cells of its tables by caption, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.open: list[str] = []
        self.text: list[str] = []
        self._cell: list[str] | None = None
        self._rows: list[list[str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, v) for name, v in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self._rows = []
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th", "caption"):
            self._cell = []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        cell = "".join(self._cell or [])
        if tag in ("td", "th"):
            self._rows[-1].append(cell)
        if tag == "caption":
            self._caption = cell
        if tag == "table":
            self.tables[self._caption] = self._rows[1:]
        if tag in ("td", "th", "caption"):
            self._cell = None

    def handle_data(self, data):
        if self._cell is not None and "title" not in self.open:
            self._cell.append(data)
        self.text.append(data)


def rows_of(out: Path, folder: str) -> list[dict]:
    return [row for path in sorted((out / folder).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def manifests(out: Path):
    return {s.name: manifest_from_json((out / s.folder / s.manifest).read_text()) for s in STAGES}


def number(text: str) -> int:
    return int(text.replace(",", "").replace("−", ""))


@pytest.fixture(scope="module")
def finished(job, tmp_path_factory) -> Path:
    """A run of the sample and of a source that means harm. Tests must not change it."""
    folder = tmp_path_factory.mktemp("evil") / "<b>&.jsonl"
    prose = list(read_prose().values())
    texts = [p.text() for p in prose if len(p.text()) > 900 and p.text().isascii()]
    kept, dropped = f"{SCRIPT} {IMAGE} {TURN}\n{texts[0]}", f"{IMAGE} {texts[1]} " + "# " * 200
    lines = [{"text": kept, "url": f"https://x.example/{SCRIPT}"}, {"text": dropped}, {f"{IMAGE}": 1}]
    folder.write_text("".join(json.dumps(line) + "\n" for line in lines))
    out = tmp_path_factory.mktemp("run")
    clean.run(job.arguments(out, f"--input=evil={folder}"))
    return out


@pytest.fixture(scope="module")
def html(finished) -> str:
    return (finished / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def dom(html) -> Dom:
    return Dom(html)


@pytest.fixture
def copy(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "copy"))


# Numbers


def test_records_are_counted_as_the_sample_has_them(job, finished, dom):
    fates = Counter(json.loads((job.sample / "expected.json").read_text())["totals"])
    documents = len(rows_of(finished, "documents"))
    assert fates.total() + 3 == number(dom.tables["Records to documents"][0][3])
    assert documents == number(dom.tables["Records to documents"][-1][3])
    lost = {row[0]: number(row[1]) for row in dom.tables["Records to documents"][1:-1]}
    dead = Counter(row["reason"] for row in rows_of(finished, "dead_letters"))
    for cell, n in lost.items():
        [reason] = [r for r in (*fates, *dead) if cell.startswith(r + reasons.meaning(r)) or
                    cell.startswith(f"{r}dead letter: {reasons.meaning(r)}")][:1]
        assert n == (dead[reason] if "dead letter: " in cell else fates[reason])
    assert sum(lost.values()) + documents == fates.total() + 3


def test_every_document_step_is_the_count_of_its_rows(finished, dom):
    reasons_found = Counter(row["reason"] for row in rows_of(finished, "dropped"))
    steps = dom.tables["Documents to clean text"]
    left = number(steps[0][3])
    assert left == len(rows_of(finished, "documents"))
    seen = Counter()
    for name, lost, _, after, _ in steps[1:-1]:
        known = ("language", *BOUNDS, "exact_duplicate", "near_duplicate")
        reason = max((r for r in known if name.startswith(r)), key=len)
        left -= number(lost)
        seen[reason] = number(lost)
        assert number(after) == left
    assert +seen == reasons_found
    assert left == number(steps[-1][3]) == len(rows_of(finished, "clean"))
    assert [r for r in seen if r in BOUNDS] == list(BOUNDS), "rules are shown in the order they are asked"


def test_languages_are_those_of_the_rows(finished, dom):
    documents = Counter(row["language"] for row in rows_of(finished, "documents"))
    kept = Counter(row["language"] for row in rows_of(finished, "clean"))
    [shown] = [rows for caption, rows in dom.tables.items() if caption.startswith("Documents by language")]
    counts = {row[0]: (number(row[1]), number(row[3])) for row in shown}
    assert counts == {k: (n, kept[k]) for k, n in documents.items()}
    barren = [name for name in documents if not kept[name]]
    [note] = re.findall(r'<p class="note">(.*?)</p>', (finished / "report.html").read_text())
    assert len(barren) > 5
    assert note.startswith(f"{len(barren)} languages arrived and yield nothing, as the recipe wants only <bdi>en</bdi>")
    assert all(f"<bdi>{name} ({documents[name]})</bdi>" in note for name in barren)


def test_tokens_rows_and_bytes_are_those_of_the_shards(finished, dom):
    shown = {tuple(row[:2]): [number(c) for c in (row[2], row[3], row[4], row[6])]
             for row in dom.tables["Shards by split and source"]}
    found: dict[tuple[str, str], list[int]] = {}
    for path in sorted((finished / "shards").rglob("*.arrow")):
        with pa.memory_map(str(path)) as file:
            table = pa.ipc.open_file(file).read_all()
        tokens = (table.num_rows - 1) * 2048 + table.column("n_real").to_pylist()[-1]
        ids = {i for row in table.column("doc_ids").to_pylist() for i in row}
        sums = found.setdefault((path.parts[-3], path.parts[-2]), [0, 0, 0, 0])
        found[path.parts[-3], path.parts[-2]] = list(np.add(sums, [1, table.num_rows, tokens, len(ids)]))
    assert shown == found
    text = "".join(dom.text)
    total = sum(n[2] for n in found.values())
    assert f"{len(rows_of(finished, 'clean'))} kept, {total:,} tokens" in text
    text_bytes = sum(len(row["text"].encode()) for row in rows_of(finished, "clean"))
    [tokenizer] = [rows for caption, rows in dom.tables.items() if caption.startswith("Byte-level BPE")]
    assert tokenizer[2][1] == f"{text_bytes / total:.3f}"


def test_the_account_of_every_stage_is_on_the_page(finished, dom):
    for row, manifest in zip(dom.tables["The account of each stage"], manifests(finished).values(), strict=True):
        c = manifest.counts
        lost, dead = sum(c.dropped.values()), sum(c.dead_letters.values())
        assert row[0] == manifest.stage
        assert row[6:] == [f"{c.came_in} = {c.went_out} + {lost} + {dead}", "adds up"]


def test_every_reason_of_every_manifest_is_on_the_page(finished, html):
    found = {r for m in manifests(finished).values() for r in (*m.counts.dropped, *m.counts.dead_letters)}
    assert len(found) > 25
    assert {r for r in found if f"<code>{r}</code>" not in html} == set()


def test_every_source_is_on_the_page(finished, dom):
    clean_rows = Counter(row["source"] for row in rows_of(finished, "clean"))
    shown = {row[0]: number(row[6]) for row in dom.tables["What each source gave"]}
    assert shown == clean_rows


# Samples


def test_a_dropped_sample_breaks_the_rule_it_is_shown_for(finished):
    found = gather.gather(str(finished))
    in_rows = Counter(row["reason"] for row in rows_of(finished, "dropped"))
    assert {r: len(s) for r, s in found.dropped_samples.items()} == {r: min(3, n) for r, n in in_rows.items()}
    reason_of = {row["id"]: row["reason"] for row in rows_of(finished, "dropped")}
    for reason, found_samples in found.dropped_samples.items():
        for sample in found_samples:
            assert reason_of[sample.row["id"]] == reason
            if reason in BOUNDS:
                low, high = BOUNDS[reason]
                v = sample.row[reason]
                assert (low is not None and v < low) or (high is not None and v > high)
            if reason.endswith("_duplicate"):
                assert sample.cluster_size > 1


def test_samples_are_the_smallest_ids_of_the_first_parts(finished):
    found = gather.gather(str(finished))
    for source in ("json", "web", "wet", "evil"):
        first = next(p for p in manifests(finished)["filter"].parts if p.source == source and p.counts.went_out)
        table = pq.read_table(finished / first.outputs["clean"].path)
        ids = sorted(table.column("id").to_pylist())[:3]
        assert [row["id"] for row in found.kept_samples[source]][: len(ids)] == ids
        texts = dict(zip(table.column("id").to_pylist(), table.column("text").to_pylist(), strict=True))
        for row in found.kept_samples[source][: len(ids)]:
            assert row["text"] == texts[row["id"]][:600]


def test_dropped_samples_too_are_the_smallest_ids_of_the_first_part(finished):
    found = gather.gather(str(finished))
    first = next(p for p in manifests(finished)["filter"].parts if p.counts.dropped.get("language", 0) > 3)
    earlier = [p for p in manifests(finished)["filter"].parts if p.part < first.part]
    assert not any(p.counts.dropped.get("language") for p in earlier), "the sample has changed: choose another reason"
    rows = pq.read_table(finished / first.outputs["dropped"].path).to_pylist()
    ids = sorted(row["id"] for row in rows if row["reason"] == "language")
    assert ids[:3] != [row["id"] for row in rows if row["reason"] == "language"][:3], "rows are not sorted by id"
    assert [s.row["id"] for s in found.dropped_samples["language"]] == ids[:3]


def test_dead_letters_are_shown_by_reason(finished, dom):
    letters = rows_of(finished, "dead_letters")
    shown = Counter(row[0] for row in dom.tables["Dead letters, up to three a reason"])
    assert shown == {reason: min(3, n) for reason, n in Counter(row["reason"] for row in letters).items()}
    lost = Counter()
    for row in letters:
        lost[row["reason"]] += row["length"]
    numbers = {row[0]: (row[1], row[2]) for row in dom.tables["Dead letters, and bytes lost with them"]}
    dead = Counter(row["reason"] for row in letters)
    assert numbers == {reason: (f"{dead[reason]:,}", f"{n:,}") for reason, n in lost.items()} and lost


def test_dead_letters_are_the_first_by_place(tmp_path):
    places = [("b", 1, 0), ("a", 7, 5), ("a", 7, 0), ("c", 0, 0), ("a", 5, 0)]
    rows = [{"source": "s", "file": f, "offset": o, "inner_offset": i, "length": 1, "reason": "r", "detail": ""}
            for f, o, i in places]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "d.parquet")
    output = Output(path="d.parquet", rows=5, bytes=0, xxh3="", content="")
    reader = reading.Reader(out=str(tmp_path))
    found = samples.dead_letters(reader, parts={"r": ["p"]}, letters={"p": output})
    assert [(r["file"], r["offset"], r["inner_offset"]) for r in found["r"]] == [("a", 5, 0), ("a", 7, 0), ("a", 7, 5)]


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 5)), max_size=30), st.integers(1, 4))
def test_no_more_parts_than_samples_are_opened(counts, enough):
    parts = [PartRecord(stage="", part=f"{i:03d}", plan_key="", source="", name="", counts=Counts(dropped=c))
             for i, c in enumerate(counts)]
    found = facts.first_parts(parts, lambda p: p.counts.dropped, enough=enough)
    for key in "abc":
        holding = [(p.part, p.counts.dropped[key]) for p in parts if p.counts.dropped.get(key)]
        names = found.get(key, [])
        assert names == [name for name, _ in holding][: len(names)]
        assert len(names) <= enough
        assert sum(n for _, n in holding[: len(names)]) >= min(enough, sum(n for _, n in holding))


# The same page for the same run


def test_the_same_run_gives_the_same_bytes_wherever_it_lies(finished, copy, html):
    (copy / "report.html").unlink()
    report(str(copy))
    assert (copy / "report.html").read_text("utf-8") == html
    assert str(finished) not in html
    assert len(html) < 2 << 20


def test_as_a_command_in_another_process(copy, html):
    (copy / "report.html").unlink()
    command = [sys.executable, "-m", "pipelines.report", f"--output={copy}"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (copy / "report.html").read_text("utf-8") == html


# Runs that are not whole


@pytest.mark.parametrize("stage", STAGES, ids=lambda s: s.name)
def test_a_missing_stage_is_named(copy, stage):
    (copy / stage.folder / stage.manifest).unlink()
    (copy / "report.html").unlink()
    with pytest.raises(RunError, match=f"the stage {stage.name} is not complete here"):
        report(str(copy))
    assert not (copy / "report.html").exists()


def test_no_run_at_all_is_said(tmp_path):
    with pytest.raises(RunError, match="not the output of a run"):
        report(str(tmp_path))


def test_a_recipe_is_refused(copy):
    with pytest.raises(RunError, match="--recipe: a report tells"):
        run([f"--output={copy}", "--recipe=web-en"])


@pytest.mark.parametrize("file", ["tokenizer/tokenizer.json", "shards/manifest.json"])
def test_a_changed_file_is_named(copy, file):
    (copy / file).write_bytes((copy / file).read_bytes() + b" ")
    with pytest.raises(RunError, match=rf"{file}: was changed or damaged"):
        report(str(copy))


def test_a_missing_and_a_damaged_table_are_named(copy):
    part = next(p for p in manifests(copy)["filter"].parts if p.counts.went_out)
    path = copy / part.outputs["clean"].path
    data = path.read_bytes()
    path.write_bytes(data[:100] + b"\0" * 40 + data[140:])
    with pytest.raises(RunError, match=f"{path.name}: cannot be read"):
        report(str(copy))
    path.unlink()
    with pytest.raises(RunError, match=f"{path.name}: cannot be read"):
        report(str(copy))


def test_a_table_of_other_rows_is_refused(copy):
    first, other = [p for p in manifests(copy)["filter"].parts if p.counts.went_out > 1][:2]
    path = copy / first.outputs["clean"].path
    pq.write_table(pq.read_table(copy / other.outputs["clean"].path).slice(1), path)
    with pytest.raises(RunError, match="rows, its record says"):
        report(str(copy))


def test_counts_that_do_not_add_up_are_refused(copy):
    path = copy / "clean" / "manifest.json"
    data = json.loads(path.read_text())
    data["counts"]["went_out"] += 1
    path.write_text(json.dumps(data))
    with pytest.raises(ConservationError, match=r"filter: \d+ came in, but"):
        report(str(copy))
    data["counts"]["came_in"] += 1  # the stage adds up again, but not with the one before
    path.write_text(json.dumps(data))
    with pytest.raises(ConservationError, match="came into filter"):
        report(str(copy))


def test_another_recipe_than_the_filter_had_is_refused(copy):
    path = copy / "run.json"
    path.write_text(path.read_text().replace('"low": 50,', '"low": 51,'))
    with pytest.raises(RunError, match="with another recipe"):
        report(str(copy))


# Bounds


def test_reading_stops_at_its_budget_and_says_so(finished, monkeypatch):
    whole = gather.gather(str(finished))
    assert not whole.stopped
    monkeypatch.setattr(gather, "Reader", lambda out, **more: reading.Reader(out=out, left=20_000, **more))
    found = gather.gather(str(finished))
    assert found.stopped
    count = sum(map(len, found.dropped_samples.values()))
    assert count < sum(map(len, whole.dropped_samples.values()))
    assert b"Reading stopped at" in page(found)
    assert b"Reading stopped at" not in page(whole)


def test_only_the_row_groups_that_hold_the_rows_are_read(tmp_path):
    table = pa.table({"n": pa.array(range(100)), "text": ["x" * 10_000] * 100})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=10, compression="none", use_dictionary=False)
    output = Output(path="t.parquet", rows=100, bytes=0, xxh3="", content="")
    reader = reading.Reader(out=str(tmp_path), left=205_000)
    rows = reader.rows(output, [99, 3], ["n", "text"])
    assert {k: (r["n"], len(r["text"])) for k, r in rows.items()} == {3: (3, 600), 99: (99, 600)}
    assert not reader.stopped
    assert reader.left < 5_000
    assert reader.rows(output, [50], ["n", "text"]) == {}
    assert reader.stopped


# Hostile text


def test_crawled_text_is_text_and_nothing_else(html, dom):
    allowed = (
        "html head meta title style body main header nav section article div p h1 h2 h3 ol ul li a b br bdi code span "
        "blockquote details summary dl dt dd table caption thead tbody tr th td svg rect path text h4 mark"
    )
    assert set(dom.tags) == set(allowed.split())
    assert dom.open == []
    assert not [a for a in dom.attributes if a[1].startswith("on") or a[1] in ("src", "style", "srcset", "action")]
    assert all(v.startswith("#") for _, name, v in dom.attributes if name == "href")
    text = "".join(dom.text)
    assert text.count(SCRIPT) >= 2, "in the kept text and in its address"
    assert text.count(IMAGE) >= 3, "in a kept, a dropped and a broken record"
    assert "<b>&.jsonl" in text
    assert "url(" not in html and "@import" not in html


def test_nothing_may_be_fetched_or_run(dom):
    policy = [v for t, name, v in dom.attributes if t == "meta" and name == "content" and "default-src" in v]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]


def test_text_is_isolated_from_the_direction_of_other_text(html):
    for block in re.findall(r"<[^>]*>[^<]*\u202e[^<]*<", html):
        assert block.startswith("<bdi>") or 'dir="auto"' in block
    assert "\u202e" in html


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: apt-get install chromium")
def test_a_browser_shows_the_funnel_and_runs_nothing(finished, tmp_path):
    """Without the page's policy: escaping alone must hold."""
    bare = tmp_path / "bare.html"
    source = (finished / "report.html").read_text()
    bare.write_text(re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", source))
    assert len(bare.read_text()) < len(source)
    for path in (finished / "report.html", bare):
        dump = subprocess.run(
            [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()],
            capture_output=True, check=True, timeout=120,
        ).stdout.decode()
        assert "<title>winnow: " in dump
        assert "<caption>Documents to clean text</caption>" in dump
        assert dump.count("<rect") == source.count("<rect") > 40
        assert "<script" not in dump and "<img" not in dump
        assert "&lt;script&gt;document.title='owned'&lt;/script&gt;" in dump


# Pieces


@given(st.text(max_size=40))
@example(IMAGE + SCRIPT)
@example("'\"><&amp;\r\r\n\0")
def test_any_text_comes_back_as_that_text(text):
    dom = Dom(tag("div", {"title": text}, foreign(text)).text)
    assert dict(dom.tags) == {"div": 1, "bdi": 1}
    shown = text.replace("\r\n", "\n").replace("\r", "\n")
    assert len("".join(dom.text)) == len(shown)
    for back in ("".join(dom.text), dom.attributes[0][2]):
        assert all(a == b or b == "\ufffd" for a, b in zip(shown, back, strict=True))
    assert len(dom.attributes) == 1


@pytest.mark.parametrize("bad", ["\0", "\x1b", "\x7f", "\x85", "\ud800", "\ufffe"])
def test_what_html_forbids_is_replaced(bad):
    assert foreign(f"a{bad}b").text == "<bdi>a\ufffdb</bdi>"


def test_cuts_at_exactly_the_limit():
    assert clip("x" * 400, 400) == "x" * 400
    assert clip("x" * 401, 400) == "x" * 400 + "…"
    assert examples.excerpt("\n".join("abcdefghij")) == "\n".join("abcdefghij")
    assert examples.excerpt("\n".join("abcdefghijk")) == "\n".join("abcdefghij") + "…"


def test_shares_never_hide_a_document():
    assert [percent(n, 10_000) for n in (0, 1, 5, 6, 9_994, 9_999, 10_000)] == [
        "0.0 %", "< 0.1 %", "0.1 %", "0.1 %", "99.9 %", "> 99.9 %", "100.0 %"]
    assert percent(0, 0) == "–"


def test_numbers_in_words():
    sizes = [size(n) for n in (0, 1023, 1024, 1 << 20, 3 << 40)]
    assert sizes == ["0 bytes", "1,023 bytes", "1.0 KiB", "1.0 MiB", "3.0 TiB"]
    assert [value(v) for v in (12, 1234, 0.30001, 3.0, 0.5)] == ["12", "1,234", "0.30001", "3", "0.5"]
    assert reasons.bounds(Rule(column="", low=50, high=100_000, source="")) == "from 50 to 100,000"
    assert reasons.bounds(Rule(column="", low=0.8, source="")) == "at least 0.8"
    assert reasons.bounds(Rule(column="", high=0, source="")) == "at most 0"


@given(st.integers(0, 10**7), st.integers(0, 50), st.integers(0, 50))
@example(10**7, 1, 0)  # too little is lost to be seen
def test_bars_stay_inside(left, lost, more):
    svg = charts.remaining(left=left, lost=lost, whole=left + lost + more, kind="lost", title="").text
    for x, width in re.findall(r'x="([^"]+)" y="0" width="([^"]+)"', svg):
        assert float(x) >= 0 and float(x) + float(width) <= 1000.02
    assert svg.count("<rect") == (left > 0) + (lost > 0)


def test_a_stacked_bar_is_full_and_shows_the_smallest_piece():
    shares = [reasons.Share(label=str(n), kind="kept", count=n) for n in (1_000_000, 1, 999)]
    svg = charts.stacked(shares, title="").text
    widths = [float(w) for w in re.findall(r'width="([^"]+)"', svg)]
    assert sum(widths) == pytest.approx(1000, abs=0.05)
    assert min(widths) > 2.9


def test_shares_are_whole():
    dropped = {"record_type_request": 5, "record_type_x": 1, "http_status": 2, "too_long": 3, "new_reason": 4}
    shares = reasons.record_shares(10, dropped, {"truncated": 6})
    assert {s.kind: s.count for s in shares} == {"kept": 10, "apart": 6, "http_status": 2, "other": 7, "dead": 6}
    dropped = {"language": 1, "language_confidence": 2, "word_count": 4, "duplicate_line_ratio": 8, "near_duplicate": 5}
    shares = reasons.document_shares(32, dropped)
    kinds = {s.kind: s.count for s in shares}
    assert kinds == {"kept": 32, "language": 3, "quality": 4, "repetition": 8, "duplicate": 5}


def test_tokens_are_readable():
    alphabet = byte_alphabet()
    spelt = "".join(alphabet[b] for b in " é\n".encode())
    assert facts.readable(spelt) == "␣é⏎"
    assert facts.readable(alphabet[0xE2]) == "\\xe2"
    assert facts.readable("<") == "<"


@pytest.mark.parametrize(("n", "first", "last"), [(0, 0, 0), (5, 5, 0), (12, 12, 0), (13, 12, 1), (30, 12, 12)])
def test_merges_are_shown_once(n, first, last):
    merges = [[chr(97 + i % 26), chr(65 + i % 26)] for i in range(n)]
    content = {"model": {"vocab": {"a": 0}, "merges": merges}, "added_tokens": [{"content": "<|x|>"}]}
    learnt = facts.learnt(json.dumps(content).encode())
    assert (learnt.merges, len(learnt.first), len(learnt.last)) == (n, first, last)
    assert [list(p[:2]) for p in learnt.first] == merges[:first]
    assert [list(p[:2]) for p in learnt.last] == merges[n - last :]
    assert all(both == left + right for left, right, both in (*learnt.first, *learnt.last))


def test_a_merge_that_makes_a_character_whole_shows_it():
    left, right = (byte_alphabet()[b] for b in "é".encode())
    content = {"model": {"vocab": {"a": 0}, "merges": [[left, right]]}, "added_tokens": []}
    assert facts.learnt(json.dumps(content).encode()).first == (("\\xc3", "\\xa9", "é"),)
