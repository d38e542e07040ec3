"""The file must load in Hugging Face tokenizers, and text must come back as it was."""

from __future__ import annotations

import copy
import json
import pickle
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from transforms.merges import Bpe, learn_merges
from transforms.pretokens import count_pretokens
from transforms.tokenizer_file import SPECIAL_TOKENS, load_for_encoding, token_bytes, tokenizer_json

TEXTS = [
    "The cat sat on the mat; it's the cat's mat. <|endoftext|> <|pad|>" * 3,
    "Die Katze saß auf der Matte. 猫坐在垫子上。猫坐在垫子上。 Кошка сидела на коврике. 😀😀",
]


@cache
def learnt() -> Bpe:
    counts = count_pretokens(pa.array(TEXTS))
    return learn_merges(counts, vocab_size=380, min_count=2, special_tokens=SPECIAL_TOKENS)


@cache
def content() -> bytes:
    return tokenizer_json(learnt(), special_tokens=SPECIAL_TOKENS)


@cache
def encoder() -> Tokenizer:
    return load_for_encoding(content())


def test_the_special_tokens_are_the_first_ids() -> None:
    assert SPECIAL_TOKENS == ("<|endoftext|>", "<|pad|>", "<|mask|>")
    tokenizer = Tokenizer.from_str(content().decode())
    assert [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS] == [0, 1, 2]
    assert {i: (t.content, t.special) for i, t in tokenizer.get_added_tokens_decoder().items()} == {
        i: (token, True) for i, token in enumerate(SPECIAL_TOKENS)
    }


def test_the_file_is_what_hugging_face_would_write(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content())
    tokenizer = Tokenizer.from_file(str(path))
    assert json.loads(tokenizer.to_str()) == json.loads(content())
    model = json.loads(tokenizer.to_str())["model"]
    assert tuple(model["vocab"]) == learnt().vocab
    assert tuple(map(tuple, model["merges"])) == learnt().merges
    assert len(learnt().merges) > 40


def test_the_same_vocabulary_gives_the_same_bytes() -> None:
    reversed_texts = count_pretokens(pa.array(TEXTS[::-1]))
    again = learn_merges(reversed_texts, vocab_size=380, min_count=2, special_tokens=SPECIAL_TOKENS)
    assert tokenizer_json(again, special_tokens=SPECIAL_TOKENS) == content()


def test_the_vocabulary_must_begin_with_the_special_tokens() -> None:
    with pytest.raises(ValueError, match="begins with"):
        tokenizer_json(learnt(), special_tokens=("<|pad|>",))


HOSTILE = st.sampled_from(
    [*SPECIAL_TOKENS, "<|endoftext", "|>", "<", "\x00", "😀", "👨\u200d👩\u200d👧", "猫坐", "\n\n", "it's", " "]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(HOSTILE, st.text(max_size=12)), max_size=12).map("".join))
def test_text_comes_back_and_never_gives_a_special_token(text: str) -> None:
    ids = encoder().encode(text).ids
    assert encoder().decode(ids, skip_special_tokens=False) == text
    assert all(i >= len(SPECIAL_TOKENS) for i in ids)
    assert int(token_bytes_cached()[ids].sum()) == len(text.encode())


@cache
def token_bytes_cached() -> np.ndarray[tuple[int, ...], np.dtype[np.int32]]:
    return token_bytes(encoder())


@pytest.mark.parametrize("token", SPECIAL_TOKENS)
def test_a_literal_marker_is_ordinary_text_by_every_way_in(token: str) -> None:
    forged = Tokenizer.from_str(content().decode())
    assert forged.encode(token).ids == [SPECIAL_TOKENS.index(token)], "the case: without our loader it is forged"
    text = f"a{token}b {token}{token}\n{token}"
    for tokenizer in [encoder(), pickle.loads(pickle.dumps(encoder())), copy.deepcopy(encoder())]:
        ways = [
            tokenizer.encode(text).ids,
            tokenizer.encode(text, add_special_tokens=False).ids,
            tokenizer.encode_batch([text])[0].ids,
            tokenizer.encode_batch_fast([text])[0].ids,
        ]
        assert all(ids == ways[0] for ids in ways)
        assert min(ways[0]) >= len(SPECIAL_TOKENS)
        assert tokenizer.decode(ways[0]) == text


def test_ids_of_ordinary_text_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content())
    text = "The cat's mat! 猫坐在 😀\n"
    assert load_for_encoding(path).encode(text).ids == Tokenizer.from_file(str(path)).encode(text).ids
    assert load_for_encoding(path).get_vocab_size() == len(learnt().vocab)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("normalizer", {"type": "NFC"}),
        ("truncation", {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}),
        ("added_tokens", [{"id": 7, "content": "<|new|>"}]),
    ],
)
def test_a_file_that_would_change_text_or_ids_is_refused(part: str, value: object) -> None:
    changed = json.loads(content()) | {part: value}
    with pytest.raises(ValueError, match=part.removesuffix("s").replace("_", " ")):
        load_for_encoding(json.dumps(changed).encode())


def test_token_bytes_are_lengths_in_utf8_and_0_for_special_tokens() -> None:
    sizes = token_bytes(encoder())
    assert sizes.dtype == np.int32
    assert len(sizes) == len(learnt().vocab)
    assert sizes[:3].tolist() == [0, 0, 0]
    assert sizes[3:259].tolist() == [1] * 256
    assert sizes[learnt().vocab.index("Ġcat")] == 4
    assert (sizes[259:] >= 2).all()
    assert (token_bytes(Tokenizer.from_str(content().decode())) == sizes).all()
