# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.evaluation.onsets import (
    OnsetCounts,
    calibrate,
    detect_onsets,
    f1_score,
    match_onsets,
    onset_strength,
    pick_onsets,
)


SAMPLING_RATE = 16_000


def blows(times_in_s: list[float], level: float = 0.5) -> torch.Tensor:
    """Two seconds of decaying tones."""
    sound = np.zeros(2 * SAMPLING_RATE)
    decay = np.arange(SAMPLING_RATE // 2) / SAMPLING_RATE
    tone = np.exp(-decay / 0.06) * (np.sin(2 * np.pi * 440 * decay) + 0.5 * np.sin(2 * np.pi * 1700 * decay))
    for time in times_in_s:
        start = round(time * SAMPLING_RATE)
        end = min(len(sound), start + len(tone))
        sound[start:end] += level * tone[: end - start]
    return torch.from_numpy(sound).float()


@pytest.mark.parametrize("level", [0.6, 0.1])
def test_blows_are_found_where_they_are(level):
    times = [0.2, 0.55, 1.0, 1.6]
    found = detect_onsets(blows(times, level), SAMPLING_RATE)
    assert found == pytest.approx(times, abs=0.015)


def test_what_is_silent_or_steady_has_no_onset():
    silence = torch.zeros(SAMPLING_RATE)
    noise = 0.001 * torch.from_numpy(np.random.default_rng(0).standard_normal(SAMPLING_RATE)).float()
    assert len(detect_onsets(silence, SAMPLING_RATE)) == len(detect_onsets(noise, SAMPLING_RATE)) == 0


def test_of_peaks_near_each_other_the_largest_counts():
    strength = np.zeros(200)
    strength[[40, 50, 120]] = [0.5, 0.9, 0.7]
    assert pick_onsets(strength, threshold=0.2, delay_in_s=0.0).tolist() == pytest.approx([0.25, 0.6])


def test_strength_has_a_value_for_each_5_ms():
    assert onset_strength(blows([0.5]), SAMPLING_RATE).shape == (401,)


def test_as_many_as_possible_are_matched_once():
    # The nearest of 0.04 is 0.05, but then 0.07 would have none.
    assert match_onsets([0.04, 0.09], [0.0, 0.05], 0.05) == OnsetCounts(2, 2, 2)
    assert match_onsets([0.1, 0.11, 0.12], [0.1], 0.05) == OnsetCounts(1, 3, 1)
    assert match_onsets([], [0.1], 0.05) == OnsetCounts(0, 0, 1)


def test_times_must_rise():
    with pytest.raises(InputError, match="detected"):
        match_onsets([0.2, 0.1], [0.1], 0.05)


def test_f1_is_of_all_clips_together():
    assert f1_score(np.array([[1, 2, 1], [3, 3, 4]])) == pytest.approx(8 / 10)
    assert f1_score(np.array([[0, 0, 0]])) == 1.0


def test_calibration_finds_the_delay():
    times = [[0.2, 0.7, 1.3], [0.4, 1.1]]
    waveforms = [blows([time + 0.02 for time in clip]) for clip in times]
    *_, delay, score = calibrate(waveforms, times, SAMPLING_RATE, tolerance_in_s=0.02)
    assert delay == pytest.approx(0.02, abs=0.015)
    assert score == 1.0


def test_a_sound_that_is_no_waveform_is_refused():
    with pytest.raises(InputError, match="waveform"):
        detect_onsets(torch.zeros(1, SAMPLING_RATE), SAMPLING_RATE)
