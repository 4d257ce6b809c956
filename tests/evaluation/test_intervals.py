# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.evaluation.intervals import bootstrap, ratio


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(0).normal(3.0, 2.0, 400)
    estimate = bootstrap(values)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.high - estimate.value == pytest.approx(half, rel=0.1)
    assert estimate.value - estimate.low == pytest.approx(half, rel=0.1)
    assert estimate.num_clips == 400


def test_a_seed_gives_the_same_interval():
    values = np.arange(20.0)
    assert bootstrap(values, seed=3) == bootstrap(values, seed=3)
    assert bootstrap(values, seed=3) != bootstrap(values, seed=4)


def test_counts_of_a_clip_stay_together():
    # Every clip has the same ratio, so any draw of clips has.
    counts = np.array([[1, 2], [5, 10], [20, 40]])
    estimate = bootstrap(counts, ratio)
    assert (estimate.low, estimate.value, estimate.high) == (0.5, 0.5, 0.5)


def test_a_ratio_of_nothing_is_zero():
    assert ratio(np.array([[0, 0]])) == 0.0


@pytest.mark.parametrize("per_clip", [np.zeros(0), np.zeros((2, 2, 2)), np.float64(1)])
def test_other_shapes_are_refused(per_clip):
    with pytest.raises(InputError, match="per_clip"):
        bootstrap(per_clip)


def test_a_clip_that_failed_is_named():
    with pytest.raises(InputError, match=r"\[1\]"):
        bootstrap(np.array([0.0, np.nan, 1.0]))
