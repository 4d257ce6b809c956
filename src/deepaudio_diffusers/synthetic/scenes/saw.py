# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A hand saw: the faster the blade, the louder; the stroke to the right sounds brighter than the one to the left."""

import numpy as np

from ..acoustics import SAMPLING_RATE, band, coloured_noise
from .stage import Action, Stage, pauses, smooth


TEMPLATES = (
    "a hand saw with a {colour} handle cutting wood",
    "a {colour} saw cutting wood",
    "a hand saw cutting wood",
    "a saw moving back and forth",
    "sawing wood",
)


def play(stage: Stage) -> Action:
    """Draw and sound the saw."""
    rng, canvas = stage.rng, stage.canvas
    named_colour, colour = stage.colour()
    course, times = stage.curve(1.0)
    strokes_per_s = rng.uniform(0.8, 1.8) * (0.6 + 0.8 * course) * pauses(stage, times, (0.9, 2.2), (0.3, 0.8))
    phase = 2 * np.pi * np.cumsum(smooth(strokes_per_s, 31)) / 200 + rng.uniform(0, 2 * np.pi)
    reach, block_top = rng.uniform(0.1, 0.18), rng.uniform(0.58, 0.68)
    position = reach * np.sin(phase)
    speed = np.gradient(position, times)

    column = 0.45 + np.interp(stage.frame_times, times, position)
    canvas.box(0.5, (block_top + 1) / 2, 0.3, (1 - block_top) / 2, (150, 105, 60))
    canvas.box(column, block_top - 0.06, 0.26, 0.07, (190, 195, 205))
    for tooth in np.linspace(-0.23, 0.23, 6):
        # Dark marks on the blade make its motion clear.
        canvas.box(column + tooth, block_top - 0.06, 0.012, 0.045, (95, 100, 110))
    canvas.box(column + 0.3, block_top - 0.09, 0.07, 0.12, colour)
    dust = np.clip(np.abs(np.interp(stage.frame_times, times, speed)) / 1.6, 0, 1)
    canvas.glow(0.5, block_top + 0.03, 0.09, (240, 215, 160), dust)

    speed = np.interp(stage.sample_times, times, speed)
    loudness = np.clip(np.abs(speed) / 1.8, 0, 1) ** 1.1
    # Teeth 60 to the unit make the noise rattle faster with the speed.
    rattle = 0.65 + 0.35 * np.sin(2 * np.pi * 60 * np.cumsum(np.abs(speed)) / SAMPLING_RATE)
    bright = coloured_noise(rng, stage.num_samples, band(3600, 1300))
    dark = coloured_noise(rng, stage.num_samples, band(1300, 500))
    sound = 0.2 * loudness * rattle * np.where(speed > 0, bright, dark)
    return Action(sound, attributes=named_colour)
