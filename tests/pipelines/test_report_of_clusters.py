"""Clusters on the page: which ones, who survives and why, and the words that differ."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from pipelines.report_page import clusters, differences
from pipelines.report_page.clusters import Cluster, Member, Shown
from pipelines.report_page.gather import gather


def rows_of(out: Path, folder: str) -> list[dict]:
    return [row for path in sorted((out / folder).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_the_largest_and_some_drawn_by_a_hash(finished):
    shown = gather(str(finished)).clusters
    verdicts = rows_of(finished, "duplicates")
    sizes = {row["cluster"]: row["cluster_size"] for row in verdicts}
    largest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))[:4]
    assert [(c.id, c.size) for c in shown.largest] == largest
    near = {row["cluster"] for row in verdicts if not row["survivor"] and not row["exact"]} - {c for c, _ in largest}
    assert [c.id for c in shown.drawn] == sorted(near, key=xxhash.xxh3_64_intdigest)[:3] != []
    documents = {row["id"]: row for row in rows_of(finished, "documents")}
    for cluster in (*shown.largest, *shown.drawn):
        members = {row["id"]: row for row in verdicts if row["cluster"] == cluster.id}
        assert {m.row["id"] for m in cluster.members} <= members.keys()
        assert len(cluster.members) == min(len(members), clusters.MEMBERS)
        assert [m.survivor for m in cluster.members] == [True] + [False] * (len(cluster.members) - 1)
        survivor = documents[cluster.members[0].row["id"]]["signature"]
        for m in cluster.members:
            signature = documents[m.row["id"]]["signature"]
            same = sum(survivor[i : i + 4] == signature[i : i + 4] for i in range(0, len(signature), 4))
            assert (m.agrees, m.places) == (same, len(signature) // 4)
            assert (m.agrees == m.places) or not m.exact
            assert m.exact == (members[m.row["id"]]["exact"])


def test_the_page_shows_them_side_by_side(finished):
    html = (finished / "report.html").read_text()
    shown = gather(str(finished)).clusters
    assert html.count('<article class="card survivor">') == len((*shown.largest, *shown.drawn))
    near = [m for c in (*shown.largest, *shown.drawn) for m in c.members if not m.exact and not m.survivor]
    assert html.count("<p class=\"verdict\">near duplicate, about ") == len(near) > 0
    assert html.count("<mark>") >= len(near)


def member(chars: int, year: int | None, name: bytes, *, survivor: bool = False) -> Member:
    date = datetime(year, 1, 1, tzinfo=UTC) if year else None
    row = {"id": name, "char_count": chars, "date": date, "text": "", "url": None, "file": "f", "offset": 0}
    return Member(row=row, survivor=survivor, exact=False)


@pytest.mark.parametrize(("first", "second", "why"), [
    ((10, 2020, b"b"), (9, 2019, b"a"), "the longest text: 10 characters, the next 9"),
    ((10, 2019, b"b"), (10, 2020, b"a"), "as long as another, and the earliest: 2019-01-01 00:00:00+00:00"),
    ((10, 2019, b"b"), (10, None, b"a"), "as long as another, and the earliest: 2019-01-01 00:00:00+00:00"),
    ((10, 2019, b"a"), (10, 2019, b"b"), "as long and as early as another, and the smallest id"),
    ((10, None, b"a"), (10, None, b"b"), "as long and as early as another, and the smallest id"),
])
def test_why_it_survived(first, second, why):
    cluster = Cluster(id=b"a", size=2, members=(member(*first, survivor=True), member(*second)))
    assert clusters.why_it_survived(cluster) == why


def test_a_survivor_elsewhere_is_said():
    cluster = Cluster(id=b"a", size=9, members=(member(1, None, b"b"), member(1, None, b"c")))
    assert clusters.why_it_survived(cluster) == "the survivor lies in a part that was not searched"
    text = differences.section(Shown(largest=(cluster,)), searched=1, with_duplicates=2).text
    assert "the survivor lies in a part that was not searched" in text
    assert "<b>survives" not in text and "And 7 more, not shown." in text


@pytest.mark.parametrize(("one", "other", "agrees"), [
    (b"aaaabbbb", b"aaaabbbb", (2, 2)), (b"aaaabbbb", b"aaaabbbc", (1, 2)), (None, b"aaaa", (0, 0)),
    (b"aaaa", None, (0, 0)), (b"aaaa", b"aaaabbbb", (0, 0)), (b"abcd", b"dcba", (0, 1)),
])
def test_agreement_of_signatures(one, other, agrees):
    assert clusters.agreement(one, other) == agrees


WORDS = st.lists(st.sampled_from(["a", "b", "c", "dd"]), max_size=30)


@given(WORDS, WORDS)
def test_the_words_that_are_not_marked_are_equal(one, other):
    ours, theirs = differences.differences(" ".join(one), " ".join(other))
    plain = [[w for text, differs in side if not differs for w in text.split()] for side in (ours, theirs)]
    assert plain[0] == plain[1]
    every = [[w for text, _ in side for w in text.split()] for side in (ours, theirs)]
    if "…" not in every[0]:
        assert every == [one, other]
        matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
        assert len(plain[0]) == sum(m.size for m in matcher.get_matching_blocks())


def test_a_changed_word_is_marked_and_the_rest_left_out():
    words = [f"w{k}" for k in range(200)]
    changed = [*words[:100], "new", *words[101:]]
    ours, theirs = differences.differences(" ".join(words), " ".join(changed))
    assert [text.strip() for text, differs in ours if differs] == ["w100"]
    assert [text.strip() for text, differs in theirs if differs] == ["new"]
    text = "".join(t for t, _ in theirs).split()
    assert text == [*words[:10], "…", *words[90:100], "new", *words[101:111], "…"]


def test_long_texts_are_compared_in_part():
    one, other = " ".join(f"a{k}" for k in range(5000)), " ".join(f"b{k}" for k in range(5000))
    ours, theirs = differences.differences(one, other)
    assert [len("".join(t for t, _ in side).split()) for side in (ours, theirs)] == [differences.WORDS] * 2


def test_differences_are_escaped():
    one, two = (
        Member(row={"id": name, "char_count": n, "date": None, "text": text, "url": "<u>", "file": "<f>", "offset": 0},
               survivor=n == 2, exact=False, agrees=1, places=2)
        for name, n, text in ((b"a", 2, "x <script>1</script>"), (b"b", 1, "x <script>2</script>"))
    )
    text = differences.section(Shown(largest=(Cluster(id=b"a", size=2, members=(one, two)),)), searched=1,
                               with_duplicates=1).text
    assert "<script" not in text and "<u>" not in text and "<f>" not in text
    assert "<mark><bdi>&lt;script&gt;2&lt;/script&gt;</bdi></mark>" in text
    assert "about 50.0 % alike" in text
