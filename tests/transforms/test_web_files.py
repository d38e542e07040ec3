"""Files of the web against a server that fails in every way that is known of servers."""

from __future__ import annotations

import email.utils
import random
import threading
import time
import tomllib
from pathlib import Path

import pytest

from schemas.errors import MissingRunError, RunError
from tests.mirror import Asked, Fault, Mirror, serving
from transforms.beam import web_files, web_pace
from transforms.beam.ranged import LEAST, MOST
from transforms.beam.web_requests import AGENT, Network

QUICK = Network(rate=1e5, tries=4, first_wait=0.001, timeout=5)
SIZE = 3_000_000
DATA = random.Random(6).randbytes(SIZE)


@pytest.fixture(autouse=True)
def own_pace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other test's pace is ours."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def mirror(tmp_path: Path):
    (tmp_path / "served/a").mkdir(parents=True)
    (tmp_path / "served/a/x.gz").write_bytes(DATA)
    (tmp_path / "served/empty").write_bytes(b"")
    with serving(tmp_path / "served") as served:
        yield served


def read(mirror: Mirror, path: str = "/a/x.gz", *, identity: str | None = None, network: Network = QUICK) -> bytes:
    with web_files.open_read(mirror.url + path, identity=identity, network=network) as file:
        return file.read()


def told(mirror: Mirror, path: str = "/a/x.gz", *, network: Network = QUICK) -> str:
    with pytest.raises(RunError) as raised:
        read(mirror, path, network=network)
    assert mirror.url in str(raised.value)
    return str(raised.value).replace(mirror.url, "URL")


def test_a_file_is_read_whole_in_windows_and_once(mirror: Mirror) -> None:
    assert read(mirror) == DATA
    windows = [a for a in mirror.asked if not a.probe]
    spans = [tuple(map(int, a.range.removeprefix("bytes=").split("-"))) for a in windows if a.range]
    assert [s for s, _ in spans] == [0, *(e + 1 for _, e in spans[:-1])] and spans[-1][1] == SIZE - 1
    assert all(e + 1 - s <= MOST for s, e in spans) and len(spans) <= 5 and len(mirror.asked) == len(spans) + 1
    assert mirror.sent == SIZE + 1, "no byte twice, but for the probe's"
    assert {a.headers["User-Agent"] for a in mirror.asked} == {AGENT}
    assert {a.headers["Accept-Encoding"] for a in mirror.asked} == {"identity"}


def test_the_agent_names_this_version() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert AGENT.startswith(f"winnow/{project['version']} ")


def test_only_what_is_wanted_is_fetched(mirror: Mirror) -> None:
    with web_files.open_read(mirror.url + "/a/x.gz", network=QUICK) as file:
        file.seek(2_000_000)
        assert file.read(10) == DATA[2_000_000:2_000_010]
        file.seek(-5, 2)
        assert file.read() == DATA[-5:]
    assert mirror.sent == 1 + LEAST + 5


def test_an_empty_file_has_no_bytes(mirror: Mirror) -> None:
    assert read(mirror, "/empty") == b"" and web_files.look(mirror.url + "/empty", network=QUICK).size == 0


def test_what_a_look_tells_is_what_an_open_holds_to(mirror: Mirror) -> None:
    found = web_files.look(mirror.url + "/a/x.gz", network=QUICK)
    assert (found.path, found.size) == (mirror.url + "/a/x.gz", SIZE)
    assert read(mirror, identity=found.identity) == DATA
    (mirror.folder / "a/x.gz").write_bytes(DATA[::-1])
    with pytest.raises(RunError, match=r"/a/x.gz: changed during the run\. Leave it as it is, and run the same"):
        read(mirror, identity=found.identity)


def once(fault: Fault, *, at: int = 2):
    return lambda asked: fault if asked.seen == at else None


@pytest.mark.parametrize("at", [1, 2, 3], ids=["look", "first", "later"])
@pytest.mark.parametrize(
    "fault",
    [
        *(Fault(status=s) for s in (408, 425, 429, 500, 502, 503, 504)), Fault(hang_up=True), Fault(cut=0),
        Fault(headers={"Content-Length": "99999999"}), Fault(headers={"Content-Length": "2"}),
        Fault(headers={"Content-Range": f"bytes 1-9/{SIZE}"}), Fault(headers={"Content-Range": "octets"}),
    ],
    ids=lambda f: str(f.status or f.headers or f.cut or "hang up"),
)  # fmt: skip
def test_what_fails_once_is_asked_for_again(mirror: Mirror, fault: Fault, at: int) -> None:
    mirror.rule = once(fault, at=at)
    assert read(mirror) == DATA
    mirror.rule = lambda _: None
    before = len(mirror.asked)
    assert read(mirror) == DATA
    undisturbed = len(mirror.asked) - before
    # a probe needs no body, so what is wrong with its body or length harms nothing
    harmless = at == 1 and (fault.cut == 0 or "Content-Length" in fault.headers)
    assert before == undisturbed + (0 if harmless else 1)


def test_a_total_that_does_not_fit_the_version_is_asked_for_again(mirror: Mirror) -> None:
    mirror.rule = once(Fault(headers={"Content-Range": "bytes 0-524287/7"}))
    assert read(mirror) == DATA and [a.range for a in mirror.asked[1:3]] == ["bytes=0-524287"] * 2


def test_a_cut_download_goes_on_where_it_broke(mirror: Mirror) -> None:
    mirror.rule = once(Fault(cut=100_000))
    assert read(mirror) == DATA
    starts = [int(a.range.removeprefix("bytes=").split("-")[0]) for a in mirror.asked[1:3] if a.range]
    assert starts == [0, 100_000] and mirror.sent == SIZE + 1
    assert "If-Range" in mirror.asked[2].headers


def test_many_cuts_are_borne_as_long_as_each_try_brings_something(mirror: Mirror) -> None:
    mirror.rule = lambda asked: None if asked.probe else Fault(cut=LEAST)
    assert read(mirror) == DATA
    assert mirror.sent == SIZE + 1 and len(mirror.asked) > QUICK.tries * 2


def test_tries_have_an_end_and_it_names_the_file(mirror: Mirror) -> None:
    mirror.rule = lambda asked: None if asked.probe else Fault(cut=1000)
    assert told(mirror) == (
        "URL/a/x.gz: cannot be had: the answer broke off after 1000 bytes of 521288, at the last of 4 tries. Run the "
        "same command again: finished parts are kept. --tolerate-missing goes on without it."
    )
    assert len(mirror.asked) == 5
    mirror.asked.clear()
    mirror.rule = lambda _: Fault(status=503)
    assert told(mirror).startswith("URL/a/x.gz: cannot be had: the server answered 503 Service Unavailable, at the")
    assert len(mirror.asked) == 4
    mirror.rule = lambda asked: None if asked.probe else Fault(headers={"Content-Length": "7"})
    assert ": the server announced 7 bytes of 524288, at the last of 4 tries." in told(mirror)
    mirror.rule = lambda asked: None if asked.probe else Fault(headers={"Content-Range": "bytes 0-6/" + str(SIZE)})
    assert ": the server was asked for bytes 0-524287 and gave 'bytes 0-6/3000000', at the last of 4" in told(mirror)


def test_nobody_listens() -> None:
    with pytest.raises(MissingRunError, match=r"127.0.0.1:9/x: cannot be had: ConnectionRefusedError: .*4 tries"):
        web_files.look("http://127.0.0.1:9/x", network=QUICK)


def test_a_silent_server_and_one_that_drips_are_given_up(mirror: Mirror) -> None:
    hasty = Network(rate=1e5, tries=2, first_wait=0.001, timeout=0.1)
    mirror.rule = lambda asked: None if asked.probe else Fault(pause=1.0)
    assert "broke off after 0 bytes of 524288" in told(mirror, network=hasty)
    mirror.rule = lambda asked: None if asked.probe else Fault(pause=0.03)
    assert "broke off after " in told(mirror, network=hasty)


@pytest.mark.parametrize("dated", [False, True])
def test_retry_after_is_honoured_by_everybody_on_the_machine(mirror: Mirror, dated: bool) -> None:
    (mirror.folder / "other").write_bytes(b"other")
    def after() -> str:
        return email.utils.formatdate(time.time() + 2, usegmt=True) if dated else "1"

    mirror.rule = lambda a: Fault(status=503, headers={"Retry-After": after()}) if len(mirror.asked) == 1 else None
    readers = [threading.Thread(target=read, args=(mirror, path)) for path in ("/a/x.gz", "/other")]
    readers[0].start()
    time.sleep(0.2)
    readers[1].start()
    for reader in readers:
        reader.join()
    assert min(a.when for a in mirror.asked[1:]) - mirror.asked[0].when >= 0.95, "also by who was not told"


def test_a_server_that_asks_for_hours_is_believed(mirror: Mirror) -> None:
    mirror.rule = lambda _: Fault(status=503, headers={"Retry-After": "7200"})
    assert told(mirror) == (
        "URL/a/x.gz: the server answered 503 Service Unavailable, and to come back in 7200 s. Do so: finished parts "
        "are kept."
    )
    assert len(mirror.asked) == 1


def test_two_processes_share_a_pace(mirror: Mirror) -> None:
    slow = Network(rate=20, tries=2, first_wait=0.001)
    readers = [threading.Thread(target=web_files.look, args=(mirror.url + "/a/x.gz",), kwargs={"network": slow})
               for _ in range(9)]  # fmt: skip
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    times = sorted(a.when for a in mirror.asked)
    assert len(times) == 9 and times[-1] - times[0] >= 8 / 20 * 0.9


def test_a_clock_that_was_set_back_stops_nobody(tmp_path: Path) -> None:
    web_pace.hold_back("h", seconds=60)
    [file] = tmp_path.glob("winnow-*/hosts/*")
    file.write_text(f"{time.time() + 1e6:020.6f}")
    began = time.monotonic()
    web_pace.pace("h", rate=100)
    assert time.monotonic() - began < 1


def test_without_a_folder_each_process_has_its_own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")
    began = time.monotonic()
    web_pace.pace("h", rate=20)
    assert 0.04 <= time.monotonic() - began < 2


@pytest.mark.parametrize(("status", "what"), [
    (403, "Ask whoever runs the server"), (404, "Check the address"), (410, "Check the address"),
])  # fmt: skip
def test_a_refusal_is_not_repeated(mirror: Mirror, status: int, what: str) -> None:
    mirror.rule = lambda _: Fault(status=status)
    says = told(mirror)
    assert says.startswith(f"URL/a/x.gz: the server answered {status} ")
    assert says.endswith(f". {what}; --tolerate-missing goes on without it.") and len(mirror.asked) == 1


def test_a_server_without_ranges_is_refused(mirror: Mirror) -> None:
    mirror.rule = lambda _: Fault(ranges=False)
    says = "URL/a/x.gz: its server gives no ranges of bytes. Fetch the file first, and give the file."
    assert told(mirror) == says
    mirror.rule = lambda asked: None if asked.probe else Fault(ranges=False)
    assert told(mirror) == says, "also one that forgets them later"


@pytest.mark.parametrize("lines", [{}, {"ETag": ""}], ids=["If-Range", "no etag"])
@pytest.mark.parametrize("body", [DATA[::-1], DATA[:-1], b""])
def test_a_file_that_changes_under_us_ends_the_run(mirror: Mirror, lines: dict[str, str], body: bytes) -> None:
    if lines and body == DATA[::-1]:
        lines = {"ETag": 'W/"changed"'}

    def rule(asked: Asked) -> Fault:
        return Fault(body=body, headers=lines) if asked.seen > 2 else Fault(headers={"ETag": ""} if lines else {})

    mirror.rule = rule
    assert told(mirror) == "URL/a/x.gz: changed during the run. Leave it as it is, and run the same command again."


def test_redirects_are_followed_five_times(mirror: Mirror) -> None:
    def rule(asked: Asked) -> Fault | None:
        step = int(asked.path.removeprefix("/r")) if asked.path.startswith("/r") else 0
        return Fault(status=302, headers={"Location": f"r{step - 1}" if step > 1 else "/a/x.gz"}) if step else None

    mirror.rule = rule
    assert read(mirror, "/r5") == DATA
    assert told(mirror, "/r6") == "URL/r6: redirects more than 5 times. Give the address where the file lies."


@pytest.mark.parametrize("location", [
    "", "ftp://h/x", "file:///etc/passwd", "http://example.org/x", "http://u:p@127.0.0.1/",
])  # fmt: skip
def test_redirects_that_are_not_followed(mirror: Mirror, location: str) -> None:
    mirror.rule = lambda _: Fault(status=301, headers={"Location": location})
    says = told(mirror)
    assert says.startswith("URL/a/x.gz: redirects to '") and "which is not followed" in says and "u:p" not in says
    assert len(mirror.asked) == 1


def test_a_secret_in_a_query_is_sent_and_not_told(mirror: Mirror) -> None:
    assert read(mirror, "/a/x.gz?signature=s3cret") == DATA
    assert mirror.asked[0].path.endswith("?signature=s3cret")
    mirror.rule = lambda _: Fault(status=403)
    assert "s3cret" not in told(mirror, "/a/x.gz?signature=s3cret")
