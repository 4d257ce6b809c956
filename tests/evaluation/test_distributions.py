# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.evaluation.distributions import (
    frechet_distance,
    inception_score,
    kernel_distance,
    kl_divergence,
)


def test_frechet_distance_of_gaussians_is_the_closed_form():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(500, 4))
    # Exactly white, so that distances of scaled and moved copies are known exactly.
    base -= base.mean(0)
    base = base @ np.linalg.inv(np.linalg.cholesky(np.cov(base.T))).T
    scales, move = np.array([1.0, 2.0, 0.5, 3.0]), np.array([1.0, 0.0, -2.0, 0.0])
    expected = (move**2).sum() + ((scales - 1) ** 2).sum()
    assert frechet_distance(base, base * scales + move) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_correlated_gaussians_is_that_of_matrix_roots():
    linalg = pytest.importorskip("scipy.linalg")
    rng = np.random.default_rng(1)
    first = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6))
    second = rng.normal(size=(150, 6)) @ rng.normal(size=(6, 6)) + 0.3
    covariances = np.cov(first.T), np.cov(second.T)
    root = linalg.sqrtm(covariances[0] @ covariances[1]).real
    expected = ((first.mean(0) - second.mean(0)) ** 2).sum() + np.trace(sum(covariances) - 2 * root)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-8)


def test_frechet_distance_of_few_items_in_many_dimensions():
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(20, 6)), rng.normal(size=(15, 6)) * 1.5 + 0.3
    # Turned into, and moved in, a space of far more dimensions than there are items.
    axes = np.linalg.qr(rng.normal(size=(300, 6)))[0].T
    found = frechet_distance(first @ axes + 5, second @ axes + 5)
    assert found == pytest.approx(frechet_distance(first, second), rel=1e-6)


def test_kl_divergence_of_a_case_by_hand():
    # (1/2, 1/2) against (1/4, 3/4), and a pair that is equal.
    reference = np.log([[1.0, 1.0], [1.0, 4.0]])
    result = np.log([[1.0, 3.0], [2.0, 8.0]])
    by_hand = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert kl_divergence(reference, result) == pytest.approx(by_hand / 2)
    # It is not the divergence the other way round.
    backwards = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    assert kl_divergence(result[:1], reference[:1]) == pytest.approx(backwards)


def test_inception_score_of_sure_and_even_sounds_is_their_number():
    assert inception_score(1000 * np.eye(5), num_splits=1) == pytest.approx(5)
    assert inception_score(np.zeros((7, 5))) == pytest.approx(1)


def test_inception_score_of_a_case_by_hand():
    # Two clips, half sure of different things: marginals are even.
    logits = np.log([[3.0, 1.0], [1.0, 3.0]])
    by_hand = math.exp(0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5))
    assert inception_score(logits, num_splits=1) == pytest.approx(by_hand)
    # Alone in its split, a clip says nothing about variety.
    assert inception_score(logits, num_splits=2) == pytest.approx(1)


def test_kernel_distance_of_a_case_by_hand():
    first, second = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])

    def kernel(x, y):
        return (x * y + 1) ** 3

    within = kernel(0, 1) + kernel(2, 3)
    between = (kernel(0, 2) + kernel(0, 3) + kernel(1, 2) + kernel(1, 3)) / 4
    assert kernel_distance(first, second, num_subsets=1) == pytest.approx(within - 2 * between)


def test_kernel_distance_draws_by_its_own_seed():
    rng = np.random.default_rng(0)
    sets = rng.normal(size=(30, 3)), rng.normal(size=(30, 3)) + 1
    distances = [kernel_distance(*sets, num_subsets=3, subset_size=10, seed=seed) for seed in (0, 0, 1)]
    assert distances[0] == distances[1] != distances[2]


def test_sets_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="too small"):
        frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))
    with pytest.raises(InputError, match="do not fit"):
        frechet_distance(np.zeros((5, 2)), np.zeros((5, 3)))
    with pytest.raises(InputError, match="pairs"):
        kl_divergence(np.zeros((4, 3)), np.zeros((5, 3)))
