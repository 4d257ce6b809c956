# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A large and a small drum, each with a stick: lower the wider the drum, louder the higher the stick was lifted."""

import numpy as np

from ..acoustics import MEMBRANE_MODES, add_at, click, struck
from .stage import Action, Stage, Strikes, flash


TEMPLATES = (
    "sticks beating a big and a small {colour} drum",
    "{colour} drums being played",
    "drums being played with sticks",
    "sticks beating two drums",
    "beating drums",
)


def play(stage: Stage) -> Action:
    """Draw and sound the drums."""
    rng, times = stage.rng, stage.frame_times
    named_colour, colour = stage.colour()
    blows = Strikes.sample(stage, 0.22, 0.7)
    on_small = rng.random(len(blows.times)) < 0.5
    top = rng.uniform(0.56, 0.64)
    sound, strikes = stage.silence(), []
    for small, column, half_width in ((False, 0.27, rng.uniform(0.2, 0.26)), (True, 0.78, rng.uniform(0.11, 0.17))):
        mine = Strikes(blows.times[on_small == small], blows.strengths[on_small == small])
        hits = mine.within(stage)
        _draw(stage, column, half_width, top, colour, mine.lift(times), flash(times, hits))
        pitch = 20.0 / half_width * (2.0 if small else 1.0)
        for time, strength in hits:
            add_at(sound, time, 0.3 * strength**1.2 * _beat(rng, pitch))
        strikes += hits
    return Action(sound, sorted(strikes), named_colour)


def _draw(
    stage: Stage,
    column: float,
    half_width: float,
    top: float,
    colour: np.ndarray,
    lift: np.ndarray,
    light: np.ndarray,
) -> None:
    canvas = stage.canvas
    canvas.box(column, top + 0.16, half_width, 0.17, colour)
    canvas.box(column, top + 0.16, half_width, 0.035, 0.6 * colour)
    canvas.ellipse(column, top, half_width, 0.045, 170 + 85 * light[:, None] * np.ones(3))
    canvas.glow(column, top - 0.02, 0.1, (255, 245, 200), light)
    # The stick turns about a hand to the upper right; at a lift of 0 its tip is on the drum.
    hand_x, hand_y = column + 0.22, top - 0.28
    angle = np.arctan2(0.25, -0.22) + 1.2 * lift
    tip_x, tip_y = hand_x + 0.333 * np.cos(angle), hand_y + 0.333 * np.sin(angle)
    canvas.line(hand_x, hand_y, tip_x, tip_y, 0.02, (215, 180, 120))
    canvas.circle(tip_x, tip_y, 0.06, (245, 235, 215))


def _beat(rng: np.random.Generator, pitch_in_hz: float) -> np.ndarray:
    """A membrane, and the slap of the stick."""
    frequencies = [pitch_in_hz * ratio for ratio in MEMBRANE_MODES]
    sound = struck(frequencies, (0.22, 0.14, 0.1, 0.09, 0.07), (1.0, 0.6, 0.4, 0.3, 0.3), length_in_s=0.8)
    slap = click(rng, 0.02, 0.005)
    sound[: len(slap)] += 0.35 * slap
    return sound
