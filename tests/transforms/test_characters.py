from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from transforms import build_characters
from transforms.characters import ALPHA, DIGIT, MARK, PUNCT, SOLO, SPACE, TABLE, UNICODE_VERSION, characters

POINTS = np.arange(0x110000)
SOLO_NAMES = (
    "CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA",
    "HENTAIGANA", "THAI ", "LAO ", "KHMER ", "MYANMAR ",
)  # fmt: skip
SOLO_MARKS = {0x3005, 0x3006, 0x303B, 0x303C}
same_unicode = pytest.mark.skipif(
    unicodedata.unidata_version != UNICODE_VERSION,
    reason=f"this Python has Unicode {unicodedata.unidata_version}, the table {UNICODE_VERSION}",
)


@pytest.fixture(scope="module")
def classes() -> np.ndarray:
    """The class bits of every code point."""
    table = characters()
    return table.classes[table.pages[POINTS >> 8].astype(np.int64) * 256 + (POINTS & 255)]


@pytest.fixture(scope="module")
def lower() -> np.ndarray:
    """The lower case of every code point."""
    table = characters()
    return POINTS + table.lower[table.pages[POINTS >> 8].astype(np.int64) * 256 + (POINTS & 255)]


def where(condition: np.ndarray) -> list[str]:
    return [f"U+{p:04X}" for p in np.flatnonzero(condition)[:20]]


@same_unicode
@pytest.mark.parametrize(
    ("bit", "expected"),
    [
        pytest.param(SPACE, lambda c: c.isspace(), id="space"),
        pytest.param(ALPHA, lambda c: c.isalpha(), id="alpha"),
        pytest.param(PUNCT, lambda c: unicodedata.category(c)[0] in "PS", id="punct"),
        pytest.param(DIGIT, lambda c: unicodedata.category(c) in {"Nd", "Nl", "No"}, id="digit"),
        pytest.param(MARK, lambda c: unicodedata.category(c) in {"Mn", "Mc", "Me"}, id="mark"),
        pytest.param(
            SOLO,
            lambda c: c.isalpha() and (unicodedata.name(c, "").startswith(SOLO_NAMES) or ord(c) in SOLO_MARKS),
            id="solo",
        ),
    ],
)
def test_classes_are_the_interpreters_for_every_code_point(bit, expected, classes):
    theirs = np.fromiter((bool(expected(chr(p))) for p in POINTS), np.bool_)
    assert theirs.any()
    assert where(((classes & bit) != 0) != theirs) == []


def test_there_are_no_other_classes(classes):
    assert not (classes & ~np.uint8(SPACE | ALPHA | PUNCT | DIGIT | MARK | SOLO)).any()


@same_unicode
def test_lower_is_the_interpreters_but_for_the_dotted_capital_i(lower):
    theirs = [chr(p).lower() for p in POINTS]
    assert [p for p in POINTS if len(theirs[p]) != 1] == [0x130]
    theirs[0x130] = "i"
    assert where(lower != np.array([ord(c) for c in theirs])) == []


@pytest.mark.parametrize(
    ("character", "expected"),
    [
        ("a", ALPHA), ("7", DIGIT), (" ", SPACE), ("\n", SPACE), ("\u00a0", SPACE), ("\u2028", SPACE), ("\x1f", SPACE),
        ("\u200b", 0), ("\x00", 0), ("_", PUNCT), ("€", PUNCT), ("…", PUNCT), ("²", DIGIT), ("Ⅷ", DIGIT),
        ("\u0301", MARK), ("ि", MARK), ("क", ALPHA), ("中", ALPHA | SOLO), ("〇", DIGIT), ("ั", MARK), ("๑", DIGIT),
        ("。", PUNCT), ("가", ALPHA), ("😀", PUNCT), ("𠀀", ALPHA | SOLO), ("\U0010ffff", 0),
    ],
)  # fmt: skip
def test_characters_worth_knowing(character, expected, classes):
    assert classes[ord(character)] == expected


@pytest.mark.parametrize(("upper", "expected"), ["Aa", "aa", "Σσ", "ςς", "ẞß", "𐐀𐐨", "İi"])
def test_lower_cases_worth_knowing(upper, expected, lower):
    assert chr(lower[ord(upper)]) == expected


@same_unicode
def test_the_committed_table_is_what_the_generator_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(build_characters, "TABLE", tmp_path / TABLE.name)
    build_characters.main()
    with np.load(TABLE) as committed, np.load(tmp_path / TABLE.name) as built:
        assert sorted(committed.files) == sorted(built.files)
        for name in built.files:
            assert committed[name].dtype == built[name].dtype
            assert np.array_equal(committed[name], built[name])
    assert TABLE.stat().st_size < 16_384


def test_the_generator_refuses_another_unicode(tmp_path, monkeypatch):
    monkeypatch.setattr(build_characters, "TABLE", tmp_path / TABLE.name)
    monkeypatch.setattr(unicodedata, "unidata_version", "15.0.0")
    with pytest.raises(SystemExit, match=r"Unicode 15\.0\.0"):
        build_characters.main()
    assert not (tmp_path / TABLE.name).exists()


def test_a_table_of_another_unicode_is_refused(tmp_path, monkeypatch):
    table = build_characters.table() | {"unicode_version": np.array("15.0.0")}
    np.savez(tmp_path / "other.npz", **table)
    monkeypatch.setattr("transforms.characters.TABLE", tmp_path / "other.npz")
    with pytest.raises(ValueError, match=r"Unicode 15\.0\.0"):
        characters.__wrapped__()


def test_the_table_is_read_once_and_cannot_be_changed():
    assert characters() is characters()
    with pytest.raises(ValueError, match="read-only"):
        characters().classes[0] = 0
