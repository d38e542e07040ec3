"""Ten short pages of our own that hold what is hard in wikitext, each with the whole text a reader should get."""

from __future__ import annotations

import pytest

from transforms.wikitext import readable

NAMESPACES = {"tiedosto": 6, "luokka": 14, "ファイル": 6}

NESTED_TABLES = """{| class="infobox" align=right width=300
|+ '''Kivi'''
| colspan=2 | [[Tiedosto:Lippu.svg|125px]]
{| border="0"
| inner || cell
|}
|-
! Area || 5 km<sup>2</sup>
|}
'''Kivi''' is a town.<ref>{{cite book|title=Towns}}</ref>

== Empty ==

== History ==
=== Early ===
{| class=wikitable
| 1900 || 12
|}
=== Late ===
It grew.
"""
REFERENCES = """{{Infobox town
| name = Kivi
| leader = [[Aino]]<ref name="a">{{cite|x|y={{z}}}}</ref>
| pop = {{formatnum:1200}}
}}
The mill<ref name="a"/>{{rp|12}} burned, {{fact}} and was rebuilt{{sfn|Aho|1999}}.<ref>Aho, ''Mills''</ref> See [1] and "[the] mill"{{dubious|date=May}}.

== Sources ==
{{reflist}}
* {{cite book|title=Mills}}.
* Aho, ''Mills'', 1999.

[[Luokka:Towns]]
[[sv:Sten]]
"""
FORMULAS = """Let <math>n</math> be a number with <math>n \\geq 2</math>. Then
:<math>\\frac{n}{2} + \\sum_{i=1}^{n} i</math>
is its height, where <math>\\alpha = \\sin\\theta</math>. The set «<math>\\begin{matrix}a\\end{matrix}</math>» has no name (<math>\\sqrt{2}</math>).

<math>(A \\to B) \\leftrightarrow (\\neg B \\to \\neg A)</math>
"""
GALLERIES = """Before.
<gallery widths="150px">
Tiedosto:A.jpg|A [[boat]]<ref>x</ref>
B.jpg|'''B'''
</gallery>
{{Gallery|width=180
|A.jpg|A [[boat]]
}}
[[Tiedosto:C.jpg|thumb|left|200px|The [[River|old ''river'']], [[File:D.png|20px]] and its [[bank]].]]After.
[[File:E.jpg|thumb|none|
Caption over
two lines]]
"""
DEFINITIONS = """; Term : what it means
; ''Other'' term
: first meaning
:: an aside
* item
** below
*# counted
*
# one<br/>still one
# {{only a template}}.
----
Last.
"""
FURIGANA = """{{読み仮名|'''山川'''|やまかわ|{{lang-en-short|mountain river}}}}は川である{{Sfn|甲|2001}}。{{ruby|漢字|かんじ}}と<ruby>東<rp>（</rp><rt>ひがし</rt><rp>）</rp></ruby>、「{{仮リンク|小川|en|Brook}}」（{{lang|en|brook}}、{{要出典|date=5月}}）。
[[ファイル:A.jpg|thumb|絵]]
"""
SCRIPTS = """'''Salam''' ({{lang-ar|سلام}}, {{IPAc-en|s|a}}; {{IPA|[saˈlaːm]}}) or {{nihongo|'''heiwa'''|平和|''heiwa''}} is {{angbr|peace}}. {{lang-he|שלום|links=no}} is kin ({{transl|he|shalom}}; {{audio|x.ogg|listen}}).
"""
MEASURES = """It is {{convert|5|km|mi|abbr=on}} long, {{nowrap|1=''E'' = 4}}, {{circa|1900}}{{snd}}{{as of|2010}} {{val|12}} people. Weight 6{{e|24}} kg; {{chem|H|2|O}}; {{frac|1|2}}.{{clear}}
"""
VERBATIM = """== ''Code'' and [[markup|<nowiki>''marks''</nowiki>]] ==
Write <nowiki>[[a]]</nowiki> or <code>x '''&amp;&amp;''' y</code>.
<pre>
* not a list
== no heading ==
</pre>
<syntaxhighlight lang="c">
int a[2] = {{0}, {1}};
}
</syntaxhighlight>
== {{anchor|x}}Plain ==
__NOTOC__It's ''so''<!-- no
comment -->.
"""
LAYOUT = """{| style="background:none"
|- valign=top
| style="width:50%" | The left column of a page that is laid out as a table holds a paragraph of prose like this one, which a reader would miss if the whole table were left out of the text.
|
The right column starts on a line of its own, and it is long enough as well to be told from a mere cell of numbers: it has a [[sentence|whole sentence]], even two. This is the second.
| 17
|}
[[:Luokka:Towns|All towns]] and [[Kivi#History|its history]], [[wikt:stone|stone]]s. [http://a.example Site] [http://b.example]
"""

PAGES: dict[str, tuple[str, str]] = {
    "nested tables": (NESTED_TABLES, "Kivi is a town.\n\nHistory\n\nLate\n\nIt grew."),
    "infobox and references": (
        REFERENCES,
        'The mill burned, and was rebuilt. See [1] and "[the] mill".\n\nSources\n\n- Aho, Mills, 1999.',
    ),
    "formulas": (
        FORMULAS,
        "Let n be a number with n ≥ 2. Then\n\nis its height, where α = sin θ. The set has no name.\n\n(A → B) ↔ (¬B → ¬A)",
    ),
    "galleries and captions": (GALLERIES, "Before.\n\nAfter."),
    "lists of definitions": (
        DEFINITIONS,
        "Term : what it means\nOther term\nfirst meaning\nan aside\n- item\n- below\n- counted\n\n- one\nstill one\n\nLast.",
    ),
    "furigana": (
        FURIGANA,
        "山川（やまかわ、mountain river）は川である。漢字（かんじ）と東（ひがし）、「小川」（brook）。",
    ),
    "mixed scripts": (
        SCRIPTS,
        "Salam (سلام; [saˈlaːm]) or heiwa (平和, heiwa) is ⟨peace⟩. שלום is kin (shalom).",
    ),
    "measures": (
        MEASURES,
        "It is 5 km long, E = 4, c. 1900 – As of 2010 12 people. Weight 6 × 10^24 kg; H2O; 1/2.",
    ),
    "verbatim": (
        VERBATIM,
        "Code and ''marks''\n\nWrite [[a]] or x && y.\n\n* not a list\n== no heading ==\n\nint a[2] = {{0}, {1}};\n}\n\n"
        "Plain\n\nIt's so.",
    ),
    "prose in a layout table": (
        LAYOUT,
        "The left column of a page that is laid out as a table holds a paragraph of prose like this one, which a reader "
        "would miss if the whole table were left out of the text.\n\n"
        "The right column starts on a line of its own, and it is long enough as well to be told from a mere cell of "
        "numbers: it has a whole sentence, even two. This is the second.\n\n"
        "All towns and its history, stones. Site",
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_hard_page_reads_as_expected(name: str) -> None:
    source, text = PAGES[name]
    assert readable(source, namespaces=NAMESPACES) == text


@pytest.mark.parametrize("name", ["nested tables", "prose in a layout table", "galleries and captions"])
def test_so_it_does_without_the_parser(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages beyond the bounds of the parser are stripped in one pass."""
    monkeypatch.setattr("transforms.wikitext._BUDGET", -1)
    source, text = PAGES[name]
    assert readable(source, namespaces=NAMESPACES) == text
