# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the voices of the synthetic world say.

The closed kind of sentence follows GRID (Cooke et al., "An audio-visual corpus for speech perception and automatic
speech recognition", J. Acoust. Soc. Am. 120(5), 2006): six slots, one word each. GRID's spoken letters, which no
recogniser tells apart without their position, are nouns here, and verbs, colours, prepositions and adverbs are ten
each; so the sentences can be scored by a recogniser that knows the words but not the slots.

Which split a sentence belongs to is decided by a checksum of its text, so what is said in one split is never said in
another, whatever the seeds.
"""

import re
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..errors import InputError


GRID_SLOTS = (
    ("bring", "carry", "leave", "place", "send", "take", "throw", "turn", "move", "wash"),
    ("black", "blue", "brown", "green", "orange", "purple", "red", "silver", "white", "yellow"),
    ("above", "after", "before", "behind", "from", "inside", "near", "over", "under", "with"),
    (
        *("apple", "bottle", "camera", "dollar", "engine", "finger", "garden", "hammer", "island", "jacket"),
        *("kitchen", "ladder", "magnet", "needle", "office", "paper", "rabbit", "summer", "tiger", "window"),
    ),
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    ("again", "always", "later", "maybe", "now", "please", "quickly", "soon", "today", "tomorrow"),
)
GRID_WORDS = tuple(word for slot in GRID_SLOTS for word in slot)

# The splits of the world whose sentences come from each of the three sets.
SENTENCE_SETS = {"train": "train", "validation": "validation", "test": "test", "test_unseen_looks": "test"}
KINDS = ("grid", "open", "open_unseen")

WORD_LIST = Path("/usr/share/dict/american-english-small")
MIN_LETTERS, MAX_LETTERS = 3, 10
# The few longer words would take a fifth of the size of a lexicon.
MAX_LEXICON_LETTERS = 12
# The list has these in upper case, or only as the possessive case of something else.
MORE_LEXICON_WORDS = (
    *("i", "i'm", "i'll", "i've", "i'd", "it's", "that's", "he's", "she's", "there's", "what's", "let's", "here's"),
    *("we'll", "we've", "you'll", "you've", "they'll", "they've", "he'll", "she'll", "it'll", "shouldn't", "hasn't"),
)
MIN_OPEN_WORDS, MAX_OPEN_WORDS = 3, 7


def sample_sentence(rng: np.random.Generator, split: str, kind: str = "grid") -> str:
    """Draw a sentence.

    Args:
        rng (`np.random.Generator`): Source of randomness.
        split (`str`): `"train"`, `"validation"`, `"test"` or `"test_unseen_looks"`; both kinds of test have the same
            sentences.
        kind (`str`, defaults to `"grid"`): `"grid"` has six slots and 70 words. `"open"` is 3 to 7 words of
            [`common_words`], all of which occur in training. `"open_unseen"`, for tests only, is 3 to 7 words none of
            which occurs in training.

    Returns:
        `str`: Lower-case words with a space between them.

    Raises:
        InputError: If the split or the kind is unknown, `"open_unseen"` is asked for elsewhere than for tests, or the
            list of common words is not installed.
    """
    if split not in SENTENCE_SETS:
        raise InputError(f"`split` is {split!r}; choose one of {', '.join(map(repr, SENTENCE_SETS))}.")
    if kind not in KINDS:
        raise InputError(f"`kind` is {kind!r}; choose one of {', '.join(map(repr, KINDS))}.")
    if kind == "open_unseen" and SENTENCE_SETS[split] != "test":
        raise InputError(f"`kind` is 'open_unseen' and `split` is {split!r}; words held out are for tests only.")
    while True:
        sentence = " ".join(_draw_words(rng, kind))
        if sentence_set(sentence) == SENTENCE_SETS[split]:
            return sentence


def sentence_set(sentence: str) -> str:
    """`"train"` (80 %), `"validation"` (5 %) or `"test"` (15 %): where the sentence may occur."""
    share = zlib.crc32(sentence.encode()) % 20
    if share < 3:
        return "test"
    return "validation" if share == 3 else "train"


def is_held_out(word: str) -> bool:
    """Whether a word never occurs in training; one in 20 of [`common_words`], and none of the grid."""
    return word not in GRID_WORDS and zlib.crc32(word.encode()) % 20 == 0


@lru_cache(maxsize=1)
def common_words() -> tuple[str, ...]:
    """The words of the Debian package wamerican-small that have 3 to 10 lower-case letters, in alphabetical order.

    Raises:
        InputError: If the package is not installed.
    """
    return tuple(word for word in _listed_words() if re.fullmatch(f"[a-z]{{{MIN_LETTERS},{MAX_LETTERS}}}", word))


def lexicon_words() -> tuple[str, ...]:
    """The words that a lexicon should have: those of the grid, and of the list also short ones and contractions.

    Raises:
        InputError: If the Debian package wamerican-small is not installed.
    """
    plain = (word for word in _listed_words() if re.fullmatch(f"[a-z]{{1,{MAX_LEXICON_LETTERS}}}", word))
    # Every noun of the list has a possessive case as well.
    contractions = (word for word in _listed_words() if re.fullmatch("[a-z]+'(?!s$)[a-z]+", word))
    return tuple(sorted({*GRID_WORDS, *plain, *contractions, *MORE_LEXICON_WORDS}))


@lru_cache(maxsize=1)
def _listed_words() -> tuple[str, ...]:
    if not WORD_LIST.is_file():
        raise InputError(
            f"{WORD_LIST.name} is missing; open sentences and lexicons are made of its words. Install it with "
            "`apt-get install wamerican-small`."
        )
    return tuple(sorted(WORD_LIST.read_text(encoding="utf-8").split()))


@lru_cache(maxsize=2)
def _open_words(held_out: bool) -> tuple[str, ...]:
    return tuple(word for word in common_words() if is_held_out(word) == held_out)


def _draw_words(rng: np.random.Generator, kind: str) -> list[str]:
    if kind == "grid":
        return [slot[rng.integers(len(slot))] for slot in GRID_SLOTS]
    words = _open_words(kind == "open_unseen")
    return [words[i] for i in rng.integers(len(words), size=rng.integers(MIN_OPEN_WORDS, MAX_OPEN_WORDS + 1))]
