# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What is said in one split is never said in another, and words held out are never said in training."""

import numpy as np
import pytest

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.synthetic import sentences
from deepaudio_diffusers.synthetic.sentences import (
    GRID_SLOTS,
    GRID_WORDS,
    common_words,
    is_held_out,
    lexicon_words,
    sample_sentence,
    sentence_set,
)


needs_word_list = pytest.mark.skipif(
    not sentences.WORD_LIST.is_file(), reason="open sentences need the Debian package wamerican-small"
)


def draw(split: str, kind: str = "grid", seed: int = 0, number: int = 300) -> list[str]:
    rng = np.random.default_rng(seed)
    return [sample_sentence(rng, split, kind) for _ in range(number)]


def test_grid_has_seventy_different_words():
    assert len(GRID_WORDS) == len(set(GRID_WORDS)) == 70


def test_grid_sentences_fill_the_six_slots():
    for sentence in draw("train"):
        words = sentence.split(" ")
        assert len(words) == 6
        assert all(word in slot for word, slot in zip(words, GRID_SLOTS, strict=True))


def test_all_words_of_the_grid_occur():
    assert {word for sentence in draw("test", number=1000) for word in sentence.split()} == set(GRID_WORDS)


@pytest.mark.parametrize("kind", ["grid", pytest.param("open", marks=needs_word_list)])
def test_a_sentence_belongs_to_one_split(kind):
    for split, expected in sentences.SENTENCE_SETS.items():
        assert {sentence_set(sentence) for sentence in draw(split, kind)} == {expected}


def test_splits_do_not_change():
    # Checkpoints are scored on sentences that they have not learnt from, with any version.
    assert sentence_set("leave red over hammer four tomorrow") == "train"
    assert sentence_set("bring blue above needle five quickly") == "validation"
    assert sentence_set("bring black after rabbit six tomorrow") == "test"
    assert [word for word in ("abilities", "able", "ability", "apple") if is_held_out(word)] == ["abilities", "able"]


def test_the_same_seed_gives_the_same_sentences():
    assert draw("train", seed=3) == draw("train", seed=3)
    assert draw("train", seed=3) != draw("train", seed=4)


@needs_word_list
def test_open_sentences_of_training_have_no_word_held_out():
    sentences_of_training = draw("train", "open")
    assert {len(sentence.split()) for sentence in sentences_of_training} == {3, 4, 5, 6, 7}
    assert not any(is_held_out(word) for sentence in sentences_of_training for word in sentence.split())


@needs_word_list
def test_open_unseen_sentences_have_nothing_but_words_held_out():
    words = {word for sentence in draw("test", "open_unseen") for word in sentence.split()}
    assert all(is_held_out(word) for word in words)
    assert words <= set(common_words())


@needs_word_list
def test_one_common_word_in_twenty_is_held_out():
    share = sum(map(is_held_out, common_words())) / len(common_words())
    assert share == pytest.approx(0.05, abs=0.005)
    assert not any(map(is_held_out, GRID_WORDS))


@needs_word_list
def test_common_words_are_plain_and_without_names():
    assert len(common_words()) > 20_000
    assert all(
        word.isascii() and word.isalpha() and word.islower() and 3 <= len(word) <= 10 for word in common_words()
    )
    assert "london" not in common_words()


@needs_word_list
def test_the_lexicon_also_has_short_words_and_contractions():
    words = set(lexicon_words())
    assert words >= {*common_words(), *GRID_WORDS, "a", "i", "of", "don't", "i'm"}
    assert "bottle's" not in words


@pytest.mark.parametrize("arguments", [("tests",), ("train", "gird"), ("train", "open_unseen")])
def test_unknown_splits_and_kinds_are_refused(arguments):
    with pytest.raises(InputError, match=repr(arguments[-1])):
        sample_sentence(np.random.default_rng(0), *arguments)


def test_a_missing_word_list_is_named_with_the_package_that_has_it(monkeypatch, tmp_path):
    monkeypatch.setattr(sentences, "WORD_LIST", tmp_path / "american-english-small")
    sentences._listed_words.cache_clear()
    with pytest.raises(InputError, match="apt-get install wamerican-small"):
        lexicon_words()
