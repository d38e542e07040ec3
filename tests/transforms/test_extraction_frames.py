"""Questions and answers come out of a frame as they went in."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import RunError
from schemas.recipes import Extract
from transforms.extraction import Failed, Question, Text
from transforms.extraction_frames import LENGTH, pack_answers, pack_questions, unpack_answers, unpack_questions
from transforms.outcomes import Skipped

TEXTS = st.text() | st.just("lone \ud800 surrogate")
EXTRACTS = st.builds(Extract, extractor=st.sampled_from(["resiliparse", "precision"]), main_content=st.booleans())
QUESTIONS = st.builds(
    Question, kind=st.sampled_from(["response", "conversion", "wikitext"]), body=st.binary(), extract=EXTRACTS,
    media_type=st.none() | TEXTS, charset=st.none() | TEXTS, namespaces=st.dictionaries(TEXTS, st.integers()),
)
ANSWERS = (
    st.builds(Text, text=TEXTS, charset=TEXTS, media_type=st.none() | TEXTS, extractor=st.none() | TEXTS)
    | st.builds(Skipped, TEXTS)
    | st.builds(Failed, reason=TEXTS, detail=TEXTS)
)


def inside(frame: bytes) -> bytes:
    assert LENGTH.unpack_from(frame) == (len(frame) - LENGTH.size,)
    return frame[LENGTH.size :]


@settings(deadline=None)
@given(st.lists(QUESTIONS, max_size=5))
def test_questions(questions: list[Question]) -> None:
    assert unpack_questions(inside(pack_questions(questions))) == questions


@settings(deadline=None)
@given(st.lists(ANSWERS, max_size=5))
def test_answers(answers: list[Text | Skipped | Failed]) -> None:
    assert unpack_answers(inside(pack_answers(answers))) == answers


def test_what_was_raised_is_raised_again() -> None:
    with pytest.raises(RunError, match=r"^a worker lacks it$"):
        unpack_answers(inside(pack_answers([Skipped("x"), RunError("a worker lacks it")])))
    with pytest.raises(RuntimeError, match="KeyError: 'nothing'"):
        unpack_answers(inside(pack_answers([KeyError("nothing")])))
