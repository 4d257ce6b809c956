# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Euler's method on a flow-matching time grid.

On the uniform grid this is the sampler of MMAudio (https://huggingface.co/papers/2412.15322, repository
hkchengrex/MMAudio, MIT); with `grid="sway"` or `"epss"` it is the default sampler of F5-TTS.
"""

import torch

from .scheduling_flow_match_grid import FlowMatchGridScheduler


class FlowMatchGridEulerScheduler(FlowMatchGridScheduler):
    """First-order solver, one network evaluation a step: what the original samplers do.

    See [`FlowMatchGridScheduler`] for the arguments and conventions.
    """

    def _advance(self, index: int, model_output: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        step_size = self.sigmas[index + 1] - self.sigmas[index]
        return sample + step_size * model_output
