# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Flow-matching schedulers: time grids (uniform, sway, EPSS) and solvers (Euler, midpoint, multistep)."""

from .flow_time import flow_time, model_output_from_velocity
from .scheduling_flow_match_euler import FlowMatchGridEulerScheduler
from .scheduling_flow_match_midpoint import FlowMatchGridMidpointScheduler
from .scheduling_flow_match_multistep import FlowMatchGridMultistepScheduler
from .time_grids import epss_sigmas, sway_sigmas, uniform_sigmas


__all__ = [
    "FlowMatchGridEulerScheduler",
    "FlowMatchGridMidpointScheduler",
    "FlowMatchGridMultistepScheduler",
    "epss_sigmas",
    "flow_time",
    "model_output_from_velocity",
    "sway_sigmas",
    "uniform_sigmas",
]
