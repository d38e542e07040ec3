"""Language of a text by fastText's lid.176 (Joulin et al. 2016, arXiv 1607.01759; 176 ISO 639 labels)."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.language_kernel import best_labels
from transforms.language_tables import KernelModel

MODEL_SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
"""lid.176.ftz, 938,013 bytes, the quantised model that fasttext.cc publishes."""

CONFIDENCE_UNIT = 10_000
_LABEL = "__label__"


class LanguageModel(Protocol):
    """What we use of a model that fastText has loaded."""

    def predict(self, text: str, k: int = 1) -> tuple[tuple[str, ...], npt.NDArray[np.float64]]: ...


def identify(texts: pa.StringArray, model: LanguageModel | KernelModel) -> tuple[pa.StringArray, pa.Int32Array]:
    """(labels, confidences in ten-thousandths) of whole texts. Line breaks become spaces, since the model reads one
    line; letters keep their case. The confidence is rounded to an integer so that no later step compares floats.

    With a KernelModel our kernel answers, else fastText. They agree: the scores have the same bits but for 1 text in
    1000, where the C library under fastText rounds an exponential not to the nearest number of single precision. Such
    scores are some 1e-7 apart, so a rounded confidence can differ, by 1, only where a score is that near to the middle
    of two: once in some million texts. A label can, only where two are that near to equal.
    """
    if isinstance(model, KernelModel):
        numbers, scores = best_labels(texts, model)
        return pa.array(model.labels, pa.string()).take(pa.array(numbers)), _in_units(scores.astype(np.float64))
    labels, found = [], np.empty(len(texts))
    for i, text in enumerate(texts.to_pylist()):
        (label,), (found[i],) = model.predict(text.replace("\n", " "), k=1)
        labels.append(label.removeprefix(_LABEL))
    return pa.array(labels, pa.string()), _in_units(found)


def _in_units(scores: npt.NDArray[np.float64]) -> pa.Int32Array:
    """Rounded half to even; fastText's softmax overshoots 1 by some 1e-5."""
    return pa.array(np.minimum(np.rint(scores * CONFIDENCE_UNIT), CONFIDENCE_UNIT).astype(np.int32))
