"""Names that wikitext uses: of namespaces, tags and templates."""

from __future__ import annotations

import re
from collections.abc import Mapping

_FILES_AND_CATEGORIES = """
    file image media category datei bild kategorie fichier catégorie archivo imagen
    categoría ficheiro arquivo imagem categoria immagine bestand afbeelding categorie plik
    grafika kategoria файл изображение категория зображення категорія картинка 文件 檔案 档案 图像
    圖像 分类 分類 ファイル 画像 カテゴリ αρχείο εικόνα κατηγορία fitxer imatge imaxe dosiero kategorio
    ಚಿತ್ರ ವರ್ಗ restr skeudenn rummad hình चित्र वर्ग श्रेणी fil kategori ملف صورة تصنيف
    پرونده تصویر رده קובץ תמונה קטגוריה 파일 그림 분류 চিত্র বিষয়শ্রেণী soubor tiedosto kuva
    luokka fájl kép kategória dosya resim berkas gambar bilde billede fișier imagine
    датотека слика категорија ไฟล์ ภาพ หมวดหมู่ படிமம் பகுப்பு fails kategoreja
"""
HIDDEN_NAMESPACES = frozenset({*_FILES_AND_CATEGORIES.split(), "tập tin", "thể loại"})
"""Links into these show an image or file a page away. The canonical names, and those of larger wikis with their older
aliases, which siteinfo does not give: MediaWiki, languages/messages/."""
_HIDDEN_NUMBERS = frozenset({-2, 6, 14})
_FILE = re.compile(r"(?is)[^:]+:.*\.(?:jpe?g|png|svg|gif|tiff?|webp|og[gva]|webm|mp3|pdf|djvu)\s*")
_LANGUAGE = re.compile(r"(?:[a-z]{2,3}(?:-[a-z]+)*|simple)")
_NO_LANGUAGE = frozenset({"mw", "voy", "doi", "hdl", "rfc", "wmf", "src", "irc"})
"""Short interwiki prefixes that are sites or schemes: MediaWiki, maintenance/interwiki.list."""

_DROPPED = """
    table ref references gallery math chem ce score timeline graph hiero imagemap inputbox templatedata templatestyles
    mapframe maplink categorytree section indicator style script includeonly
"""
DROPPED_TAGS = frozenset(_DROPPED.split())
"""Tags whose content is no prose."""
VERBATIM_TAGS = frozenset({"nowiki", "pre", "source", "syntaxhighlight"})
"""Tags whose content is shown as it stands."""
_BREAKING = """
    br hr p div blockquote center poem li ul ol dl dd dt tr td th caption h1 h2 h3 h4 h5 h6 pre source
"""
BREAKING_TAGS = frozenset(_BREAKING.split())
"""Tags that end a line."""
_OTHER = """
    a abbr b bdi bdo big cite code data del dfn em font i ins kbd mark noinclude onlyinclude q rb rp rt rtc ruby s samp
    small span strike strong sub sup tbody thead time tt u var wbr img nobr translate tvar languages noeditsection
"""
OTHER_TAGS = frozenset(_OTHER.split())
"""The rest of what MediaWiki lets through: Help:HTML in wikitext."""

ARGUMENT_TEMPLATES: dict[str, int] = {
    "lang": 2, "transl": -1, "transliteration": -1, "nowrap": 1, "nobr": 1, "nobreak": 1, "small": 1, "smaller": 1,
    "big": 1, "larger": 1, "em": 1, "strong": 1, "abbr": 1, "tooltip": 1, "quote": 1, "blockquote": 1, "cquote": 1,
    "quotation": 1, "ill": 1, "interlanguage link": 1, "sup": 1, "sub": 1, "val": 1, "var": 1, "mvar": 1, "bdi": 1,
    "columns-list": 1, "plainlist": 1, "formatnum": 1, "not a typo": 1, "as written": 1, "script": 2, "vanchor": 1,
    "flag": 1, "flagcountry": 1, "sc": 1, "vr": 1, "mono": 1, "code": 1, "key": 1, "kbd": 1, "polytonic": 1,
    "unicode": 1, "ipa": 1, "ipa2": 1, "δφα": 1, "προφορά": 1, "仮リンク": 1, "要出典範囲": 1, "ilq": 1, "下げ核": 1,
    "jis2004フォント": 1, "en": 1, "fr": 1, "de": 1, "el": 1, "ru": 1, "it": 1, "es": 1, "la": 1, "ko": 1, "ja": 1,
    "s": 1, "comment": 1, "цитата": 1, "рік у театрі": 1, "km to mi": 1,
}
"""Templates that show one of their arguments, by number; -1 is the last. The documentation of each on English
Wikipedia, or on that in whose language it is named; a language's two letters mark a text on Japanese Wikipedia."""
_RENAMED = frozenset({"нп", "не перекладено", "iw", "url"})
"""Templates that show their second argument, or if it is empty the first: links with a text of their own."""
_GLOSSED = frozenset({"読み仮名", "読み仮名 ruby不使用", "ruby", "ルビ", "ふりがな"})
"""Templates that show their second argument, a reading, over or behind the first."""
LITERAL_TEMPLATES: dict[str, str] = {
    "!": "|", "=": "=", "'": "'", "'s": "'s", "–": " – ", "—": "—", "ndash": " – ", "snd": " – ", "spnd": " – ",
    "spaced ndash": " – ", "mdash": "—", "nbsp": " ", "space": " ", "·": " · ", "dot": " · ", "•": " • ",
    "mdashb": "—", "em dash": "—", "en dash": "–", "thinsp": " ", "spaces": " ", "' \"": "' \"", "\" '": "\" '",
    "к.": "К.", "м.": "М.", "л.": "Л.", "रुपया": "₹",
}
"""Templates that are a piece of text."""
PREFIXED_TEMPLATES: dict[str, str] = {"c.": "c. ", "circa": "c. ", "ca": "c. ", "as of": "As of ", "fl.": "fl. ",
                                         "e": " × 10^", "isbn2": "ISBN "}
"""Templates that show their first argument after this."""
_RANGES = frozenset({"to", "-", "–", "and", "or", "x", "by"})


def shown_link(title: str, label: str | None, namespaces: Mapping[str, int]) -> str:
    """What a reader sees of [[title|label]]: nothing, for files, categories and versions in other languages."""
    title = title.strip()
    if not title.startswith(":"):
        prefix, colon, _ = title.partition(":")
        name = prefix.strip().replace("_", " ").lower()
        if colon and (name in HIDDEN_NAMESPACES or namespaces.get(name) in _HIDDEN_NUMBERS or _FILE.fullmatch(title)):
            return ""
        if colon and label is None and _LANGUAGE.fullmatch(prefix) and prefix not in _NO_LANGUAGE:
            return ""
    return label if label and label.strip("\0 \n") else title.lstrip(":")


def shown_template(name: str, arguments: list[str]) -> str:
    """What a template shows, of those above; nothing of any other. `arguments` are the positional ones."""
    name = name.strip().replace("_", " ").lower()
    head, colon, tail = name.partition(":")
    if colon and head == "formatnum":
        return tail
    if name in LITERAL_TEMPLATES:
        return LITERAL_TEMPLATES[name]
    if name in PREFIXED_TEMPLATES:
        return PREFIXED_TEMPLATES[name] + arguments[0].strip() if arguments else ""
    if arguments and (shown := _of_several(name, arguments)) is not None:
        return shown
    place = 1 if re.fullmatch(r"(?:lang|vol)-[a-z-]+2?|ipa-[a-z]{2,3}", name) else ARGUMENT_TEMPLATES.get(name, 0)
    if not place or len(arguments) < place:
        return ""
    return arguments[place - 1 if place > 0 else -1].strip(" ")


def _of_several(name: str, arguments: list[str]) -> str | None:
    """Templates that show more than one of their arguments, or one of two."""
    if name in ("convert", "cvt"):
        return _converted([a.strip() for a in arguments])
    if name.startswith("nihongo"):
        return _glossed(arguments[0], arguments[1:3], " ({})", ", ")
    if name in _GLOSSED:
        return _glossed(arguments[0], arguments[1:3], "（{}）", "、")
    if name in _RENAMED:
        return next((a.strip() for a in (*arguments[1:2], *arguments[:1]) if a.strip()), "")
    if name == "chem":
        return "".join(a.strip() for a in arguments)
    if name == "angbr":
        return f"⟨{arguments[0].strip()}⟩"
    if name == "frac" and len(arguments) < 4:
        return " ".join(filter(None, [" ".join(arguments[:-2]), "/".join(arguments[-2:])]))
    return None


def _converted(arguments: list[str]) -> str:
    """{{convert|5|km|mi}} as `5 km`, {{convert|5|to|6|km|mi}} as `5 to 6 km`: the measure that the editor wrote."""
    size = 4 if len(arguments) > 3 and arguments[1] in _RANGES else 2
    return " ".join(arguments[:size])


def _glossed(word: str, glosses: list[str], brackets: str, comma: str) -> str:
    """A word with what explains it behind it in brackets; the first explanation, where there is no word."""
    shown = [g.strip() for g in (word, *glosses) if g.strip("\0 \n")]
    return shown[0] + brackets.format(comma.join(shown[1:])) if shown[1:] else "".join(shown)
