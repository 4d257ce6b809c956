# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A swinging bell: its clapper strikes when it turns back; lower the larger it is, louder the wider it swings."""

import numpy as np

from ..acoustics import BELL_MODES, add_at, click, struck
from .stage import Action, Stage, flash


TEMPLATES = (
    "a {size} {colour} bell ringing",
    "a {size} bell ringing",
    "a {colour} bell swinging",
    "a swinging bell ringing",
    "a bell rings",
)
CROSSING_IN_S = 0.14


def play(stage: Stage) -> Action:
    """Draw and sound the bell."""
    rng, times = stage.rng, stage.frame_times
    named_colour, colour = stage.colour()
    size, rate, phase = rng.uniform(0.62, 1.05), rng.uniform(0.5, 0.95), rng.uniform(0, 2 * np.pi)
    course, course_times = stage.curve(0.6)
    swing = 0.25 + 0.45 * course
    turns = (np.arange(-1, int(2 * rate * stage.length_in_s) + 3) + 0.5 - phase / np.pi) / (2 * rate)
    strengths = np.interp(turns, course_times, swing) / 0.7
    strikes = [
        (time, strength)
        for time, strength in zip(turns.tolist(), strengths.tolist(), strict=True)
        if 0.02 <= time < stage.length_in_s - 0.02
    ]

    angle = np.interp(times, course_times, swing) * np.sin(2 * np.pi * rate * times + phase)
    # The clapper crosses to the side that the bell swings to, and strikes there when the bell turns back.
    sides = np.sign(np.sin(2 * np.pi * rate * turns + phase))
    knots = np.stack((turns - CROSSING_IN_S, turns), 1).ravel()
    lean = np.interp(times, knots, np.stack((-sides, sides), 1).ravel())
    _draw(stage, size, colour, angle, lean, flash(times, strikes))

    pitch = 480.0 / size
    decays = [0.7, 0.6, 0.45, 0.35, 0.3, 0.2, 0.15, 0.1]
    sound = stage.silence()
    for time, strength in strikes:
        ring = struck(
            [pitch * ratio for ratio in BELL_MODES], decays, (0.3, 0.8, 0.5, 0.3, 0.8, 0.4, 0.4, 0.3), length_in_s=1.8
        )
        clank = click(rng, 0.008, 0.002)
        ring[: len(clank)] += 0.7 * clank
        add_at(sound, time, 0.2 * strength**1.3 * ring)
    return Action(sound, strikes, named_colour | {"size": "small" if size < 0.83 else "big"})


def _draw(
    stage: Stage, size: float, colour: np.ndarray, angle: np.ndarray, lean: np.ndarray, light: np.ndarray
) -> None:
    canvas = stage.canvas
    pivot_x, pivot_y = 0.5, 0.14
    length = 0.56 * size
    right, down = (np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))

    def at(across: float, along: float) -> tuple[np.ndarray, np.ndarray]:
        """A point of the bell, whose axis is turned by `angle`."""
        return (
            pivot_x + length * (across * right[0] + along * down[0]),
            pivot_y + length * (across * right[1] + along * down[1]),
        )

    canvas.box(0.5, 0.09, 0.45, 0.04, (110, 80, 50))
    clapper = at(0.32 * lean, 1.12)
    canvas.line(*at(0, 0.3), *clapper, 0.018, (60, 55, 50))
    canvas.circle(*clapper, 0.15 * length, (60, 55, 50))
    canvas.polygon((at(-0.25, 0.15), at(0.25, 0.15), at(0.36, 0.75), at(-0.36, 0.75)), colour)
    canvas.polygon((at(-0.36, 0.7), at(0.36, 0.7), at(0.58, 0.98), at(-0.58, 0.98)), 0.8 * colour)
    canvas.glow(*at(0.4 * lean, 1.0), 0.15, (255, 250, 200), light)
