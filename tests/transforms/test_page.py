from __future__ import annotations

import codecs
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resiliparse.parse.encoding import map_encoding_to_html5

from schemas.recipes import Extract
from transforms.outcomes import RecordError
from transforms.page import decode, media_type_of, read_page, tidy

FRENCH = "<p>Ça va très bien, où étais-tu l'été passé, à la mer ou à la forêt ? Déjà à l'école."
RUSSIAN = "<p>Привет, как дела сегодня? Хорошая погода стоит в нашем городе уже неделю."
THAI = "<p>สวัสดีชาวโลก ภาษาไทยเป็นภาษาที่ไพเราะ"
JAPANESE = "<p>日本語の文章です。①今日は天気がいいですね。髙橋さんは元気でしょうか。"
CHINESE = "<p>这是一个中文网页，内容用来测试字符编码。今天天气很好，我们去公园散步。"
KOREAN = "<p>한국어 문장입니다. 오늘은 날씨가 좋네요. 똠방각하"


@pytest.mark.parametrize(("text", "encoded_as", "declared", "charset"), [
    (FRENCH, "utf-8-sig", "iso-8859-1", "utf-8"), (FRENCH, "utf-16", "utf-8", "utf-16-le"),
    (FRENCH, "utf-8", "utf-8", "utf-8"), (FRENCH, "utf-8", None, "utf-8"),
    (FRENCH, "utf-8", "iso-8859-1", "utf-8"), (RUSSIAN, "utf-8", "windows-1251", "utf-8"),  # overruled
    (FRENCH, "cp1252", "ISO-8859-1", "cp1252"), (FRENCH, "cp1252", "utf-8", "cp1252"),
    (FRENCH, "cp1252", "bogus", "cp1252"), (RUSSIAN, "cp1251", "windows-1251", "cp1251"),
    (RUSSIAN, "koi8-r", "koi8-r", "koi8-r"), (RUSSIAN, "cp1251", None, "cp1251"),
    (THAI, "cp874", "windows-874", "cp874"), (THAI, "cp874", "tis-620", "cp874"),
    (JAPANESE, "cp932", "shift_jis", "cp932"), (JAPANESE, "cp932", None, "cp932"),
    (CHINESE, "gb18030", "gb2312", "gb18030"),
    (KOREAN, "cp949", "euc-kr", "cp949"), (CHINESE, "utf-16-le", "utf-16", "utf-16-le"),
    (JAPANESE.replace("①", "").replace("髙", "高"), "iso2022_jp", "iso-2022-jp", "iso2022_jp"),
])
def test_charsets(text: str, encoded_as: str, declared: str | None, charset: str) -> None:
    decoded, used = decode(text.encode(encoded_as), declared=declared)
    assert decoded == text
    assert codecs.lookup(used).name == codecs.lookup(charset).name


@pytest.mark.parametrize(("label", "encoded_as", "text"), [
    ("windows-1251", "cp1251", RUSSIAN), ("shift_jis", "cp932", JAPANESE), ("iso-8859-1", "cp1252", FRENCH),
    ("utf-8", "cp1252", FRENCH), ("bogus", "cp1252", FRENCH), ("windows-874", "cp874", THAI),
    ("iso-2022-jp", "iso2022_jp", "<p>日本語の文章です。"), ("utf-16", "cp1252", FRENCH),
])
def test_the_meta_tag_counts_where_nothing_fits_before_it(label: str, encoded_as: str, text: str) -> None:
    page = f"<meta charset={label}>{text}"
    assert decode(page.encode(encoded_as), declared=None)[0] == page


@pytest.mark.parametrize("declared", [None, "utf-8", "iso-8859-1"])
def test_a_broken_character_does_not_spoil_a_utf8_page(declared: str | None) -> None:
    whole = FRENCH.encode()
    for body in (whole + "é".encode()[:1], whole[:9] + b"\xff" + whole[9:]):
        text, charset = decode(body, declared=declared)
        assert charset == "utf-8"
        assert text.count("\ufffd") == 1
        assert text.replace("\ufffd", "") == FRENCH


def test_one_broken_character_in_ten_is_the_limit() -> None:
    for good, used in ((9, "utf-8"), (8, "cp1252")):
        assert decode("é".encode() * good + b"\xe9", declared="iso-8859-1")[1] == used


def test_ascii_is_not_read_as_utf16_for_its_label() -> None:
    assert decode(b"<p>even length text</p>!", declared="utf-16") == ("<p>even length text</p>!", "utf-8")


def test_lone_surrogates_never_survive() -> None:
    for body in (codecs.BOM_UTF16_LE + b"a\0\0\xd8b\0", b"a\xed\xa0\x80b", b"a\0\0\xd8b\0"):
        decode(body, declared="utf-16")[0].encode()


@given(body=st.binary(max_size=300), declared=st.one_of(st.none(), st.text(max_size=20), st.sampled_from(
    ["windows-874", "x-user-defined", "x-mac-cyrillic", "iso-8859-8-i", "replacement", "utf-7", "hz-gb-2312", "idna",
     "unicode_escape", "rot13", "big5", "euc-jp", "gb18030", "iso-2022-jp", "utf-16be", "koi8-u", "macintosh"])))
def test_nothing_makes_it_raise(body: bytes, declared: str | None) -> None:
    text, charset = decode(body, declared=declared)
    assert text.encode().decode() == text
    codecs.lookup(charset)


def test_the_case_of_windows_874_is_real() -> None:
    # the library calls it by a name whose codec lacks the ellipsis and the quotes
    assert map_encoding_to_html5("windows-874", fallback_utf8=False) not in ("cp874", None)
    assert decode("“ไทย…”".encode("cp874"), declared="windows-874") == ("“ไทย…”", "cp874")


def test_pages() -> None:
    html = b"<html><title>T</title><body><nav>menu</nav><main><p>One\r\ntwo.</p><!-- no --></main></body></html>"
    both = {
        main: read_page(html, media_type="text/html", declared=None, extract=Extract(main_content=main))[0]
        for main in (True, False)
    }
    assert both[True] == "One two."
    assert "menu" in both[False]
    plain = read_page(b" <p>a\r\nb\rc \n", media_type="text/plain", declared=None, extract=Extract())[:2]
    assert plain == ("<p>a\nb\nc", "utf-8")
    assert tidy("\r\n a\r\r\n ") == "a"
    for start in (
        b"", b"<!DOCTYPE html>", b"\xef\xbb\xbf\r\n<!-- saved -->\n", b"\n<?xml version='1.0'?><!DOCTYPE html>",
    ):
        assert media_type_of(None, start + html) == "text/html"
    assert media_type_of(None, b"Plain words <html>") == "text/plain"
    assert media_type_of(None, b"\x89PNG\r\n\x1a\n" + bytes(20)) == "image/png"
    assert (media_type_of(None, b""), media_type_of("text/x", html)) == (None, "text/x")


@pytest.mark.parametrize("page", ["<div>" * 300_000 + "text", "<ARTICLE>" * 9000 + "text" + "</ARTICLE>" * 9000])
def test_a_page_nested_beyond_sense_takes_no_hours(page: str) -> None:
    began = time.perf_counter()
    assert read_page(page.encode(), media_type="text/html", declared=None, extract=Extract())[0] == "text"
    assert time.perf_counter() - began < 10


def test_a_page_of_more_tags_than_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    page = b"<p>text</p>" * 10  # twenty tags
    for bound, refused in ((20, False), (19, True)):
        monkeypatch.setattr("transforms.page.MAX_TAGS", bound)
        if refused:
            with pytest.raises(RecordError, match="extractor_limit: 20 tags, more than 19"):
                read_page(page, media_type="text/html", declared=None, extract=Extract())
        else:
            assert "text" in read_page(page, media_type="text/html", declared=None, extract=Extract())[0]
        assert "<p>" in read_page(page, media_type="text/plain", declared=None, extract=Extract())[0]


def test_a_long_flat_page_still_gives_its_main_content() -> None:
    page = "<nav>menu</nav><main>" + "<div><p>Some text.</p></div>" * 20_000 + "</main>"
    assert "menu" not in read_page(page.encode(), media_type="text/html", declared=None, extract=Extract())[0]
