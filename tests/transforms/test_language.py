from __future__ import annotations

import lzma
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pyarrow as pa
import pytest

from transforms.language import identify
from transforms.language_labels import LABELS


@pytest.fixture(scope="module")
def model() -> Any:
    path = Path(os.environ.get("WINNOW_LANGUAGE_MODEL") or Path.home() / ".cache" / "winnow" / "lid.176.ftz")
    if not path.is_file():
        pytest.skip(f"NO LANGUAGE MODEL at {path}: run `python -m pipelines.models` to fetch it")
    return fasttext.load_model(str(path))


class Echo:
    """A model that keeps what it is asked and gives the scores it is told."""

    def __init__(self, *scores: float) -> None:
        self.asked: list[str] = []
        self._scores = iter(scores)

    def predict(self, text: str, k: int = 1) -> tuple[tuple[str, ...], object]:
        assert k == 1
        assert "\n" not in text
        self.asked.append(text)
        return ("__label__xx",), np.array([next(self._scores)])


def test_real_sentences_get_fasttexts_own_answer(model: Any, data_folder: Path) -> None:
    path = data_folder / "langid" / "lingua-sentences-75lang-first200.tsv.xz"
    sentences = [row.split("\t")[1] for row in lzma.decompress(path.read_bytes()).decode().split("\n") if row]
    assert len(sentences) == 15_000
    labels, confidences = identify(pa.array(sentences, pa.string()), model)
    # the binding's own loop over a list, which shares nothing with predict of one text but the model
    expected, scores = model.predict(sentences, k=1)
    assert labels.to_pylist() == [label.removeprefix("__label__") for [label] in expected]
    assert confidences.type == pa.int32()
    ten_thousandths = np.array([float(score[0]) for score in scores]) * 10_000
    assert np.abs(confidences.to_numpy() - np.minimum(ten_thousandths, 10_000)).max() <= 0.5


def test_line_breaks_are_spaces_and_letters_keep_their_case(model: Any, corpus: Callable[[str], list[str]]) -> None:
    texts = [t for t in corpus("wet") if "\n" in t][:20]
    assert len(texts) == 20
    joined = pa.array([t.replace("\n", " ") for t in texts], pa.string())
    assert identify(pa.array(texts, pa.string()), model) == identify(joined, model)
    echo = Echo(0.5, 0.5)
    identify(pa.array(["One\nTWO\n\nthree", "Ünï"], pa.string()), echo)
    assert echo.asked == ["One TWO  three", "Ünï"]


def test_confidences_are_whole_ten_thousandths() -> None:
    # fastText's softmax overshoots 1 by some 1e-5
    scores = [1.00006, 1.0, 0.99994, 0.65, 0.649949, 0.649951, 0.0, 0.00004]
    _, confidences = identify(pa.array(["x"] * len(scores), pa.string()), Echo(*scores))
    assert confidences.to_pylist() == [10_000, 10_000, 9_999, 6_500, 6_499, 6_500, 0, 0]


def test_texts_without_words(model: Any) -> None:
    texts = ["\0", "...", "\u2028", "😀", "1 2 3"]
    labels, confidences = identify(pa.array(texts, pa.string()), model)
    assert len(labels) == len(confidences) == len(texts)
    assert [len(column) for column in identify(pa.array([], pa.string()), model)] == [0, 0]


def test_the_labels_are_the_models(model):
    assert sorted(label.removeprefix("__label__") for label in model.get_labels()) == list(LABELS)
