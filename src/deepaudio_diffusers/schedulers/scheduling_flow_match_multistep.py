# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A second-order Adams predictor-corrector on a flow-matching time grid.

Adams-Bashforth of order 2 predicts, the trapezoidal rule (Adams-Moulton of order 2) corrects, both with variable step
sizes and in the mode known as PEC: predict, evaluate, correct (Hairer, Norsett, Wanner, Solving Ordinary Differential
Equations I, chapter III.1 and III.5). Each network evaluation serves twice, to correct the step that led to it and to
predict the next one, so the second order costs no evaluation more than Euler's method.
"""

import torch

from .scheduling_flow_match_grid import FlowMatchGridScheduler


class FlowMatchGridMultistepScheduler(FlowMatchGridScheduler):
    """Second-order solver with one network evaluation a step; the most accurate one here for a small budget.

    `benchmarks/solver_error.py` measures it beside the others.

    See [`FlowMatchGridScheduler`] for the arguments and conventions.
    """

    def _advance(self, index: int, model_output: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        step_size = self.sigmas[index + 1] - self.sigmas[index]
        if self._last_derivative is None:
            # The first step can only be Euler's; the second one corrects it.
            slope = model_output
        else:
            last_step_size = self.sigmas[index] - self.sigmas[index - 1]
            # Trapezoidal rule over the last step, in place of the slope that it was predicted with. Added to
            # `sample` as it is now, so that a change made by a callback between the steps is kept.
            corrected_slope = (self._last_derivative + model_output) / 2
            sample = sample + last_step_size * (corrected_slope - self._last_slope)
            # Adams-Bashforth: the derivative in the middle of the step, extrapolated from the last two.
            slope = model_output + step_size / (2 * last_step_size) * (model_output - self._last_derivative)
        self._last_derivative, self._last_slope = model_output, slope
        return sample + step_size * slope

    def _forget_evaluations(self):
        self._last_derivative = None
        self._last_slope = None
