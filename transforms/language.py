"""Language of a text by fastText's lid.176 (Joulin et al. 2016, arXiv 1607.01759; 176 ISO 639 labels)."""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa

MODEL_SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
"""lid.176.ftz, 938,013 bytes, the quantised model that fasttext.cc publishes."""

CONFIDENCE_UNIT = 10_000
_LABEL = "__label__"
LABELS: tuple[str, ...] = (
    "af", "als", "am", "an", "ar", "arz", "as", "ast", "av", "az", "azb", "ba", "bar", "bcl", "be", "bg", "bh",
    "bn", "bo", "bpy", "br", "bs", "bxr", "ca", "cbk", "ce", "ceb", "ckb", "co", "cs", "cv", "cy", "da", "de",
    "diq", "dsb", "dty", "dv", "el", "eml", "en", "eo", "es", "et", "eu", "fa", "fi", "fr", "frr", "fy", "ga",
    "gd", "gl", "gn", "gom", "gu", "gv", "he", "hi", "hif", "hr", "hsb", "ht", "hu", "hy", "ia", "id", "ie",
    "ilo", "io", "is", "it", "ja", "jbo", "jv", "ka", "kk", "km", "kn", "ko", "krc", "ku", "kv", "kw", "ky",
    "la", "lb", "lez", "li", "lmo", "lo", "lrc", "lt", "lv", "mai", "mg", "mhr", "min", "mk", "ml", "mn", "mr",
    "mrj", "ms", "mt", "mwl", "my", "myv", "mzn", "nah", "nap", "nds", "ne", "new", "nl", "nn", "no", "oc",
    "or", "os", "pa", "pam", "pfl", "pl", "pms", "pnb", "ps", "pt", "qu", "rm", "ro", "ru", "rue", "sa", "sah",
    "sc", "scn", "sco", "sd", "sh", "si", "sk", "sl", "so", "sq", "sr", "su", "sv", "sw", "ta", "te", "tg",
    "th", "tk", "tl", "tr", "tt", "tyv", "ug", "uk", "ur", "uz", "vec", "vep", "vi", "vls", "vo", "wa", "war",
    "wuu", "xal", "xmf", "yi", "yo", "yue", "zh",
)
"""What the model can answer, sorted."""


class LanguageModel(Protocol):
    """What we use of a loaded fastText model."""

    def predict(self, text: str, k: int = 1) -> tuple[tuple[str, ...], object]: ...


def identify(texts: pa.StringArray, model: LanguageModel) -> tuple[pa.StringArray, pa.Int32Array]:
    """(labels, confidences in ten-thousandths) of whole texts. Line breaks become spaces, since the model reads one
    line; letters keep their case. The confidence is rounded to an integer so that no later step compares floats."""
    labels, confidences = [], []
    for text in texts.to_pylist():
        (label,), scores = model.predict(text.replace("\n", " "), k=1)
        labels.append(label.removeprefix(_LABEL))
        confidences.append(min(CONFIDENCE_UNIT, round(float(scores[0]) * CONFIDENCE_UNIT)))  # type: ignore[index]
    return pa.array(labels, pa.string()), pa.array(confidences, pa.int32())
