# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a clip looks like apart from what happens in it: colours, background, clutter, sizes and camera.

There are two kinds of looks, which have no background, colour, size or camera motion in common: those that all splits
share, and those of the split `test_unseen_looks` alone.
"""

from dataclasses import dataclass

import numpy as np

from .canvas import Camera, Canvas


# Colours with their names in prompts. Those of unseen looks have none, because the words would be unseen, too.
NAMED_COLOURS = {
    "red": (225, 60, 50),
    "green": (70, 195, 80),
    "blue": (70, 110, 235),
    "yellow": (235, 215, 60),
    "white": (235, 235, 235),
    "orange": (240, 145, 45),
    "purple": (170, 80, 210),
}
UNSEEN_COLOURS = ((60, 220, 220), (250, 130, 190), (150, 95, 45), (165, 235, 60), (20, 130, 120), (130, 20, 50))


@dataclass(frozen=True)
class LookRanges:
    """The ranges that the looks of a clip are drawn from; each is (lowest, highest).

    Args:
        colours: Colours of objects, each with its name or `None`.
        backgrounds: Names of patterns that `paint_background` knows.
        base_colours: Brightness of the background's red, green and blue; one of these triples of ranges is chosen.
        scale: Side of an object's square where it is alone, the picture being 1 wide.
        half_scale: The same where two objects share the picture.
        half_offset: How far to the left and to the right of the middle these two stand.
        zoom: Of the camera.
        pan: How far the camera moves to either side.
        shake: Standard deviation of the camera's tremble, as a share of the picture.
        shaking: Share of the clips in which it trembles.
    """

    colours: tuple[tuple[str | None, tuple[int, int, int]], ...]
    backgrounds: tuple[str, ...]
    base_colours: tuple[tuple[tuple[float, float], ...], ...]
    scale: tuple[float, float]
    half_scale: tuple[float, float]
    half_offset: float
    zoom: tuple[float, float]
    pan: tuple[float, float]
    shake: tuple[float, float]
    shaking: float


SEEN_LOOKS = LookRanges(
    colours=tuple(NAMED_COLOURS.items()),
    backgrounds=("plain", "gradient", "stripes", "clouds"),
    base_colours=(((10, 70),) * 3, ((95, 150),) * 3),
    scale=(0.86, 1.0),
    half_scale=(0.48, 0.54),
    half_offset=0.245,
    zoom=(0.97, 1.06),
    pan=(0.0, 0.025),
    shake=(0.001, 0.005),
    shaking=0.3,
)
UNSEEN_LOOKS = LookRanges(
    colours=tuple((None, colour) for colour in UNSEEN_COLOURS),
    backgrounds=("checks", "rings"),
    base_colours=(
        ((80, 120), (10, 30), (80, 120)),
        ((10, 30), (80, 120), (70, 110)),
        ((150, 180), (130, 160), (70, 90)),
    ),
    scale=(0.7, 0.82),
    half_scale=(0.41, 0.46),
    half_offset=0.23,
    zoom=(1.08, 1.12),
    pan=(0.026, 0.035),
    shake=(0.006, 0.009),
    shaking=0.7,
)


def ranges_of(split: str) -> LookRanges:
    """The looks that a split has."""
    return UNSEEN_LOOKS if split == "test_unseen_looks" else SEEN_LOOKS


def sample_camera(rng: np.random.Generator, ranges: LookRanges, frame_times: np.ndarray) -> Camera:
    """A camera that slowly pans and zooms and may tremble; `frame_times` in s, `(num_frames,)`."""
    progress = (frame_times - frame_times[0]) / (frame_times[-1] - frame_times[0])
    first_zoom, last_zoom = rng.uniform(*ranges.zoom, 2)
    path = []
    for _ in range(2):
        extent, rate, phase = rng.uniform(*ranges.pan), rng.uniform(0.05, 0.2), rng.uniform(0, 2 * np.pi)
        path.append(0.5 + extent * np.sin(2 * np.pi * rate * frame_times + phase))
    if rng.random() < ranges.shaking:
        tremble = rng.uniform(*ranges.shake) * rng.standard_normal((2, len(frame_times)))
        path = [axis + extent for axis, extent in zip(path, tremble, strict=True)]
    return Camera(*path, zoom=first_zoom + (last_zoom - first_zoom) * progress)


def paint_background(rng: np.random.Generator, ranges: LookRanges, canvas: Canvas) -> None:
    """Fill the canvas with a pattern that stands still in the world, and with up to three pieces of clutter."""
    base_ranges = ranges.base_colours[rng.integers(len(ranges.base_colours))]
    base = np.array([rng.uniform(*limits) for limits in base_ranges])
    pattern = ranges.backgrounds[rng.integers(len(ranges.backgrounds))]
    x, y = canvas.world_grid()
    light = _PATTERNS[pattern](rng, x, y).astype(np.float32)
    canvas.pixels[:] = light[..., None] * rng.uniform(0.7, 1.3, 3).astype(np.float32) + base.astype(np.float32)
    for _ in range(rng.integers(4)):
        tone = base + rng.uniform(-28, 28, 3)
        middle, extent = rng.uniform(0, 1, 2), rng.uniform(0.04, 0.16, 2)
        if rng.random() < 0.5:
            canvas.box(*middle, *extent, tone)
        else:
            canvas.circle(*middle, extent[0], tone)


def finish(rng: np.random.Generator, canvas: Canvas) -> np.ndarray:
    """The canvas with exposure and noise of a camera: uint8 `(num_frames, size, size, 3)`."""
    exposure = np.float32(rng.uniform(0.88, 1.08))
    grain = rng.random(canvas.pixels.shape[:3], np.float32) - np.float32(0.5)
    grain *= np.float32(rng.uniform(2, 7))
    return np.clip(canvas.pixels * exposure + grain[..., None], 0, 255).astype(np.uint8)


def _plain(rng, x, y):
    return np.zeros(np.broadcast_shapes(x.shape, y.shape), np.float32)


def _gradient(rng, x, y):
    slope_x, slope_y = rng.uniform(-35, 35, 2)
    return slope_x * (x - 0.5) + slope_y * (y - 0.5)


def _wave(position, period, phase):
    """A wave of straight lines from -1 to 1."""
    turns = position / period + phase
    return 4 * np.abs(turns - np.floor(turns) - 0.5) - 1


def _stripes(rng, x, y):
    wave = np.clip(3 * _wave(y if rng.random() < 0.5 else x, rng.uniform(0.15, 0.4), rng.random()), -1, 1)
    return np.broadcast_to(rng.uniform(5, 13) * wave, np.broadcast_shapes(x.shape, y.shape))


def _clouds(rng, x, y):
    knots = np.linspace(-0.2, 1.2, 9)
    light = 0.0
    for _ in range(3):
        columns, rows = (np.interp(axis, knots, rng.uniform(-1, 1, 9)).astype(np.float32) for axis in (x, y))
        light = light + columns * rows
    return rng.uniform(10, 22) * light


def _checks(rng, x, y):
    period = rng.uniform(0.2, 0.45)
    columns, rows = (np.clip(5 * _wave(axis, period, rng.random()), -1, 1).astype(np.float32) for axis in (x, y))
    return rng.uniform(7, 14) * columns * rows


def _rings(rng, x, y):
    middle_x, middle_y = rng.uniform(0.2, 0.8, 2)
    distance = np.sqrt((x - middle_x) ** 2 + (y - middle_y) ** 2)
    return rng.uniform(7, 14) * np.clip(3 * _wave(distance, rng.uniform(0.2, 0.35), rng.random()), -1, 1)


_PATTERNS = {
    "plain": _plain,
    "gradient": _gradient,
    "stripes": _stripes,
    "clouds": _clouds,
    "checks": _checks,
    "rings": _rings,
}
