# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import importlib.util
import shutil

import numpy as np
import pytest
import torch

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.evaluation.speakers import PART_IN_FRAMES, STEP_IN_FRAMES, SpeakerEncoder
from deepaudio_diffusers.synthetic.speech import synthesize_utterance


has_weights = pytest.mark.skipif(
    importlib.util.find_spec("resemblyzer") is None, reason="pip install --no-deps resemblyzer"
)


def speech(speaker: str, text: str) -> torch.Tensor:
    return torch.from_numpy(synthesize_utterance(np.random.default_rng(0), speaker, text, 6.0).waveform)


@pytest.mark.parametrize(
    ("num_frames", "num_parts"), [(1, 1), (PART_IN_FRAMES, 1), (PART_IN_FRAMES + STEP_IN_FRAMES, 2), (400, 4)]
)
def test_parts_cover_the_recording(num_frames, num_parts):
    starts = SpeakerEncoder._parts(160 * num_frames)
    assert starts == [STEP_IN_FRAMES * i for i in range(num_parts)]


def test_embeddings_have_unit_length_and_do_not_depend_on_the_level():
    torch.manual_seed(0)
    encoder = SpeakerEncoder().eval()
    noise = 0.01 * torch.randn(30_000)
    soft, loud = encoder.embed(noise, 16_000), encoder.embed(1.5 * noise, 16_000)
    assert soft @ soft == pytest.approx(1, abs=1e-5)
    assert np.allclose(soft, loud, atol=1e-5)


def test_silence_has_no_voice():
    with pytest.raises(InputError, match="silent"):
        SpeakerEncoder().embed(torch.zeros(16_000), 16_000)


@has_weights
@pytest.mark.skipif(shutil.which("flite") is None, reason="the synthesiser flite is not installed")
def test_recordings_of_a_voice_are_more_alike_than_those_of_two():
    encoder = SpeakerEncoder.from_resemblyzer()
    voices = {
        speaker: [
            encoder.embed(
                torch.from_numpy(synthesize_utterance(np.random.default_rng(i), speaker, text, 6.0).waveform), 16_000
            )
            for i, text in enumerate(("bring silver under apple nine again", "move red behind tiger two soon"))
        ]
        for speaker in ("slt", "rms")
    }
    own = min(first @ second for first, second in voices.values())
    other = max(first @ second for first in voices["slt"] for second in voices["rms"])
    assert own > other + 0.1
