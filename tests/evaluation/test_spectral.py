# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.evaluation.spectral import (
    mel_cepstra,
    mel_cepstral_distortion,
    mel_distance,
)


RATE = 22_050


def vowel(length_in_s: float, level: float = 0.1) -> torch.Tensor:
    """A buzz with a moving formant."""
    time = np.arange(round(length_in_s * RATE)) / RATE
    harmonics = sum(
        np.exp(-(((120 * n - 700 - 300 * np.sin(3 * time)) / 400) ** 2)) * np.sin(2 * np.pi * 120 * n * time)
        for n in range(1, 40)
    )
    return torch.from_numpy(level * harmonics).float()


def test_mel_distance_is_in_units_of_log10():
    mel = torch.zeros(5, 80)
    assert mel_distance(mel, mel + math.log(100)) == pytest.approx(2)
    with pytest.raises(InputError, match="cannot be compared"):
        mel_distance(mel, mel[:4])


@pytest.mark.parametrize("mode", ["plain", "dtw", "dtw_sl"])
def test_speech_has_no_distortion_to_itself(mode):
    speech = vowel(0.5)
    assert mel_cepstral_distortion(speech, speech, RATE, mode) == 0


def test_a_change_of_level_is_a_change_of_the_first_coefficient():
    # At all frequencies, as what is silent has no level.
    speech = 0.1 * torch.randn(RATE // 2, generator=torch.Generator().manual_seed(0))
    # By 6 dB in each frame, and the distortion is in dB times the square root of 2.
    expected = math.sqrt(2) * 20 * math.log10(2)
    assert mel_cepstral_distortion(speech, 2 * speech, RATE, "plain") == pytest.approx(expected, rel=0.01)


def test_a_different_length_is_held_against_speech():
    short, long = vowel(0.5), vowel(1.0)
    warped = mel_cepstral_distortion(short, long, RATE, "dtw")
    penalty = len(mel_cepstra(long, RATE)) / len(mel_cepstra(short, RATE))
    assert mel_cepstral_distortion(short, long, RATE, "dtw_sl") == pytest.approx(penalty * warped)


# By pymcd 0.2.1 with pysptk 1.0.1, pyworld 0.3.5, fastdtw 0.3.4 and librosa 0.11: the two vowels, written by soundfile
# as wav of 32-bit floats, given to `Calculate_MCD(mode).calculate_mcd`.
BY_PYMCD = {"plain": 14.425750483737366, "dtw": 9.442956911912026, "dtw_sl": 13.182741827520749}


@pytest.mark.parametrize("mode", BY_PYMCD)
def test_distortion_is_that_of_pymcd(mode):
    pair = vowel(0.5), vowel(0.7, level=0.2)
    assert mel_cepstral_distortion(*pair, RATE, mode) == pytest.approx(BY_PYMCD[mode], abs=1e-3)


def test_an_unknown_mode_is_refused():
    with pytest.raises(InputError, match="'dtw_sl'"):
        mel_cepstral_distortion(vowel(0.1), vowel(0.1), RATE, "sl")
