# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.evaluation.spectral import (
    frechet_distance,
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


@pytest.fixture
def needs_world():
    for name in ("pyworld", "pysptk", "fastdtw"):
        pytest.importorskip(name, reason="the extra `evaluation` is not installed", exc_type=ImportError)


@pytest.mark.usefixtures("needs_world")
@pytest.mark.parametrize("mode", ["plain", "dtw", "dtw_sl"])
def test_speech_has_no_distortion_to_itself(mode):
    speech = vowel(0.5)
    assert mel_cepstral_distortion(speech, speech, RATE, mode) == 0


@pytest.mark.usefixtures("needs_world")
def test_a_change_of_level_is_a_change_of_the_first_coefficient():
    # At all frequencies, as what is silent has no level.
    speech = 0.1 * torch.randn(RATE // 2, generator=torch.Generator().manual_seed(0))
    # By 6 dB in each frame, and the distortion is in dB times the square root of 2.
    expected = math.sqrt(2) * 20 * math.log10(2)
    assert mel_cepstral_distortion(speech, 2 * speech, RATE, "plain") == pytest.approx(expected, rel=0.01)


@pytest.mark.usefixtures("needs_world")
def test_a_different_length_is_held_against_speech():
    short, long = vowel(0.5), vowel(1.0)
    warped = mel_cepstral_distortion(short, long, RATE, "dtw")
    penalty = len(mel_cepstra(long, RATE)) / len(mel_cepstra(short, RATE))
    assert mel_cepstral_distortion(short, long, RATE, "dtw_sl") == pytest.approx(penalty * warped)


@pytest.mark.usefixtures("needs_world")
@pytest.mark.parametrize("mode", ["plain", "dtw", "dtw_sl"])
def test_distortion_is_that_of_pymcd(mode, tmp_path):
    pymcd = pytest.importorskip("pymcd.mcd", reason="the oracle is not installed", exc_type=ImportError)
    soundfile = pytest.importorskip("soundfile", reason="the oracle is not installed")
    pair = (vowel(0.5), vowel(0.7, level=0.2))
    for name, speech in zip("ab", pair, strict=True):
        soundfile.write(tmp_path / f"{name}.wav", speech.numpy(), RATE, subtype="FLOAT")
    expected = pymcd.Calculate_MCD(mode).calculate_mcd(tmp_path / "a.wav", tmp_path / "b.wav")
    assert mel_cepstral_distortion(*pair, RATE, mode) == pytest.approx(expected, abs=1e-3)


def test_an_unknown_mode_is_refused():
    with pytest.raises(InputError, match="'dtw_sl'"):
        mel_cepstral_distortion(vowel(0.1), vowel(0.1), RATE, "sl")


def test_frechet_distance_of_gaussians_is_the_closed_form():
    pytest.importorskip("torchmetrics", reason="the extra `evaluation` is not installed")
    rng = np.random.default_rng(0)
    base = rng.normal(size=(500, 4))
    # Exactly white, so that distances of scaled and moved copies are known exactly.
    base -= base.mean(0)
    base = base @ np.linalg.inv(np.linalg.cholesky(np.cov(base.T))).T
    scales, move = np.array([1.0, 2.0, 0.5, 3.0]), np.array([1.0, 0.0, -2.0, 0.0])
    expected = (move**2).sum() + ((scales - 1) ** 2).sum()
    assert frechet_distance(base, base * scales + move) == pytest.approx(expected, rel=1e-6)
