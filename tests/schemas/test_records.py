from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import stages
from schemas.records import (
    SCHEMA_VERSION,
    ConservationError,
    Counts,
    Manifest,
    Output,
    PartRecord,
    add_counts,
    add_tallies,
    manifest_from_json,
    merge,
    output_digest,
    part_from_json,
    to_json,
)

WORDS, SIZES = st.text(max_size=6), st.integers(0, 2**60)
TALLIES = st.dictionaries(WORDS, SIZES, max_size=3)
OUTPUTS = st.builds(Output, path=WORDS, rows=SIZES, bytes=SIZES, xxh3=WORDS, content=WORDS)


@st.composite
def balanced(draw: st.DrawFn) -> Counts:
    dropped, dead, out = draw(TALLIES), draw(TALLIES), draw(SIZES)
    came_in = out + sum(dropped.values()) + sum(dead.values())
    return Counts(came_in=came_in, went_out=out, dropped=dropped, dead_letters=dead)


RECORDS = st.builds(
    PartRecord,
    stage=WORDS,
    part=WORDS,
    plan_key=WORDS,
    source=WORDS,
    name=WORDS,
    counts=balanced(),
    outputs=st.dictionaries(WORDS, OUTPUTS, max_size=2),
    tallies=st.dictionaries(WORDS, TALLIES, max_size=2),
    input_bytes=SIZES,
    text_bytes=SIZES,
)
PARTS = st.lists(RECORDS, max_size=4, unique_by=lambda r: r.part)
BLANK = Manifest(
    stage="filter",
    plan_key="k",
    recipes={"web": [["en"], [{"column": "word_count", "low": 1.5}]]},
    libraries={"numpy": "2"},
    outputs={"all": Output(path="p", rows=1, bytes=2, xxh3="x", content="c")},
)


@given(RECORDS)
def test_a_commit_record_comes_back_from_json(record: PartRecord) -> None:
    assert part_from_json(to_json(record)) == record
    assert to_json(part_from_json(to_json(record))) == to_json(record)


@settings(deadline=None)
@given(PARTS, st.data())
def test_a_manifest_comes_back_from_json_and_does_not_depend_on_the_order_of_its_records(
    records: list[PartRecord], data: st.DataObject
) -> None:
    manifest = merge(records, BLANK)
    assert manifest_from_json(to_json(manifest)) == manifest
    assert to_json(merge(data.draw(st.permutations(records)), BLANK)) == to_json(manifest)
    assert [r.part for r in manifest.parts] == sorted(r.part for r in records)
    assert manifest.counts.came_in == sum(r.counts.came_in for r in records)
    assert (manifest.stage, manifest.recipes, manifest.schema_version) == ("filter", BLANK.recipes, SCHEMA_VERSION)


@given(st.lists(balanced(), max_size=4))
def test_sums_add_up_key_by_key(counts: list[Counts]) -> None:
    total = add_counts(counts)
    total.check("sum")
    assert total.went_out == sum(c.went_out for c in counts)
    for reason in {key for c in counts for key in c.dropped}:
        assert total.dropped[reason] == sum(c.dropped.get(reason, 0) for c in counts)
    assert list(total.dead_letters) == sorted({key for c in counts for key in c.dead_letters})


def test_tallies() -> None:
    assert add_tallies([{"b": 1}, {"a": 2, "b": 3}, {}]) == {"a": 2, "b": 4}
    assert add_tallies([]) == {} and add_counts([]) == Counts()


def test_an_account_that_does_not_balance_says_by_how_much() -> None:
    counts = Counts(came_in=10, went_out=5, dropped={"language": 2, "word_count": 1}, dead_letters={"truncated": 1})
    with pytest.raises(ConservationError) as raised:
        counts.check("filter/part-1 (a.warc)")
    assert str(raised.value) == (
        "filter/part-1 (a.warc): 10 came in, but 5 went out + 3 dropped + 1 dead letters = 9. Documents were lost or "
        "doubled; keep the output and report this."
    )
    dataclasses.replace(counts, came_in=9).check("filter")


def record(part: str, **fields: object) -> PartRecord:
    plain = PartRecord(stage="filter", part=part, plan_key="k", source="web", name=f"{part}.warc", counts=Counts())
    return dataclasses.replace(plain, **fields)


def test_records_that_do_not_balance_or_come_twice_make_no_manifest() -> None:
    with pytest.raises(ConservationError, match=r"^filter: 1 came in, but 0 went out"):
        merge([record("a"), record("b", counts=Counts(came_in=1))], BLANK)
    with pytest.raises(ConservationError, match=r"^filter: two records of a, of a\.warc and of other\.warc$"):
        merge([record("a"), record("b"), record("a", name="other.warc")], BLANK)


@pytest.mark.parametrize("field", ["path", "rows", "bytes", "xxh3", "content"])
def test_the_digest_covers_every_field_of_every_output_and_nothing_else(field: str) -> None:
    output = Output(path="p", rows=1, bytes=2, xxh3="x", content="c")
    other = dataclasses.replace(output, **{field: 9 if field in ("rows", "bytes") else "z"})
    second = dataclasses.replace(output, path="q")
    assert output_digest([other, second]) != output_digest([output, second]) == output_digest([second, output])
    whole = merge([record("a", outputs={"o": output})], BLANK)
    assert whole.digest == merge([record("a", outputs={"o": output}, plan_key="z", text_bytes=9)], BLANK).digest
    assert whole.digest != merge([record("a", outputs={"o": other})], BLANK).digest
    assert whole.digest != merge([record("a", outputs={"o": output})], dataclasses.replace(BLANK, outputs={})).digest


GOOD = json.loads(to_json(merge([record("a", outputs={"o": BLANK.outputs["all"]})], BLANK)))


@pytest.mark.parametrize("read", [part_from_json, manifest_from_json])
@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", "null", '"x"', "{}", '{"counts": {}}', '{"counts": {}, "parts": 3}']
)
def test_json_of_something_else_is_a_value_error(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(ValueError):
        read(text)


@pytest.mark.parametrize("wrong", [None, [], 3, "x", [1], {"o": 1}, {"o": {}}, {"unknown": {"a": 1}}])
@pytest.mark.parametrize("field", ["counts", "outputs"])
def test_a_field_of_another_shape_is_a_value_error(field: str, wrong: object) -> None:
    with pytest.raises(ValueError, match="not a stage manifest"):
        manifest_from_json(json.dumps({**GOOD, field: wrong}))
    with pytest.raises(ValueError, match="not a commit record"):
        part_from_json(json.dumps({**GOOD["parts"][0], field: wrong}))
    with pytest.raises(ValueError, match="not a commit record"):
        manifest_from_json(json.dumps({**GOOD, "parts": [{**GOOD["parts"][0], field: wrong}]}))


@pytest.mark.parametrize("wrong", [None, 3, [None], ["x"], [[]], {"a": 1}])
def test_parts_of_another_shape_are_a_value_error(wrong: object) -> None:
    with pytest.raises(ValueError):
        manifest_from_json(json.dumps({**GOOD, "parts": wrong}))


def test_unknown_and_missing_fields_are_a_value_error() -> None:
    manifest_from_json(json.dumps(GOOD))
    with pytest.raises(ValueError):
        manifest_from_json(json.dumps({**GOOD, "more": 1}))
    for field in ("stage", "plan_key", "recipes", "libraries", "counts", "parts", "outputs"):
        with pytest.raises(ValueError):
            manifest_from_json(json.dumps({k: v for k, v in GOOD.items() if k != field}))


def test_stages_have_names_and_folders_of_their_own() -> None:
    names, folders = [s.name for s in stages.STAGES], [s.folder for s in stages.BY_NAME.values()]
    assert names == ["ingest", "dedupe", "filter", "tokenizer", "encode"]
    assert list(stages.BY_NAME) == ["select", *names]
    assert len(set(folders)) == len(folders)
    assert stages.ENCODE.manifest != "manifest.json", "that one is the trainer's"
