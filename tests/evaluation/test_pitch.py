# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.evaluation.pitch import octaves_above


SAMPLING_RATE = 16_000


def glide(octaves: float) -> torch.Tensor:
    time = torch.arange(2 * SAMPLING_RATE) / SAMPLING_RATE
    pitch = 400 * 2**octaves * 2 ** torch.sin(2 * time)
    phase = 2 * math.pi * pitch.cumsum(0) / SAMPLING_RATE
    return 0.2 * (torch.sin(phase) + 0.4 * torch.sin(2 * phase))


@pytest.mark.parametrize("octaves", [-1, 0, 1, 2])
def test_a_glide_is_as_many_octaves_higher_as_it_was_made(octaves):
    assert octaves_above(glide(0), glide(octaves), SAMPLING_RATE) == pytest.approx(octaves, abs=0.1)


def test_silence_is_refused_nowhere_and_far_away():
    assert octaves_above(glide(0), torch.zeros(2 * SAMPLING_RATE), SAMPLING_RATE) == -2.5


def test_sounds_must_be_equally_long():
    with pytest.raises(InputError, match="same time"):
        octaves_above(glide(0), glide(0)[:-1], SAMPLING_RATE)
