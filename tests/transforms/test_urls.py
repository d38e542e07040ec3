from __future__ import annotations

from urllib.parse import urlsplit

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.urls import UrlLists, addresses_of, blocked, domains_of, normal_address, words_of


def is_blocked(url: str | None, lists: UrlLists) -> bool:
    found = blocked(pa.array([url, None], pa.string()), lists=lists)
    assert found.type == pa.bool_() and found.to_pylist()[1] is False
    return found.to_pylist()[0]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://example.org", True),
        ("https://example.org/a", True),
        ("https://www.EXAMPLE.org./a", True),
        ("https://a.b.example.org:8080?q", True),
        ("https://user:pass@example.org#x", True),
        ("//example.org/", True),
        ("http://example.org\\x", True),
        ("http://notexample.org/", False),
        ("http://example.org.evil.net/", False),
        ("http://org/", False),
        ("http://other.net/example.org", False),
        ("http://other.net/http://example.org/", False),
        ("http://other.net?x=//example.org", False),
        ("http://example.org@other.net/", False),
        ("http://sub.co.uk/", True),
        ("http://co.uk/", False),
        ("http://example.or", False),
        ("", False),
        ("example.org", False),
        ("urn:example.org", False),
        ("http://" + "a" * 242 + ".example.org/", False),
        ("http://" + "a" * 241 + ".example.org/", True),
        (None, False),
    ],
)
def test_a_domain_blocks_what_lies_in_it(url, expected):
    assert is_blocked(url, UrlLists(domains=domains_of("Example.org\nsub.co.uk"))) is expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a.net/bet", True),
        ("http://a.net/free-BET.html", True),
        ("http://a.net/?x=bet&y", True),
        ("http://bet.net/", True),
        ("http://a.net/my_bet", True),
        ("http://a.net/alphabet", False),
        ("http://a.net/bets", False),
        ("http://a.net/b%65t", False),
        ("http://a.net/bet365", True),
        ("http://a.net/bet3650", False),
        ("http://a.net/BE\u212aT", False),
    ],
)
def test_a_word_blocks_where_it_stands_whole(url, expected):
    assert is_blocked(url, UrlLists(words=words_of("bet\nbet365"))) is expected


def test_no_list_blocks_nothing():
    assert is_blocked("http://example.org/bet", UrlLists()) is False
    assert blocked(pa.array([], pa.string()), lists=UrlLists()).to_pylist() == []


def test_a_list_is_lines_with_remarks():
    assert domains_of("# mine\n\n  a.org \r\nB_-1.net\n#c.org") == {"a.org", "b_-1.net"}
    assert words_of("") == frozenset()


@pytest.mark.parametrize("line", ["http://a.org", "a.org/x", "a..org", ".a.org", "a b.org", "ä.org", "*.a.org"])
def test_an_entry_that_could_not_match_is_told_with_its_line(line):
    with pytest.raises(ValueError, match=r"^line 2: .* is not a domain, as example\.org$"):
        domains_of(f"ok.org\n{line}\n")


@pytest.mark.parametrize("line", ["free-bet", "a b", "é", "x."])
def test_a_word_that_could_not_match_is_told_with_its_line(line):
    with pytest.raises(ValueError, match=r"^line 1: .* is not a word of ASCII letters and digits$"):
        words_of(line)


LABELS = st.lists(st.text("ab-0", min_size=1, max_size=3), min_size=1, max_size=4).map(".".join)


@given(LABELS, st.lists(LABELS, max_size=4), st.sampled_from(["", ":80"]), st.text("ab./:@?#", max_size=8))
def test_domains_agree_with_the_standard_library(host, entries, port, path):
    url = f"http://{host}{port}/{path}"
    name = urlsplit(url).hostname
    expected = any(name == entry or name.endswith("." + entry) for entry in entries)
    assert is_blocked(url, UrlLists(domains=domains_of("\n".join(entries)))) is expected


def test_many_dots_and_ats_take_no_time():
    url = "http://" + "." * 1_000_000 + "@" * 1_000_000
    assert is_blocked(url, UrlLists(domains=domains_of("a.org"))) is False


@pytest.mark.parametrize(
    "other",
    [
        "https://example.org/a/b?c=D", "HTTP://EXAMPLE.org:80/a/b?c=D", "https://example.org.:443/a/b?c=D#part",
        "https://me:secret@example.org/a/b?c=D", "https://example.org/%61/b?c=%44", " http://example.org/a/b?c=D ",
    ],
)
def test_spellings_of_one_address(other: str) -> None:
    lists = UrlLists(addresses=addresses_of("# one\n\nhttp://example.org/a/b?c=D\n"))
    assert is_blocked(other, lists)


@pytest.mark.parametrize(
    "other",
    [
        "https://example.org/A/b?c=D", "https://example.org/a/b", "https://example.org/a/b?c=D&e",
        "ftp://example.org/a/b?c=D", "https://www.example.org/a/b?c=D", "https://example.org:8080/a/b?c=D",
        "https://example.org/a%2Fb?c=D", "example.org/a/b?c=D",
    ],
)
def test_other_addresses(other: str) -> None:
    assert not is_blocked(other, UrlLists(addresses=addresses_of("http://example.org/a/b?c=D")))


@given(st.text(max_size=20))
def test_a_normal_address_stays_as_it_is(path: str) -> None:
    normal = normal_address(f"https://example.org/{path}")
    assert normal is not None and normal.isascii() and normal_address(f"https://{normal}") == normal


def test_letters_beyond_ascii_are_percent_encoded_or_not() -> None:
    assert normal_address("https://example.org/ä?ö") == normal_address("http://example.org/%c3%A4?%C3%b6")
    assert normal_address("https://example.org") == normal_address("https://example.org/") == "example.org/"
    assert normal_address("https://example.org?a") == "example.org/?a"


def test_a_line_that_is_no_address_is_told() -> None:
    with pytest.raises(ValueError, match=r"line 2: 'example.org' is not an address"):
        addresses_of("https://a.org/\nexample.org\n")
