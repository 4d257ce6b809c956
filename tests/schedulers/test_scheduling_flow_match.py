# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The three solvers: accuracy on fields with a closed-form solution, the diffusers interface, and typed errors."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    UniPCMultistepScheduler,
)
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import retrieve_timesteps

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.schedulers import (
    FlowMatchGridEulerScheduler,
    FlowMatchGridMidpointScheduler,
    FlowMatchGridMultistepScheduler,
    flow_time,
    model_output_from_velocity,
)


ALL = [FlowMatchGridEulerScheduler, FlowMatchGridMidpointScheduler, FlowMatchGridMultistepScheduler]
GRIDS = ["uniform", "sway", "epss"]


def integrate(scheduler, derivative, sample, **set_timesteps_kwargs):
    """A pipeline's denoising loop: `derivative(sample, sigma)` stands for a network that predicts noise - data."""
    scheduler.set_timesteps(**set_timesteps_kwargs)
    for timestep in scheduler.timesteps:
        model_output = derivative(sample, timestep / scheduler.config.num_train_timesteps)
        sample = scheduler.step(model_output, timestep, sample).prev_sample
    return sample


class GaussianField:
    """The exact field of a Gaussian data distribution: linear in the sample, with a closed-form solution."""

    def __init__(self):
        self.start = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
        self.mean = torch.linspace(-1, 1, 64).reshape(4, 16)
        self.std = torch.linspace(0.1, 1, 64).reshape(4, 16)

    def __call__(self, sample, sigma):
        variance = ((1 - sigma) * self.std) ** 2 + sigma**2
        centred = sample - (1 - sigma) * self.mean
        expected_noise = sigma / variance * centred
        expected_data = self.mean + (1 - sigma) * self.std**2 / variance * centred
        return expected_noise - expected_data

    @property
    def solution(self):
        return self.mean + self.std * self.start


class RiccatiField:
    """`dx / dsigma = -2 sigma x^2`: nonlinear and dependent on time, with `1 / x(0) = 1 / x(1) - 1`."""

    def __init__(self):
        self.start = torch.linspace(0.1, 0.6, 64).reshape(4, 16)

    def __call__(self, sample, sigma):
        return -2 * sigma * sample**2

    @property
    def solution(self):
        return 1 / (1 / self.start - 1)


def relative_error(found, expected):
    return ((found - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("grid", ["uniform", "sway"])
# The numbers of steps at which the leading error term rules and float32 rounding (about 1e-6) does not yet.
@pytest.mark.parametrize(
    ("field", "num_steps"), [(GaussianField(), 16), (RiccatiField(), 64)], ids=["gaussian", "riccati"]
)
@pytest.mark.parametrize("scheduler_class", ALL)
def test_order_of_convergence(scheduler_class, field, num_steps, grid):
    """The error falls at least with the promised power of the step size (midpoint does better on a linear field)."""
    scheduler = scheduler_class(grid=grid)
    promised = 1 if scheduler_class is FlowMatchGridEulerScheduler else 2
    coarse, fine = (
        relative_error(integrate(scheduler, field, field.start, num_inference_steps=n), field.solution)
        for n in (num_steps, 4 * num_steps)
    )
    assert math.log(coarse / fine, 4) > promised - 0.2


@pytest.mark.parametrize("field", [GaussianField(), RiccatiField()], ids=["gaussian", "riccati"])
def test_multistep_with_12_evaluations_is_closer_than_euler_with_25(field):
    euler = integrate(FlowMatchGridEulerScheduler(), field, field.start, num_inference_steps=25)
    multistep = integrate(FlowMatchGridMultistepScheduler(), field, field.start, num_inference_steps=12)
    assert relative_error(multistep, field.solution) < relative_error(euler, field.solution)


@pytest.mark.parametrize("num_steps", [7, 25])
def test_euler_on_the_uniform_grid_is_the_original_loop(num_steps):
    """MMAudio integrates `x += dt * (data - noise)` over `t` from 0 to 1; so does this, bit for bit.

    The times have to be exact because the time embedding of MMAudio's second generation turns them into angles of up
    to 10,000 radians.
    """
    field = GaussianField()

    def network(sample, t):
        return -field(sample, 1 - t) + 0.1 * torch.cos(10000 * t)

    expected = field.start
    for t, t_next in pairwise(torch.linspace(0, 1, num_steps + 1)):
        expected = expected + (t_next - t) * network(expected, t)

    scheduler = FlowMatchGridEulerScheduler()
    scheduler.set_timesteps(num_steps)
    found = field.start
    for timestep in scheduler.timesteps:
        velocity = network(found, flow_time(timestep, scheduler.config.num_train_timesteps))
        found = scheduler.step(model_output_from_velocity(velocity), timestep, found).prev_sample

    assert torch.equal(found, expected)


@pytest.mark.parametrize("num_steps", [1, 7, 12])
@pytest.mark.parametrize("grid", GRIDS)
def test_midpoint_matches_a_hand_written_loop(grid, num_steps):
    field = GaussianField()
    euler = FlowMatchGridEulerScheduler(grid=grid)
    euler.set_timesteps(num_steps)
    expected = field.start
    for sigma, sigma_next in pairwise(euler.sigmas):
        middle = expected + (sigma_next - sigma) / 2 * field(expected, sigma)
        expected = expected + (sigma_next - sigma) * field(middle, (sigma + sigma_next) / 2)
    found = integrate(FlowMatchGridMidpointScheduler(grid=grid), field, field.start, num_inference_steps=num_steps)
    assert relative_error(found, expected) < 1e-6


@pytest.mark.parametrize("scheduler_class", ALL)
@pytest.mark.parametrize("grid", GRIDS)
def test_timesteps_show_one_entry_for_each_evaluation(scheduler_class, grid):
    scheduler = scheduler_class(grid=grid)
    scheduler.set_timesteps(7)
    evaluations = scheduler_class.order * 7
    assert scheduler.num_inference_steps == 7
    assert len(scheduler.timesteps) == evaluations
    assert scheduler.timesteps.dtype == torch.float64
    assert scheduler.timesteps[0] == 1000
    assert (scheduler.sigmas.diff() < 0).all()
    assert scheduler.sigmas[-1] == 0
    torch.testing.assert_close(scheduler.timesteps, scheduler.sigmas[:-1] * 1000)


@pytest.mark.parametrize("scheduler_class", ALL)
def test_custom_sigmas_are_used_as_they_are(scheduler_class):
    scheduler = scheduler_class(grid="sway")
    scheduler.set_timesteps(sigmas=[0.8, 0.5, 0.1])
    step_starts = scheduler.timesteps[:: scheduler.order]
    torch.testing.assert_close(step_starts, torch.tensor([800.0, 500.0, 100.0], dtype=torch.float64))
    # A field that is constant in time and space is integrated exactly: 0.8 of it from sigma 0.8 to 0.
    end = integrate(scheduler, lambda x, sigma: torch.ones_like(x), torch.zeros(3), sigmas=[0.8, 0.5, 0.1])
    torch.testing.assert_close(end, torch.full((3,), -0.8))


@pytest.mark.parametrize("scheduler_class", ALL)
@pytest.mark.parametrize("set_begin_index", [False, True])
def test_a_run_may_begin_inside_the_grid(scheduler_class, set_begin_index):
    scheduler = scheduler_class()
    scheduler.set_timesteps(10)
    first = 4 * scheduler.order
    if set_begin_index:
        scheduler.set_begin_index(first)
    sample = torch.zeros(3)
    for timestep in scheduler.timesteps[first:]:
        (sample,) = scheduler.step(torch.ones(3), timestep, sample, return_dict=False)
    torch.testing.assert_close(sample, torch.full((3,), -0.6))


@pytest.mark.parametrize("scheduler_class", ALL)
def test_a_second_run_is_not_affected_by_an_aborted_first_one(scheduler_class):
    field = GaussianField()
    expected = integrate(scheduler_class(), field, field.start, num_inference_steps=5)
    scheduler = scheduler_class()
    scheduler.set_timesteps(4)
    for timestep in scheduler.timesteps[:3]:
        scheduler.step(torch.ones(4, 16), timestep, field.start)
    assert torch.equal(integrate(scheduler, field, field.start, num_inference_steps=5), expected)


@pytest.mark.parametrize("scheduler_class", ALL)
def test_the_sample_keeps_its_dtype_and_is_computed_in_float32(scheduler_class):
    def bfloat16_network(sample, sigma):
        return field(sample.float(), sigma).to(torch.bfloat16)

    field = GaussianField()
    expected = integrate(scheduler_class(), field, field.start, num_inference_steps=25)
    # Latents kept in float32 lose nothing to the network's dtype but the rounding of its predictions: 2^-9 relative.
    kept = integrate(scheduler_class(), bfloat16_network, field.start, num_inference_steps=25)
    assert kept.dtype == torch.float32
    assert relative_error(kept, expected) < 2**-9
    rounded = integrate(scheduler_class(), bfloat16_network, field.start.bfloat16(), num_inference_steps=25)
    assert rounded.dtype == torch.bfloat16
    assert relative_error(rounded.float(), expected) < 25 * 2**-9


@pytest.mark.parametrize("scheduler_class", ALL)
def test_a_float64_sample_is_computed_in_float64(scheduler_class):
    # Sigma falls from 1 to 0 in equal steps of exactly 1/8; the field is constant.
    third = torch.full((3,), 1 / 3, dtype=torch.float64)
    end = integrate(scheduler_class(), lambda x, sigma: third, third / 7, num_inference_steps=8)
    # Float32 would be wrong by about 1e-8.
    torch.testing.assert_close(end, third / 7 - third, rtol=1e-14, atol=0)


@pytest.mark.parametrize("scheduler_class", ALL)
def test_a_step_keeps_no_tensor_of_the_caller(scheduler_class):
    """A caller may write into what it passed, as compiled networks do that reuse the memory of their outputs."""
    field = GaussianField()
    expected = integrate(scheduler_class(), field, field.start, num_inference_steps=5)
    scheduler, found = scheduler_class(), field.start
    scheduler.set_timesteps(5)
    for timestep in scheduler.timesteps:
        model_output, sample = field(found, timestep / 1000), found.clone()
        found = scheduler.step(model_output, timestep, sample).prev_sample
        model_output.fill_(torch.nan)
        sample.fill_(torch.nan)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("scheduler_class", ALL)
def test_a_step_changes_no_tensor_of_the_caller(scheduler_class):
    scheduler, sample, model_output = scheduler_class(), torch.zeros(3), torch.ones(3)
    scheduler.set_timesteps(4)
    for timestep in scheduler.timesteps:
        scheduler.step(model_output, timestep, sample)
    assert torch.equal(sample, torch.zeros(3))
    assert torch.equal(model_output, torch.ones(3))


@pytest.mark.parametrize(("index", "end"), [(2, -1.0), (3, 6.0)])
def test_midpoint_carries_on_a_change_made_between_steps_but_not_within_one(index, end):
    scheduler = FlowMatchGridMidpointScheduler()
    scheduler.set_timesteps(5)
    sample = torch.zeros(3)
    for i, timestep in enumerate(scheduler.timesteps):
        sample = scheduler.step(torch.ones(3), timestep, sample).prev_sample
        if i == index:
            sample += 7
    torch.testing.assert_close(sample, torch.full((3,), end))


def test_multistep_keeps_a_change_made_between_the_steps():
    """A callback may replace the latents; in a constant field the change then arrives at the end unaltered."""
    scheduler = FlowMatchGridMultistepScheduler()
    scheduler.set_timesteps(5)
    sample = torch.zeros(3)
    for i, timestep in enumerate(scheduler.timesteps):
        sample = scheduler.step(torch.ones(3), timestep, sample).prev_sample
        if i == 2:
            sample = sample + 7
    torch.testing.assert_close(sample, torch.full((3,), 6.0))


def test_scale_noise_interpolates_at_any_timestep():
    scheduler = FlowMatchGridEulerScheduler()
    data, noise = torch.full((3, 4, 5), 2.0), torch.full((3, 4, 5), 10.0)
    noisy = scheduler.scale_noise(data, torch.tensor([0.0, 333.0, 1000.0]), noise)
    torch.testing.assert_close(noisy[:, 0, 0], torch.tensor([2.0, 2.0 + 0.333 * 8, 10.0]))
    torch.testing.assert_close(scheduler.scale_noise(data, torch.tensor(500.0), noise), torch.full((3, 4, 5), 6.0))


@pytest.mark.parametrize("scheduler_class", ALL)
def test_the_length_is_the_number_of_training_timesteps(scheduler_class):
    ours = scheduler_class(num_train_timesteps=500)
    assert len(ours) == len(FlowMatchEulerDiscreteScheduler.from_config(ours.config)) == 500


@pytest.mark.parametrize("scheduler_class", ALL)
def test_save_and_load(scheduler_class, tmp_path):
    scheduler_class(grid="epss", sway_coef=-0.5, num_train_timesteps=500).save_pretrained(tmp_path)
    loaded = scheduler_class.from_pretrained(tmp_path)
    assert (loaded.config.grid, loaded.config.sway_coef, loaded.config.num_train_timesteps) == ("epss", -0.5, 500)
    loaded.set_timesteps(7)
    assert loaded.timesteps[0] == 500


@pytest.mark.parametrize("scheduler_class", ALL)
@pytest.mark.parametrize("other_class", ALL)
def test_from_config_between_our_schedulers(scheduler_class, other_class):
    other = other_class.from_config(scheduler_class(grid="sway", sway_coef=0.5).config)
    assert (other.config.grid, other.config.sway_coef) == ("sway", 0.5)


@pytest.mark.parametrize("diffusers_class", [FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler])
def test_from_config_to_diffusers_and_back_keeps_the_grid(diffusers_class):
    config = FlowMatchGridEulerScheduler(grid="sway", sway_coef=-0.5).config
    there = diffusers_class.from_config(config)
    back = FlowMatchGridMultistepScheduler.from_config(there.config)
    assert (back.config.grid, back.config.sway_coef) == ("sway", -0.5)


def test_diffusers_euler_on_our_grid_gives_the_same_samples():
    field, ours = GaussianField(), FlowMatchGridEulerScheduler()
    expected = integrate(ours, field, field.start, num_inference_steps=25)
    theirs = FlowMatchEulerDiscreteScheduler.from_config(ours.config)
    found = integrate(theirs, field, field.start, sigmas=ours.sigmas[:-1].tolist())
    assert relative_error(found, expected) < 1e-6


@pytest.mark.parametrize(
    ("diffusers_class", "overrides"),
    [
        (FlowMatchHeunDiscreteScheduler, {}),
        (UniPCMultistepScheduler, {"prediction_type": "flow_prediction", "use_flow_sigmas": True}),
        (DPMSolverMultistepScheduler, {"prediction_type": "flow_prediction", "use_flow_sigmas": True}),
    ],
)
def test_other_flow_schedulers_of_diffusers_can_take_the_place_of_ours(diffusers_class, overrides):
    field = GaussianField()
    scheduler = diffusers_class.from_config(FlowMatchGridEulerScheduler().config, **overrides)
    found = integrate(scheduler, field, field.start, num_inference_steps=50)
    # What these cost in accuracy is theirs (their grids begin at sigma 0.999 and end with a step of 0.001); that the
    # same loop integrates the same field is the point.
    assert relative_error(found, field.solution) < 0.01


@pytest.mark.parametrize("scheduler_class", ALL)
def test_the_timesteps_helper_of_diffusers_pipelines_accepts_ours(scheduler_class):
    timesteps, _ = retrieve_timesteps(scheduler_class(), sigmas=np.array([1.0, 0.4]))
    assert timesteps[:: scheduler_class.order].tolist() == [1000, 400]
    timesteps, num_inference_steps = retrieve_timesteps(scheduler_class(), 3)
    assert len(timesteps) == 3 * scheduler_class.order
    assert num_inference_steps == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grid": "karras"}, "`grid` is 'karras'"),
        ({"sway_coef": -1.5}, "`sway_coef` is -1.5"),
        ({"sway_coef": 1.8}, "`sway_coef` is 1.8"),
        ({"sway_coef": math.nan}, "`sway_coef` is nan"),
    ],
)
def test_configuration_errors(arguments, message):
    with pytest.raises(InputError, match=message):
        FlowMatchGridEulerScheduler(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "both None"),
        ({"num_inference_steps": 0}, "`num_inference_steps` is 0"),
        ({"num_inference_steps": 2.5}, r"`num_inference_steps` is 2\.5"),
        ({"num_inference_steps": "7"}, "`num_inference_steps` is '7'"),
        ({"num_inference_steps": 3, "sigmas": [1.0, 0.5]}, r"`sigmas` has shape \(2,\)"),
        ({"sigmas": []}, r"`sigmas` has shape \(0,\)"),
        ({"sigmas": [1.0, 0.5, 0.5]}, "fall strictly"),
        ({"sigmas": [0.5, 1.0]}, "fall strictly"),
        ({"sigmas": [1.0, 0.5, 0.0]}, "fall strictly"),
        ({"sigmas": [1.2, 0.5]}, "fall strictly"),
        ({"sigmas": [1.0, math.nan]}, "fall strictly"),
    ],
)
@pytest.mark.parametrize("scheduler_class", ALL)
def test_set_timesteps_errors(scheduler_class, arguments, message):
    with pytest.raises(InputError, match=message):
        scheduler_class().set_timesteps(**arguments)


@pytest.mark.parametrize("scheduler_class", ALL)
def test_step_errors(scheduler_class):
    scheduler, sample = scheduler_class(), torch.zeros(2, 3)
    with pytest.raises(InputError, match="before `set_timesteps`"):
        scheduler.step(sample, torch.tensor(1000.0), sample)
    scheduler.set_timesteps(3)
    with pytest.raises(InputError, match=r"shape \(1, 3\)"):
        scheduler.step(sample[:1], scheduler.timesteps[0], sample)
    # An index instead of a timestep, and a timestep that lost digits.
    with pytest.raises(InputError, match=r"`timestep` is 0\.0"):
        scheduler.step(sample, 0, sample)
    with pytest.raises(InputError, match=r"not one of `scheduler\.timesteps`"):
        scheduler.step(sample, scheduler.timesteps[-1].bfloat16(), sample)
    for timestep in scheduler.timesteps:
        scheduler.step(sample, timestep, sample)
    with pytest.raises(InputError, match="after the last"):
        scheduler.step(sample, timestep, sample)


def test_midpoint_cannot_begin_in_the_middle_of_a_step():
    scheduler = FlowMatchGridMidpointScheduler()
    scheduler.set_timesteps(3)
    with pytest.raises(InputError, match="even index"):
        scheduler.step(torch.zeros(3), scheduler.timesteps[1], torch.zeros(3))
