"""The table of the sample: every record, the file it lies in, how it is served, and its fate under `web-en`.

Records are fetched in the order of this table, 97 seconds apart, so of equal texts the first one here survives. Names
are addresses' last part and must differ; the prose of a page has the page's name unless `prose` says otherwise.
"""

from __future__ import annotations

import json

from pipelines.sample.kinds import (
    JSON,
    JSON_GZ,
    WARC,
    WARC_CUT,
    WARC_ONE_MEMBER,
    WARC_PLAIN,
    WET,
    Block,
    Line,
    Page,
    Record,
    Serving,
)

_TYPOGRAPHIC = (("'", "’"),)
_HTTP = "application/http; msgtype=response"


def _clean(file: str, *names: str) -> tuple[Page, ...]:
    """Ordinary pages: UTF-8, declared as such, in a page with navigation and footer."""
    return tuple(Page(name=name, file=file) for name in names)


def _foreign(name: str, file: str, language: str, *, charset: str = "utf-8", meta: str = "",
             encoding: str = "utf-8") -> Page:
    serving = Serving(charset=charset, meta=meta, encoding=encoding)
    return Page(name=name, file=file, fate="language", why=f"in {language}", serving=serving)


def _warcinfo(name: str, file: str) -> Block:
    return Block(name=name, file=file, fate="record_type_warcinfo", why="describes the file, not a page",
                 record_type="warcinfo", content_type="application/warc-fields",
                 block=b"software: the sample's own writer\r\nformat: WARC File Format 1.0\r\n")


def _line(name: str, file: str, fate: str, why: str, **fields: object) -> Line:
    text = json.dumps({"id": name, **fields}, ensure_ascii=True)
    return Line(name=name, file=file, fate=fate, why=why, line=text.encode("ascii"))


_ONE_MEMBER_A_RECORD: tuple[Record, ...] = (
    _warcinfo("warcinfo-0", WARC),
    Block(name="request-tides", file=WARC, fate="record_type_request", why="what the crawler asked for",
          record_type="request", content_type="application/http; msgtype=request",
          block=b"GET /tides HTTP/1.1\r\nHost: harbour.example\r\nUser-Agent: sample\r\n\r\n"),
    *_clean(WARC, "tides"),
    Block(name="metadata-tides", file=WARC, fate="record_type_metadata", why="how long the fetch took",
          record_type="metadata", content_type="application/warc-fields", block=b"fetchTimeMs: 97\r\n"),
    Page(name="lighthouse", file=WARC, why="the longest of its near-duplicates, so it survives them"),
    *_clean(WARC, "harbour", "knots", "shells"),
    Page(name="bells", file=WARC, fate="near_duplicate", why="its syndicated copy is one sentence longer"),
    _foreign("de-muehle", WARC, "German"),
    _foreign("de-fahrplan", WARC, "German", charset="iso-8859-1", encoding="iso-8859-1"),
    _foreign("fr-boulangerie", WARC, "French"),
    _foreign("fr-riviere", WARC, "French", charset="", encoding="windows-1252"),
    Page(name="links", file=WARC, fate="duplicate_line_ratio", why="seven of nine lines repeat one line"),
    Page(name="hashtags", file=WARC, fate="hash_word_ratio", why="one word in five has a hash sign"),
    Page(name="stub", file=WARC, fate="word_count", why="34 words"),
    Page(name="fog", file=WARC, why="gzip, undone by the reader", serving=Serving(content_encoding="gzip")),
    Page(name="salt", file=WARC, why="deflate in chunks", serving=Serving(content_encoding="deflate", chunked=True)),
    Page(name="ferry", file=WARC, why="brotli", serving=Serving(content_encoding="br")),
    Page(name="maps", file=WARC, why="chunked", serving=Serving(chunked=True)),
    Page(name="gone", file=WARC, prose="fog", fate="http_status", why="404", serving=Serving(status="404 Not Found")),
    Page(name="moved", file=WARC, prose="tides", fate="http_status", why="a redirect",
         serving=Serving(status="301 Moved Permanently", site="shell")),
    Block(name="pixel", file=WARC, fate="media_type", why="a picture", record_type="response", content_type=_HTTP,
          block=b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nContent-Length: 14\r\n\r\nGIF89a\1\0\1\0\0\0\0;"),
    Block(name="robots", file=WARC, fate="word_count", why="text, but a handful of words", record_type="response",
          content_type=_HTTP, block=b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 69\r\n\r\n"
                                    b"# Everybody is welcome to read this.\nUser-agent: *\nDisallow: /search\n"),
    Page(name="half-a-gzip", file=WARC, prose="maps", fate="bad_encoding", why="the gzip body stops in the middle",
         serving=Serving(content_encoding="gzip-cut")),
)
_ONE_MEMBER_IN_ALL: tuple[Record, ...] = (
    _warcinfo("warcinfo-1", WARC_ONE_MEMBER),
    *_clean(WARC_ONE_MEMBER, "bread", "tea", "soup", "cheese", "pickles"),
    Page(name="coffee", file=WARC_ONE_MEMBER, why="ISO-8859-1, with a letter that is not ASCII",
         swaps=(("behind the counter", "behind the counter of a café"),),
         serving=Serving(charset="iso-8859-1", encoding="iso-8859-1")),
    Page(name="honey", file=WARC_ONE_MEMBER, why="no charset anywhere, but valid UTF-8",
         swaps=(("a hint", "a soupçon"),), serving=Serving(charset="")),
    Page(name="kettle", file=WARC_ONE_MEMBER, why="no charset anywhere and not UTF-8: detected",
         swaps=(("for nothing in", "for nothing – truly nothing – in"),),
         serving=Serving(charset="", encoding="windows-1252")),
    Page(name="apples", file=WARC_ONE_MEMBER, why="UTF-8 after a byte order mark", swaps=_TYPOGRAPHIC,
         serving=Serving(bom=True)),
    Page(name="tides-again", file=WARC_ONE_MEMBER, prose="tides", fate="exact_duplicate",
         why="syndicated under another footer, which extraction removes"),
    Page(name="lighthouse-mirror", file=WARC_ONE_MEMBER, prose="lighthouse", fate="near_duplicate",
         why="two words changed", swaps=(("hundred and twelve", "hundred and ten"), ("a schooner", "a sloop"))),
    Page(name="bells-weekly", file=WARC_ONE_MEMBER, prose="bells", why="the longer of two near-duplicates",
         closing="First printed in the parish weekly."),
    _foreign("es-plaza", WARC_ONE_MEMBER, "Spanish"),
    _foreign("es-faro", WARC_ONE_MEMBER, "Spanish", charset="iso-8859-15", encoding="iso-8859-15"),
    _foreign("uk-sad", WARC_ONE_MEMBER, "Ukrainian", charset="", meta="windows-1251", encoding="windows-1251"),
    _foreign("uk-poizd", WARC_ONE_MEMBER, "Ukrainian"),
    _foreign("el-kafeneio", WARC_ONE_MEMBER, "Greek"),
    _foreign("el-elies", WARC_ONE_MEMBER, "Greek", charset="iso-8859-7", encoding="iso-8859-7"),
    Page(name="shopping-list", file=WARC_ONE_MEMBER, fate="bullet_line_ratio", why="13 of 14 lines are bullets"),
    Page(name="teaser", file=WARC_ONE_MEMBER, fate="ellipsis_line_ratio", why="five of six lines end with dots"),
    Page(name="breathless", file=WARC_ONE_MEMBER, fate="ellipsis_word_ratio", why="dots after every few words"),
    Page(name="menu-only", file=WARC_ONE_MEMBER, prose="tea", fate="empty_text", serving=Serving(site="shell"),
         why="navigation, footer and a script, which would have fetched the text"),
)
_PLAIN: tuple[Record, ...] = (
    _warcinfo("warcinfo-2", WARC_PLAIN),
    *_clean(WARC_PLAIN, "bicycles", "clocks", "bridges", "pencils"),
    Page(name="saws", file=WARC_PLAIN, why="UTF-16, and says so", swaps=_TYPOGRAPHIC,
         serving=Serving(charset="utf-16", encoding="utf-16-le", bom=True)),
    Page(name="locks", file=WARC_PLAIN, why="UTF-16 after a byte order mark, undeclared: detected",
         serving=Serving(charset="", encoding="utf-16-le", bom=True)),
    Page(name="paper", file=WARC_PLAIN, why="plain text", serving=Serving(media_type="text/plain")),
    Page(name="radio", file=WARC_PLAIN, why="a page without any frame around the text", serving=Serving(site="bare")),
    Page(name="kites", file=WARC_PLAIN, why="the header says gzip, but the crawler has inflated it already",
         serving=Serving(content_encoding="undone")),
    Block(name="revisit-tides", file=WARC_PLAIN, fate="record_type_revisit", why="only says: not changed since",
          record_type="revisit", content_type=_HTTP, block=b"HTTP/1.1 304 Not Modified\r\nServer: sample\r\n\r\n"),
    Block(name="resource-notes", file=WARC_PLAIN, fate="record_type_resource", why="a file, not fetched over HTTP",
          record_type="resource", content_type="text/plain", block=b"Notes of the crawl's operator.\n"),
    Block(name="no-status", file=WARC_PLAIN, fate="bad_http", why="a response without HTTP's status line and headers",
          record_type="response", content_type=_HTTP, block=b"<p>It was never said what this is.</p>"),
    Page(name="garbled-gzip", file=WARC_PLAIN, prose="kites", fate="bad_encoding", why="the gzip body is not deflate",
         serving=Serving(content_encoding="gzip-garbled")),
    Page(name="prices", file=WARC_PLAIN, fate="alpha_word_ratio", why="most words are numbers"),
    Page(name="chemistry", file=WARC_PLAIN, fate="mean_word_length", why="words of 16 letters on average"),
    Page(name="initials", file=WARC_PLAIN, fate="mean_word_length", why="words of two letters on average"),
    Page(name="catalogue", file=WARC_PLAIN, fate="stop_word_count", why="not one of the words English needs"),
    Page(name="mixed", file=WARC_PLAIN, fate="language_confidence",
         why="English and French in turns: taken for English, but without confidence"),
    Page(name="lighthouse-copy", file=WARC_PLAIN, prose="lighthouse", fate="near_duplicate",
         why="byte for byte the mirror, which does not survive; only near the text that does",
         swaps=(("hundred and twelve", "hundred and ten"), ("a schooner", "a sloop"))),
    Page(name="bread-again", file=WARC_PLAIN, prose="bread", fate="exact_duplicate",
         why="the same text in another file",
         serving=Serving(site="bare", charset="iso-8859-1", encoding="iso-8859-1")),
    _foreign("ar-souq", WARC_PLAIN, "Arabic"),
    _foreign("ar-nakhla", WARC_PLAIN, "Arabic", charset="windows-1256", encoding="windows-1256"),
    _foreign("hi-baarish", WARC_PLAIN, "Hindi"),
    _foreign("hi-rail", WARC_PLAIN, "Hindi", charset="", meta="utf-8"),
    _foreign("ja-ekimae", WARC_PLAIN, "Japanese", charset="", meta="Shift_JIS", encoding="shift_jis"),
    _foreign("ja-ofuro", WARC_PLAIN, "Japanese"),
)
_CUT: tuple[Record, ...] = (
    _warcinfo("warcinfo-3", WARC_CUT),
    *_clean(WARC_CUT, "compost", "moss"),
    Page(name="robins", file=WARC_CUT, why="declared UTF-8, but it is Windows-1252",
         swaps=(("oods,", "oods – a long time ago –"),), serving=Serving(encoding="windows-1252")),
    Page(name="hedges", file=WARC_CUT, why="declared as a charset that does not exist",
         serving=Serving(charset="x-harbour")),
    Page(name="long-quote", file=WARC_CUT, fate="duplicate_line_char_ratio", why="one long letter, printed twice"),
    Page(name="shanty", file=WARC_CUT, fate="duplicate_paragraph_ratio", why="a refrain after every verse"),
    Page(name="skipping", file=WARC_CUT, fate="duplicate_paragraph_char_ratio",
         why="a list of short lines, printed twice: only with its line breaks is it a fifth of the text"),
    _foreign("zh-chaguan", WARC_CUT, "Chinese"),
    _foreign("zh-zixingche", WARC_CUT, "Chinese", charset="gb18030", encoding="gb18030"),
    _foreign("th-talat", WARC_CUT, "Thai"),
    _foreign("th-rongrian", WARC_CUT, "Thai", charset="windows-874", encoding="cp874"),
    Page(name="rain", file=WARC_CUT, fate="truncated", why="the file ends in the middle of this record"),
)
_WET: tuple[Record, ...] = (
    _warcinfo("warcinfo-wet", WET),
    Page(name="rain-wet", file=WET, prose="rain", why="its WARC copy was lost with the end of its file"),
    *_clean(WET, "snow", "beans", "libraries"),
    Page(name="tides-wet", file=WET, prose="tides", fate="exact_duplicate", why="the text of a page in the WARC files"),
    Page(name="bridges-wet", file=WET, prose="bridges", fate="near_duplicate", why="the same but for one word",
         swaps=(("two hundred years", "many years"),)),
    Page(name="fr-wet", file=WET, prose="fr-riviere", fate="language", why="in French"),
    Page(name="links-wet", file=WET, prose="links", fate="duplicate_line_ratio", why="the same line again and again"),
)
_JSON: tuple[Record, ...] = (
    *_clean(JSON, "market", "trains", "cinema", "stairs"),
    Page(name="soup-json", file=JSON, prose="soup", fate="exact_duplicate", why="the text of a page in the WARC files"),
    Line(name="", file=JSON, fate="bad_json", why="the line stops in the middle",
         line=b'{"id": "cut", "text": "Once upon'),
    _line("no-text", JSON, "no_text", "no field named text", title="No text"),
    _line("surrogate", JSON, "not_unicode", "half a surrogate pair is no character", text="It stops here: \ud83d"),
    _line("empty", JSON, "empty_text", "an empty string", text=""),
    *_clean(JSON_GZ, "postcards", "puddles"),
    Page(name="market-json", file=JSON_GZ, prose="market", fate="exact_duplicate", why="a text of the other JSON file"),
    Page(name="stub-json", file=JSON_GZ, prose="stub", fate="word_count", why="34 words"),
    Page(name="es-json", file=JSON_GZ, prose="es-faro", fate="language", why="in Spanish"),
)
RECORDS: tuple[Record, ...] = (*_ONE_MEMBER_A_RECORD, *_ONE_MEMBER_IN_ALL, *_PLAIN, *_CUT, *_WET, *_JSON)
