# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pyloudnorm
import pytest

from deepaudio_diffusers.media.mix import (
    ducking_gain,
    keep_below_full_scale,
    loudness_of,
    normalize_loudness,
    spread,
)


RATE = 16_000


def noise(channels: int, length_in_s: float) -> np.ndarray:
    samples = np.random.default_rng(0).standard_normal((channels, round(length_in_s * RATE)))
    return (0.05 * samples).astype(np.float32)


@pytest.mark.parametrize(
    ("channels", "layout", "filled"),
    [
        (1, "mono", [0]),
        (1, "stereo", [0, 0]),
        (2, "stereo", [0, 1]),
        (1, "5.1", [None, None, 0, None, None, None]),
        (2, "5.1", [0, 1, None, None, None, None]),
        (1, "quad", [0, 0, None, None]),
        (2, "7.1", [0, 1, None, None, None, None, None, None]),
    ],
)
def test_each_channel_has_its_place(channels, layout, filled):
    samples = noise(channels, 0.1)
    placed = spread(samples, layout)
    assert len(placed) == len(filled)
    for channel, source in zip(placed, filled, strict=True):
        assert np.array_equal(channel, np.zeros_like(channel) if source is None else samples[source])


def test_ducking_is_complete_while_the_new_sound_is_heard_and_has_no_steps():
    samples = noise(1, 4.0)
    samples[:, : RATE * 3 // 2] = 0
    samples[:, RATE * 2 :] = 0
    gain = ducking_gain(samples, RATE, -12.0)
    assert gain.shape == (4 * RATE,)
    in_db = 20 * np.log10(gain)
    # Full strength before and after, all the way down from beginning to end.
    assert in_db[: RATE * 5 // 4] == pytest.approx(0.0, abs=1e-4)
    assert in_db[RATE * 3 // 2 : RATE * 2] == pytest.approx(-12.0, abs=0.7)
    assert in_db[RATE * 11 // 4 :] == pytest.approx(0.0, abs=1e-4)
    assert np.abs(np.diff(in_db)).max() < 12 / (0.1 * RATE)


def test_a_gap_between_two_words_does_not_pump():
    samples = noise(1, 2.0)
    samples[:, RATE : RATE + RATE // 5] = 0
    assert 20 * np.log10(ducking_gain(samples, RATE, -12.0)[RATE // 4 :].max()) < -11.0


def test_silence_ducks_nothing():
    assert (ducking_gain(np.zeros((1, RATE + 7), np.float32), RATE, -12.0) == 1).all()


@pytest.mark.parametrize(("channels", "layout"), [(1, "mono"), (2, "stereo")])
def test_loudness_is_that_of_bs1770(channels, layout):
    samples = noise(channels, 3.0)
    expected = pyloudnorm.Meter(RATE).integrated_loudness(samples.T.astype(np.float64))
    assert loudness_of(samples, RATE, layout) == pytest.approx(expected, abs=1e-6)


def test_the_channel_for_low_frequencies_does_not_count():
    samples = noise(6, 2.0)
    expected = loudness_of(samples, RATE, "5.1")
    samples[3] *= 10
    assert loudness_of(samples, RATE, "5.1") == expected
    samples[4] *= 10
    assert loudness_of(samples, RATE, "5.1") > expected + 5


@pytest.mark.parametrize("samples", [np.zeros((1, RATE), np.float32), np.ones((1, 100), np.float32)])
def test_what_has_no_loudness_keeps_its_level(samples, caplog):
    assert loudness_of(samples, RATE, "mono") == -math.inf
    assert np.array_equal(normalize_loudness(samples, RATE, "mono", -20.0), samples)
    assert "its level is left as it is" in caplog.text


def test_the_target_is_met():
    normalized = normalize_loudness(noise(2, 3.0), RATE, "stereo", -24.0)
    assert loudness_of(normalized, RATE, "stereo") == pytest.approx(-24.0, abs=0.01)


def test_what_is_not_too_loud_stays_as_it_is():
    samples = noise(2, 0.1)
    assert keep_below_full_scale(samples) is samples
    assert np.abs(keep_below_full_scale(samples * 100)).max() == pytest.approx(1.0)
