"""What kind of character a code point is, and its lower case, by a table of our own.

The interpreter's `unicodedata` changes with the Python version, and a document's signals would change with it. Ours
is fixed at Unicode 14.0.0. `transforms.build_characters` writes it.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

UNICODE_VERSION = "14.0.0"
TABLE = Path(__file__).with_name("characters.npz")
PAGE = 256
"""Code points in a page of the table; pages that are alike are stored once."""

SPACE = 1
"""`str.isspace`."""
ALPHA = 2
"""`str.isalpha`: general categories L*."""
PUNCT = 4
"""General categories P* and S*: punctuation and symbols."""
DIGIT = 8
"""General categories N*: decimal digits, letter numbers such as U+2167, and others such as U+00B2."""
MARK = 16
"""General categories M*. Vowel signs of Indic scripts and combining accents are marks: without them words break up."""
SOLO = 32
"""A letter of a script written without spaces between words: Han, Hiragana, Katakana, Thai, Lao, Khmer, Myanmar."""


class Characters(NamedTuple):
    """The two-level table. Code point `c` has its entry at `pages[c // 256] * 256 + c % 256`.

    A named tuple, because numba takes one as an argument.
    """

    pages: npt.NDArray[np.uint16]
    """[4352]"""
    classes: npt.NDArray[np.uint8]
    """[pages in use * 256]: the sum of the classes above."""
    lower: npt.NDArray[np.int32]
    """[pages in use * 256]: what to add to the code point for its lower case. The mapping is of one code point to
    one, so U+0130 becomes `i` without its dot, and a capital sigma never becomes a final sigma."""


@functools.cache
def characters() -> Characters:
    """The table, read once a process. Raises ValueError if the file holds another version of Unicode."""
    with np.load(TABLE, allow_pickle=False) as file:
        version = str(file["unicode_version"])
        if version != UNICODE_VERSION:
            raise ValueError(f"{TABLE.name} holds Unicode {version}, not {UNICODE_VERSION}: build it again")
        table = Characters(pages=file["pages"], classes=file["classes"], lower=file["lower"])
    for array in table:
        array.flags.writeable = False
    return table
