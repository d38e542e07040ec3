"""Objects through transforms.beam.files: whole or not at all, of one version, listed as local files are."""

from __future__ import annotations

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import RunError
from transforms.beam import files, ranged

NAMES = ["x.gz", "a/y.gz", "a/b/z.gz", "a/.h/q.gz", "odd ü+#%41~.gz", "ab.gz"]
PATTERNS = ["", "/", "/**", "/*", "/*.gz", "/**/*.gz", "/a", "/a/*", "/a/**", "/[xy].gz", "/?.gz", "/*/*.gz", "/x.gz",
            "/a*", "/a*/*", "/odd*", "/none*", "/a/y.g"]  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_finds_what_it_finds_locally(s3, tmp_path, pattern):
    for name in NAMES:
        s3.put(f"c/{name}", name.encode())
        path = tmp_path / "c" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    s3.put("c/a/", b"")  # as a console marks a folder
    s3.put("cc/other.gz", b"")
    s3.put("c.gz", b"")
    local = [f.path.removeprefix(f"{tmp_path}/") for f in files.find(f"{tmp_path}/c{pattern}")]
    stored = files.find(f"{s3.url}/c{pattern}")
    assert [f.path.removeprefix(f"{s3.url}/") for f in stored] == local
    assert [f.size for f in stored] == [len(f.path.removeprefix(f"{s3.url}/c/").encode()) for f in stored]


def test_more_objects_than_a_page_lists(s3):
    for n in range(1003):
        s3.put(f"c/{n:04d}", b"x")
    assert len(files.find(f"{s3.url}/c")) == 1003 == len(files.find(f"{s3.url}/c/*"))


def test_only_the_fixed_prefix_is_listed(proxy):
    proxy, s3 = proxy
    s3.put("a/b/1", b"x")
    files.find(f"{s3.url}/a/b/c*/**")
    assert {a.path.partition("prefix=")[2].partition("&")[0] for a in proxy.asked if a.listing} == {"a%2Fb%2F"}


def test_identity_changes_with_the_content(s3):
    def identity():
        [found] = files.find(f"{s3.url}/x")
        return found.identity

    s3.put("x", b"one")
    before = identity()
    assert identity() == before
    s3.put("x", b"two")
    assert identity() != before


@pytest.mark.parametrize("size", [0, 1, (8 << 20) - 1, 8 << 20, (8 << 20) + 1, 20_000_000])
def test_an_object_is_there_when_the_block_ends_and_not_before(s3, size):
    data = random.Random(size).randbytes(size)
    with files.create(f"{s3.url}/out/x") as sink:
        sink.write(data[: size // 3])
        sink.write(memoryview(data)[size // 3 :])
        assert "out/x" not in list(s3.keys())
    assert s3.get("out/x") == data
    assert files.size(f"{s3.url}/out/x") == size == sink.bytes


@pytest.mark.parametrize("size", [10, 20_000_000])
def test_a_block_that_fails_leaves_nothing(s3, size):
    with pytest.raises(KeyError), files.create(f"{s3.url}/x") as sink:
        sink.write(bytes(size))
        raise KeyError
    assert not s3.keys()
    assert not s3.uploads(), "an upload was left open"


def test_reads_here_and_there_give_the_bytes_of_there(s3):
    data = random.Random(1).randbytes(3_000_000)
    s3.put("x", data)
    at = random.Random(2)
    with files.open_read(f"{s3.url}/x") as file:
        assert file.seekable() and file.seek(0, 2) == len(data) and file.read() == b""
        for _ in range(60):
            start, length = at.randrange(len(data)), at.choice([1, 100, 70_000, 500_000])
            file.seek(start)
            assert file.read(length) == data[start : start + length]
            assert file.tell() == min(start + length, len(data))
        file.seek(0)
        assert file.read() == data


def test_reading_on_asks_seldom_and_holds_little(proxy):
    proxy, s3 = proxy
    size = 40 << 20
    s3.put("x", bytes(size))
    with files.open_read(f"{s3.url}/x") as file:
        while file.read(1 << 16):
            assert file.raw._window.nbytes <= ranged.MOST
    asked = [a for a in proxy.asked if a.method == "GET"]
    assert 5 <= len(asked) <= 10, "windows double from 256 KiB to 8 MiB"


def test_parquet_is_read_by_its_footer_and_the_columns_asked_for(proxy):
    proxy, s3 = proxy
    table = pa.table({"a": pa.array(range(300_000)), "b": [random.Random(n).randbytes(90) for n in range(300_000)]})
    with files.create(f"{s3.url}/t.parquet") as sink:
        pq.write_table(table, sink, compression="none")
    proxy.asked.clear()
    with files.open_read(f"{s3.url}/t.parquet") as file:
        assert pq.ParquetFile(file).read(["a"]).equals(table.select(["a"]))
    assert sum(a.method == "GET" for a in proxy.asked) < 12


def test_an_object_that_changes_while_it_is_read_is_noticed(s3):
    s3.put("x", bytes(2_000_000))
    with files.open_read(f"{s3.url}/x") as file:
        file.read(10)
        s3.put("x", bytes([1]) * 2_000_000)
        with pytest.raises(RunError, match=f"{s3.url}/x: changed during the run"):
            file.read()


def test_an_object_that_is_another_than_was_planned_is_noticed(s3):
    s3.put("x", b"one")
    [planned] = files.find(f"{s3.url}/x")
    assert files.open_read(planned.path, identity=planned.identity).read() == b"one"
    s3.put("x", b"two")
    with pytest.raises(RunError, match="changed during the run"):
        files.open_read(planned.path, identity=planned.identity)


def test_a_change_under_a_parquet_reader_is_told_as_such(s3):
    """And not as a damaged table: pyarrow hands our error on."""
    table = pa.table({"a": [random.Random(n).randbytes(900) for n in range(9000)]})
    for data in (table, table.slice(1)):
        with files.create(f"{s3.url}/t") as sink:
            pq.write_table(data, sink, compression="none", row_group_size=1000)
        if data is table:
            file = files.open_read(f"{s3.url}/t")
            parquet = pq.ParquetFile(file)
    with pytest.raises(RunError, match="changed during the run"):
        parquet.read_row_group(0)


def test_a_file_that_readers_follow_is_published_once(s3):
    path = f"{s3.url}/out/manifest.json"
    assert files.publish(path, b"one") == files.write_bytes(f"{s3.url}/other", b"one")
    files.publish(path, b"one")  # a bundle that is run again
    with pytest.raises(RunError, match=r"out/manifest.json: another process wrote it meanwhile \(.+, process \d+\)"):
        files.publish(path, b"two")
    assert s3.get("out/manifest.json") == b"one"
    files.publish(path, b"three", anew=True)
    assert s3.get("out/manifest.json") == b"three"


def test_of_two_that_replace_one_file_the_second_is_refused(s3, monkeypatch):
    """The other comes between our look and our put."""
    path, put = s3.put("manifest.json", b"old"), files.stores.put

    def late(*arguments, **options):
        s3.put("manifest.json", b"theirs")
        put(*arguments, **options)

    monkeypatch.setattr(files.stores, "put", late)
    with pytest.raises(RunError, match="another process wrote it meanwhile"):
        files.publish(path, b"ours", anew=True)
    assert s3.get("manifest.json") == b"theirs"


def test_a_put_whose_answer_is_lost_is_not_taken_for_anothers(proxy):
    proxy, s3 = proxy
    proxy.rule = lambda a: "lose answer" if a.method == "PUT" and a.seen == 1 else None
    files.publish(f"{s3.url}/manifest.json", b"one")
    assert proxy.faults == 1 and s3.get("manifest.json") == b"one"


def test_answers_that_stop_half_way_are_asked_for_again(proxy):
    """Contents, listings, and answers that say no."""
    proxy, s3 = proxy
    for n in range(30):
        s3.put(f"c/{n}", bytes(n))
    s3.put("text", b"abc")
    proxy.rule = lambda a: "cut download" if a.method in ("GET", "PUT") and a.seen == 1 else None
    assert {f.path: f.size for f in files.find(f"{s3.url}/c")} == {f"{s3.url}/c/{n}": n for n in range(30)}
    assert len(files.find(f"{s3.url}/c/1*")) == 11
    assert files.read_text(f"{s3.url}/text") == "abc"
    assert files.read_text(f"{s3.url}/none") is None
    files.publish(f"{s3.url}/m", b"one")
    with pytest.raises(RunError, match="another process wrote it meanwhile"):
        files.publish(f"{s3.url}/m", b"two")
    assert proxy.faults >= 6
    proxy.rule = lambda a: "cut download" if a.method == "GET" else None
    with pytest.raises(RunError, match="text: cannot be read"):
        files.read_text(f"{s3.url}/text")


def test_text_sizes_and_removal(s3):
    path = f"{s3.url}/a/b.txt"
    assert files.read_text(path) is None and files.size(path) is None
    files.remove(path)
    files.write_bytes(path, "ü".encode())
    assert (files.read_text(path), files.size(path)) == ("ü", 2)
    files.remove(path)
    assert files.size(path) is None
    assert files.join("s3://b", "x", "y") == "s3://b/x/y" == files.join("s3://b/x/", "y")
