# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import shutil

import numpy as np
import pytest
import torch

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.evaluation.optional import require
from deepaudio_diffusers.evaluation.speech import WordLoopRecognizer, shuffled
from deepaudio_diffusers.evaluation.words import count_word_errors
from deepaudio_diffusers.synthetic.sentences import GRID_WORDS
from deepaudio_diffusers.synthetic.speech import build_lexicon, synthesize_utterance


def test_nobody_stands_in_for_themselves():
    others = shuffled(7, seed=2)
    assert sorted(others) == list(range(7))
    assert (others != np.arange(7)).all()
    with pytest.raises(InputError, match="num_items"):
        shuffled(1)


def test_a_missing_library_is_named_with_the_command_that_installs_it():
    with pytest.raises(InputError, match=r"no_such_library.*pip install"):
        require("no_such_library", "Measuring this")


@pytest.fixture(scope="module")
def recognizer():
    return WordLoopRecognizer(GRID_WORDS)


@pytest.mark.skipif(shutil.which("flite") is None, reason="the synthesiser flite is not installed")
def test_clear_speech_is_heard_whatever_was_heard_before(recognizer):
    utterances = [
        synthesize_utterance(np.random.default_rng(seed), "rms", text, 6.0)
        for seed, text in enumerate(("bring silver under apple nine again", "move red behind tiger two soon"))
    ]
    heard = [recognizer.transcribe(torch.from_numpy(utterance.waveform), 16_000) for utterance in utterances]
    again = [recognizer.transcribe(torch.from_numpy(utterance.waveform), 16_000) for utterance in utterances[::-1]]
    assert heard == again[::-1]
    assert sum(map(count_word_errors, (utterance.text.split() for utterance in utterances), heard)) <= 1


def test_silence_is_no_speech(recognizer):
    assert len(recognizer.transcribe(torch.zeros(16_000), 16_000)) <= 1


@pytest.mark.skipif(shutil.which("flite") is None, reason="the synthesiser flite is not installed")
def test_words_that_the_dictionary_lacks_are_heard_by_their_phones():
    lexicon = build_lexicon(["blorping"])
    recognizer = WordLoopRecognizer(["apple", "blorping", "silver", "window"], lexicon)
    speech = synthesize_utterance(np.random.default_rng(0), "rms", "silver blorping window", 6.0).waveform
    assert recognizer.transcribe(torch.from_numpy(speech), 16_000) == ["silver", "blorping", "window"]


def test_words_outside_the_dictionary_are_named(recognizer):
    with pytest.raises(InputError, match="xyzzyx"):
        WordLoopRecognizer(["apple", "xyzzyx"])
