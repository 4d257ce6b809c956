# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Times of phones and words are those at which they are heard, and prosody is drawn as promised."""

import shutil
from itertools import pairwise

import numpy as np
import pytest

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.synthetic.speech import (
    SPEAKERS,
    Utterance,
    build_lexicon,
    read_lexicon,
    synthesize_utterance,
    write_lexicon,
)


TEXT = "place the silver bottle near seven"
NUM_PHONES = 24

pytestmark = pytest.mark.skipif(shutil.which("flite") is None, reason="speech needs the Debian package flite")


def speak(seed: int = 0, speaker: str = "slt", text: str = TEXT, max_length_in_s: float = 10.0) -> Utterance:
    return synthesize_utterance(np.random.default_rng(seed), speaker, text, max_length_in_s)


def pauses_of(utterance: Utterance) -> list[float]:
    return [end - start for phone, start, end in utterance.phones[1:-1] if phone == "pau"]


def level_in_db(samples: np.ndarray) -> float:
    return 10 * np.log10(np.mean(np.square(samples)) + 1e-12)


@pytest.fixture(scope="module")
def utterances() -> list[Utterance]:
    return [speak(seed) for seed in range(24)]


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_every_voice_speaks_the_text(speaker):
    utterance = speak(speaker=speaker)
    assert utterance.waveform.dtype == np.float32
    assert (utterance.text, utterance.speaker) == (TEXT, speaker)
    assert [word for word, _, _ in utterance.words] == TEXT.split()
    assert sum(phone != "pau" for phone, _, _ in utterance.phones) == NUM_PHONES
    assert np.abs(utterance.waveform).max() < 0.98
    assert level_in_db(utterance.waveform) == pytest.approx(-20, abs=2)


def test_phones_cover_the_waveform_without_gaps(utterances):
    for utterance in utterances:
        assert utterance.phones[0][1] == 0
        assert utterance.phones[-1][2] == len(utterance.waveform) / 16_000
        assert all(end == start for (_, _, end), (_, start, _) in pairwise(utterance.phones))
        assert all(start < end for _, start, end in utterance.phones)


def test_words_consist_of_their_phones(utterances):
    lexicon = build_lexicon(TEXT.split())
    for utterance in utterances:
        for word, word_start, word_end in utterance.words:
            phones = [span for span in utterance.phones if word_start <= span[1] and span[2] <= word_end]
            assert len(phones) == len(lexicon[word])
            assert (phones[0][1], phones[-1][2]) == (word_start, word_end)


def test_a_word_that_sounds_different_among_others_is_spoken_alone():
    # Before some words, flite takes "aged" for a verb, which has one syllable less.
    lexicon = build_lexicon(["aged", "grew", "lieu"])
    for seed in range(6):
        utterance = speak(seed, text="aged grew lieu")
        for word, word_start, word_end in utterance.words:
            phones = [phone for phone, start, end in utterance.phones if word_start <= start and end <= word_end]
            assert phones == lexicon[word]
        assert all(end == start for (_, _, end), (_, start, _) in pairwise(utterance.phones))


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_pauses_are_silent_and_vowels_are_not(speaker):
    utterance = speak(seed=1, speaker=speaker)
    levels = {"pau": [], "ey": [], "aa": [], "ih": []}
    for phone, start, end in utterance.phones:
        if phone in levels:
            levels[phone].append(level_in_db(utterance.waveform[round(start * 16_000) : round(end * 16_000)]))
    vowels = [*levels["ey"], *levels["aa"], *levels["ih"]]
    # A voice may fade into the pause.
    assert min(vowels) > max(levels["pau"]) + 10
    assert np.median(levels["pau"]) < -50


def test_a_pause_between_phrases_lasts_60_to_400_ms(utterances):
    pauses = [pause for utterance in utterances for pause in pauses_of(utterance)]
    assert len(pauses) > 24
    assert min(pauses) >= 0.0599
    assert max(pauses) <= 0.4001


def test_ends_are_trimmed(utterances):
    for utterance in utterances:
        for phone, start, end in (utterance.phones[0], utterance.phones[-1]):
            assert phone == "pau"
            assert end - start <= 0.0401


def test_phrases_have_three_words_at_most_unless_the_utterance_is_one(utterances):
    for utterance in utterances:
        if pauses_of(utterance):
            gaps = [start > end for (_, _, end), (_, start, _) in pairwise(utterance.words)]
            longest = max(map(len, "".join("|" if gap else "w" for gap in gaps).split("|")))
            assert longest + 1 <= 3


def test_a_quarter_of_the_utterances_is_one_phrase(utterances):
    assert 0 < sum(not pauses_of(utterance) for utterance in utterances) < 12


def test_words_change_their_tempo(utterances):
    lengths = [end - start for utterance in utterances for word, start, end in utterance.words if word == "silver"]
    assert max(lengths) > 1.5 * min(lengths)


@pytest.mark.parametrize("seed", range(4))
def test_what_would_be_too_long_is_spoken_faster(seed):
    shortened = speak(seed, max_length_in_s=1.5)
    assert 1.3 < len(shortened.waveform) / 16_000 <= 1.5
    assert len(pauses_of(shortened)) == len(pauses_of(speak(seed)))


def test_the_same_seed_gives_the_same_samples():
    assert np.array_equal(speak(5).waveform, speak(5).waveform)
    assert not np.array_equal(speak(5).waveform[:8000], speak(6).waveform[:8000])


def test_lexicon_of_many_words_is_that_of_each():
    words = ["silver", "the", "a", "don't", "xylophone", "live", "knight", "twelfths", "no", "st"]
    lexicon = build_lexicon(words)
    assert list(lexicon) == sorted(words)
    assert lexicon["silver"] == ["s", "ih", "l", "v", "er"]
    assert all(build_lexicon([word])[word] == phones for word, phones in lexicon.items())


def test_lexicon_of_no_words_is_empty():
    assert build_lexicon([]) == {}


def test_lexicon_is_read_as_written(tmp_path):
    lexicon = build_lexicon(TEXT.split())
    write_lexicon(tmp_path / "lexicon.txt", lexicon)
    assert read_lexicon(tmp_path / "lexicon.txt") == lexicon
    assert (tmp_path / "lexicon.txt").read_text().splitlines()[0] == "bottle\tb aa t ax l"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"speaker": "kal"}, "`speaker` is 'kal'"),
        ({"text": ""}, "`text` is empty"),
        ({"text": "Silver"}, "`text` has 'Silver'"),
        ({"text": "route 66"}, "`text` has '66'"),
        ({"text": "-o /etc/passwd"}, "`text` has '-o'"),
        ({"max_length_in_s": 0.3}, "`max_length_in_s` is 0.3"),
        ({"max_length_in_s": 0.0}, "`max_length_in_s` is 0"),
        ({"max_length_in_s": float("nan")}, "`max_length_in_s` is nan"),
    ],
)
def test_what_cannot_be_spoken_is_refused(arguments, named):
    with pytest.raises(InputError, match=named):
        speak(**arguments)


def test_lexicon_refuses_what_is_no_word():
    with pytest.raises(InputError, match="'two words'"):
        build_lexicon(["two words"])


def test_missing_program_is_named_with_the_package_that_has_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="apt-get install flite"):
        speak()
