# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""CLIP's tokenizer: the ids of open_clip, before and after saving.

The fixture holds the part of CLIP's vocabulary that its texts need, with the real ids, and what open_clip makes of
the texts.
"""

import json

import pytest
from transformers import AutoTokenizer, CLIPTokenizer

from deepaudio_diffusers.conversion.clip import build_clip_tokenizer
from deepaudio_diffusers.errors import CheckpointError
from tests.golden import FIXTURES


FIXTURE = json.loads((FIXTURES / "mmaudio" / "clip_tokenizer.json").read_text(encoding="utf-8"))
TEXTS = {entry["text"]: entry["ids"] for entry in FIXTURE["texts"]}


@pytest.fixture(scope="module", params=["built", "saved", "saved twice", "saved, AutoTokenizer"])
def tokenizer(request, tmp_path_factory):
    tokenizer = build_clip_tokenizer(FIXTURE["vocab"], FIXTURE["merges"])
    for _ in range({"built": 0, "saved twice": 2}.get(request.param, 1)):
        folder = tmp_path_factory.mktemp("tokenizer")
        tokenizer.save_pretrained(folder)
        loader = AutoTokenizer if request.param.endswith("AutoTokenizer") else CLIPTokenizer
        tokenizer = loader.from_pretrained(folder)
    return tokenizer


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:12]))
def test_ids_equal_those_of_open_clip(tokenizer, text):
    ids = tokenizer(text, padding="max_length", truncation=True).input_ids
    assert ids == TEXTS[text] + [0] * (77 - len(TEXTS[text]))


def test_batch(tokenizer):
    ids = tokenizer(list(TEXTS), padding="max_length", truncation=True).input_ids
    assert [row[: len(expected)] for row, expected in zip(ids, TEXTS.values(), strict=True)] == list(TEXTS.values())
    assert {len(row) for row in ids} == {77}


def test_exclamation_marks_of_the_text_are_not_padding(tokenizer):
    encoded = tokenizer("music!", padding="max_length", truncation=True)
    assert tokenizer.pad_token_id == 0
    assert encoded.input_ids[:4] == [49406, 1179, 256, 49407]
    assert sum(encoded.attention_mask) == 4


def test_merges_as_pairs():
    pairs = [tuple(merge.split()) for merge in FIXTURE["merges"]]
    tokenizer = build_clip_tokenizer(FIXTURE["vocab"], pairs)
    assert tokenizer("a dog barks").input_ids == TEXTS["a dog barks"]


@pytest.mark.parametrize(
    ("vocab", "message"),
    [
        ({"<|startoftext|>": 0, "<|endoftext|>": 1}, "`vocab` gives '!' the id None; in CLIP's vocabulary it is 0"),
        ({"!": 0, "<|endoftext|>": 1}, r"`vocab` lacks <\|startoftext\|>"),
    ],
    ids=["padding", "special token"],
)
def test_another_vocabulary(vocab, message):
    with pytest.raises(CheckpointError, match=message):
        build_clip_tokenizer(vocab, [])
