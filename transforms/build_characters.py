"""Writes `characters.npz`, the character table of `transforms.characters`, from this interpreter's Unicode data.

Run `python -m transforms.build_characters` under Python 3.11, whose data is Unicode 14.0.0; any other version is
refused, because a new table changes signals and signatures and so has to be a decision of its own.
"""

from __future__ import annotations

import unicodedata

import numpy as np
import numpy.typing as npt

from transforms.characters import ALPHA, DIGIT, MARK, PAGE, PUNCT, SOLO, SPACE, TABLE, UNICODE_VERSION

CODE_POINTS = 0x110000
SOLO_RANGES: tuple[tuple[int, int], ...] = (
    (0x0E01, 0x0E7F),  # Thai
    (0x0E81, 0x0EFF),  # Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3006),  # ideographic iteration mark and closing mark
    (0x303B, 0x303C),  # vertical iteration mark, masu mark
    (0x3041, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana phonetic extensions
    (0x3400, 0x4DBF),  # Han, extension A
    (0x4E00, 0x9FFF),  # Han
    (0xA9E0, 0xA9FF),  # Myanmar extended B
    (0xAA60, 0xAA7F),  # Myanmar extended A
    (0xF900, 0xFAFF),  # Han, compatibility
    (0xFF66, 0xFF9F),  # Katakana, half width
    (0x1AFF0, 0x1B16F),  # Kana supplements and extensions
    (0x20000, 0x3FFFD),  # Han, the two planes set aside for it
)
"""Scripts written without spaces between words, blocks of Unicode 14.0 `Blocks.txt`, first and last code point.
Only their letters count: digits, marks and punctuation in the blocks keep their own classes."""


def classes_of(code_point: int) -> int:
    """The class bits of a code point."""
    character = chr(code_point)
    category = unicodedata.category(character)
    alpha = character.isalpha()
    bits = SPACE if character.isspace() else 0
    bits |= ALPHA if alpha else 0
    bits |= PUNCT if category[0] in "PS" else 0
    bits |= DIGIT if category[0] == "N" else 0
    bits |= MARK if category[0] == "M" else 0
    bits |= SOLO if alpha and any(low <= code_point <= high for low, high in SOLO_RANGES) else 0
    return bits


def lower_of(code_point: int) -> int:
    """The code point's lower case. U+0130 alone has one of two code points; its first, `i`, stands for it."""
    return ord(chr(code_point).lower()[0])


def table() -> dict[str, npt.NDArray[np.generic]]:
    """The arrays of `characters.npz`: `pages` uint16 [4352], `classes` uint8 and `lower` int32 [pages in use * 256]."""
    points = range(CODE_POINTS)
    classes = np.fromiter(map(classes_of, points), np.int64, CODE_POINTS)
    lower = np.fromiter((lower_of(p) - p for p in points), np.int64, CODE_POINTS)
    both = (lower << 8 | classes).reshape(-1, PAGE)
    distinct, pages = np.unique(both, axis=0, return_inverse=True)
    return {
        "pages": pages.reshape(-1).astype(np.uint16),
        "classes": (distinct & 0xFF).reshape(-1).astype(np.uint8),
        "lower": (distinct >> 8).reshape(-1).astype(np.int32),
        "unicode_version": np.array(UNICODE_VERSION),
    }


def main() -> None:
    """Writes the table beside this module."""
    if unicodedata.unidata_version != UNICODE_VERSION:
        raise SystemExit(f"this Python has Unicode {unicodedata.unidata_version}; the table is of {UNICODE_VERSION}")
    with TABLE.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **table())


if __name__ == "__main__":
    main()
