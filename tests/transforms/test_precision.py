from __future__ import annotations

import hashlib
import io
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sample.archive import warc_record
from schemas.errors import RunError
from schemas.recipes import Extract
from transforms import precision
from transforms.archive import read_archive
from transforms.extractors import html_extractor
from transforms.inflate import Inflated
from transforms.outcomes import DeadLetter, Outcome, Page, RecordError, Skipped
from transforms.page import read_page
from transforms.precision import MAX_ATTRIBUTES, MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS, precise_text

trafilatura = pytest.importorskip("trafilatura", reason="pip install 'winnow-data[precision]' brings it")
ROOT = Path(__file__).parents[2]
PRECISE = Extract(extractor="precision")
LINE = "The harbour was quiet in the morning, and the boats lay still. "
ARTICLE = (
    f"<html><body><nav><ul><li><a href=/>Home</a><li><a href=/news>All news</a></ul></nav><article><h1>Boats</h1>"
    f"<p>{LINE}<p>It was raining\r\n in <b>the town</b>.<ul><li>One boat, {LINE}<li>two boats</ul></article>"
    "<div class=comments><p>I do not like boats at all, said the reader.</div><footer>Imprint, contact</footer>"
)


def text_of(page: str) -> str:
    return read_page(page.encode(), media_type="text/html", declared=None, extract=PRECISE)[0]


def outcomes(body: bytes, *, media_type: str = "text/html", extract: Extract = PRECISE) -> list[Outcome]:
    block = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n\r\n".encode() + body
    record = warc_record(
        "response", name="a", when="2026-01-01T00:00:00Z", content_type="application/http; msgtype=response",
        block=block, more=(),
    )
    return list(read_archive(Inflated(io.BytesIO(record)), extract=extract))


def test_a_paragraph_is_a_line_and_what_is_around_it_is_left_out() -> None:
    assert text_of(ARTICLE) == "\n".join(
        ["Boats", LINE.strip(), "It was raining in the town.", f"- One boat, {LINE.strip()}", "- two boats"]
    )


def test_plain_text_is_not_extracted() -> None:
    body = b" <p>a\r\nb "
    assert read_page(body, media_type="text/plain", declared=None, extract=PRECISE)[:2] == ("<p>a\nb", "utf-8")


@pytest.mark.parametrize("page", [
    "", "  ", "<!-- x -->", "<html></html>", "<?xml version='1.0'?>", "<script>x</script>",
])  # fmt: skip
def test_pages_without_text(page: str) -> None:
    assert text_of(page) == ""
    assert outcomes(page.encode()) == [Skipped("empty_text")]


@pytest.mark.parametrize("page", [
    "{}", "<html/><body>{}", "<!DOCTYPE html/><HTML lang='en' />{}", "<meta charset=latin1>{}",
    "<?xml version='1.0' encoding='latin-1'?><html><body>{}</html>",
])  # fmt: skip
def test_odd_starts_cost_nothing(page: str) -> None:
    assert text_of(page.format(f"<p>Où {LINE}")) == f"Où {LINE.strip()}"


@pytest.mark.parametrize(("written", "read"), [
    ("a\0b", "ab"), ("a\x01b", "ab"), ("a\uffffb", "ab"), ("a\x0cb", "a b"), ("a&#1;b", "a\ufffdb"),
    ("a&#x1F;b", "a\ufffdb"),
    ("a&#xFFFF;b", "a\ufffdb"), ("a&#0;b", "a\ufffdb"), ("a&#xD800;b", "a\ufffdb"), ("a&#&#1;1;b", "a&#\ufffd1;b"),
    ("a&#233;b", "aéb"), ("a&#" + "9" * 5000 + ";b", "a\ufffdb"), ("e\u0301", "é"),
])  # fmt: skip
def test_characters_that_xml_lacks_do_not_cost_the_page(written: str, read: str) -> None:
    assert text_of(f"<p>{LINE}{written}") == LINE + read


@pytest.mark.parametrize(("fits", "too_much", "told"), [
    ("<p>a</p>" * (MAX_ELEMENTS - 2), "<p>a</p>" * (MAX_ELEMENTS - 1), f"more than {MAX_ELEMENTS} elements"),
    ("<div>" * (MAX_DEPTH - 2) + "a", "<div>" * (MAX_DEPTH - 1) + "a", f"elements nested more than {MAX_DEPTH} deep"),
    ("<p " + " ".join(f"a{k}" for k in range(MAX_ATTRIBUTES)) + ">a",
     "<p " + " ".join(f"a{k}" for k in range(MAX_ATTRIBUTES + 1)) + ">a",
     f"an element with more than {MAX_ATTRIBUTES} attributes"),
    ("<p>a" + " " * (MAX_BYTES - 4), "<p>a" + " " * (MAX_BYTES - 3),
     f"{MAX_BYTES + 1} bytes of HTML, more than {MAX_BYTES}"),
], ids=["elements", "depth", "attributes", "bytes"])  # fmt: skip
def test_limits_are_exact(fits: str, too_much: str, told: str) -> None:
    precise_text(fits)
    with pytest.raises(RecordError) as raised:
        precise_text(too_much)
    assert (raised.value.reason, raised.value.detail) == ("extractor_limit", told)


@pytest.mark.parametrize("page", [
    "<div>" * 1_000_000, "<div>" * 600_000 + "</b>" * 600_000, "<b>" * 1_000_000 + "x", "<ul><li>" * 500_000,
    "<p " + " ".join(f"a{k}" for k in range(900_000)) + ">x", "<p>" * 1_000_000, "w " * 5_000_000,
    "<table><tr><td>" * 100_000, "<svg><![CDATA[x]]>" * 50_000,
], ids=lambda page: page[:20])  # fmt: skip
def test_monsters_are_dead_letters_and_take_no_time(page: str) -> None:
    began = time.process_time()
    [letter] = outcomes(page.encode())
    assert isinstance(letter, DeadLetter)
    assert letter.reason == "extractor_limit"
    assert time.process_time() - began < 10


@pytest.mark.parametrize("page", [
    "<" * 3_000_000, "&" * 1_000_000, "<!--" * 1_000_000, "<a b='" * 1_000_000, "</x>" * 1_000_000, "\0" * 3_000_000,
    "<![CDATA[" * 500_000, "<script>" + "</scrip" * 500_000, "<p>" + "x" * 5_000_000,
], ids=lambda page: page[:10])  # fmt: skip
def test_odd_pages_take_no_time(page: str) -> None:
    began = time.process_time()
    [outcome] = outcomes(page.encode())
    assert isinstance(outcome, Page | Skipped), outcome
    assert time.process_time() - began < 20


@pytest.mark.parametrize("tags", [
    ["del"], ["ul", "li"], ["table", "tr", "td"], ["blockquote"], ["details"], ["b", "i"], ["code"], ["dl", "dd"],
])  # fmt: skip
def test_the_deepest_page_needs_half_the_stack(tags: list[str]) -> None:
    """Else what comes of a page would depend on how deep its caller is."""
    opened = "".join(tags[k % len(tags)].join("<>") for k in range(MAX_DEPTH - 3))
    page = f"<p>{LINE * 9}</p>{opened}{LINE * 9}"
    here = precise_text(page)

    def deeper(frames: int) -> str:
        return deeper(frames - 1) if frames else precise_text(page)

    assert deeper(500) == here


@pytest.mark.parametrize("error", [RecursionError("too deep"), AssertionError(), KeyError("x"), RuntimeError("\ud800")])
def test_a_page_that_the_library_fails_on_is_a_dead_letter(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> str:
        raise error

    monkeypatch.setattr(trafilatura, "extract", fail)
    [letter] = outcomes(ARTICLE.encode())
    assert isinstance(letter, DeadLetter)
    assert letter.reason == "extractor_failed"
    assert letter.detail.startswith(f"{type(error).__name__}: ")
    assert ARTICLE.encode() in letter.record


def test_what_libxml2_gives_up_on_is_a_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go on with half a page and say nothing. Beyond our limits, so these are lifted."""
    monkeypatch.setattr(precision, "MAX_DEPTH", 10_000)
    with pytest.raises(RecordError, match=r"extractor_limit: libxml2: .*depth"):
        precise_text("<div>" * 300 + "a")


def test_the_library_missing_on_a_worker_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trafilatura", None)
    precision._libraries.cache_clear()
    with pytest.raises(RunError, match=r"a worker lacks trafilatura, .* pip install 'winnow-data\[precision\]'"):
        precise_text(ARTICLE)
    monkeypatch.undo()
    assert precise_text(ARTICLE)


def test_documents_name_their_extractor() -> None:
    found = {
        (kind, extract.extractor): [
            page.extractor for page in outcomes(b"<p>Some text", media_type=kind, extract=extract)
            if isinstance(page, Page)
        ]
        for kind in ("text/html", "application/xhtml+xml", "text/plain")
        for extract in (Extract(), PRECISE)
    }
    ours, theirs = html_extractor("resiliparse"), html_extractor("precision")
    assert theirs == f"trafilatura {trafilatura.__version__}"
    assert ours.startswith("resiliparse 2.")
    assert found == {
        ("text/html", "resiliparse"): [ours], ("text/html", "precision"): [theirs],
        ("application/xhtml+xml", "resiliparse"): [ours], ("application/xhtml+xml", "precision"): [theirs],
        ("text/plain", "resiliparse"): [None], ("text/plain", "precision"): [None],
    }


INLINE = st.sampled_from(["", "<b>two</b>", "<a href=/x>a link</a>", "<br>", "<img src=x>", "&nbsp;", "&#1;", "\0"])
BLOCKS = st.sampled_from(
    ["p", "div", "li", "h2", "td", "pre", "blockquote", "article", "nav", "div class=comment", "table"]
)
PAGES = st.lists(
    st.tuples(BLOCKS, st.text(max_size=40) | st.just(LINE), INLINE, st.booleans()), max_size=12
).map(lambda parts: "".join(f"<{b}>{t}{i}{LINE if long else ''}" for b, t, i, long in parts))


@given(st.lists(PAGES, min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_a_page_has_the_same_text_whatever_was_read_before(pages: list[str], chance: random.Random) -> None:
    def texts(of: list[str]) -> dict[str, str]:
        return {page: precise_text(page) for page in of}

    first = texts(pages)
    order = pages * 3
    chance.shuffle(order)
    for page in order:
        assert precise_text(page) == first[page]


HASH = """
import hashlib, sys
from transforms.precision import precise_text
pages = sys.stdin.buffer.read().decode().split("\\0")
order = range(len(pages)) if sys.argv[1] == "0" else reversed(range(len(pages)))
found = {k: precise_text(pages[k]) for k in order}
print(hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest())
"""


def test_a_process_with_other_hashes_gives_the_same_texts() -> None:
    """Python's hashes of text differ from process to process, and so does the order of sets."""
    pages = [ARTICLE, *(f"<div>{LINE * k}<table><tr><td>{LINE}<th>x</table><ul><li>{LINE}</ul>" for k in range(9))]
    found = {
        subprocess.run(
            [sys.executable, "-c", HASH, seed], input="\0".join(pages).encode(), capture_output=True, check=True,
            cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "2")
    }
    texts = [(k, precise_text(page)) for k, page in enumerate(pages)]
    assert found == {(hashlib.sha256(repr(texts).encode()).hexdigest() + "\n").encode()}


def test_the_default_extractor_does_not_load_it() -> None:
    code = (
        "import sys, transforms.beam.ingest\n"
        "from transforms.page import read_page; from schemas.recipes import Extract\n"
        "extract = Extract(extractor={!r}) if {!r} else Extract()\n"
        "read_page(b'<p>text', media_type='text/html', declared=None, extract=extract)\n"
        "print(sorted(sys.modules.keys() & {{'trafilatura', 'lxml', 'justext'}}))"
    )
    loaded = [
        subprocess.run([sys.executable, "-c", code.format(n, n)], cwd=ROOT, capture_output=True, check=True).stdout
        for n in ("", "precision")
    ]
    assert loaded == [b"[]\n", b"['justext', 'lxml', 'trafilatura']\n"]
