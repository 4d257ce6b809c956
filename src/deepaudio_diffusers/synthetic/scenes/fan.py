# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A fan: the faster it turns, the higher its hum and the louder its wind."""

import numpy as np

from ..acoustics import coloured_noise, oscillator
from .stage import Action, Stage, pauses, smooth


TEMPLATES = (
    "a {colour} fan turning",
    "a {colour} fan spinning fast and slow",
    "a fan spinning fast and slow",
    "a humming fan",
    "a fan turning",
)
FASTEST_TURNS_PER_S = 3.2
NUM_BLADES = 3


def play(stage: Stage) -> Action:
    """Draw and sound the fan."""
    rng, canvas = stage.rng, stage.canvas
    named_colour, colour = stage.colour()
    course, times = stage.curve(0.8)
    # It takes a while to start and to stop.
    speed = (0.15 + 0.85 * course) * smooth(pauses(stage, times, (1.2, 2.8), (0.3, 0.9)), 61)
    angle = 2 * np.pi * FASTEST_TURNS_PER_S * np.cumsum(speed) / 200 + rng.uniform(0, 2 * np.pi)

    seen_angle, seen_speed = (np.interp(stage.frame_times, times, track) for track in (angle, speed))
    canvas.line(0.5, 0.5, 0.5, 0.97, 0.035, (105, 105, 110))
    canvas.circle(0.5, 0.45, 0.42, (30, 32, 38), 0.7)
    for blade in range(NUM_BLADES):
        direction = seen_angle + 2 * np.pi * blade / NUM_BLADES
        x, y = np.cos(direction), np.sin(direction)
        # One blade is white, which shows how fast they all turn.
        shade = (240, 240, 240) if blade == 0 else colour
        canvas.line(0.5 + 0.1 * x, 0.45 + 0.1 * y, 0.5 + 0.32 * x, 0.45 + 0.32 * y, 0.075, shade)
    canvas.circle(0.5, 0.45, 0.08, (150, 150, 155))
    canvas.glow(0.5, 0.45, 0.12, (255, 235, 150), seen_speed**2)

    heard = np.interp(stage.sample_times, times, speed)
    hum = oscillator(45.0 + 355.0 * heard, (1.0, 0.6, 0.4, 0.25, 0.15))
    wind = coloured_noise(rng, stage.num_samples, lambda f: 1 / (1 + (f / 900) ** 2))
    sound = 0.2 * heard**1.2 * hum + 0.09 * heard**2 * wind
    return Action(sound, attributes=named_colour)
