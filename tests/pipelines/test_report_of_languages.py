"""What the report says of languages, signals and clusters, against a count of the run's own tables."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from pipelines import clean
from pipelines.recipes import recipe_named
from pipelines.report_page import compression, histograms, reading, spread, yields
from pipelines.report_page.facts import RuleSet, Sums
from pipelines.report_page.gather import Found, gather
from pipelines.sample.prose import read_prose
from schemas.documents import DOCUMENTS
from schemas.recipes import Rule
from schemas.records import Output, PartRecord
from transforms.beam.filter import lost_by
from transforms.encoding import Encoded, sums_by_language

GERMAN, KEPT = "deutsch", "everything"


@pytest.fixture(scope="module")
def run(job, tmp_path_factory) -> Path:
    """The sample; a source of German pages under English rules; and one whose recipe keeps everything."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "keep.toml").write_text('base = "web-en"\nlanguages = []\nrules = []\n')
    (folder / "de.toml").write_text('base = "web-en"\nlanguages = ["de"]\n')
    prose = read_prose().values()
    german = next(p.text() for p in prose if " der " in p.text() and " und " in p.text())
    lines = [json.dumps({"text": f"{german}\n{'Straße ' * k}"}) for k in range(12)]
    (folder / "de.jsonl").write_text("\n".join(lines) + "\n")
    texts = [p.text() for p in prose if not p.text().isascii()]
    (folder / "all.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    out = tmp_path_factory.mktemp("run")
    german, everything = f"{folder}/de.jsonl@{folder}/de.toml", f"{folder}/all.jsonl@{folder}/keep.toml"
    clean.run(job.arguments(out, f"--input={GERMAN}={german}", f"--input={KEPT}={everything}"))
    return out


@pytest.fixture(scope="module")
def found(run) -> Found:
    return gather(str(run))


@pytest.fixture(scope="module")
def html(run) -> str:
    return (run / "report.html").read_text()


def table(run: Path, folder: str) -> pa.Table:
    return pa.concat_tables(pq.read_table(path) for path in sorted((run / folder).glob("*.parquet")))


# Languages


def test_yield_and_reasons_by_language_are_those_of_the_rows(run, found):
    documents = table(run, "documents").select(["id", "language"])
    arrived = Counter(documents["language"].to_pylist())
    kept = Counter(table(run, "clean")["language"].to_pylist())
    lost = table(run, "dropped").join(documents, "id").group_by(["language", "reason"]).aggregate([("id", "count")])
    reasons: dict[str, dict[str, int]] = {}
    for row in lost.to_pylist():
        reasons.setdefault(row["language"], {})[row["reason"]] = row["id_count"]
    assert {y.name: (y.arrived, y.kept, dict(y.lost)) for y in found.yields} == {
        name: (n, kept[name], reasons.get(name, {})) for name, n in arrived.items()}
    assert len(arrived) > 6 and sum(len(of) > 1 for of in reasons.values()) > 1
    assert [y.unexplained for y in found.yields] == [0] * len(arrived)


def test_wanted_are_the_documents_of_sources_that_keep_the_language(run, found):
    documents = table(run, "documents")
    wants = {"web": ["en"], "wet": ["en"], "json": ["en"], GERMAN: ["de"]}
    rows = zip(documents["source"].to_pylist(), documents["language"].to_pylist(), strict=True)
    expected = Counter(language for source, language in rows if language in wants.get(source, [language]))
    assert {y.name: y.wanted for y in found.yields if y.wanted} == expected


def test_a_source_that_yields_nothing_raises_an_alarm(run, found, html, capsys):
    assert list(found.alarms) == [f"source {GERMAN}: 12 records arrived (12 documents), and none was kept"]
    assert html.index('class="alarm"') < html.index("<nav")
    assert f"<li><bdi>{found.alarms[0]}</bdi></li>" in html
    from pipelines import report

    report.report(str(run))
    assert f"report    ALARM: {found.alarms[0]}\n" in capsys.readouterr().err


def alarms(*rows: yields.Yield) -> list[str]:
    return yields.alarms(rows, arrived={"s": Sums(came_in=1)}, kept={"s": Sums(went_out=1)})


def language(name: str, arrived: int, kept: int, wanted: int | None = None) -> yields.Yield:
    lost = {"word_count": arrived - kept} if arrived > kept else {}
    return yields.Yield(name=name, arrived=arrived, kept=kept, lost=lost, wanted=arrived if wanted is None else wanted)


def test_an_alarm_needs_five_that_were_to_be_expected():
    """Of the others a half is kept: ten of a language would have given five."""
    assert alarms(language("en", 100, 50), language("fr", 9, 0)) == []
    [line] = alarms(language("en", 100, 50), language("fr", 10, 0))
    assert line == (
        "language fr: 10 documents arrived that the recipe would keep, and none was kept; most were dropped by "
        "word_count"
    )
    assert alarms(language("en", 100, 50), language("fr", 10, 1)) == []
    assert alarms(language("en", 100, 50), language("fr", 1000, 0, wanted=0)) == [], "the recipe does not keep it"


def test_the_largest_language_cannot_hide_its_own_loss():
    [line] = alarms(language("fr", 1000, 0), language("en", 4, 4))
    assert line.startswith("language fr: 1,000 documents")


def test_documents_that_no_rule_explains_raise_an_alarm():
    broken = yields.Yield(name="sv", arrived=7, kept=3, wanted=7, lost={"word_count": 3})
    assert alarms(broken) == ["language sv: 1 document that no rule explains"]


def test_alarms_are_text_and_few():
    lines = [f"source <b>{k}</b>" for k in range(25)]
    text = yields.notice(lines).text
    assert "<b>" not in text and "&lt;b&gt;19&lt;/b&gt;" in text and "&lt;b&gt;20" not in text
    assert "and 5 more" in text and "25 alarms" in text
    assert yields.notice([]).text == ""


# Compression


def test_bytes_and_tokens_by_language_and_source_are_those_of_the_texts(run, found):
    tokenizer = Tokenizer.from_file(str(run / "tokenizer/tokenizer.json"))
    expected: dict[tuple[str, str], list[int]] = {}
    for row in table(run, "clean").to_pylist():
        tokens = len(tokenizer.encode(row["text"]).ids)
        numbers = [1, len(row["text"].encode()), row["word_count"], tokens]
        key = row["language"], row["source"]
        expected[key] = [a + b for a, b in zip(expected.get(key, [0] * 4), numbers, strict=True)]
    assert {(d.language, d.source): [d.documents, d.bytes, d.words, d.tokens] for d in found.densities} == expected
    assert len({d.language for d in found.densities}) > 6
    total = sum(d.tokens + d.documents for d in found.densities)
    assert total == sum(t.tokens for split in found.shards.totals.values() for t in split.values())


def test_the_table_of_compression(found, html):
    english = next(d for d in compression.by_language(found.densities) if d.language == "en")
    assert english.documents == sum(d.documents for d in found.densities if d.language == "en")
    cells = [f"{english.tokens:,}", f"{english.bytes / english.tokens:.3f}", f"{english.tokens / english.words:.3f}"]
    row = "".join(f'<td class="n">{c}</td>' for c in cells)
    assert row in html
    japanese = next(d for d in compression.by_language(found.densities) if d.language == "ja")
    assert f'{japanese.bytes / japanese.tokens:.3f}</td><td class="n">–</td>' in html, "no words to count"


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), max_size=20),
       st.integers(0, 20))
def test_sums_by_language_do_not_depend_on_batches(rows, cut):
    names = ["en", "de", "ja"]

    def sums(part: list[tuple[int, ...]]) -> dict[str, dict[str, int]]:
        codes, sizes, words, lengths = (np.array([r[i] for r in part], np.int64) for i in range(4))
        of = Encoded(ids=pa.array([b"0" * 16] * len(part), pa.binary(16)), languages=codes, lengths=lengths,
                     tokens=np.zeros(int(lengths.sum()), np.uint32), text_bytes=sizes)
        return sums_by_language(of, words, languages=names)

    parts = [PartRecord(stage="", part="", plan_key="", source="s", name="", counts=None,
                        tallies={f"language {k}": v for k, v in sums(p).items()}) for p in (rows[:cut], rows[cut:])]
    found = {d.language: (d.documents, d.bytes, d.words, d.tokens) for d in compression.densities(parts)}
    assert found == {
        name: (len(mine), *(sum(r[i] for r in mine) for i in (1, 2, 3)))
        for code, name in enumerate(names) if (mine := [r for r in rows if r[0] == code])
    }


# Signals


def test_shares_on_each_side_of_a_bound_are_those_of_the_rows(run, found, html):
    documents = table(run, "documents")
    [english] = [s for s in found.spreads if "web" in s.sources]
    rows = [r for r in documents.to_pylist() if r["source"] in ("web", "wet", "json")]
    assert english.documents == english.looked_at == len(rows)
    assert [h.rule for h in english.histograms] == list(recipe_named("web-en").rules)
    lost = 0
    for h in english.histograms:
        values = [r[h.rule.column] for r in rows]
        below = sum(h.rule.low is not None and v < h.rule.low for v in values)
        above = sum(h.rule.high is not None and v > h.rule.high for v in values)
        assert (h.below, h.within, h.above) == (below, len(values) - below - above, above)
        assert sum(h.counts) == len(values)
        lost += below + above
    assert lost > 20
    assert html.count('<svg class="spread"') == sum(len(s.histograms) for s in found.spreads)


RULES = st.one_of(
    st.builds(lambda low: Rule(column="c", low=low, source=""), st.integers(0, 60) | st.floats(0, 3)),
    st.builds(lambda high: Rule(column="c", high=high, source=""), st.integers(0, 60) | st.floats(0, 3)),
    st.builds(lambda low, more: Rule(column="c", low=low, high=low + more, source=""), st.integers(0, 50),
              st.integers(0, 50)),
)


@given(st.lists(st.integers(0, 200_000), min_size=1) | st.lists(st.floats(0, 80), min_size=1), RULES)
def test_every_bar_is_on_one_side(values, rule):
    of = np.array(values)
    h = histograms.histogram(of, rule)
    assert sum(h.counts) == len(values) and list(h.edges) == sorted(set(h.edges))
    kept = [(rule.low is None or v >= rule.low) and (rule.high is None or v <= rule.high) for v in values]
    assert h.within == sum(kept) == sum(n for n, good in zip(h.counts, h.kept, strict=True) if good)
    bars = np.clip(np.searchsorted(h.edges, of, side="right") - 1, 0, len(h.counts) - 1)
    assert np.bincount(bars, minlength=len(h.counts)).tolist() == list(h.counts)
    assert len(h.counts) <= 100
    drawn = spread.section([histograms.Spread(sources=("<s>",), documents=9, looked_at=9, parts=1, all_parts=1,
                                              histograms=(h,))]).text
    assert "<s>" not in drawn
    for x, width in re.findall(r"M(-?[\d.]+) 70v-[\d.]+h([\d.]+)V70z", drawn):
        assert float(x) >= 0 and float(x) + float(width) <= spread.WIDE + 1


def documents_of(tmp_path: Path, parts: int, rows: int) -> dict[str, list[Output]]:
    outputs = []
    for part in range(parts):
        counts = pa.array(range(part * rows, (part + 1) * rows), pa.int64())
        pq.write_table(pa.table({"word_count": counts}), tmp_path / f"{part}.parquet", row_group_size=10)
        outputs.append(Output(path=f"{part}.parquet", rows=rows, bytes=0, xxh3="", content=""))
    return {"s": outputs}


def test_a_large_run_is_sampled_within_bounds_and_the_same_each_time(tmp_path):
    outputs = documents_of(tmp_path, 20, 100)
    sets = [RuleSet(sources=("s",), languages=(), rules=(Rule(column="word_count", low=1000, source=""),))]
    once, again = (
        histograms.spreads(reading.Reader(out=str(tmp_path)), rule_sets=sets, outputs=of, rows=205, part_rows=25)
        for of in (outputs, {"s": outputs["s"][::-1]})
    )
    assert once == again
    [found] = once
    assert (found.documents, found.looked_at, found.parts, found.all_parts) == (2000, 205, 9, 20)
    assert 40 < found.histograms[0].below < 165, "from parts on both sides"
    text = spread.section(once).text
    assert "A sample: 205 of 2,000 documents, from 9 of 20 parts" in text
    [whole] = histograms.spreads(reading.Reader(out=str(tmp_path)), rule_sets=sets, outputs=outputs, rows=2000)
    assert (whole.looked_at, whole.histograms[0].below, whole.histograms[0].within) == (2000, 1000, 1000)


def test_reading_for_histograms_has_a_budget(tmp_path):
    outputs = documents_of(tmp_path, 4, 100)
    sets = [RuleSet(sources=("s",), languages=(), rules=(Rule(column="word_count", low=1, source=""),))]
    reader = reading.Reader(out=str(tmp_path), left=1000)
    [found] = histograms.spreads(reader, rule_sets=sets, outputs=outputs)
    assert 0 < found.looked_at < 100 and reader.stopped
    assert histograms.spreads(reading.Reader(out=str(tmp_path), left=0), rule_sets=sets, outputs=outputs) == ()


def test_the_tally_of_a_reason_is_no_other_tally():
    assert lost_by("language") != "language" and "language" in DOCUMENTS.names
