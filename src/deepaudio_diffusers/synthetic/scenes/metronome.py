# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A metronome: a tick where its hand crosses the middle to the right, a lower tock on the way back."""

import numpy as np

from ..acoustics import add_at, struck
from .stage import Action, Stage, flash


TEMPLATES = (
    "a metronome with a {colour} weight",
    "a {colour} metronome ticking",
    "a metronome ticking",
    "a metronome ticks",
    "a swinging metronome",
)


def play(stage: Stage) -> Action:
    """Draw and sound the metronome."""
    rng, canvas, times = stage.rng, stage.canvas, stage.frame_times
    named_colour, colour = stage.colour()
    rate, phase = rng.uniform(0.55, 1.4), rng.uniform(0, 2 * np.pi)
    swing, length, weight = rng.uniform(0.3, 0.75), rng.uniform(0.62, 0.74), rng.uniform(0.7, 0.95)
    crossings = np.arange(-1, int(2 * rate * stage.length_in_s) + 2) - phase / np.pi
    crossings = crossings / (2 * rate)
    # The further it swings, the faster it crosses.
    strength = 0.4 + 0.6 * (swing - 0.3) / 0.45
    strikes = [(float(time), strength) for time in crossings if 0.02 <= time < stage.length_in_s - 0.02]

    angle = swing * np.sin(2 * np.pi * rate * times + phase)
    body = rng.uniform(60, 120, 3)
    canvas.polygon(((0.45, 0.2), (0.55, 0.2), (0.72, 0.97), (0.28, 0.97)), body)
    canvas.box(0.5, 0.26, 0.012, 0.06, (250, 250, 250))
    canvas.glow(0.5, 0.22, 0.12, (255, 250, 200), 0.9 * flash(times, strikes))
    x, y = np.sin(angle), np.cos(angle)
    canvas.line(0.5, 0.88, 0.5 + length * x, 0.88 - length * y, 0.018, (225, 225, 225))
    canvas.circle(0.5 + weight * length * x, 0.88 - weight * length * y, 0.075, colour)

    sound = stage.silence()
    for time, strength in strikes:
        to_the_right = np.cos(2 * np.pi * rate * time + phase) > 0
        pitch = 2300.0 if to_the_right else 1650.0
        tick = struck((pitch, 1.63 * pitch, 2.4 * pitch), (0.018, 0.01, 0.006), (1, 0.6, 0.4), length_in_s=0.12)
        add_at(sound, time, 0.5 * strength * tick)
    return Action(sound, strikes, named_colour)
