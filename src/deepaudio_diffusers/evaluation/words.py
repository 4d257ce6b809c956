# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""How many words and letters were heard amiss: error counts by jiwer, over transcripts written in one way."""

import unicodedata
from collections.abc import Sequence

import numpy as np

from .intervals import ratio
from .optional import require


PURPOSE = "Counting errors in words"


def normalize_transcript(text: str) -> str:
    """A transcript as works on dubbing and cloned speech compare them: without punctuation, in lower case, with one
    space between words.

    The scripts of F5-TTS and DeepAudio-V1 remove ASCII punctuation and the Chinese one of the library `zhon`. Here it
    is all that Unicode calls punctuation or symbol, which includes both.
    """
    return " ".join("".join(c for c in text if unicodedata.category(c)[0] not in "PS").lower().split())


def count_word_errors(reference: Sequence[str], heard: Sequence[str]) -> int:
    """The fewest words that must be put in, taken out or replaced to make one sequence of words the other.

    Raises:
        InputError: When jiwer is not installed.
    """
    return _count_errors("process_words", " ".join(reference), " ".join(heard), len(heard))


def count_character_errors(reference: str, heard: str) -> int:
    """The same for the characters of two texts, spaces among them.

    Raises:
        InputError: When jiwer is not installed.
    """
    return _count_errors("process_characters", reference, heard, len(heard))


def _count_errors(process: str, reference: str, heard: str, num_heard: int) -> int:
    jiwer = require("jiwer", PURPOSE)
    # jiwer refuses references without words.
    if not reference:
        return num_heard
    found = getattr(jiwer, process)(reference, heard)
    return found.substitutions + found.deletions + found.insertions


def error_counts(reference: str, heard: str) -> dict[str, float]:
    """What error rates are made of, for one utterance: `word_errors`, `words`, `character_errors`, `characters`.

    Args:
        reference (`str`): What should be said, in any spelling; see [`normalize_transcript`].
        heard (`str`): What a recogniser heard.
    """
    reference, heard = normalize_transcript(reference), normalize_transcript(heard)
    return {
        "word_errors": count_word_errors(reference.split(), heard.split()),
        "words": len(reference.split()),
        "character_errors": count_character_errors(reference, heard),
        "characters": len(reference),
    }


def corpus_error_rate(counts: np.ndarray) -> float:
    """Errors over words of all utterances together.

    Args:
        counts (`np.ndarray` of shape `(num_utterances, 2)`): Errors and words of each.
    """
    return ratio(counts)


def mean_error_rate(counts: np.ndarray) -> float:
    """The mean of the error rates of utterances, which DeepAudio-V1 reports: short ones weigh as much as long ones.

    Args:
        counts (`np.ndarray` of shape `(num_utterances, 2)`): Errors and words of each.
    """
    return float(np.mean(counts[:, 0] / np.maximum(counts[:, 1], 1)))
