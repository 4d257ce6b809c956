# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A second-order Adams predictor-corrector on a flow-matching time grid.

Adams-Bashforth of order 2 predicts, the trapezoidal rule (Adams-Moulton of order 2) corrects, both with variable step
sizes and in the mode known as PEC: predict, evaluate, correct (Hairer, Norsett, Wanner, Solving Ordinary Differential
Equations I, chapter III.1 and III.5). Each network evaluation serves twice, to correct the step that led to it and to
predict the next one, so the second order costs no evaluation more than Euler's method.
"""

import torch
from diffusers.schedulers.scheduling_utils import SchedulerOutput

from .scheduling_flow_match_grid import FlowMatchGridScheduler


class FlowMatchGridMultistepScheduler(FlowMatchGridScheduler):
    """Second-order solver with one network evaluation a step; the most accurate one here for a small budget.

    `benchmarks/solver_error.py` measures it beside the others.

    See [`FlowMatchGridScheduler`] for the arguments and conventions.
    """

    def step(
        self,
        model_output: torch.Tensor,
        timestep: torch.Tensor,
        sample: torch.Tensor,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor]:
        """Corrects the step that led to `sample` and moves on to the next timestep.

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
        derivative = model_output.float()
        corrected_sample = sample.float()

        if self._last_derivative is None:
            # The first step can only be Euler's; the second one corrects it.
            slope = derivative
        else:
            last_step_size = self.sigmas[index] - self.sigmas[index - 1]
            # Trapezoidal rule over the last step, in place of the slope that it was predicted with. Added to
            # `sample` as it is now, so that a change made by a callback between the steps is kept.
            corrected_slope = (self._last_derivative + derivative) / 2
            corrected_sample = corrected_sample + last_step_size * (corrected_slope - self._last_slope)
            # Adams-Bashforth: the derivative in the middle of the step, extrapolated from the last two.
            slope = derivative + step_size / (2 * last_step_size) * (derivative - self._last_derivative)

        prev_sample = (corrected_sample + step_size * slope).to(sample.dtype)

        self._last_derivative, self._last_slope = derivative, slope
        self._step_index += 1
        return SchedulerOutput(prev_sample=prev_sample) if return_dict else (prev_sample,)

    def _forget_evaluations(self):
        self._last_derivative = None
        self._last_slope = None
