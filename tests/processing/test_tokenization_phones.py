# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Text becomes the phones that the lexicon has, and a tokenizer is the same after it was saved."""

import json

import numpy as np
import pytest
import torch

from deepaudio_diffusers.errors import CheckpointError, InputError
from deepaudio_diffusers.processing.lexicon import read_lexicon, write_lexicon
from deepaudio_diffusers.processing.phone_timing import PhoneStatistics, time_phones, time_phones_by_energy
from deepaudio_diffusers.processing.tokenization_phones import (
    PhoneTokenizer,
    read_phone_statistics,
    write_phone_statistics,
)


LEXICON = {"bee": ["b", "iy"], "tea": ["t", "iy"], "beat": ["b", "iy", "t"], "don't": ["t", "ow"]}
STATISTICS = PhoneStatistics(
    ("pau", "b", "iy", "t", "ow"),
    durations_in_s=np.array([0.2, 0.06, 0.12, 0.07, 0.1]),
    duration_spreads=np.array([0.5, 0.3, 0.3, 0.3, 0.3]),
    levels=np.log([0.01, 0.1, 0.9, 0.05, 0.8]),
    level_spreads=np.array([0.3, 0.4, 0.3, 0.4, 0.3]),
)
FRAME_LENGTH_IN_S = 0.016


@pytest.fixture
def folder(tmp_path):
    write_lexicon(tmp_path / "lexicon.txt", LEXICON)
    write_phone_statistics(tmp_path / "phones.json", STATISTICS)
    return tmp_path


@pytest.fixture
def tokenizer(folder) -> PhoneTokenizer:
    return PhoneTokenizer(folder / "lexicon.txt", folder / "phones.json")


def test_ids_are_those_of_the_phones(tokenizer):
    assert tokenizer("bee tea").input_ids == [1, 2, 3, 2]
    assert tokenizer(["beat", "tea", ""]).input_ids == [[1, 2, 3], [3, 2], []]
    assert tokenizer.tokenize("beat tea") == ["b", "iy", "t", "t", "iy"]
    assert tokenizer.decode([1, 2, 3]) == "b iy t"
    assert tokenizer.vocab_size == len(tokenizer) == 5
    assert tokenizer.get_vocab() == {"pau": 0, "b": 1, "iy": 2, "t": 3, "ow": 4}


@pytest.mark.parametrize(
    "text",
    ["BEE tea", " bee   tea\n", "Bee, tea.", "(bee) 'tea'", "bee-tea", "“Bee”—tea!?", "bee … tea", "bee\ttea;"],
)
def test_case_space_and_punctuation_make_no_phones(tokenizer, text):
    assert tokenizer(text).input_ids == [1, 2, 3, 2]


def test_apostrophes_belong_to_words_however_they_are_typed(tokenizer):
    assert tokenizer("don't").input_ids == tokenizer("Don’t").input_ids == [3, 4]


def test_words_that_the_lexicon_lacks_are_named_with_the_way_out(tokenizer):
    text = "Bee, wasp and 2 café wasps, wasp"
    assert tokenizer.unknown_words(text) == ["wasp", "and", "2", "café", "wasps"]
    assert tokenizer.unknown_words("bee tea") == []
    for call in (tokenizer, lambda text: tokenizer.place(text, 50, FRAME_LENGTH_IN_S)):
        with pytest.raises(InputError, match=r"'wasp', 'and', '2', 'café', 'wasps'.*add a line .* to lexicon\.txt"):
            call(text)


def test_a_line_added_to_the_lexicon_makes_a_word_known(folder):
    with (folder / "lexicon.txt").open("a", encoding="utf-8") as file:
        file.write("Toby\tt ow b iy\r\n\n")
    tokenizer = PhoneTokenizer(folder / "lexicon.txt", folder / "phones.json")
    assert tokenizer("toby").input_ids == [3, 4, 1, 2]


def test_saved_tokenizer_is_the_same(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "saved")
    loaded = PhoneTokenizer.from_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved" / "lexicon.txt").read_bytes() == (tmp_path / "lexicon.txt").read_bytes()
    assert (tmp_path / "saved" / "phones.json").read_bytes() == (tmp_path / "phones.json").read_bytes()
    assert loaded("Don't beat, bee").input_ids == tokenizer("Don't beat, bee").input_ids
    assert loaded.get_vocab() == tokenizer.get_vocab()
    arguments = ("beat bee", 40, FRAME_LENGTH_IN_S)
    assert torch.equal(loaded.place(*arguments), tokenizer.place(*arguments))


def test_saved_tokenizer_is_loaded_without_the_network(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path / "saved")
    assert PhoneTokenizer.from_pretrained(tmp_path / "saved", local_files_only=True).vocab_size == 5


def test_place_follows_the_table(tokenizer):
    ids = tokenizer.place("beat bee", 40, FRAME_LENGTH_IN_S)
    assert ids.dtype == torch.int64
    expected = time_phones([LEXICON["beat"], LEXICON["bee"]], 40, FRAME_LENGTH_IN_S, STATISTICS)
    assert ids.tolist() == expected.tolist()


def test_place_pauses_at_punctuation_between_words_only(tokenizer):
    ids = tokenizer.place("... beat, -- (bee)!", 60, FRAME_LENGTH_IN_S)
    words = [LEXICON["beat"], ["pau"], LEXICON["bee"]]
    assert ids.tolist() == time_phones(words, 60, FRAME_LENGTH_IN_S, STATISTICS).tolist()
    without = tokenizer.place("beat bee", 60, FRAME_LENGTH_IN_S)
    assert (ids == 0).sum() > (without == 0).sum()


def test_place_follows_the_energy(tokenizer):
    energy = torch.tensor([0.0] * 10 + [0.1] * 4 + [1.0] * 8 + [0.0] * 20 + [0.05] * 4 + [0.9] * 6 + [0.0] * 5)
    ids = tokenizer.place("bee tea", len(energy), FRAME_LENGTH_IN_S, energy)
    words = [LEXICON["bee"], LEXICON["tea"]]
    expected = time_phones_by_energy(words, energy.double().numpy(), FRAME_LENGTH_IN_S, STATISTICS)
    assert ids.tolist() == expected.tolist()
    assert (ids[14:22] == 2).all()
    assert (ids[24:40] == 0).all()


@pytest.mark.parametrize("energy", [torch.ones(41), torch.ones(1, 40), [1.0] * 40, torch.full((40,), 2.0)])
def test_place_refuses_what_is_no_contour_of_the_length(tokenizer, energy):
    with pytest.raises(InputError, match="`energy`"):
        tokenizer.place("beat bee", 40, FRAME_LENGTH_IN_S, energy)


@pytest.mark.parametrize(("text", "named"), [("", "no phones"), ("?!", "no phones"), ("beat bee", "5 phones")])
def test_place_refuses_too_little_or_too_much_text(tokenizer, text, named):
    with pytest.raises(InputError, match=named):
        tokenizer.place(text, 4, FRAME_LENGTH_IN_S)


def test_ids_beyond_the_vocabulary_are_refused(tokenizer):
    for index in (-1, 5):
        with pytest.raises(InputError, match=f"The id {index}"):
            tokenizer.convert_ids_to_tokens([index])


def test_lexicon_and_phones_belong_together(folder):
    for phones in ("b oy", "b pau"):
        (folder / "lexicon.txt").write_text(f"bee\t{phones}\n")
        with pytest.raises(CheckpointError, match=r"lexicon\.txt spells 'bee' with '(oy|pau)'"):
            PhoneTokenizer(folder / "lexicon.txt", folder / "phones.json")


@pytest.mark.parametrize("content", [b"bee b iy\n", b"bee\t\n", b"\tb iy\n", "bée\tb".encode("latin-1")])
def test_a_damaged_lexicon_is_refused(tmp_path, content):
    (tmp_path / "lexicon.txt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"lexicon\.txt"):
        read_lexicon(tmp_path / "lexicon.txt")


@pytest.mark.parametrize(
    "change", [{"phones": ["b"]}, {"levels": [1.0]}, {"levels": None}, {"phones": 5}, {"level_spreads": ["x"] * 5}]
)
def test_damaged_statistics_are_refused(folder, change):
    path = folder / "phones.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError, match=r"phones\.json"):
        read_phone_statistics(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"{}"])
def test_what_is_no_json_of_statistics_is_refused(tmp_path, content):
    (tmp_path / "phones.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"phones\.json"):
        read_phone_statistics(tmp_path / "phones.json")
