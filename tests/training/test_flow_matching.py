# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Times, path and loss of flow matching."""

import pytest
import torch

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.training.flow_matching import flow_matching_loss, flow_path, sample_times


@pytest.mark.parametrize("distribution, spread", [("logit_normal", 0.208), ("uniform", 0.289)])
def test_times_have_their_distribution(distribution, spread):
    torch.manual_seed(0)
    times = sample_times(20_000, distribution)
    assert times.dtype == torch.float32
    assert times.min() >= 0
    assert times.max() <= 1
    torch.testing.assert_close(times.mean(), torch.tensor(0.5), atol=0.01, rtol=0)
    torch.testing.assert_close(times.std(), torch.tensor(spread), atol=0.005, rtol=0)


def test_an_unknown_distribution_is_refused():
    with pytest.raises(InputError, match="logit_normal"):
        sample_times(1, "beta")


def test_the_path_begins_at_noise_and_ends_at_data():
    data, noise = torch.randn(3, 4, 2), torch.randn(3, 4, 2)
    points, velocity = flow_path(data, noise, torch.tensor([0.0, 0.25, 1.0]))
    assert torch.equal(points[0], noise[0])
    torch.testing.assert_close(points[1], 0.75 * noise[1] + 0.25 * data[1])
    torch.testing.assert_close(points[2], data[2])
    assert torch.equal(velocity, data - noise)
    # Along the velocity, whatever is left of the way leads to the data.
    torch.testing.assert_close(points[1] + 0.75 * velocity[1], data[1])


def test_loss_without_a_mask_is_the_mean_squared_error():
    prediction, velocity = torch.randn(2, 5, 3, dtype=torch.bfloat16), torch.randn(2, 5, 3)
    loss = flow_matching_loss(prediction, velocity)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, (prediction.float() - velocity).square().mean())


def test_a_masked_token_counts_for_nothing_and_the_others_alike():
    prediction, velocity = torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    mask = torch.tensor([[True, True, False, False, False], [False, False, False, False, True]])
    loss = flow_matching_loss(prediction, velocity, mask)
    torch.testing.assert_close(loss, (prediction - velocity)[mask].square().mean())
    prediction[~mask] = 1e6
    torch.testing.assert_close(flow_matching_loss(prediction, velocity, mask), loss)


def test_an_empty_mask_gives_zero_and_zero_gradient():
    prediction = torch.randn(2, 5, 3, requires_grad=True)
    loss = flow_matching_loss(prediction, torch.randn(2, 5, 3), torch.zeros(2, 5, dtype=torch.bool))
    loss.backward()
    assert loss == 0
    assert not prediction.grad.any()
