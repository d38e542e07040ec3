"""The kernel against fastText itself, which shares nothing with it but the model's file."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.language import identify
from transforms.language_kernel import WORDS, best_labels
from transforms.language_model import parse_model
from transforms.language_tables import KernelModel
from transforms.language_tree import best_leaf, exponential, logarithm

ROOT = Path(__file__).parents[2]
Pair = tuple[KernelModel, Any]


@pytest.fixture(scope="module")
def lid(language_model_file: Path) -> Pair:
    """lid.176 for the kernel, and as fastText loads it."""
    return parse_model(language_model_file.read_bytes()), fasttext.load_model(str(language_model_file))


@pytest.fixture(scope="module")
def small(model_bytes: Callable[..., bytes], tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """A model of six labels and random weights, which every text moves far."""
    path = tmp_path_factory.mktemp("model") / "small.ftz"
    path.write_bytes(model_bytes(words=("</s>", "the", "été", "中文", "<", "x" * 30)))
    return parse_model(path.read_bytes()), fasttext.load_model(str(path))


def check(texts: Sequence[str], models: Pair) -> None:
    """Equal labels and rounded confidences; the scores under them within some units of single precision."""
    ours, theirs = models
    array = pa.array(texts, pa.string())
    labels, confidences = identify(array, ours)
    expected_labels, expected_confidences = identify(array, theirs)
    different = [t[:80] for t, a, b in zip(texts, labels, expected_labels, strict=True) if a != b]
    assert different == []
    assert confidences.equals(expected_confidences)
    scores = np.array([s[0] for s in theirs.predict([t.replace("\n", " ") for t in texts], k=1)[1]], np.float32)
    apart = np.abs(best_labels(array, ours)[1].view(np.int32) - scores.view(np.int32))
    assert apart.max(initial=0) <= 16
    assert len(texts) < 1000 or (apart > 0).mean() <= 0.01


@pytest.mark.parametrize("name", ["sentences", "declarations", "wet", "news", "licences", "articles", "archives"])
def test_real_texts(name: str, corpus: Callable[[str], list[str]], lid: Pair) -> None:
    check(corpus(name), lid)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["tatoeba", "wikis", "benchmark"])
def test_many_texts(name: str, corpus: Callable[[str], list[str]], lid: Pair) -> None:
    check(corpus(name), lid)


EDGES = [
    "", " ", "\n", "\n\n \t", "\0", "\0\0 \0", "a\0b", "a\rb\vc\fd\te", "\x1c\x1d\x1e\x1f", "\x01", "\x7f", "\u0080",
    "\u0085", "\u00a0", "\u2028", "\ufeff", "\ufffd", "\U0010ffff", "\U0001f600\U0001f600", "e\u0301", "...", "1 2 3",
    "<", ">", "<>", "< the >", "</s>", "the </s> Das ist ein deutscher Satz", "Das ist </s>", "</s>x das ist", "x</s>",
    "</s", "__label__", "__label__en", "__label__en ceci est une phrase", "__label__zz ceci", "__label_ ceci est",
    "x__label__en", "__LABEL__en", "__lxbel__ceci est", "__label__l0 the", "été ÉTÉ", "中文", "中文 中文", "the", "The",
    "a", "ab", "abc", "é", "éé", "中", "\U00020000", "a" * 19, "a" * 20, "a" * 21, "x" * 30, "x" * 29, "ab" * 500,
    "é" * 100, "中" * 1000, "\U0001f600" * 300, "ไทย" * 400, "the " * 5000, "the\nété\n中文\n" * 400,
]  # fmt: skip


@pytest.mark.parametrize("which", ["lid", "small"])
def test_edges(which: str, request: pytest.FixtureRequest) -> None:
    check([*EDGES, *(f"{a} {b}" for a in EDGES[:50] for b in EDGES[:50])], request.getfixturevalue(which))


@pytest.mark.parametrize("which", ["lid", "small"])
@pytest.mark.parametrize("count", [WORDS - 1, WORDS, WORDS + 1, 2 * WORDS, 2 * WORDS + 1])
def test_texts_of_about_as_many_words_as_are_split_off(which: str, count: int, request: pytest.FixtureRequest) -> None:
    words = [f"w{k * k % 977}" for k in range(count)]
    ended = [*words[:-1], "</s>"]
    check([" ".join(w) + end for w in (words, ended) for end in ("", " ", "\n", " x")], request.getfixturevalue(which))


def test_words_of_every_length(lid: Pair, small: Pair) -> None:
    letters = "the quick brown fox jumps över den faulen Hund и ещё немного текста 中文維基百科".replace(" ", "") * 3
    for models in (lid, small):
        check([letters[:n] for n in range(len(letters))], models)


def test_one_word_of_four_megabytes(lid: Pair) -> None:
    check(["abcdefghijé中" * 300_000, "</s>" * 1_000_000, "\0" * 4_000_000, "__label__" * 400_000], lid)


def test_every_word_of_the_dictionary(lid: Pair) -> None:
    check([f"{w} x" for w in lid[1].get_words()], lid)
    check([f"x {label}" for label in lid[1].get_labels()], lid)


ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz", "ETAOIN the", "éüßñçø", "абвгдежз", "中文字日本語", "ไทยกขค", "हिन्दी", "العربية",
    "\U0001f600\U00020000\U0010ffff", "<>/s_label", " \n\t\r\v\f\0", "\x01\x1c\x85\u00a0\u2028\ufeff\ufffd",
]  # fmt: skip
MIXED = st.lists(
    st.one_of(
        st.text(max_size=20), *(st.text(a, max_size=12) for a in ALPHABETS),
        st.sampled_from(["</s>", "__label__", "__label__de", " ", "\n", "the ", "der ", "не "]),
    ), max_size=30,
).map("".join)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(MIXED, max_size=20))
def test_any_text(texts: list[str], lid: Pair, small: Pair) -> None:
    check(texts, lid)
    check(texts, small)


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(MIXED, min_size=1, max_size=20), data=st.data())
def test_no_answer_depends_on_its_neighbours(texts: list[str], data: st.DataObject, small: Pair) -> None:
    model, _ = small
    whole = pa.array(texts, pa.string())
    labels, scores = best_labels(whole, model)
    start = data.draw(st.integers(0, len(texts)))
    stop = data.draw(st.integers(start, len(texts)))
    for part in (whole.slice(start, stop - start), pa.array(texts[start:stop], pa.large_string())):
        found = best_labels(part, model)
        assert (found[0] == labels[start:stop]).all()
        assert (found[1] == scores[start:stop]).all()
    turned = best_labels(pa.array(texts[::-1]), model)
    assert (turned[0][::-1] == labels).all()
    assert (turned[1][::-1] == scores).all()


def test_what_is_not_a_text(small: Pair) -> None:
    with pytest.raises(ValueError, match="1 of 2 rows are null"):
        best_labels(pa.array(["x", None]), small[0])
    with pytest.raises(TypeError, match="expected strings"):
        best_labels(pa.array([1]), small[0])


def search(model: KernelModel, hidden: np.ndarray) -> tuple[int, np.float32]:
    """fastText's search, recursive and without a bound, in numpy's single precision."""
    tables = model.tables
    best: list[tuple[np.float32, int]] = []

    def visit(node: int, score: np.float32) -> None:
        if best and score < best[0][0]:
            return
        if tables.left[node] < 0:
            best[:] = [(score, node)]
            return
        dot = np.float32(0)
        for a, b in zip(tables.nodes[node - len(model.labels)], hidden, strict=True):
            dot += a * b
        with np.errstate(over="ignore"):
            right = np.float32(1 / float(np.float32(1) + np.float32(math.exp(-dot) if dot > -700 else math.inf)))
        visit(int(tables.left[node]), score + np.float32(math.log(float(np.float32(1 - float(right))) + 1e-5)))
        visit(int(tables.right[node]), score + np.float32(math.log(float(right) + 1e-5)))

    visit(len(tables.left) - 1, np.float32(0))
    return best[0][1], best[0][0]


@pytest.mark.parametrize("counts", [(1, 1), (5, 4, 3, 2, 1), (1,) * 176, tuple(2**k for k in range(40, -1, -1))])
@pytest.mark.parametrize("scale", [0.0, 1e-6, 0.1, 1.0, 10.0, 1000.0])
def test_the_search_finds_fasttexts_leaf(model_bytes: Callable[..., bytes], counts: tuple, scale: float) -> None:
    # scale 0 makes every leaf of a depth equal, a great one makes scores climb by 1e-5 a step and leaves nearly equal
    model = parse_model(model_bytes(counts=counts, ngrams={0: 0}, scale=scale))
    room = np.empty(len(model.tables.left), np.int32), np.empty(len(model.tables.left), np.float32)
    random = np.random.default_rng(7)
    for _ in range(60):
        hidden = random.normal(0, 1, 16).astype(np.float32)
        assert best_leaf(model.tables, hidden, *room) == search(model, hidden)


def test_exponential_and_logarithm_are_rounded_correctly() -> None:
    # long double has 64 bits where it is not double itself: enough to decide all but one in 10,000 million
    random = np.random.default_rng(1)
    xs = np.concatenate([random.normal(0, 5, 20_000), random.uniform(-120, 120, 20_000)]).astype(np.float32)
    xs = np.concatenate([xs, np.float32([0, -0.0, 1, -1, 88.7, 88.73, 89, -87, -104, -200, 200])])
    with np.errstate(over="ignore", under="ignore"):
        exact = np.exp(xs.astype(np.longdouble)).astype(np.float32)
    subnormal = exact < np.finfo(np.float32).tiny
    ours = np.array([exponential(x) for x in xs], np.float32)
    assert (ours == exact)[~subnormal].all()
    assert np.abs(ours[subnormal] - exact[subnormal]).max() <= 2e-45
    ps = np.concatenate([random.uniform(0, 1, 40_000), 10 ** random.uniform(-9, 0, 10_000), [0, 1, 0.5, 0.7071067]])
    ps = ps.astype(np.float32).astype(np.float64) + 1e-5
    assert ([logarithm(p) for p in ps] == np.log(ps.astype(np.longdouble)).astype(np.float32)).all()


WITH_EXPF = r"""
import ctypes, ctypes.util, pathlib, sys
import fasttext, numba, numpy as np, pyarrow as pa

expf = ctypes.CDLL(ctypes.util.find_library("m")).expf
expf.argtypes, expf.restype = [ctypes.c_float], ctypes.c_float

@numba.njit
def exponential(x):
    return np.float32(expf(np.float32(x)))

import transforms.words
transforms.words.kernel = numba.njit  # keeps what is compiled here out of the cache
import transforms.language_kernel, transforms.language_tree
from transforms.language_model import parse_model
transforms.language_kernel.exponential = transforms.language_tree.exponential = exponential

texts = sys.stdin.buffer.read().decode().split("\n")
_, scores = transforms.language_kernel.best_labels(pa.array(texts), parse_model(pathlib.Path(sys.argv[1]).read_bytes()))
expected = np.array([s[0] for s in fasttext.load_model(sys.argv[1]).predict(texts, k=1)[1]], np.float32)
print(len(texts), (scores != expected).sum())
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the C library as Linux does")
def test_scores_differ_only_by_the_exponential(
    corpus: Callable[[str], list[str]], language_model_file: Path
) -> None:
    """With the C library's exponential in place of ours the scores are fastText's to the last bit."""
    texts = "\n".join(t for t in corpus("sentences") + corpus("tatoeba") if "\n" not in t).encode()
    command = [sys.executable, "-c", WITH_EXPF, str(language_model_file)]
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=variables, input=texts, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    count, different = map(int, done.stdout.split())
    assert count > 140_000
    assert different == 0


PROGRAM = r"""
import hashlib, pathlib, random, sys
import pyarrow as pa
from numba.core import config
from transforms.language_kernel import best_labels
from transforms.language_model import parse_model

random.seed(3)
vocabulary = ["the", "of", "Wort", "été", "中文", "ไทย", "हिन्दी", "x...", "не", "العربية", "\n", "😀", "x" * 90]
texts = pa.array([" ".join(random.choices(vocabulary, k=random.randrange(60))) for _ in range(2000)])
labels, scores = best_labels(texts, parse_model(pathlib.Path(sys.argv[1]).read_bytes()))
print(config.CPU_NAME, len(set(labels.tolist())), hashlib.sha256(labels.tobytes() + scores.tobytes()).hexdigest())
"""


def test_a_plain_cpu_gives_the_same_bits(model_bytes: Callable[..., bytes], tmp_path: Path) -> None:
    (tmp_path / "m.ftz").write_bytes(model_bytes())
    variables = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")} | {"PYTHONPATH": str(ROOT)}

    def run(**environment: str) -> list[str]:
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / "m.ftz")]
        done = subprocess.run(
            command, cwd=ROOT, env=variables | environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    here = run()
    plain = run(NUMBA_CPU_NAME="generic", NUMBA_CACHE_DIR=str(tmp_path))
    assert plain[0] == "generic"
    assert here[0] != "generic"
    assert int(here[1]) > 1
    assert here[1:] == plain[1:]
