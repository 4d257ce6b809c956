# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Time grids: where on the way from noise to data the network is evaluated.

Everything here runs in diffusers' direction: `sigma` falls from 1 (noise) towards 0 (data), so `t = 1 - sigma` is the
time of the original networks, which rises from 0 (noise) to 1 (data). A grid of `num_steps` steps is the tensor of
their `num_steps` starting points; the schedulers append the end point 0 themselves.

The original samplers compute times in float32, and so do these functions, in the same order of operations. The sigmas
are float64, in which `1 - t` is exact: the second generation of MMAudio turns a time into angles of up to 10,000
radians and would notice the rounding of a float32 sigma.

The uniform grid is the one of MMAudio (https://huggingface.co/papers/2412.15322, repository hkchengrex/MMAudio, MIT).
Sway sampling is from F5-TTS (https://huggingface.co/papers/2410.06885), empirically pruned step sampling (EPSS) from
Fast F5-TTS (https://huggingface.co/papers/2505.19931); both are in the repository SWivid/F5-TTS (MIT).
"""

import math

import torch


# The largest coefficient for which the swayed times still rise all the way: its slope reaches 0 at t = 1.
MAX_SWAY_COEF = 2 / (math.pi - 2)
# The smallest one: below it the swayed times would first run backwards from t = 0.
MIN_SWAY_COEF = -1.0

# Which points of the uniform 32-step grid remain, by number of steps (Fast F5-TTS, found there by search).
EPSS_POINTS_OF_32 = {
    5: (0, 2, 4, 8, 16),
    6: (0, 2, 4, 6, 8, 16),
    7: (0, 2, 4, 6, 8, 16, 24),
    10: (0, 2, 4, 6, 8, 12, 16, 20, 24, 28),
    12: (0, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28),
    16: (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28),
}


def uniform_sigmas(num_steps: int) -> torch.Tensor:
    """Equal steps: `sigma = 1 - i / num_steps`, the grid of the original MMAudio. Returns float64 `(num_steps,)`."""
    return _sigmas(_uniform_times(num_steps))


def sway_sigmas(num_steps: int, sway_coef: float = -1.0) -> torch.Tensor:
    """Equal steps bent by the sway function: a negative `sway_coef` spends more of them near the noise.

    `sway_coef` lies between `MIN_SWAY_COEF` and `MAX_SWAY_COEF`; 0 is the uniform grid. Returns float64
    `(num_steps,)`.
    """
    return _sigmas(_sway(_uniform_times(num_steps), sway_coef))


def epss_sigmas(num_steps: int, sway_coef: float = -1.0) -> torch.Tensor:
    """The 32-step sway grid pruned to `num_steps` points, for 5, 6, 7, 10, 12 or 16 steps.

    There is no pruned set for any other number of steps; those give `sway_sigmas`, as in F5-TTS. `sway_coef=0` gives
    the points on the uniform 32-step grid. Returns float64 `(num_steps,)`.
    """
    if num_steps not in EPSS_POINTS_OF_32:
        return sway_sigmas(num_steps, sway_coef)
    times = torch.tensor(EPSS_POINTS_OF_32[num_steps], dtype=torch.float32) / 32
    return _sigmas(_sway(times, sway_coef))


def _uniform_times(num_steps: int) -> torch.Tensor:
    return torch.linspace(0, 1, num_steps + 1, dtype=torch.float32)[:-1]


def _sway(times: torch.Tensor, sway_coef: float) -> torch.Tensor:
    return times + sway_coef * (torch.cos(math.pi / 2 * times) - 1 + times)


def _sigmas(times: torch.Tensor) -> torch.Tensor:
    return 1 - times.to(torch.float64)
