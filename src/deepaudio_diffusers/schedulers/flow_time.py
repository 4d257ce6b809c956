# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The bridge between the clock of the schedulers and the clock of the networks.

Schedulers follow diffusers: `timestep = sigma * num_train_timesteps` falls from `num_train_timesteps` (noise) to 0
(data) and the derivative along `sigma` is `noise - data`. The networks of MMAudio and F5-TTS follow flow matching:
`t` rises from 0 (noise) to 1 (data) and they predict `data - noise`. A denoising loop crosses over twice a step:

    velocity = transformer(latents, flow_time(timestep, scheduler.config.num_train_timesteps), ...).sample
    latents = scheduler.step(model_output_from_velocity(velocity), timestep, latents).prev_sample
"""

import torch


def flow_time(timestep: torch.Tensor, num_train_timesteps: int) -> torch.Tensor:
    """The time in [0, 1], 0 = noise and 1 = data, of a scheduler's `timestep` (any shape). Returns float32.

    Computed in the dtype of `timestep`, so that the float64 timesteps of this library's schedulers give exactly the
    times of the original samplers. The integer timesteps of some diffusers schedulers serve as well.
    """
    return (1 - timestep / num_train_timesteps).to(torch.float32)


def model_output_from_velocity(velocity: torch.Tensor) -> torch.Tensor:
    """What a scheduler's `step` wants, `noise - data`, from what a network predicts, `data - noise`."""
    return -velocity
