"""Following a job to its end, with a service that says what the test wants."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from pipelines.dataflow import Job
from pipelines.follow import follow, line
from schemas.errors import RunError
from schemas.stages import INGEST

JOB = Job(id="7", name="winnow-ingest-0", state="PENDING")


@dataclass
class Told:
    """States in turn; an exception in their place is raised."""

    states: list[str | BaseException]
    said: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)

    def look(self, job: Job) -> Job:
        state = self.states.pop(0)
        if isinstance(state, BaseException):
            raise state
        return replace(job, state=state)

    def errors(self, job: Job) -> list[str]:
        return self.said

    def cancel(self, job: Job) -> None:
        self.cancelled.append(job.id)

    def counters(self, job: Job) -> dict[str, int]:
        return {}


def watch(told: Told, ask=None) -> None:  # type: ignore[no-untyped-def]
    follow(told, JOB, INGEST, parts=3, ask=ask, tick_s=0)  # type: ignore[arg-type]


def test_each_state_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    told = Told(["UNKNOWN", "STOPPED", "PENDING", "RUNNING", "RUNNING", "DONE"])
    watch(told)
    assert not told.states
    said = capsys.readouterr().err.splitlines()
    assert [text.split()[-1] for text in said] == ["UNKNOWN", "STOPPED", "PENDING", "RUNNING", "DONE"]


def test_what_our_code_said_comes_back() -> None:
    said = ["Error: work item failed", "Traceback (most recent call last):\n  File …\n"
            "schemas.errors.RunError: gs://crawl/a.gz: is cut. Get it again. [while running 'process']\n"]
    with pytest.raises(RunError) as raised:
        watch(Told(["RUNNING", "FAILED"], said))
    assert str(raised.value) == "gs://crawl/a.gz: is cut. Get it again."


def test_what_the_service_said_comes_back() -> None:
    with pytest.raises(RunError, match=r"winnow-ingest-0 \(7\) ended as FAILED: Quota CPUS exceeded\. Look at"):
        watch(Told(["FAILED"], ["Startup failed:\nQuota CPUS exceeded"]))
    with pytest.raises(RunError, match="the service gave no reason"):
        watch(Told(["FAILED"]))
    with pytest.raises(RunError, match="was cancelled"):
        watch(Told(["RUNNING", "CANCELLED"]))


def test_an_interrupt_asks_before_it_cancels() -> None:
    asked: list[str] = []

    def answers(*words: str):  # type: ignore[no-untyped-def]
        left = list(words)

        def ask(question: str) -> str:
            asked.append(question)
            return left.pop(0)

        return ask

    told = Told(["RUNNING", KeyboardInterrupt(), "RUNNING", KeyboardInterrupt()])
    with pytest.raises(RunError, match="is being cancelled"):
        watch(told, answers("n\n", "y\n"))
    assert told.cancelled == ["7"] and len(asked) == 2 and "Cancel the job winnow-ingest-0?" in asked[0]
    told = Told(["RUNNING", KeyboardInterrupt(), "DONE"])
    watch(told, answers("\n"))
    assert not told.cancelled, "only a yes is a yes"


@pytest.mark.parametrize("again", [KeyboardInterrupt, EOFError])
def test_a_second_interrupt_leaves_the_job_running(again: type[BaseException]) -> None:
    def ask(question: str) -> str:
        raise again

    told = Told([KeyboardInterrupt()])
    with pytest.raises(RunError, match=r"runs on\. Run the same command to see its progress again"):
        watch(told, ask)
    assert not told.cancelled


def test_where_nobody_can_answer_the_job_is_left_running() -> None:
    told = Told([KeyboardInterrupt()])
    with pytest.raises(RunError, match="runs on"):
        watch(told)
    assert not told.cancelled


def test_the_line() -> None:
    running = replace(JOB, state="RUNNING")
    assert line(INGEST, running, {"parts": 3, "documents": 1204}, 8, 65.4) == (
        "ingest    RUNNING  3/8 parts  1,204 documents  01:05"
    )
    assert "8/8 parts  0 documents" in line(INGEST, running, {"parts": 11}, 8, 0), "replays count no part twice"
