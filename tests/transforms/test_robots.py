from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from resiliparse.parse.html import HTMLTree

from schemas.recipes import Extract
from transforms.archive import read_archive
from transforms.inflate import Inflated
from transforms.outcomes import Page
from transforms.page import read_page
from transforms.robots import KNOWN, merged, of_headers, of_page


def asked(page: str) -> str | None:
    return of_page(HTMLTree.parse(page), page)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("noai, noimageai", "noai,noimageai"),
        ("NOINDEX,NoFollow , noindex", "nofollow,noindex"),
        ("none", "nofollow,noindex"),
        ("all", None),
        ("index,follow,max-snippet:-1, max-image-preview:large", None),
        ("max-snippet:20, noarchive", "noarchive"),
        ("unavailable_after: 25 Jun 2010 15:00:00 PST, noai", "noai"),
        ("noaind", None),
        ("", None),
    ],
)
def test_a_value_of_the_meta_element_and_of_the_header(value: str, expected: str | None) -> None:
    assert of_headers([value], []) == expected
    assert asked(f'<html><head><meta name="robots" content="{value}"></head><p>text') == expected


def test_what_is_asked_of_one_robot() -> None:
    assert of_headers(["googlebot: noindex, noai"], []) is None
    assert of_headers(["nosnippet, ccbot: noai, none, otherbot: noindex, noml, *: noarchive"], []) == (
        "ccbot:noai,ccbot:nofollow,ccbot:noindex,noarchive,nosnippet"
    )
    assert asked('<head><meta name="CCBot" content="noai"><meta name="googlebot" content="noindex">') == "ccbot:noai"


def test_reservation_of_text_and_data_mining() -> None:
    assert of_headers([], [" 1 "]) == "tdm-reservation"
    assert of_headers([], ["0", "yes"]) is None
    assert asked('<head><meta name="tdm-reservation" content="1">') == "tdm-reservation"
    assert asked('<head><meta name="tdm-reservation" content="0"><meta content="noai" name="robots">') == "noai"


@pytest.mark.parametrize(
    "page",
    [
        '<head><META NAME=ROBOTS CONTENT=noai>', '<head><div>ends it</div><meta content="x" name="robots"></head>'
        '<meta content="noai" name="Robots">', '<p>no head<meta class=a name="robots" content="noai">',
        '<head><meta name="robots" content="noai"/><meta name="robots">',
    ],
)
def test_wherever_it_stands(page: str) -> None:
    assert asked(page) == "noai"


def test_what_is_no_element_is_nothing() -> None:
    assert asked('<!-- <meta name="robots" content="noai"> --><p>a') is None
    assert asked('<head><meta name="description" content="noai"><p>robots') is None
    assert asked('<textarea><meta name="robots" content="noai"></textarea>') is None


def test_it_is_bounded() -> None:
    many = '<meta name="robots" content="noai">' * 100_000
    assert asked(f"<head>{many}") == "noai"
    assert of_headers(["noai"] * 1_000_000, []) == "noai"
    assert of_headers([" " * 5000 + ",noai"], []) is None, "no honest value is that long"


@given(st.lists(st.sampled_from([*KNOWN, "index", "googlebot:noai", "none"])), st.lists(st.sampled_from(KNOWN)))
def test_only_known_directives_in_one_order(one: list[str], other: list[str]) -> None:
    ours, theirs = ",".join(sorted(set(one) & set(KNOWN))) or None, ",".join(sorted(set(other))) or None
    both = merged(ours, theirs)
    assert both == (",".join(sorted(set(other) | (set(one) & set(KNOWN)))) or None)
    found = of_headers([", ".join(d for d in one if ":" not in d and d != "tdm-reservation")], [])
    assert found is None or set(found.split(",")) <= set(KNOWN)


def warc(head: str, body: str) -> bytes:
    block = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{head}\r\n{body}".encode()
    return (
        b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: https://a.example/\r\nContent-Type: application/http\r\n"
        b"Content-Length: %d\r\n\r\n" % len(block) + block + b"\r\n\r\n"
    )


@pytest.mark.parametrize("extractor", ["resiliparse", "precision"])
def test_of_a_record(extractor: str) -> None:
    if extractor == "precision":
        pytest.importorskip("trafilatura")
    page = "<html><head><meta name=robots content=noindex></head><body><article><p>" + "Words of a page. " * 30
    head = "X-Robots-Tag: noai\r\nx-robots-tag: ccbot: nofollow\r\nTDM-Reservation: 1\r\n"
    data = warc(head, page)
    [found] = read_archive(Inflated(io.BytesIO(data)), extract=Extract(extractor=extractor))  # type: ignore[arg-type]
    assert isinstance(found, Page) and found.robots == "ccbot:nofollow,noai,noindex,tdm-reservation"
    [found] = read_archive(Inflated(io.BytesIO(warc("", "<p>Words of a page."))), extract=Extract())
    assert isinstance(found, Page) and found.robots is None


def test_the_text_is_what_it_was_without_looking() -> None:
    from resiliparse.extract.html2text import extract_plain_text

    page = "<html><head><title>t</title><meta name=robots content=noai></head><body><p>One.<p>Two <b>three</b>."
    text, _, robots = read_page(page.encode(), media_type="text/html", declared=None, extract=Extract())
    assert text == extract_plain_text(
        page, preserve_formatting=True, main_content=True, list_bullets=True, alt_texts=False, links=False,
        form_fields=False, noscript=False, comments=False,
    ).strip()
    assert robots == "noai"
