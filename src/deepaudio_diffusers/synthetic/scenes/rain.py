# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Rain that comes and goes: a tick for each drop that lands, over a rush as dense as the rain."""

import numpy as np

from ..acoustics import SAMPLING_RATE, add_at, coloured_noise
from .stage import FRAME_RATE, Action, Stage


TEMPLATES = (
    "rain falling on the ground",
    "rain drops splashing",
    "light and heavy rain",
    "falling rain",
    "rain",
)
MOST_DROPS_PER_S = 75.0
DROP_COLOUR = (195, 210, 245)


def play(stage: Stage) -> Action:
    """Draw and sound the rain."""
    rng = stage.rng
    course, times = stage.curve(1.0)
    density = np.clip(1.6 * course - 0.3, 0, 1) ** 1.5
    inside = (times >= 0) & (times < stage.length_in_s)
    expected = MOST_DROPS_PER_S * density * inside / 200
    landings = np.repeat(times, rng.poisson(expected))
    landings = np.minimum(landings + rng.uniform(0, 1 / 200, len(landings)), stage.length_in_s - 1e-3)
    sizes = rng.uniform(0.3, 1.0, len(landings))
    _draw(stage, landings, sizes)

    sound = stage.silence()
    for time, size in zip(landings, sizes, strict=True):
        add_at(sound, time, 0.15 * size * _splash(rng))
    rush = coloured_noise(rng, stage.num_samples, lambda f: np.clip(f / 2500, 0, 1) / (1 + (f / 5500) ** 4))
    sound += 0.06 * rush * np.interp(stage.sample_times, times, density) ** 0.8
    return Action(sound)


def _draw(stage: Stage, landings: np.ndarray, sizes: np.ndarray) -> None:
    rng, canvas, times = stage.rng, stage.canvas, stage.frame_times
    ground, speed = rng.uniform(0.84, 0.92), rng.uniform(1.6, 2.6)
    columns = rng.uniform(0.03, 0.97, len(landings))
    canvas.box(0.5, (ground + 1) / 2, 0.5, (1 - ground) / 2, rng.uniform(40, 110, 3))
    until_landing = landings[:, None] - times
    drop, frame = np.nonzero((until_landing >= 0) & (until_landing < ground / speed))
    row = ground - speed * until_landing[drop, frame]
    canvas.dashes(frame, columns[drop], row, 0.1, DROP_COLOUR, 0.55 + 0.45 * sizes[drop])
    # The splash flies to both sides.
    drop, frame = np.nonzero((until_landing < 0) & (until_landing > -3.5 / FRAME_RATE))
    since = -until_landing[drop, frame]
    for side in (-1, 1):
        column = columns[drop] + side * (0.01 + 0.5 * since)
        opacity = sizes[drop] * np.maximum(0, 1 - since / 0.14)
        canvas.dashes(frame, column, ground - 0.3 * since + 2 * since**2 + 0.01, 0.035, DROP_COLOUR, opacity)


def _splash(rng: np.random.Generator) -> np.ndarray:
    """A drop: a click, and a bubble whose pitch rises."""
    times = np.arange(round(0.045 * SAMPLING_RATE)) / SAMPLING_RATE
    hiss = np.diff(rng.standard_normal(len(times)) * np.exp(-times / 0.007), prepend=0.0)
    bubble = np.sin(2 * np.pi * rng.uniform(1500, 4000) * times * (1 + 3 * times)) * np.exp(-times / 0.006)
    return 0.6 * hiss + 0.5 * bubble
