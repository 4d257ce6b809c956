# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Euler's method on a flow-matching time grid.

On the uniform grid this is the sampler of MMAudio (https://huggingface.co/papers/2412.15322, repository
hkchengrex/MMAudio, MIT); with `grid="sway"` or `"epss"` it is the default sampler of F5-TTS.
"""

import torch
from diffusers.schedulers.scheduling_utils import SchedulerOutput

from .scheduling_flow_match_grid import FlowMatchGridScheduler


class FlowMatchGridEulerScheduler(FlowMatchGridScheduler):
    """First-order solver, one network evaluation a step: what the original samplers do.

    See [`FlowMatchGridScheduler`] for the arguments and conventions.
    """

    def step(
        self,
        model_output: torch.Tensor,
        timestep: torch.Tensor,
        sample: torch.Tensor,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor]:
        """Moves `sample` from `timestep` to the next one.

        Args:
            model_output (`torch.Tensor`): `noise - data` as predicted at `sample` and `timestep`, shaped like it.
            timestep (`torch.Tensor`): The current entry of `timesteps`, unchanged.
            sample (`torch.Tensor`): The current latents; computed with in float32, returned in their own dtype.
            return_dict (`bool`, defaults to `True`): Whether to return a `SchedulerOutput` or a tuple.

        Raises:
            InputError: for a timestep off the grid, shapes that differ, or a step before or after the grid.
        """
        index = self._start_step(model_output, timestep, sample)
        step_size = self.sigmas[index + 1] - self.sigmas[index]
        prev_sample = (sample.float() + step_size * model_output.float()).to(sample.dtype)

        self._step_index += 1
        return SchedulerOutput(prev_sample=prev_sample) if return_dict else (prev_sample,)
