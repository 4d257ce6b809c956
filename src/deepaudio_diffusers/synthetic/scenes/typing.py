# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A finger on a keyboard: a click at each key, higher in the upper rows, and a soft one when the key comes back."""

import numpy as np

from ..acoustics import add_at, click, struck
from .stage import Action, Stage, flash


TEMPLATES = (
    "a {colour} finger typing on a keyboard",
    "typing on a keyboard",
    "keyboard keys being pressed",
    "a finger pressing keys",
    "typing",
)
COLUMNS, ROWS = (0.14, 0.38, 0.62, 0.86), (0.42, 0.63, 0.84)
KEY_PITCHES_IN_HZ = (2600.0, 1900.0, 1350.0)


def play(stage: Stage) -> Action:
    """Draw and sound the keys."""
    rng = stage.rng
    named_colour, colour = stage.colour()
    presses = []
    time = rng.uniform(-0.3, 0.4)
    while time < stage.length_in_s - 0.02:
        if time >= 0.02:
            presses.append((float(time), int(rng.integers(4)), int(rng.integers(3)), float(rng.uniform(0.35, 1.0))))
        time += rng.uniform(0.2, 0.5) + (rng.uniform(0.2, 0.7) if rng.random() < 0.15 else 0.0)
    _draw(stage, presses, colour, rng.uniform(50, 90, 3))

    sound = stage.silence()
    for time, _, row, strength in presses:
        pitch = KEY_PITCHES_IN_HZ[row]
        add_at(sound, time, 0.4 * strength**1.2 * _tap(rng, pitch))
        add_at(sound, time + 0.085, 0.1 * strength * _tap(rng, 1.4 * pitch))
    strikes = [(time, strength) for time, _, _, strength in presses]
    return Action(sound, strikes, named_colour)


def _draw(stage: Stage, presses: list[tuple[float, int, int, float]], colour: np.ndarray, body: np.ndarray) -> None:
    canvas, times = stage.canvas, stage.frame_times
    canvas.box(0.5, 0.64, 0.49, 0.34, body)
    for column, x in enumerate(COLUMNS):
        for row, y in enumerate(ROWS):
            mine = [(time, strength) for time, c, r, strength in presses if (c, r) == (column, row)]
            down = np.zeros(len(times))
            for time, _ in mine:
                down = np.maximum(down, np.clip(1 - np.maximum(np.abs(times - time - 0.04) - 0.045, 0) / 0.03, 0, 1))
            lit = 215 - down[:, None] * np.array([20, 110, 190])
            canvas.box(x, y + 0.015 * down, 0.1, 0.085, lit)
            canvas.glow(x, y, 0.13, (255, 220, 120), flash(times, mine))
    knots, across, along = [-1.0], [0.5], [0.2]
    for time, column, row, strength in presses:
        x, y = COLUMNS[column], ROWS[row]
        # The finger is above the key before it comes down, higher for a harder press.
        lift = 0.12 + 0.16 * strength
        for knot, height in ((time - 0.1, lift), (time, 0.0), (time + 0.05, 0.0), (time + 0.1, 0.1)):
            knots.append(max(knot, knots[-1] + 1e-3))
            across.append(x)
            along.append(y - height)
    x, y = np.interp(times, knots, across), np.interp(times, knots, along)
    canvas.circle(x, y - 0.02, 0.065, colour)
    canvas.circle(x, y + 0.005, 0.03, np.minimum(colour + 60, 255))


def _tap(rng: np.random.Generator, pitch_in_hz: float) -> np.ndarray:
    """A key that reaches its end."""
    sound = struck(
        (0.22 * pitch_in_hz, pitch_in_hz, 1.7 * pitch_in_hz), (0.02, 0.008, 0.005), (0.5, 1.0, 0.5), length_in_s=0.08
    )
    tick = click(rng, 0.012, 0.003)
    sound[: len(tick)] += 0.3 * tick
    return sound
