from __future__ import annotations

import html
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.wikitext import cut, readable
from transforms.wikitext_lines import without_quotes
from transforms.wikitext_plain import strip_markup

RESIDUE = ("[[", "]]", "{{", "}}", "''", "|-", "{|", "|}", "<ref", "</", "<!--", "&nbsp;", "==")


def shown(source: str) -> str:
    return readable(source, namespaces={"fails": 6, "kategoreja": 14})


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("'''Bold''' and ''italics''.", "Bold and italics."),
        ("[[Link]] [[a|b]] [[a]]s [[:File:X.png]]", "Link b as File:X.png"),
        ("[[File:A.jpg|thumb|A [[link]] here]]x", "x"),
        ("[[fails:A b]][[Kategoreja:X|y]]x", "x"),
        ("x\n\n[[Category:Y]]\n[[de:Y]]", "x"),
        ("[[wikt:word|word]] [[de:Y|Y]]", "word Y"),
        ("[http://a.org text here] [http://a.org] http://a.org", "text here http://a.org"),
        ("a{{cite|x=[[y]]|{{z}}}}b", "ab"),
        ("{{lang|fr|''mot''}} {{lang-de|Wort}}", "mot Wort"),
        ("{{convert|5|km|mi}}, {{convert|5|to|6|km|mi}}", "5 km, 5 to 6 km"),
        ("{{nowrap|a {{lang|fr|b}}}}", "a b"),
        ("{{frac|1|2}} {{circa|1900}} a{{snd}}b", "1/2 c. 1900 a – b"),
        ("{{lang}}{{convert}}{{nowrap}}x", "x"),
        ("a<ref name=x>r</ref><ref name=x />b", "ab"),
        ("a<math>\\frac{x}2</math><gallery>\nA.jpg|b\n</gallery>b", "ab"),
        ("a<!-- c -->b", "ab"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("H<sub>2</sub>O <span style='x'>y</span>", "H2O y"),
        ('a<span style="display: none">b</span>c', "ac"),
        ("{|\n! a\n|-\n| b\n{|\n|c\n|}\n|}\nd", "d"),
        ("== A ==\ntext\n== B ==\n[[Category:X]]", "A\n\ntext"),
        ("== A ==\n=== B ===\nx\n==C==", "A\n\nB\n\nx"),
        ("* a\n** b\n# c\n: d\n; e\n*", "- a\n- b\n- c\nd\ne"),
        ("a &amp; b &lt;c&gt; &eacute;&#233; &bogus; R&D", "a & b <c> éé &bogus; R&D"),
        ("<nowiki>''[[x]]''</nowiki>", "''[[x]]''"),
        ("<nowiki>&lt;b&gt; #1;</nowiki>", "<b> #1;"),
        ("A (''b'' {{x}}, {{y}}) c ({{z}}; {{w}}) d（{{z}}）", "A (b) c d"),
        ("__NOTOC__ a __b__ c", "a __b__ c"),
        ("a\u00a0b  c\t d", "a b c d"),
        ("a\n\n\n\nb", "a\n\nb"),
        ("----\na", "a"),
        ("{{{1|default}}} {{{2}}}", "default"),
        ("{{unclosed\n| x = y\n\nprose stays", "unclosed\n\nprose stays"),
        ("a ]] b }} c [[ d", "a b c d"),
        ("", ""),
        ("{{x}}", ""),
    ],
)
def test_what_a_reader_sees(source: str, text: str) -> None:
    assert shown(source) == text


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("l'''amour''", "l'amour"),
        ("l'''amour'''", "lamour"),
        ("a ''b'' '''c''' '''''d'''''", "a b c d"),
        ("''''a''''", "'a'"),
        ("''''''a''''''", "'a'"),
        ("don't ''stop''", "don't stop"),
        ("'''a ''b", "'a b"),
        ("xx'''a ''b l'''c''' '''d", "xxa b lc d"),
    ],
)
def test_apostrophes(line: str, text: str) -> None:
    assert without_quotes(line) == text


# short phrases that a reader of the page sees, and such as stand in its templates, tables, references and files
GOLDEN: dict[str, tuple[list[str], list[str]]] = {
    "enwiki-20120104-id12": (
        ["Anarchism is generally defined as the political philosophy", "External links", "- Anarchist Theory FAQ"],
        ["Redirect", "sidebar", "thumb", "Category:"],
    ),
    "enwiki-20120104-id1718": (
        ["Ambrosiaster is the name given to the writer", "that is, between 366 and 384"],
        ["Schaff", "Category:"],
    ),
    "enwiki-20120104-id290": (["first letter"], ["infobox", "Latin alphabet navbox", "[["]),
    "enwiki-20120104-id303": (["Alabama", "Montgomery"], ["|Nickname", "align=", "Infobox", "[["]),
    "eswiki-test": (["Andorra cuenta con 83.137 habitantes", "paraíso fiscal"], ["{{", "Archivo:", "align"]),
    "dewiki-20130602-id5": (
        ["Ang Lee (* 23. Oktober 1954 in Pingtung, Taiwan) ist ein", "- Ang Lee Biografie bei WHO’S WHO"],
        ["Personendaten", "Kategorie:", "Datei:", "http://"],
    ),
    "ukwiki-test": (
        ["найменша, електронейтральна, хімічнонеподільна частинка", "- Атом водню"],
        ["Файл:", "Категорія:", "<math"],
    ),
    "ptwiki-test": (
        ["A Astronomia é uma ciência natural que estuda corpos celestes (como estrelas", "- Luneta"],
        ["Ficheiro:", "Categoria:", "thumb"],
    ),
    "zhwiki-20150423-id13": (
        ["数学（Mathematics）是利用符号语言研究", "参考网址", "EpisteMath｜数学知识"],
        ["File:", "Category:", "thumb"],
    ),
    "plwiki-test": (
        ["Aleksandr Porfirjewicz Borodin (ur. 12 listopada", "operę Kniaź Igor, trzy symfonie"],
        ["Grafika:", "Kategoria:"],
    ),
    "ruwiki-test": ([], ["Файл:", "thumb"]),
    "frwiki-20121230-id3": ([], ["Fichier:", "Catégorie:", "vignette"]),
    "itwiki-test": ([], ["File:", "Categoria:", "thumb"]),
    "knwiki-20180614-id1": ([], ["ಚಿತ್ರ:", "ವರ್ಗ:", "thumb"]),
}


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("parsed", [True, False])
def test_real_pages(name: str, parsed: bool, data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways: parsed, and stripped without parsing as pages beyond the bounds are."""
    xml = (data_folder / "wikipedia" / "single-pages" / f"{name}.xml").read_text(encoding="utf-8")
    source = html.unescape(re.findall(r"<text[^>]*>(.*?)</text>", xml, re.DOTALL)[0])
    if not parsed:
        monkeypatch.setattr("transforms.wikitext._BUDGET", -1)
        monkeypatch.setattr("transforms.wikitext._parsed", None)
    text = readable(source, namespaces={})
    present, absent = GOLDEN[name]
    assert [p for p in present if p not in text] == []
    assert [p for p in (*absent, *RESIDUE) if p in text] == []
    assert 0.15 * len(source) < len(text) < len(source)


@given(
    st.lists(
        st.sampled_from(
            [
                "{{",
                "}}",
                "[[",
                "]]",
                "\n{|",
                "\n|}",
                "|",
                "<ref>",
                "</ref>",
                "''",
                "a",
                " b ",
                "\n\n",
                "\n== h ==\n",
                "*",
            ]
        )
    )
)
def test_cutting_loses_nothing_and_any_mix_gives_text_without_brackets(parts: list[str]) -> None:
    source = "".join(parts)
    assert "".join(piece for piece, _, _ in cut(source)) == source
    assert not any(mark in shown(source) for mark in ("{{", "[["))
    assert not any(mark in strip_markup(source, namespaces={}) for mark in ("[[", "<ref"))


HOSTILE = [
    "=a",
    "{{a|",
    "[[a|b",
    "<b>",
    "<ref ",
    '<b a="{{',
    "{{a|[[b|",
    "\n{|\n|a",
    ";:",
    "\n*",
    "[http://a ",
    "<!--",
    '<b a="></b>',
    "{{ a [[ b }} ",
    "\n\n{{a|",
    "<pre>\n\n",
    "\n==a==",
    "(,,",
    "&#",
    "x''' ",
    "__a",
    "{{x}},",
    "({{x}} ",
    "«{{x}}",
    "  {{x}}  ",
    "<math>\\a</math>",
    "**",
    "\n{|\n|a=b",
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_no_page_takes_long_or_breaks_the_parser(unit: str) -> None:
    """Two hundred thousand bytes of each would take the parser alone minutes, or its whole stack."""
    started = time.process_time()
    shown(unit * (200_000 // len(unit)))
    shown((unit * (8000 // len(unit)) + "\n\n") * 20)
    assert time.process_time() - started < 30


def test_pieces_are_cut_only_where_nothing_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.wikitext._PIECE", 1)
    source = "a\n\n{{t|\n\nb}}\n\n<ref>c\n\nd</ref>\n\n{|\n|e\n\n|}\n\n[[f|\n\ng]]\n\nh }}\n\ni [[ j }} k"
    assert [piece.strip() for piece, _, _ in cut(source) if piece.strip()] == [
        "a",
        "{{t|\n\nb}}",
        "<ref>c\n\nd</ref>",
        "{|\n|e\n\n|}",
        "[[f|\n\ng]]",
        "h }}",
        "i [[ j }} k",
    ]
