# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Flow matching as the speech and sound networks are trained with it: times, the straight path, the loss.

Lipman et al., "Flow Matching for Generative Modeling" (arXiv 2210.02747), with a straight path from noise at time 0 to
data at time 1; logit-normal times are those of Esser et al., "Scaling Rectified Flow Transformers" (arXiv 2403.03206).

Random numbers come from torch's global generator of the device.
"""

from typing import Literal

import torch

from ..errors import InputError


TimeDistribution = Literal["logit_normal", "uniform"]


def sample_times(batch_size: int, distribution: TimeDistribution, device: torch.device | str = "cpu") -> torch.Tensor:
    """Random flow times of a batch.

    Args:
        batch_size (`int`): Number of times.
        distribution (`"logit_normal"` or `"uniform"`): The sigmoid of standard normal numbers, which prefers the
            middle of the path (MMAudio), or all times alike (F5-TTS).
        device (`torch.device` or `str`): Where they are drawn.

    Returns:
        `torch.Tensor` of shape `(batch_size,)`: float32 in `[0, 1]`.

    Raises:
        InputError: `distribution` is unknown.
    """
    if distribution == "logit_normal":
        return torch.randn(batch_size, device=device).sigmoid()
    if distribution == "uniform":
        return torch.rand(batch_size, device=device)
    raise InputError(f"`distribution` is {distribution!r}; expected 'logit_normal' or 'uniform'.")


def flow_path(data: torch.Tensor, noise: torch.Tensor, times: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The point of the straight path from noise to data at each item's time, and the velocity there.

    Args:
        data, noise (`torch.Tensor` of shape `(batch_size, ...)`): The ends of the path.
        times (`torch.Tensor` of shape `(batch_size,)`): 0 is noise, 1 is data.

    Returns:
        `tuple[torch.Tensor, torch.Tensor]`: `(1 - time) * noise + time * data`, which the network sees, and
        `data - noise`, which it has to predict.
    """
    times = times.reshape(-1, *[1] * (data.ndim - 1))
    return torch.lerp(noise, data, times), data - noise


def flow_matching_loss(
    prediction: torch.Tensor, velocity: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean squared error of predicted velocities, in float32.

    Args:
        prediction, velocity (`torch.Tensor` of shape `(batch_size, num_tokens, num_channels)`): Predicted and true.
        mask (`torch.Tensor` of shape `(batch_size, num_tokens)`, *optional*): Only tokens where it is true count, each
            as much as any other of the batch. A mask without such a token gives 0.

    Returns:
        `torch.Tensor`: A number.
    """
    error = (prediction.float() - velocity.float()).square().mean(dim=-1)
    if mask is None:
        return error.mean()
    # Multiplied instead of indexed: the number of tokens stays on the device, and an empty mask has a gradient.
    return (error * mask).sum() / mask.sum().clamp(min=1)
