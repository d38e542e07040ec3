from __future__ import annotations

import bz2
import gzip
import io
import re
import tracemalloc
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from schemas.recipes import Extract
from transforms.archive import read_archive
from transforms.dump_pages import page_url
from transforms.inflate import Inflated
from transforms.outcomes import DeadLetter, Outcome, Page

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" version="0.10" xml:lang="en">
  <siteinfo><base>https://xx.example.org/wiki/Main_Page</base>
    <namespaces><namespace key="0" /><namespace key="10">Muster</namespace></namespaces></siteinfo>
"""
END = "</mediawiki>\n"


def page(
    number: int = 1,
    text: str = "Some text.",
    *,
    ns: str = "<ns>0</ns>",
    extra: str = "",
    title: str = "A page",
    model: str = "wikitext",
) -> str:
    return f"""  <page>
    <title>{title}</title>{ns}<id>{number}</id>{extra}
    <revision><id>{number}7</id><timestamp>2024-05-06T07:08:09Z</timestamp>
      <contributor><username>Who</username><id>99</id></contributor>
      <model>{model}</model><text xml:space="preserve">{text}</text></revision>
  </page>
"""


def outcomes(data: bytes | str, extract: Extract | None = None) -> list[Outcome]:
    raw = data.encode() if isinstance(data, str) else data
    return list(read_archive(Inflated(io.BytesIO(raw)), extract=extract or Extract()))


def name(outcome: Outcome) -> str:
    return "page" if isinstance(outcome, Page) else outcome.reason


def names(data: bytes | str, extract: Extract | None = None) -> list[str]:
    return list(map(name, outcomes(data, extract)))


def one(data: bytes | str) -> Page:
    [found] = outcomes(data)
    assert isinstance(found, Page)
    return found


# closed pages, cut pages
DUMPS = {
    "elwiki-20230501-pages-articles-truncated100k": (933, 1),
    "jawiki-20230501-pages-articles-truncated100k": (238, 1),
    "mrwiki-20230501-pages-articles-truncated100k": (1820, 1),
    "ukwiki-20230501-pages-articles-truncated100k": (532, 1),
    "viwiki-20230501-pages-articles-truncated100k": (970, 1),
    "ltgwiki-pages-articles": (2004, 0),
    "enwiki-pages-articles1-p10p30302-shortened": (206, 0),
    "enwiki-table-markup": (5, 0),
}


@pytest.mark.parametrize("dump", DUMPS)
def test_every_page_of_a_real_dump_has_one_outcome_at_its_place(
    dump: str, data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the XML: the wikitext is left as it is, since making text of 80 MB of it takes a minute."""
    monkeypatch.setattr("transforms.dump_pages.readable", lambda source, namespaces: source.strip())
    packed = (data_folder / "wikipedia" / f"{dump}.xml.bz2").read_bytes()
    xml = bz2.decompress(packed)
    closed = re.findall(rb"<page>.*?</page>", xml, re.DOTALL)
    articles = [p for p in closed if b"<ns>0</ns>" in p]
    redirects = sum(b"<redirect " in p for p in articles)
    empty = sum(b"<redirect " not in p and not re.search(rb"<text[^>]*>[^<]", p) for p in articles)
    assert (len(closed), xml.count(b"<page>") - len(closed)) == DUMPS[dump]
    found = outcomes(packed)
    counts = Counter(map(name, found))
    assert len(found) == xml.count(b"<page>")
    assert counts["truncated"] == DUMPS[dump][1]
    assert counts["wiki_namespace"] == len(closed) - len(articles)
    assert counts["wiki_redirect"] == redirects
    assert counts["page"] == len(articles) - redirects - empty
    places = [m.start() for m in re.finditer(rb"<page>", xml)]
    for outcome in found:
        if isinstance(outcome, Page):
            assert outcome.offset == 0
            assert outcome.inner_offset in places
            there = xml[outcome.inner_offset : xml.index(b"</page>", outcome.inner_offset)]
            ids = re.findall(rb"<id>(\d+)</id>", there)
            assert outcome.record_id == f"{ids[0].decode()}/{ids[1].decode()}"
            assert outcome.date and outcome.date.isoformat()[:19].encode() in there
    if DUMPS[dump][1]:
        last = found[-1]
        assert isinstance(last, DeadLetter)
        assert last.inner_offset == places[-1]
        assert xml[places[-1] :].startswith(last.record)


def test_utf_16_as_gensim_has_it(data_folder: Path) -> None:
    data = (data_folder / "malformed" / "gensim-bgwiki-utf16.xml.bz2").read_bytes()
    found = outcomes(data)
    assert Counter(map(name, found)) == {"page": 1, "wiki_namespace": 2}
    [article] = [o for o in found if isinstance(o, Page)]
    assert article.charset == "utf-16le"
    assert bz2.decompress(data)[article.inner_offset :].startswith("<page>".encode("utf-16-le"))
    assert "календар" in article.text


def test_fields() -> None:
    found = one(HEAD + page(5, "It's &lt;b&gt;bold&lt;/b&gt; &amp;amp; '''good'''.", title="C&amp;A? #1 é") + END)
    assert found == Page(
        offset=len(HEAD) + 2,
        inner_offset=0,
        text="It's bold & good.",
        record_id="5/57",
        url="https://xx.example.org/wiki/C%26A%3F_%231_%C3%A9",
        date=datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC),
        media_type="text/x-wiki",
        charset="utf-8",
        extractor=f"mwparserfromhell {version('mwparserfromhell')}",
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (page(ns="<ns>10</ns>"), "wiki_namespace"),
        (page(ns="", title="Muster:A"), "wiki_namespace"),
        (page(ns="", title="muster:A"), "wiki_namespace"),
        (page(ns="", title="Template:A"), "wiki_namespace"),
        (page(ns="", title="2001: A Space Odyssey"), "page"),
        (page(extra='<redirect title="B" />'), "wiki_redirect"),
        (page(text="#REDIRECT [[B]]"), "wiki_redirect"),
        (page(text=" #redirect[[B]]"), "wiki_redirect"),
        (page(text="#redirection is a word"), "page"),
        (page(text=""), "empty_text"),
        (page(text="{{only}}"), "empty_text"),
        (page(model="Scribunto"), "wiki_model"),
        (page(text="{{disambig}}\n* [[A]]"), "page"),
        (page().replace("<text", "<x").replace("</text", "</x"), "empty_text"),
    ],
)
def test_outcomes(text: str, reason: str) -> None:
    assert names(HEAD + page() + text + page() + END) == ["page", reason, "page"]


@pytest.mark.parametrize("version", ["0.3", "0.5", "0.10", "0.11"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1251"])
def test_schemas_and_encodings(version: str, encoding: str) -> None:
    text = "Ж" if encoding in ("utf-16", "windows-1251") else "é"
    declared = "utf-8" if encoding == "utf-8-sig" else encoding
    xml = f'<?xml version="1.0" encoding="{declared}"?>\n' + HEAD.replace("0.10", version) + page(text=text) + END
    data = xml.encode(encoding)
    found = one(data)
    assert found.text == text
    assert data[found.offset :].startswith("<page>".encode("utf-16-le" if encoding == "utf-16" else "ascii"))


def test_of_several_revisions_the_last_is_read() -> None:
    second = "<revision><id>9</id><text>New.</text></revision>"
    found = one(HEAD + page().replace("  </page>", second + "</page>") + END)
    assert (found.text, found.record_id, found.date) == ("New.", "1/9", None)


def test_every_cut_keeps_the_pages_before_it_and_loses_nothing_unsaid() -> None:
    xml = (HEAD + "".join(page(k, f"Text {k}.") for k in range(4)) + END).encode()
    ends = [m.end() for m in re.finditer(b"</page>", xml)]
    starts = [m.start() for m in re.finditer(b"<page>", xml)]
    for cut in range(12, len(xml)):
        found = outcomes(xml[:cut])
        whole = sum(end <= cut for end in ends)
        assert list(map(name, found)) == ["page"] * whole + ([] if cut >= len(xml) - 1 else ["truncated"]), cut
        if cut < len(xml) - 1:
            letter = found[-1]
            assert isinstance(letter, DeadLetter)
            assert letter.offset + letter.length == cut
            opened = [s for s in starts[whole:] if s + 6 <= cut]
            assert letter.offset == (opened[0] if opened else ends[whole - 1] if whole else 0)


@pytest.mark.parametrize("pack", [bz2.compress, gzip.compress])
def test_a_multistream_dump_and_one_of_its_streams_alone(pack) -> None:
    """As Wikimedia writes them: the head, then 100 pages a stream, then the end."""
    streams = [HEAD, page(1) + page(2, "Two."), page(3), END]
    packed = [pack(s.encode()) for s in streams]
    data = b"".join(packed)
    found = outcomes(data)
    assert list(map(name, found)) == ["page"] * 3
    assert [(p.offset, p.inner_offset) for p in found if isinstance(p, Page)] == [
        (len(packed[0]), 2),
        (len(packed[0]), 2 + len(page(1))),
        (len(packed[0] + packed[1]), 2),
    ]
    second = found[1]
    assert isinstance(second, Page)
    alone = outcomes(data[second.offset :][: len(packed[1])])
    assert [o.text for o in alone if isinstance(o, Page)] == ["Some text.", "Two."]
    assert names(data[: len(data) - len(packed[3])]) == ["page"] * 3 + ["truncated"]
    cut = names(data[: len(data) - len(packed[3]) - 9])  # bzip2 gives a block before it has read what follows it
    assert cut in (["page"] * 2 + ["truncated"], ["page"] * 3 + ["truncated"])


@pytest.mark.parametrize("broken", ["a & b", "\x01", "<b>", "</text></page>", "&unknown;", "&#xD800;", "]]>"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
def test_broken_xml_costs_its_page_alone(broken: str, codec: str) -> None:
    xml = HEAD + page(1) + page(2, broken) + page(3) + page(4) + END
    found = outcomes(xml.encode(codec))
    assert list(map(name, found)) == ["page", "bad_xml", "page", "page"]
    letter, after = found[1], found[2]
    assert isinstance(letter, DeadLetter) and isinstance(after, Page)
    assert letter.offset + letter.length == after.offset
    assert letter.record[:12].decode("utf-16-le" if codec == "utf-16" else codec).startswith("<page>")
    assert (after.record_id, after.url) == ("3/37", "https://xx.example.org/wiki/A_page")


def test_the_step_of_reading_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    xml = HEAD + page(1) + page(2, "a & b") + page(3) + END + "<?xml version='1.0'?>\n" + HEAD + page(4, "<x") + page(5)
    whole = outcomes(xml)
    assert list(map(name, whole)) == ["page", "bad_xml", "page", "bad_xml", "page", "truncated"]
    for step in (1, 2, 7, 100, 1000):
        monkeypatch.setattr("transforms.wikipedia._STEP", step)
        found = outcomes(xml)
        assert list(map(name, found)) == list(map(name, whole)), step
        assert [o for o in found if isinstance(o, Page)] == [o for o in whole if isinstance(o, Page)]


@pytest.mark.parametrize("head", ["<mediawiki>", "<mediawiki >"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_page_that_follows_the_root_at_once(head: str, codec: str) -> None:
    assert names((head + page().strip() + page(2) + END).encode(codec)) == ["page", "page"]


def test_dumps_one_after_the_other_have_addresses_of_their_own() -> None:
    other = HEAD.replace("xx.example", "yy.example")
    found = outcomes(HEAD + page() + END + "<?xml version='1.0'?>" + other + page() + END)
    assert [o.url for o in found if isinstance(o, Page)] == [
        f"https://{x}.example.org/wiki/A_page" for x in ("xx", "yy")
    ]
    assert len(found) == 2
    assert names(HEAD + page() + END + "junk") == ["page", "bad_xml"]


def test_entities_and_document_types_are_refused() -> None:
    laughs = "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10}">' for k in range(1, 10))
    bomb = f'<?xml version="1.0"?><!DOCTYPE mediawiki [<!ENTITY l0 "ha">{laughs}]>' + HEAD + page(text="&l9;") + END
    assert names(bomb) == ["unknown_format"]
    inside = HEAD.replace("<mediawiki", "<mediawiki><!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x", 1)
    assert "page" not in names(inside + page(text="&a;"))
    assert names(HEAD + page() + "<!-- " + "x" * (3 << 20) + " -->" + page() + END) == ["page", "bad_xml", "page"]
    assert names(HEAD + page() + "<a>" * 40 + page() + END) == ["page", "bad_xml", "page", "truncated"][:3]


def test_pages_over_the_limit_are_skipped_whole_within_bounded_memory() -> None:
    size = len(page(1, "x").strip())
    assert names(HEAD + page(1, "x") + page(2) + END, Extract(max_record_bytes=size)) == ["page", "too_long"]
    assert names(HEAD + page(1, "é" * 10) + END, Extract(max_text_bytes=19)) == ["text_too_long"]
    data = bz2.compress((HEAD + page(1, "word " * (20 << 20)) + page(2) + END).encode(), 1)
    tracemalloc.start()
    assert names(data, Extract(max_record_bytes=1 << 20)) == ["too_long", "page"]
    assert tracemalloc.get_traced_memory()[1] < 30 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://el.wikipedia.org/wiki/%CE%A0:%CE%9A", "https://el.wikipedia.org/wiki/A_b%3F/C%22"),
        ("http://a.org/wiki/Project:Main/Page", "http://a.org/wiki/A_b%3F/C%22"),
        ("http://a.org/w/index.php/Main_Page", "http://a.org/w/index.php/A_b%3F/C%22"),
        ("http://a.org/index.php?title=Main_Page", "http://a.org/index.php?title=A_b%3F/C%22"),
        ("https://a.org:8080/Main", "https://a.org:8080/A_b%3F/C%22"),
        ("", None),
        ("javascript:alert(1)", None),
        ("//a.org/wiki/Main", None),
        ("ftp://a.org/wiki/M", None),
        ("https:///wiki/Main", None),
        ("https://user@a.org/wiki/M", None),
        ("https://a.org/wi ki/M", None),
        ("https://a.org", None),
        ("https://[x/wiki/M", None),
        ("https://ä.org/wiki/M", None),
    ],
)
def test_addresses_come_from_the_base_alone(base: str, url: str | None) -> None:
    assert page_url(base, 'A b?/C"') == url
    assert page_url(base, "") is None


@pytest.mark.parametrize("data", [b"<html><body>", b"<?xml version='1.0'?><rss>", b"<pages>", b"<mediawikix>"])
def test_other_markup_is_no_dump(data: bytes) -> None:
    assert names(data) == ["unknown_format"]
