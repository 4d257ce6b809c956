# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The explicit midpoint method on a flow-matching time grid.

F5-TTS offers the same method through torchdiffeq (`method="midpoint"`; repository SWivid/F5-TTS, MIT).
"""

import torch
from diffusers.schedulers.scheduling_utils import SchedulerOutput

from ..errors import InputError
from .scheduling_flow_match_grid import FlowMatchGridScheduler


class FlowMatchGridMidpointScheduler(FlowMatchGridScheduler):
    """Second-order solver with **two network evaluations a step**: `num_inference_steps=6` costs 12 evaluations.

    `timesteps` holds them in order, start and middle of each step, so `len(timesteps) == 2 * num_inference_steps` and
    a loop over `timesteps` is written as for any other scheduler. A run that begins inside the grid
    (`set_begin_index`) has to begin at an even index.

    See [`FlowMatchGridScheduler`] for the arguments and conventions.
    """

    order = 2

    def step(
        self,
        model_output: torch.Tensor,
        timestep: torch.Tensor,
        sample: torch.Tensor,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor]:
        """Moves `sample` by half a step: to the middle at even indices, from the start to the end at odd ones.

        Args:
            model_output (`torch.Tensor`): `noise - data` as predicted at `sample` and `timestep`, shaped like it.
            timestep (`torch.Tensor`): The current entry of `timesteps`, unchanged.
            sample (`torch.Tensor`): The current latents; computed with in float32, returned in their own dtype.
            return_dict (`bool`, defaults to `True`): Whether to return a `SchedulerOutput` or a tuple.

        Raises:
            InputError: for a timestep off the grid, shapes that differ, a step before or after the grid, or a run that
                begins in the middle of a step.
        """
        index = self._start_step(model_output, timestep, sample)
        if index % 2 == 0:
            self._step_start = sample.float()
            step_size = self.sigmas[index + 1] - self.sigmas[index]
        elif self._step_start is None:
            raise InputError(
                f"`begin_index` is {index}, the middle of a step; a run with the midpoint scheduler has to begin at "
                "an even index of `timesteps`."
            )
        else:
            step_size = self.sigmas[index + 1] - self.sigmas[index - 1]
        prev_sample = (self._step_start + step_size * model_output.float()).to(sample.dtype)

        self._step_index += 1
        return SchedulerOutput(prev_sample=prev_sample) if return_dict else (prev_sample,)

    def _evaluation_sigmas(self, sigmas: torch.Tensor) -> torch.Tensor:
        evaluation_sigmas = sigmas.new_empty(2 * len(sigmas) - 1)
        evaluation_sigmas[0::2] = sigmas
        evaluation_sigmas[1::2] = (sigmas[:-1] + sigmas[1:]) / 2
        return evaluation_sigmas

    def _forget_evaluations(self):
        self._step_start = None
