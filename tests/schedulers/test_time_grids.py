# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The time grids against tables made by the original F5-TTS code and against their own definitions."""

import json
from pathlib import Path

import pytest
import torch

from deepaudio_diffusers.schedulers import (
    epss_sigmas,
    flow_time,
    model_output_from_velocity,
    sway_sigmas,
    uniform_sigmas,
)
from deepaudio_diffusers.schedulers.time_grids import MAX_SWAY_COEF


# Times 0 -> 1, both ends included, as the original computes them in float32.
GOLDEN = json.loads((Path(__file__).parents[1] / "fixtures" / "f5tts" / "time_grids.json").read_text())

# Another machine may round a cosine differently: one unit in the last place of a float32 just below 1.
ROUNDING = 6e-8


def to_times(sigmas: torch.Tensor) -> torch.Tensor:
    assert sigmas.dtype == torch.float64
    return torch.cat([1 - sigmas, sigmas.new_ones(1)])


@pytest.mark.parametrize("num_steps", [1, 2, 25, 1000])
def test_uniform_grid_is_exactly_that_of_the_original_mmaudio(num_steps):
    assert torch.equal(to_times(uniform_sigmas(num_steps)).float(), torch.linspace(0, 1, num_steps + 1))


@pytest.mark.parametrize("num_steps", sorted(GOLDEN["epss"], key=int))
def test_epss_grid_before_sway_matches_f5tts(num_steps):
    times = to_times(epss_sigmas(int(num_steps), sway_coef=0.0))
    torch.testing.assert_close(times.tolist(), GOLDEN["epss"][num_steps], atol=ROUNDING, rtol=0)


@pytest.mark.parametrize(
    ("sigmas", "key"),
    [
        (sway_sigmas(32), "sway_-1_of_linspace32"),
        (epss_sigmas(7), "sway_-1_of_epss7"),
        (epss_sigmas(16), "sway_-1_of_epss16"),
    ],
)
def test_swayed_grids_match_f5tts(sigmas, key):
    torch.testing.assert_close(to_times(sigmas).tolist(), GOLDEN[key], atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("sway_coef", [-1.0, -0.5, 0.5, MAX_SWAY_COEF])
def test_swayed_grid_falls_strictly_between_one_and_zero(sway_coef):
    sigmas = sway_sigmas(50, sway_coef)
    assert sigmas[0] == 1
    assert (sigmas.diff() < 0).all()
    assert sigmas[-1] > 0


def test_epss_without_a_pruned_set_is_the_sway_grid():
    assert torch.equal(epss_sigmas(25, -0.5), sway_sigmas(25, -0.5))


def test_flow_time_runs_from_noise_to_data_for_float_and_integer_timesteps():
    expected = torch.tensor([0.0, 0.25, 1.0])
    assert torch.equal(flow_time(torch.tensor([1000.0, 750.0, 0.0]), 1000), expected)
    assert torch.equal(flow_time(torch.tensor([1000, 750, 0]), 1000), expected)


def test_model_output_from_velocity_points_from_data_to_noise():
    data, noise = torch.randn(2, 3, generator=torch.Generator().manual_seed(0)), torch.ones(2, 3)
    assert torch.equal(model_output_from_velocity(data - noise), noise - data)
