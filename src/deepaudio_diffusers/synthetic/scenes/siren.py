# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A siren lamp on a pole: the higher the lamp, the higher the tone; the brighter, the louder.

Whether it sounds an octave lower or higher cannot be seen; the prompt may say so.
"""

import numpy as np

from ..acoustics import oscillator
from .stage import Action, Stage, pauses


TEMPLATES = (
    "a siren wailing",
    "a lamp with a rising and falling siren tone",
    "an electronic siren",
    "a siren tone",
    "a {register} siren wailing",
    "a {register} siren tone",
    "a lamp with a {register} siren tone",
    "an electronic siren with a {register} tone",
)
OCTAVES = {"low": 0.5, "high": 2.0}


def play(stage: Stage) -> Action:
    """Draw and sound the siren."""
    rng, canvas = stage.rng, stage.canvas
    register = ("low", "high", None, None)[rng.integers(4)]
    height, times = stage.curve(rng.uniform(1.2, 3.0))
    level, _ = stage.curve(1.0)
    level = (0.35 + 0.65 * level) * pauses(stage, times, (0.6, 1.7), (0.2, 0.6))

    seen_height, seen_level = (np.interp(stage.frame_times, times, course) for course in (height, level))
    column, row = rng.uniform(0.4, 0.6), 0.85 - 0.7 * seen_height
    canvas.line(column, 0.95, column, 0.06, 0.018, (120, 120, 120))
    tint = np.stack((80 + 175 * seen_height, 90 + 60 * np.sin(np.pi * seen_height), 255 - 200 * seen_height), 1)
    canvas.glow(column, row, 0.24, tint, 0.9 * seen_level)
    canvas.circle(column, row, 0.09, tint * (0.2 + 0.8 * seen_level[:, None]))

    pitch = 300.0 * OCTAVES.get(register, 1.0) * 2 ** (2.0 * np.interp(stage.sample_times, times, height))
    loudness = np.interp(stage.sample_times, times, level) ** 1.5
    sound = 0.26 * loudness * oscillator(pitch, (1.0, 0.4, 0.25))
    return Action(sound, choices={"register": register} if register else {})
