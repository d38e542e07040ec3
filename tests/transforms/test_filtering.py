from __future__ import annotations

import datetime

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.documents import CLEAN, DOCUMENTS, DROPPED, DUPLICATES
from schemas.recipes import Recipe, Rule
from transforms.filtering import sieve

COLUMNS = pa.schema([field for field in DOCUMENTS if field.name != "signature"])
RECIPE = Recipe(name="r", languages=("en",), rules=(Rule(column="word_count", low=50, source="here"),))
ZEROS = {field.name: 0 for field in COLUMNS if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)}
Row = dict[str, object]


def name(row: int) -> bytes:
    return row.to_bytes(16, "big")


def document(row: int, *, words: int = 80, language: str = "en") -> Row:
    date = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC) if row % 2 else None
    return {
        **ZEROS,
        "id": name(row),
        "source": "web",
        "file": "a.warc",
        "offset": row,
        "text": f"text {row}",
        "url": None,
        "language": language,
        "word_count": words,
        "digest": name(row),
        "date": date,
    }


def duplicate(row: int, *, survivor: bool, exact: bool = False, cluster: int = 0, size: int = 2) -> Row:
    return {
        "id": name(row),
        "row": row,
        "cluster": name(cluster),
        "cluster_size": size,
        "survivor": survivor,
        "exact": exact,
    }


def sieved(documents: list[Row], duplicates: list[Row], sizes: list[int]) -> tuple[list[Row], list[Row]]:
    """clean and dropped rows of a part that comes in batches of `sizes`, then whatever is left."""
    found = pa.Table.from_pylist(duplicates, schema=DUPLICATES)
    clean, dropped, first = [], [], 0
    for size in [*sizes, len(documents)]:
        batch = pa.RecordBatch.from_pylist(documents[first : first + size], schema=COLUMNS)
        both = sieve(batch, first_row=first, duplicates=found, recipe=RECIPE)
        assert both.clean.schema.equals(CLEAN) and both.dropped.schema.equals(DROPPED)
        both.clean.validate(full=True)
        both.dropped.validate(full=True)
        clean += both.clean.to_pylist()
        dropped += both.dropped.to_pylist()
        first += batch.num_rows
    return clean, dropped


@st.composite
def parts(draw: st.DrawFn) -> tuple[list[Row], list[Row]]:
    rows = range(draw(st.integers(0, 25)))
    documents = [
        document(k, words=draw(st.sampled_from([49, 50])), language=draw(st.sampled_from(["en", "de"]))) for k in rows
    ]
    chosen = [k for k in rows if draw(st.booleans())]
    made = [
        duplicate(
            k,
            survivor=draw(st.booleans()),
            exact=draw(st.booleans()),
            cluster=draw(st.integers(0, 99)),
            size=draw(st.integers(2, 9)),
        )
        for k in chosen
    ]
    return documents, made


@settings(deadline=None)
@given(parts(), st.data())
def test_each_document_is_in_exactly_one_of_clean_and_dropped_for_the_right_reason(
    part: tuple[list[Row], list[Row]], data: st.DataObject
) -> None:
    documents, duplicates = part
    found = {d["row"]: d for d in duplicates}
    clean, dropped = sieved(documents, data.draw(st.permutations(duplicates)), data.draw(st.lists(st.integers(0, 9))))
    expected_clean, expected_dropped = [], []
    for row, one in enumerate(documents):
        verdict = found.get(row)
        if one["language"] != "en":
            reason = "language"
        elif one["word_count"] == 49:
            reason = "word_count"
        elif verdict and not verdict["survivor"]:
            reason = "exact_duplicate" if verdict["exact"] else "near_duplicate"
        else:
            named = verdict or {"cluster": one["id"], "cluster_size": 1}
            extra = {"cluster": named["cluster"], "cluster_size": named["cluster_size"]}
            both = {**dict.fromkeys(CLEAN.names), **one, **extra}
            expected_clean.append(both)
            continue
        expected_dropped.append({"id": one["id"], "row": row, "reason": reason})
    assert (clean, dropped) == (expected_clean, expected_dropped)


def test_verdicts_on_rows_of_other_batches_are_left_for_them() -> None:
    duplicates = [duplicate(k, survivor=False) for k in (0, 1, 5, 6)]
    batch = pa.RecordBatch.from_pylist([document(k) for k in range(2, 6)], schema=COLUMNS)
    found = sieve(batch, first_row=2, duplicates=pa.Table.from_pylist(duplicates, schema=DUPLICATES), recipe=RECIPE)
    assert found.clean.column("id").to_pylist() == [name(2), name(3), name(4)]
    assert found.dropped.to_pylist() == [{"id": name(5), "row": 5, "reason": "near_duplicate"}]


def test_a_rule_comes_before_a_duplicate_and_a_survivor_can_break_one() -> None:
    documents = [document(0, words=1), document(1, words=1), document(2)]
    duplicates = [
        duplicate(0, survivor=True, size=3),
        duplicate(1, survivor=False, size=3),
        duplicate(2, survivor=False, size=3),
    ]
    _, dropped = sieved(documents, duplicates, [])
    assert [d["reason"] for d in dropped] == ["word_count", "word_count", "near_duplicate"]


def test_a_single_document_is_its_own_cluster_of_one() -> None:
    clean, _ = sieved([document(0), document(1)], [duplicate(1, survivor=True, cluster=77, size=4)], [])
    assert [(c["cluster"], c["cluster_size"]) for c in clean] == [(name(0), 1), (name(77), 4)]
