# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A hammer on a metal bar: a clang at each blow, higher the shorter the bar, louder the higher the lift."""

import numpy as np

from ..acoustics import BAR_MODES, add_at, click, struck
from .stage import Action, Stage, Strikes, flash


TEMPLATES = (
    "a hammer hitting a {length} metal bar",
    "a hammer hits a {length} bar",
    "a hammer striking metal",
    "a hammer hitting a bar",
    "metal being hammered",
)


def play(stage: Stage) -> Action:
    """Draw and sound the hammer and the bar."""
    rng, canvas, times = stage.rng, stage.canvas, stage.frame_times
    _, colour = stage.colour()
    half_bar, bar_height = rng.uniform(0.13, 0.42), rng.uniform(0.74, 0.8)
    blows = Strikes.sample(stage, 0.32, 0.95)
    strikes = blows.within(stage)

    canvas.box(0.5, bar_height + 0.12, 0.05, 0.12, (70, 60, 50))
    canvas.box(0.5, bar_height, half_bar, 0.038, rng.uniform(150, 200) * np.array([0.9, 1, 1.1]))
    angle = 1.25 * blows.lift(times)
    x, y = 0.94 - 0.44 * np.cos(angle), bar_height - 0.1 - 0.44 * np.sin(angle)
    canvas.line(0.94, bar_height - 0.1, x, y, 0.026, (150, 100, 50))
    canvas.circle(x, y, 0.08, colour)
    canvas.glow(0.5, bar_height - 0.03, 0.12, (255, 240, 160), flash(times, strikes))

    pitch = 380.0 * 0.42 / half_bar
    sound = stage.silence()
    for time, strength in strikes:
        clang = struck(
            [pitch * ratio for ratio in BAR_MODES], (0.4, 0.25, 0.12, 0.06), (0.8, 0.7, 0.5, 0.3), length_in_s=1.4
        )
        knock = click(rng, 0.006, 0.0016)
        clang[: len(knock)] += 0.4 * knock
        add_at(sound, time, 0.34 * strength**1.3 * clang)
    return Action(sound, strikes, {"length": "long" if half_bar > 0.27 else "short"})
