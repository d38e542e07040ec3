"""A plan's arithmetic by hand, its prices and limits, and that it runs nothing."""

from __future__ import annotations

import dataclasses
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import clean, plan
from pipelines.planning import estimate, prices, timing
from pipelines.planning.estimate import Job
from pipelines.planning.guesses import completed
from pipelines.planning.kinds import kind_by_name, kind_of, kinds_of
from pipelines.planning.rates import KindRates, Point, Rates, StageRates, read_rates, to_json
from pipelines.planning.sample import mean
from pipelines.planning.show import duration, size
from pipelines.planning.spread import ALONE, LEAST, Spread, exactly, measured
from pipelines.planning.volumes import Group
from pipelines.recipes import WEB_EN
from pipelines.run import main
from schemas.errors import RunError
from schemas.stages import STAGES
from transforms.beam.parts import PlannedPart

ROOT = Path(__file__).parents[2]


def one(n: float) -> Spread:
    return Spread(low=n, mid=n, high=n)


def test_a_rate_is_all_amounts_over_all_units_with_the_parts_percentiles():
    # rates 1, 2, 3, ... 10 of ten parts with a unit each: the 10th percentile is the first, the 90th the ninth
    found = measured((float(n), 1.0) for n in range(1, 11))
    assert found == Spread(low=1.0, mid=5.5, high=9.0)
    # a part of many units counts for as many: its own rate is the 10th and the 90th percentile
    found = measured([(1.0, 1.0), (400.0, 100.0), (9.0, 1.0)])
    assert found is not None and found.mid == pytest.approx(410 / 102)
    assert (found.low, found.high) == (pytest.approx(410 / 102 / LEAST), pytest.approx(410 / 102 * LEAST))
    assert measured([(5.0, 2.0)]) == Spread(low=2.5 / ALONE, mid=2.5, high=2.5 * ALONE)
    assert measured([(5.0, 0.0)]) is None


@given(st.lists(st.tuples(st.floats(0, 1e9), st.floats(1e-3, 1e9)), min_size=1, max_size=20))
def test_low_is_never_above_mid_nor_mid_above_high(pairs):
    for found in (measured(pairs), mean(pairs)):
        assert found is not None
        assert found.low <= found.mid * (1 + 1e-12) and found.mid <= found.high * (1 + 1e-12)


def test_the_jackknife_of_a_mean():
    # all alike: as sure as we ever are; of ratios 1 and 3 with equal units, leaving one out gives 3 and 1, and the
    # error is sqrt(1/2 * (1 + 1)) = 1, twice
    assert mean([(2.0, 1.0)] * 5) == Spread(low=2 / LEAST, mid=2.0, high=2 * LEAST)
    assert mean([(1.0, 1.0), (3.0, 1.0)]) == Spread(low=0.0, mid=2.0, high=4.0)
    assert mean([]) is None


KIND = KindRates(
    documents=one(0.01), text=one(2.0), kept=one(0.5), kept_text=one(0.25), duplicates=one(0.1), ingest_cpu=one(0.02),
    ingest_out=one(0.6), dedupe_out=one(3.0), filter_cpu=one(0.001), filter_out=one(0.4), count_cpu=one(0.004),
    count_out=one(10.0), encode_cpu=one(0.008), encode_out=one(0.9),
)
STAGE = StageRates(
    launch_cpu=1.0, worker_cpu=4.0, beside=one(0.0), part_cpu=0.5, part_out=100.0,
    one=(Point(units=0, worker=0, launcher=300),),
    many=(Point(units=0, worker=200, launcher=50), Point(units=10_000, worker=400, launcher=60)),
)
RATES = Rates(said={}, kinds={"warc.gz": KIND}, stages={s.name: STAGE for s in STAGES}, learning=one(0.001))
GROUP = Group(source="web", kind="warc.gz", files=2, sizes=(600, 400))
LARGE = Group(source="web", kind="warc.gz", files=2, sizes=(6_000, 4_000))


def planned(workers: int, group: Group = GROUP, rates: Rates = RATES) -> dict[str, timing.StageEstimate]:
    return {s.stage: s for s in estimate.stages(Job(groups=(group,), recipe=WEB_EN, workers=workers), rates)}


def test_a_plan_worked_out_by_hand():
    # 1,000 bytes: 10 documents, 2,000 bytes of text; 5 documents of these are kept, and 500 bytes
    found = planned(2)
    ingest, dedupe, sieve, tokenizer, encode = (found[s.name] for s in STAGES)
    assert [s.documents.mid for s in found.values()] == [10, 10, 10, 5, 5]
    assert [s.parts for s in found.values()] == [2, 2, 2, 2, 1]
    start, parts = 2 * 4.0, 2 * 0.5
    assert ingest.cpu_s.mid == pytest.approx(1000 * 0.02 + start + parts)
    assert dedupe.cpu_s.mid == pytest.approx(start + parts)
    assert sieve.cpu_s.mid == pytest.approx(2000 * 0.001 + start + parts)
    counts = 10 * (300**0.6 + 200**0.6)
    assert tokenizer.cpu_s.mid == pytest.approx(500 * 0.004 + counts * 0.001 + start + parts)
    assert encode.cpu_s.mid == pytest.approx(500 * 0.008 + start + 0.5)
    assert ingest.out_bytes.mid == pytest.approx(1000 * 0.6 + 200)
    assert dedupe.out_bytes.mid == pytest.approx(10 * 3 + 200)
    assert sieve.out_bytes.mid == pytest.approx(500 * 0.4 + 200)
    assert tokenizer.out_bytes.mid == pytest.approx(counts + 40 * 32_000 + 200)
    assert encode.out_bytes.mid == pytest.approx(500 * 0.9 + 100)
    assert ingest.shuffle_bytes == exactly(0) and tokenizer.shuffle_bytes.mid == pytest.approx(3.2 * counts)
    # compared are those that rules leave, kept or not: 6, with 14 bands and a digest of 16 bytes each; one duplicate
    members = 1.5 * 1 * (32 + estimate.duplicates.MEMBER.itemsize + estimate.duplicates.VERDICT.itemsize)
    assert dedupe.shuffle_bytes.mid == pytest.approx(6 * 15 * 16 + members)


def test_memory_lies_between_measured_runs_and_grows_only_where_it_does():
    found = planned(2)
    assert found["ingest"].worker_bytes.mid == pytest.approx(200 + 200 * 600 / 10_000)  # the largest part's bytes
    assert found["dedupe"].worker_bytes.mid == pytest.approx(200 + 200 * 10 / 10_000)  # documents
    assert found["ingest"].worker_bytes.high == pytest.approx(212 * timing.MEMORY)
    huge = planned(2, Group(source="web", kind="warc.gz", files=1, sizes=(3_000_000,)))
    assert huge["ingest"].worker_bytes.mid == 400, "as in the largest run"
    growth = timing.GROWS["dedupe"]
    assert huge["dedupe"].worker_bytes.mid == pytest.approx(200 + growth.mid * 30_000), "documents, on the smallest run"
    assert huge["dedupe"].worker_bytes.high == pytest.approx((200 + growth.high * 30_000) * timing.MEMORY)
    noise = (Point(units=0, worker=10**8, launcher=0), Point(units=10, worker=2 * 10**8, launcher=0))
    noisy = dataclasses.replace(RATES, stages={s.name: dataclasses.replace(STAGE, many=noise) for s in STAGES})
    assert planned(2, rates=noisy)["dedupe"].worker_bytes.mid == 2 * 10**8
    more = Group(source="web", kind="warc.gz", files=1, sizes=(3_000_000,))
    assert planned(2, more, noisy)["dedupe"].worker_bytes.mid == 2 * 10**8, "two runs close to each other draw no line"
    alone = planned(1)["ingest"]
    assert alone.worker_bytes == alone.launcher_bytes and alone.worker_bytes.mid == 300


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=12), st.integers(1, 5))
def test_wall_time_is_between_what_any_order_of_the_parts_can_give(sizes, workers):
    from itertools import product

    parts = [0.02 * size for size in sizes[:6]]
    group = Group(source="web", kind="warc.gz", files=len(parts), sizes=tuple(sizes[:6]))
    rates = dataclasses.replace(
        RATES, stages={s.name: dataclasses.replace(STAGE, launch_cpu=0.0, worker_cpu=0.0, part_cpu=0.0) for s in STAGES}
    )
    wall = planned(workers, group, rates)["ingest"].wall_s
    best = min(
        max(sum(p for p, w in zip(parts, who, strict=True) if w == n) for n in range(min(workers, 3)))
        for who in product(range(min(workers, 3)), repeat=len(parts))
    )
    assert wall.low <= best + 1e-9 or workers > 3
    loads = [0.0] * workers  # as they come: whoever is free takes the next, the largest last
    for part in sorted(parts):
        loads[loads.index(min(loads))] += part
    assert wall.low - 1e-9 <= max(loads) <= wall.high + 1e-9
    assert wall.low <= wall.mid <= wall.high + 1e-9


def test_ten_times_the_input_takes_ten_times_what_is_not_starting():
    small, large = planned(1)["ingest"], planned(1, LARGE)["ingest"]
    assert large.cpu_s.mid - 1 - 1 == pytest.approx(10 * (small.cpu_s.mid - 1 - 1))


@pytest.mark.parametrize(
    ("cores", "memory", "workers"), [(8, 10_000, 8), (8, 69 + 3 * 244, 3), (8, 69 + 3 * 244 - 1, 2), (1, 100, 0)]
)
def test_workers_that_fit_a_machine(cores, memory, workers):
    stages = [dataclasses.replace(s, launcher_bytes=one(69), worker_bytes=one(244)) for s in planned(2).values()]
    assert estimate.fit(stages, cores=cores, memory=memory) == workers


def test_kinds_nobody_measured_are_guessed_and_said():
    rates, guesses = completed(RATES, ["warc.gz", "warc", "jsonl.zst", "unknown"])
    assert guesses == (
        "warc was not measured: taken from warc.gz", "jsonl.zst was not measured: taken from warc.gz",
        "files of unknown formats give one dead letter each",
    )
    plain = rates.kinds["warc"]
    assert plain.text.mid == pytest.approx(2.0 / 5) and plain.text.high == pytest.approx(2 * 2.0 / 5)
    assert plain.kept == KIND.kept and rates.kinds["unknown"].documents == exactly(0)


# Kinds


WARC = b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 0\r\n\r\n\r\n\r\n"
WET = WARC + b"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Length: 0\r\n\r\n\r\n\r\n"


@pytest.mark.parametrize(("content", "kind"), [
    (WARC, "warc"), (gzip.compress(WARC, mtime=0), "warc.gz"), (gzip.compress(WET, mtime=0), "wet.gz"),
    (b'{"text": "x"}\n', "jsonl"),
    (b"PAR1", "parquet"), (b"hello", "unknown"), (b"", "unknown"), (b'<mediawiki xml:lang="en">', "wikipedia"),
])
def test_a_local_file_is_known_by_its_content(tmp_path, content, kind):
    path = tmp_path / "a.warc.gz"
    path.write_bytes(content)
    assert kind_of(str(path), "a.warc.gz") == kind


@pytest.mark.parametrize(("name", "kind"), [
    ("crawl-data/CC-MAIN-2024-22/segments/1/warc/CC-MAIN-1.warc.gz", "warc.gz"), ("x.warc.wet.gz", "wet.gz"),
    ("a.jsonl.zst", "jsonl.zst"), ("a.json", "jsonl"), ("part-0.parquet", "parquet"), ("README", None),
    ("simplewiki-20261101-pages-articles-multistream.xml.bz2", "wikipedia.bz2"),
])
def test_and_by_its_name_elsewhere(name, kind):
    assert kind_by_name(name) == kind
    assert kind_of(f"https://nobody.invalid/{name}", name) == (kind or "unknown"), "no request is made"


def test_of_many_alike_a_few_are_looked_into(tmp_path, monkeypatch):
    looked = []
    monkeypatch.setattr("pipelines.planning.kinds.kind_of", lambda path, name: looked.append(name) or "warc.gz")
    parts = [
        PlannedPart(stage="ingest", part="", plan_key="", source="web", name=f"CC-{k}.warc.gz", number=k, size=1,
                    work={"path": f"/x/{k}"} if k else {"base": "chosen by an index"})
        for k in range(1000)
    ]
    assert kinds_of(parts) == {("web", f"CC-{k}.warc.gz"): "warc.gz" for k in range(1000)} and len(looked) == 4


# Prices and limits


GOOD = 'currency = "EUR"\nsource = "a contract"\ndate = "2026-11-22"\n[regions.a]\ncore_hour = 0.5\n'


@pytest.mark.parametrize(("text", "region", "says"), [
    (GOOD.replace("core_hour", "core_our"), None, "regions.a.core_our is no price that is known"),
    (GOOD.replace("core_hour = 0.5", "egress_gb = 1"), None, "lacks 'core_hour'"),
    (GOOD.replace("0.5", "-1"), None, "regions.a.core_hour must be a number, 0 or more"),
    (GOOD.replace("0.5", "true"), None, "regions.a.core_hour must be a number"),
    (GOOD.replace("0.5", "nan"), None, "regions.a.core_hour must be a number"),
    (GOOD.replace('date = "2026-11-22"\n', ""), None, "lacks 'date'"),
    (GOOD + "[regions.b]\ncore_hour = 1\n", None, "has the regions a, b. Choose one with --price-region."),
    (GOOD, "c", "--price-region c: is not in"), ("[regions]\n", None, "cannot be used"), ("x", None, "cannot be used"),
])
def test_prices_that_are_none(tmp_path, text, region, says):
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(RunError) as error:
        prices.read_prices(str(path), region)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_the_example_is_good_and_says_that_it_is_none():
    found = prices.read_prices(str(ROOT / "deploy/prices.example.toml"), "example-west")
    assert "made-up" in found.said and found.core_hour > 0


def test_money_worked_out_by_hand():
    # 2 workers are held for 3,600 s in which 1 hour of CPU is used; 4 GB are written and kept for 3 months
    stage = dataclasses.replace(
        planned(2)["tokenizer"], cpu_s=one(3600), wall_s=one(3600), out_bytes=one(4e9), shuffle_bytes=one(2e9),
        worker_bytes=one(3e9),
    )
    of = prices.Prices(region="a", currency="EUR", said="", date="", core_hour=10, memory_gb_hour=1, shuffle_gb=0.5,
                       storage_gb_month=0.25, egress_gb=2)
    found = prices.money([stage], of, workers=2, input_bytes=10**9, months=3)
    assert (found.compute.low, found.compute.mid, found.compute.high) == (10, 20, 20)
    assert (found.memory.mid, found.shuffle.mid, found.storage.mid, found.egress.mid) == (6, 1, 3, 2)
    assert found.total.high == 32


def test_a_run_that_may_cost_more_is_refused_before_anything_starts(job, tmp_path, capsys):
    priced = tmp_path / "prices.toml"
    priced.write_text(GOOD)
    arguments = job.arguments(tmp_path / "out", f"--prices={priced}", "--sample=0")
    plan.run([*arguments, "--json"])
    high = json.loads(capsys.readouterr().out)["money"]["total"]["high"]
    plan.run([*arguments, f"--max-cost={high!r}"])
    less = f"--max-cost={high * (1 - 1e-12)!r}"
    for run in (clean.run, plan.run):
        with pytest.raises(RunError, match=r"--max-cost .*: the run may cost .* EUR\. Nothing was started\."):
            run([*arguments, less])
    left = {path.name for path in (tmp_path / "out").iterdir()} if (tmp_path / "out").exists() else set()
    assert left <= {".lock", "run.json"}


@pytest.mark.parametrize(("options", "says"), [
    (["--max-cost=1"], "--max-cost needs --prices"), (["--price-region=x"], "--price-region chooses among"),
    (["--sample=-1"], "--sample must be at least 0"), (["--machine-cores=0"], "--machine-cores must be at least 1"),
    (["--storage-months=inf"], "--storage-months must be at least 0"),
    (["--rates=nowhere.json"], "--rates nowhere.json: is not there"), (["--rates={}"], "holds no rates"),
])
def test_options_that_cannot_be(job, tmp_path, options, says):
    (tmp_path / "rates.json").write_text("{}")
    options = [o.replace("{}", str(tmp_path / "rates.json")) for o in options]
    with pytest.raises(RunError) as error:
        plan.run([*job.arguments(tmp_path / "out")[:-1], *options])
    assert says in str(error.value)


def test_a_plan_runs_nothing_and_writes_nothing(job, tmp_path, capsys):
    out = tmp_path / "out"
    clean.run(job.arguments(out, "--dry-run", "--workers=3", "--sample=0"))
    told, left = capsys.readouterr().out.split("left to do: ")
    assert left.startswith("7 of 7 parts of ingest, then dedupe, filter, tokenizer, encode: CPU ")
    plan.run([a for a in job.arguments(out, "--workers=3", "--sample=0") if not a.startswith("--output")])
    assert capsys.readouterr().out == told, "an output is not needed"
    assert "7 parts in 7 files" in told and "3 workers" in told
    assert not out.exists()


def test_plan_without_anything_to_plan():
    with pytest.raises(SystemExit) as error:
        main(plan.run, [])
    assert "Give --input" in str(error.value)


def test_rates_go_through_a_file(tmp_path):
    path = tmp_path / "rates.json"
    path.write_bytes(to_json(RATES))
    assert read_rates(str(path)) == RATES
    assert {"warc.gz", "wet.gz", "jsonl.gz", "wikipedia.bz2"} <= read_rates().kinds.keys()
    for bad in (b"", b"[]", b'{"version": 2}', to_json(RATES).replace(b'"ingest": {', b'"other": {')):
        path.write_bytes(bad)
        with pytest.raises(RunError, match="holds no rates"):
            read_rates(str(path))


@pytest.mark.parametrize(("n", "said"), [
    (0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (1_234_567, "1.23 MB"), (999_600_000, "1 GB"), (5e17, "500 PB"),
])
def test_sizes(n, said):
    assert size(n) == said


@pytest.mark.parametrize(
    ("s", "said"),
    [(0.123, "0.12 s"), (9.96, "10 s"), (99, "99 s"), (120, "2 min"), (7200, "2.0 h"), (4e6, "1,111 h")],
)
def test_durations(s, said):
    assert duration(s) == said
