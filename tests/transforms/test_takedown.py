from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.takedown import Takedown, digest_of, entries, is_listed, listed, may_hold, takedown_of, union
from transforms.urls import UrlLists

ID = "00112233445566778899AABBCCDDEEFF"
TEXT = f"""\ufeff# a remark
example.org   # all of it
co.uk

{ID}
https://a.example/page?q=1#part   # one page
"""


def test_the_kind_of_an_entry_is_told_by_its_form() -> None:
    assert takedown_of(TEXT) == Takedown(
        documents=frozenset({bytes.fromhex(ID)}),
        lists=UrlLists(domains=frozenset({"example.org", "co.uk"}), addresses=frozenset({"a.example/page?q=1"})),
    )


@pytest.mark.parametrize(
    "line", ["a.example/page", "ftp://a.example/", ID[:-1], f"{ID}0", "*.example.org", "two words"]
)
def test_an_entry_of_no_kind_is_told(line: str) -> None:
    with pytest.raises(ValueError, match=r"line 2: .* is neither the 32 hexadecimal digits"):
        takedown_of(f"example.org\n{line}\n")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://www.example.org/x", True), ("http://badexample.org/", False), ("https://shop.co.uk/", True),
        ("https://a.example/page?q=1", True), ("http://A.EXAMPLE/page?q=1#other", True),
        ("https://a.example/page?q=12", False), ("https://a.example/page", False), (None, False), ("", False),
    ],
)
def test_which_documents_are_meant(url: str | None, expected: bool) -> None:
    takedown = takedown_of(TEXT)
    assert is_listed(takedown, document=bytes(16), url=url) is expected
    assert listed(takedown, documents=[bytes.fromhex(ID), bytes(16)], urls=[url, url]) == [True, expected]


def test_broken_records_that_may_be_of_one() -> None:
    takedown = takedown_of(TEXT)
    for held in (
        b'{"url": "https:\\/\\/a.example\\/page?q=1", "text": "', b"WARC-Target-URI: <http://x.example.org/>\r\n",
        b"\xff\x00see http://EXAMPLE.org",
    ):
        assert may_hold(takedown, document=bytes(16), record=held)
        assert not may_hold(Takedown(), document=bytes(16), record=held)
    assert may_hold(takedown, document=bytes.fromhex(ID), record=b"")
    assert not may_hold(takedown, document=bytes(16), record=b"example.org http://notexample.org/ https://a.example/")


entry = st.one_of(
    st.binary(min_size=16, max_size=16).map(bytes.hex),
    st.from_regex(r"[a-z0-9-]{1,9}(\.[a-z]{2,5}){1,2}", fullmatch=True),
    st.from_regex(r"https?://[a-z]{1,5}\.org/[ -!$-~]{0,9}", fullmatch=True),
)


@given(st.lists(entry, max_size=8), st.lists(entry, max_size=8))
def test_a_union_is_the_list_of_all_entries_in_any_order(one: list[str], other: list[str]) -> None:
    both = union(takedown_of("\n".join(one)), takedown_of("\n".join(other)))
    assert both == takedown_of("\n".join(reversed([*one, *other])))
    assert takedown_of("\n".join(entries(both))) == both
    assert digest_of(both) == digest_of(takedown_of("\n".join([*other, *one])))
