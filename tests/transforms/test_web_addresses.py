from __future__ import annotations

import pytest

from schemas.errors import MissingRunError, RunError
from transforms.beam.web_addresses import check_address, path_of, redirected
from transforms.beam.web_files import check
from transforms.beam.web_requests import Network


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://", "https://: is no address. Write https://HOST/PATH"), ("https:///x", ": is no address."),
        ("https://h:0/x", ": is no address."), ("https://h:many/x", ": is no address."),
        ("https://h/a b", "is no address"),
        ("https://h/ä", "is no address"), ("https://h/a\r\nHost: x", "is no address"),
        ("https://[h/x", "is no address"),
        ("https://me:key@h/x", "https://h/x: holds a name or a password"),
        ("https://me@h/x", "https://h/x: holds a name"),

        ("https://h/x#top", "https://h/x#top: has a #"), ("http://h/x", "http://h/x: is not encrypted. Write https://"),
        ("http://127.0.0.1.example/x", "is not encrypted"), ("http://localhost.example/x", "is not encrypted"),
    ],
)  # fmt: skip
def test_what_is_no_address(url: str, says: str) -> None:
    with pytest.raises(RunError) as raised:
        check_address(url, allow_http=False)
    assert says in str(raised.value) and "key" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["https://h/x", "https://h:8/x?y=z", "http://127.0.0.1:8/x", "http://[::1]/x", "http://localhost/x"]
)
def test_what_is_one(url: str) -> None:
    check_address(url, allow_http=False)
    check_address("http://h/x", allow_http=True)


@pytest.mark.parametrize(("start", "location", "allowed"), [
    ("https://a/x", "/y", "https://a/y"), ("https://a/x", "https://b/y?s=1#t", "https://b/y?s=1"),
    ("https://a/x", "http://a/x", None), ("https://a/x", "https://127.0.0.1/x", None),
    ("https://a/x", "https://localhost/x", None), ("http://127.0.0.1/x", "http://127.0.0.1:9/y", "http://127.0.0.1:9/y"),
])  # fmt: skip
def test_where_redirects_may_lead(start: str, location: str, allowed: str | None) -> None:
    if allowed:
        assert redirected(start, location, allow_http=True) == allowed
        return
    with pytest.raises(MissingRunError):
        redirected(start, location, allow_http=True)


@pytest.mark.parametrize(("url", "says"), [
    ("https://h/a/*.gz", "so a pattern finds nothing. Give the addresses in a file, one a line: --input @FILE"),
    ("https://h/a/[ab].gz", "so a pattern finds nothing"), ("https://h/a/", "names no file"),
    ("https://h", "names no file"),
])  # fmt: skip
def test_nothing_can_be_listed(url: str, says: str) -> None:
    with pytest.raises(RunError) as raised:
        check(url, network=Network())
    assert says in str(raised.value)


def test_paths_are_named_as_files_are() -> None:
    assert path_of("https://h/a%20b/%C3%A4.gz?x#y") == "a b/ä.gz"
    assert path_of("https://h/%FF.gz") == "%FF.gz" and path_of("https://h/a%0Ab") == "a%0Ab"
