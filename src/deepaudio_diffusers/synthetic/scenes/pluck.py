# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A plucked string instrument: the lower the string on the picture, the lower its note.

Whether the instrument is tuned an octave lower or higher cannot be seen; the prompt may say so.
"""

import numpy as np

from ..acoustics import add_at, struck
from .stage import Action, Stage, flash


TEMPLATES = (
    "plucking strings with a {colour} pick",
    "a string instrument being plucked",
    "plucked strings",
    "a {colour} pick plucks strings",
    "plucking {register} strings",
    "{register} strings plucked with a {colour} pick",
    "{register} plucked strings",
    "a {register} string instrument being plucked",
)
STRINGS_IN_HZ = (784.0, 587.0, 440.0, 330.0, 247.0)
OCTAVES = {"low": 0.5, "high": 2.0}
# Where on the string it is plucked, as a share of its length: harmonics with a node there are missing.
PLUCKED_AT = 0.23


def play(stage: Stage) -> Action:
    """Draw and sound the instrument."""
    rng = stage.rng
    named_colour, colour = stage.colour()
    register = ("low", "high", None, None)[rng.integers(4)]
    plucks = []
    time = rng.uniform(0.0, 0.5)
    while time < stage.length_in_s - 0.02:
        if time >= 0.02:
            plucks.append((float(time), int(rng.integers(5)), float(rng.uniform(0.35, 1.0))))
        time += rng.uniform(0.24, 0.75)
    _draw(stage, plucks, colour)

    tuning = OCTAVES.get(register, 1.0)
    sound = stage.silence()
    for time, string, strength in plucks:
        # A string that is plucked again stops what it sounded before.
        again = [later for later, other, _ in plucks if other == string and later > time]
        length_in_s = min([*again, stage.length_in_s]) - time
        add_at(sound, time, 0.34 * strength**1.2 * _note(STRINGS_IN_HZ[string] * tuning, length_in_s))
    strikes = [(time, strength) for time, _, strength in plucks]
    return Action(sound, strikes, named_colour, {"register": register} if register else {})


def _draw(stage: Stage, plucks: list[tuple[float, int, float]], colour: np.ndarray) -> None:
    canvas, times = stage.canvas, stage.frame_times
    heights = np.linspace(0.16, 0.84, 5)
    pick_column = stage.rng.uniform(0.55, 0.8)
    canvas.box(0.5, 0.5, 0.47, 0.46, (100, 64, 34))
    canvas.circle(0.35, 0.5, 0.2, (45, 28, 16))
    sides = np.where(np.arange(len(times)) % 2, 1.0, -1.0)
    for string, height in enumerate(heights):
        mine = [(time, strength) for time, other, strength in plucks if other == string]
        vibration = flash(times, mine, decay_in_s=0.3)
        width = 0.011 + 0.003 * string
        shade = 150 + 105 * vibration[:, None] * np.ones(3)
        for side in (sides, -sides):
            # Two straight halves for each of the bows that the eye sees at once.
            middle = height + 0.045 * vibration * side
            for end in (0.03, 0.97):
                canvas.line(end, height, 0.5, middle, width, shade, 0.35 + 0.65 * (side > 0))
        canvas.glow(pick_column, height, 0.1, (255, 250, 210), flash(times, mine, decay_in_s=0.05))
    knots, rows = [-1.0], [0.5]
    for time, string, _ in plucks:
        height = heights[string]
        for knot, row in ((time - 0.14, height - 0.1), (time, height - 0.01), (time + 0.06, height + 0.09)):
            knots.append(max(knot, knots[-1] + 1e-3))
            rows.append(row)
    canvas.circle(pick_column, np.interp(times, knots, rows), 0.06, colour)


def _note(pitch_in_hz: float, length_in_s: float) -> np.ndarray:
    """A string with a little stiffness, plucked at a point."""
    number = np.arange(1, 9)
    frequencies = pitch_in_hz * number * np.sqrt(1 + 3e-4 * number**2)
    amplitudes = np.sin(np.pi * number * PLUCKED_AT) / number**0.7
    return struck(frequencies, 0.45 / number**0.7, amplitudes, length_in_s=length_in_s)
