# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import jiwer
import numpy as np
import pytest

from deepaudio_diffusers.evaluation.words import (
    corpus_error_rate,
    count_character_errors,
    count_word_errors,
    error_counts,
    mean_error_rate,
    normalize_transcript,
)


@pytest.mark.parametrize(
    ("reference", "heard", "errors"),
    [
        ("bring the apple", "bring the apple", 0),
        ("bring the apple", "bring apple", 1),
        ("bring the apple", "bring the red apple", 1),
        ("bring the apple", "send the needle now", 3),
        ("bring", "", 1),
        ("", "eight two", 2),
        ("", "", 0),
    ],
)
def test_word_errors_of_known_cases(reference, heard, errors):
    assert count_word_errors(reference.split(), heard.split()) == errors


def test_character_errors_of_known_cases():
    assert count_character_errors("kitten", "sitting") == 3
    assert count_character_errors("", "abc") == 3


def test_texts_are_compared_without_punctuation_and_case():
    assert normalize_transcript("  Don't  stop, me—now!  ") == "dont stop menow"
    assert normalize_transcript("你好，世界。") == "你好世界"


def test_rates_of_a_corpus_are_those_of_jiwer():
    rng = np.random.default_rng(0)
    pairs = [[" ".join(rng.choice(["ab", "b", "cde", "d"], rng.integers(1, 12))) for _ in range(2)] for _ in range(40)]
    counts = [error_counts(reference, heard) for reference, heard in pairs]
    references, heard = zip(*pairs, strict=True)
    words = np.array([(count["word_errors"], count["words"]) for count in counts])
    characters = np.array([(count["character_errors"], count["characters"]) for count in counts])
    assert corpus_error_rate(words) == pytest.approx(jiwer.wer(list(references), list(heard)))
    assert corpus_error_rate(characters) == pytest.approx(jiwer.cer(list(references), list(heard)))
    each = [jiwer.wer(reference, other) for reference, other in pairs]
    assert mean_error_rate(words) == pytest.approx(np.mean(each))


def test_short_utterances_weigh_as_much_as_long_ones_in_the_mean_only():
    counts = np.array([[1, 1], [0, 9]])
    assert corpus_error_rate(counts) == pytest.approx(0.1)
    assert mean_error_rate(counts) == pytest.approx(0.5)
