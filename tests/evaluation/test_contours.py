# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.evaluation.contours import FLOOR_IN_DB, correlation, loudness_contour


SAMPLING_RATE = 16_000


def test_the_level_of_a_sine_is_3_db_below_its_peak():
    time = torch.arange(2 * SAMPLING_RATE) / SAMPLING_RATE
    levels = loudness_contour(0.5 * torch.sin(2 * torch.pi * 1000 * time), SAMPLING_RATE)
    assert levels.shape == (125,)
    assert levels[10:-10] == pytest.approx(20 * np.log10(0.5) - 3.01, abs=0.01)


def test_silence_lies_at_the_floor():
    assert (loudness_contour(torch.zeros(SAMPLING_RATE), SAMPLING_RATE) == FLOOR_IN_DB).all()


def test_correlation_is_pearsons():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 50))
    assert correlation(first, second) == pytest.approx(np.corrcoef(first, second)[0, 1])
    assert correlation(first, 2 * first + 3) == pytest.approx(1)


def test_what_never_changes_correlates_with_nothing():
    assert correlation(np.ones(5), np.arange(5.0)) == 0.0


def test_contours_of_different_lengths_are_refused():
    with pytest.raises(InputError, match="frame by frame"):
        correlation(np.ones(5), np.ones(6))
