# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The explicit midpoint method on a flow-matching time grid.

F5-TTS offers the same method through torchdiffeq (`method="midpoint"`; repository SWivid/F5-TTS, MIT).
"""

import torch

from ..errors import InputError
from .scheduling_flow_match_grid import FlowMatchGridScheduler


class FlowMatchGridMidpointScheduler(FlowMatchGridScheduler):
    """Second-order solver with **two network evaluations a step**: `num_inference_steps=6` costs 12 evaluations.

    `timesteps` holds them in order, start and middle of each step, so `len(timesteps) == 2 * num_inference_steps` and
    a loop over `timesteps` is written as for any other scheduler. A run that begins inside the grid
    (`set_begin_index`) has to begin at an even index.

    The sample that comes out of an even index is that in the middle of the step. It serves the network only, as the
    place of its next evaluation: the step is then made from its start. So a change that a callback makes to it changes
    that evaluation and is not carried on itself; a change to be kept belongs after an odd index, between two steps.

    See [`FlowMatchGridScheduler`] for the arguments and conventions.
    """

    order = 2

    def _advance(self, index: int, model_output: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        if index % 2 == 0:
            # Half a step, to the middle.
            self._step_start = sample
            step_size = self.sigmas[index + 1] - self.sigmas[index]
        elif self._step_start is None:
            raise InputError(
                f"`begin_index` is {index}, the middle of a step; a run with the midpoint scheduler has to begin at "
                "an even index of `timesteps`."
            )
        else:
            # The whole step, with the derivative in its middle.
            step_size = self.sigmas[index + 1] - self.sigmas[index - 1]
        return self._step_start + step_size * model_output

    def _evaluation_sigmas(self, sigmas: torch.Tensor) -> torch.Tensor:
        evaluation_sigmas = sigmas.new_empty(2 * len(sigmas) - 1)
        evaluation_sigmas[0::2] = sigmas
        evaluation_sigmas[1::2] = (sigmas[:-1] + sigmas[1:]) / 2
        return evaluation_sigmas

    def _forget_evaluations(self):
        self._step_start = None
