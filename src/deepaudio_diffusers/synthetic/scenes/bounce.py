# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A ball that bounces on the floor: a thud at each landing, lower the larger the ball, louder the faster it lands."""

import numpy as np

from ..acoustics import SAMPLING_RATE, add_at, click
from .stage import Action, Stage, flash


TEMPLATES = (
    "a {size} {colour} ball bouncing on the floor",
    "a {colour} ball bounces",
    "a {size} ball bounces on the floor",
    "a ball bouncing up and down",
    "a bouncing ball",
)
LOWEST_PEAK = 0.11


def play(stage: Stage) -> Action:
    """Draw and sound the ball."""
    rng, canvas, times = stage.rng, stage.canvas, stage.frame_times
    named_colour, colour = stage.colour()
    radius, floor, column = rng.uniform(0.075, 0.15), rng.uniform(0.84, 0.92), rng.uniform(0.3, 0.7)
    landings, strengths, height = _flights(stage, room=floor - 2 * radius - 0.02)
    strikes = [
        (time, strength)
        for time, strength in zip(landings, strengths, strict=True)
        if 0.02 <= time < stage.length_in_s - 0.02
    ]

    canvas.box(0.5, (floor + 1) / 2, 0.5, (1 - floor) / 2, rng.uniform(60, 150, 3))
    canvas.ellipse(column, floor + 0.02, radius * (1.2 - 0.8 * height), 0.018, (10, 10, 10), 0.75 - 0.6 * height)
    canvas.ellipse(column, floor, 2.2 * radius, 0.04, (255, 250, 225), 0.9 * flash(times, strikes))
    squash = 0.35 * np.exp(-height / 0.03)
    canvas.ellipse(
        column, floor - height - radius * (1 - squash), radius * (1 + 0.6 * squash), radius * (1 - squash), colour
    )
    canvas.circle(column - 0.3 * radius, floor - height - 1.3 * radius, 0.25 * radius, (255, 255, 255), 0.6)

    sound = stage.silence()
    for time, strength in strikes:
        add_at(sound, time, 0.42 * strength**1.2 * _thud(rng, 17.0 / radius))
    return Action(sound, strikes, named_colour | {"size": "small" if radius < 0.11 else "big"})


def _flights(stage: Stage, room: float) -> tuple[list[float], list[float], np.ndarray]:
    """Times and strengths of the landings, and the height of the ball in each frame."""
    rng, times = stage.rng, stage.frame_times
    gravity, restitution = rng.uniform(2.8, 5.0), rng.uniform(0.74, 0.9)
    full_speed = np.sqrt(2 * gravity * 0.6)
    takeoff, peak = rng.uniform(-0.6, 0.0), room * rng.uniform(0.7, 1.0)
    speed_before = 0.0
    landings, strengths, height = [], [], np.zeros(len(times))
    while takeoff < stage.length_in_s:
        speed = np.sqrt(2 * gravity * peak)
        landings.append(takeoff)
        # Where the ball is given a new push, it leaves faster than it came.
        strengths.append(float(min(1.0, max(speed, speed_before) / full_speed)))
        since = times - takeoff
        flying = (since >= 0) & (since < 2 * speed / gravity)
        height[flying] = speed * since[flying] - 0.5 * gravity * since[flying] ** 2
        takeoff += 2 * speed / gravity
        speed_before, peak = speed, peak * restitution**2
        if peak < LOWEST_PEAK:
            peak = room * rng.uniform(0.6, 1.0)
    return landings, strengths, np.maximum(height, 0)


def _thud(rng: np.random.Generator, pitch_in_hz: float) -> np.ndarray:
    """A rubber ball on a hard floor, whose pitch falls as the ball gets its shape back."""
    times = np.arange(round(0.35 * SAMPLING_RATE)) / SAMPLING_RATE
    phase = 2 * np.pi * np.cumsum(pitch_in_hz * (1 + 0.6 * np.exp(-times / 0.02))) / SAMPLING_RATE
    sound = sum(
        amplitude * np.sin(ratio * phase) * np.exp(-times / decay)
        for ratio, amplitude, decay in ((1.0, 1.0, 0.07), (2.3, 0.5, 0.04), (4.1, 0.25, 0.02))
    )
    slap = click(rng, 0.01, 0.0025)
    sound[: len(slap)] += 0.5 * slap
    return sound * np.minimum(1, times / 0.0008)
