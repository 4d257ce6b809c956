# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Drawing of moving shapes, all frames of a clip at once.

A shape is given by its signed distance; a pixel is covered by half a pixel's distance to either side, which makes soft
edges (Quilez, "2D distance functions"). Pictures are made by additions, multiplications, divisions and square roots
alone, in float32. IEEE 754 fixes their results, so every machine draws the same pixels.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np


Track = float | np.ndarray
"""A number that is the same in all frames, or one for each frame: `(num_frames,)`."""

Colour = Sequence[float] | np.ndarray
"""Red, green and blue from 0 to 255, `(3,)`, or such a colour for each frame: `(num_frames, 3)`."""


@dataclass(frozen=True, eq=False)
class Camera:
    """Where the camera looks in each frame, and how close it is.

    Args:
        x (`np.ndarray` of shape `(num_frames,)`): Middle of the picture in the world, which is 1 wide at a zoom of 1.
        y (`np.ndarray` of shape `(num_frames,)`): The same, downwards.
        zoom (`np.ndarray` of shape `(num_frames,)`): How much larger than life things are seen.
    """

    x: np.ndarray
    y: np.ndarray
    zoom: np.ndarray


@dataclass(frozen=True)
class Placement:
    """Where an object stands in the world. It is drawn in a square of its own, from (0, 0) to (1, 1).

    Args:
        x: Middle of its square in the world.
        y: The same, downwards.
        scale: Side of its square in the world.
    """

    x: float = 0.5
    y: float = 0.5
    scale: float = 1.0


class Canvas:
    """Frames that shapes are painted on, one over the other.

    Coordinates and lengths of all shapes are those of the object's square (see [`Placement`]): x to the right, y down,
    from 0 to 1. Each may be a number or have a value for each frame. Opacities are from 0 to 1.

    Args:
        camera: Gives the number of frames, too.
        size: Height and width in pixels.
    """

    def __init__(self, camera: Camera, size: int):
        self.size = size
        self.num_frames = len(camera.zoom)
        self.pixels = np.zeros((self.num_frames, size, size, 3), np.float32)
        self._camera = camera
        self._placement = Placement()
        self._grid = np.arange(size, dtype=np.float32) + np.float32(0.5)

    @contextmanager
    def placed(self, placement: Placement) -> Iterator[None]:
        """Paint an object where `placement` says."""
        before, self._placement = self._placement, placement
        yield
        self._placement = before

    def world_grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Position in the world of each column, `(num_frames, 1, size)`, and of each row, `(num_frames, size, 1)`."""
        offset = (self._grid.astype(np.float64) / self.size - 0.5) / self._camera.zoom[:, None]
        x, y = (offset + middle[:, None] for middle in (self._camera.x, self._camera.y))
        return x[:, None, :], y[:, :, None]

    def pixel_position(self, x: Track, y: Track, frames: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """Where a point is seen, in pixels; `x` and `y` have a value for each of `frames`."""
        place, camera = self._placement, self._camera
        zoom = camera.zoom[frames] * self.size
        column = (place.x + (x - 0.5) * place.scale - camera.x[frames]) * zoom + 0.5 * self.size
        row = (place.y + (y - 0.5) * place.scale - camera.y[frames]) * zoom + 0.5 * self.size
        return column, row

    def pixels_per_unit(self, frames: np.ndarray | slice) -> np.ndarray:
        """Pixels in the side of the object's square."""
        return self._camera.zoom[frames] * (self.size * self._placement.scale)

    def circle(self, x: Track, y: Track, radius: Track, colour: Colour, opacity: Track = 1.0) -> None:
        """Paint a disc."""
        shape = _Shape(self, opacity, x=x, y=y, radius=radius)
        reach = shape.length("radius")
        column, row = shape.point("x", "y")
        if shape.limit(column - reach, column + reach, row - reach, row + reach):
            dx, dy = shape.offsets(column, row)
            shape.paint(np.sqrt(dx * dx + dy * dy) - shape.cast(reach), colour)

    def ellipse(
        self, x: Track, y: Track, half_width: Track, half_height: Track, colour: Colour, opacity: Track = 1.0
    ) -> None:
        """Paint an upright ellipse."""
        shape = _Shape(self, opacity, x=x, y=y, half_width=half_width, half_height=half_height)
        a, b = np.maximum(shape.length("half_width"), 0.3), np.maximum(shape.length("half_height"), 0.3)
        column, row = shape.point("x", "y")
        if shape.limit(column - a, column + a, row - b, row + b):
            dx, dy = shape.offsets(column, row)
            dx, dy = dx / shape.cast(a), dy / shape.cast(b)
            # Not quite the distance, but right at the ends of the axes.
            shape.paint((np.sqrt(dx * dx + dy * dy) - 1) * shape.cast(np.minimum(a, b)), colour)

    def box(
        self, x: Track, y: Track, half_width: Track, half_height: Track, colour: Colour, opacity: Track = 1.0
    ) -> None:
        """Paint an upright rectangle."""
        shape = _Shape(self, opacity, x=x, y=y, half_width=half_width, half_height=half_height)
        a, b = shape.length("half_width"), shape.length("half_height")
        column, row = shape.point("x", "y")
        if shape.limit(column - a, column + a, row - b, row + b):
            dx, dy = shape.offsets(column, row)
            shape.paint(np.maximum(np.abs(dx) - shape.cast(a), np.abs(dy) - shape.cast(b)), colour)

    def line(
        self, x0: Track, y0: Track, x1: Track, y1: Track, half_width: Track, colour: Colour, opacity: Track = 1.0
    ) -> None:
        """Paint a straight line with round ends."""
        shape = _Shape(self, opacity, x0=x0, y0=y0, x1=x1, y1=y1, half_width=half_width)
        reach = shape.length("half_width")
        (c0, r0), (c1, r1) = shape.point("x0", "y0"), shape.point("x1", "y1")
        columns, rows = np.minimum(c0, c1), np.minimum(r0, r1)
        if shape.limit(columns - reach, np.maximum(c0, c1) + reach, rows - reach, np.maximum(r0, r1) + reach):
            dx, dy = shape.offsets(c0, r0)
            along_x, along_y = shape.cast(c1 - c0), shape.cast(r1 - r0)
            squared = np.maximum(along_x * along_x + along_y * along_y, np.float32(1e-6))
            share = np.clip((dx * along_x + dy * along_y) / squared, 0, 1)
            dx, dy = dx - share * along_x, dy - share * along_y
            shape.paint(np.sqrt(dx * dx + dy * dy) - shape.cast(reach), colour)

    def polygon(self, corners: Sequence[tuple[Track, Track]], colour: Colour, opacity: Track = 1.0) -> None:
        """Paint a convex polygon, whose corners go round clockwise as seen on the picture."""
        tracks = {
            f"{axis}{i}": track for i, corner in enumerate(corners) for axis, track in zip("xy", corner, strict=True)
        }
        shape = _Shape(self, opacity, **tracks)
        points = [shape.point(f"x{i}", f"y{i}") for i in range(len(corners))]
        columns, rows = (np.stack(axis) for axis in zip(*points, strict=True))
        if shape.limit(columns.min(0), columns.max(0), rows.min(0), rows.max(0)):
            distance = None
            for (c0, r0), (c1, r1) in zip(points, points[1:] + points[:1], strict=True):
                dx, dy = shape.offsets(c0, r0)
                length = np.maximum(np.sqrt((c1 - c0) ** 2 + (r1 - r0) ** 2), 1e-6)
                # Outwards is to the left of the way round.
                outside = dx * shape.cast((r1 - r0) / length) - dy * shape.cast((c1 - c0) / length)
                distance = outside if distance is None else np.maximum(distance, outside)
            shape.paint(distance, colour)

    def glow(self, x: Track, y: Track, radius: Track, colour: Colour, opacity: Track = 1.0) -> None:
        """Paint light that fades with the distance; at `radius` a quarter of it is left."""
        shape = _Shape(self, opacity, x=x, y=y, radius=radius)
        reach = shape.length("radius")
        column, row = shape.point("x", "y")
        if shape.limit(column - 3 * reach, column + 3 * reach, row - 3 * reach, row + 3 * reach):
            dx, dy = shape.offsets(column, row)
            light = 1 / (1 + (dx * dx + dy * dy) / shape.cast(reach * reach))
            shape.cover(np.maximum(light * light - np.float32(0.01), 0), colour)

    def dashes(
        self, frames: np.ndarray, x: np.ndarray, y: np.ndarray, length: Track, colour: Colour, opacity: np.ndarray
    ) -> None:
        """Paint upright strokes, one pixel wide, each in one frame only; faster than lines where there are many.

        Args:
            frames (`np.ndarray` of shape `(num_dashes,)`): The frame that each is seen in.
            x (`np.ndarray` of shape `(num_dashes,)`): Where each is.
            y (`np.ndarray` of shape `(num_dashes,)`): Where each has its lower end.
            length: Of each.
            colour: `(3,)`.
            opacity (`np.ndarray` of shape `(num_dashes,)`): Of each.
        """
        column, row = self.pixel_position(x, y, frames)
        tall = np.broadcast_to(length * self.pixels_per_unit(frames), column.shape)
        left = np.floor(column - 0.5)
        cover = np.zeros((self.num_frames, self.size, self.size), np.float32)
        for step in range(int(np.ceil(tall.max(initial=0.0))) + 1):
            line = np.floor(row) - step
            share = np.clip(np.minimum(line + 1, row) - np.maximum(line, row - tall), 0, 1) * opacity
            for side in (0, 1):
                part = share * (1 - np.abs(column - 0.5 - left - side))
                seen = (line >= 0) & (line < self.size) & (left + side >= 0) & (left + side < self.size)
                where = (frames[seen], line[seen].astype(int), (left + side)[seen].astype(int))
                np.maximum.at(cover, where, part[seen].astype(np.float32))
        self.pixels += cover[..., None] * (np.asarray(colour, np.float32) - self.pixels)


class _Shape:
    """The frames in which a shape is seen, its measures there in pixels, and the part of the picture that it is in."""

    def __init__(self, canvas: Canvas, opacity: Track, **tracks: Track):
        self._canvas = canvas
        opacity = np.broadcast_to(np.asarray(opacity, np.float64), (canvas.num_frames,))
        seen = np.flatnonzero(opacity > 0.004)
        self._frames = slice(None) if len(seen) == canvas.num_frames else seen
        self._num_frames = len(seen)
        self._opacity = opacity[self._frames]
        self._tracks = {
            name: np.broadcast_to(np.asarray(track, np.float64), (canvas.num_frames,))[self._frames]
            for name, track in tracks.items()
        }
        self._scale = canvas.pixels_per_unit(self._frames)

    def length(self, name: str) -> np.ndarray:
        return self._tracks[name] * self._scale

    def point(self, x: str, y: str) -> tuple[np.ndarray, np.ndarray]:
        return self._canvas.pixel_position(self._tracks[x], self._tracks[y], self._frames)

    def limit(self, left: np.ndarray, right: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> bool:
        """Set the part of the picture that is painted; false if there is nothing to paint."""
        if self._num_frames == 0:
            return False
        size = self._canvas.size
        first_column, first_row = (max(0, int(np.floor(edge.min())) - 1) for edge in (left, top))
        end_column, end_row = (min(size, int(np.ceil(edge.max())) + 1) for edge in (right, bottom))
        self._columns, self._rows = slice(first_column, end_column), slice(first_row, end_row)
        return first_column < end_column and first_row < end_row

    def offsets(self, column: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance of the pixels to the right of, and below, a point: `(frames, 1, columns)`, `(frames, rows, 1)`."""
        grid = self._canvas._grid
        return grid[None, None, self._columns] - self.cast(column), grid[None, self._rows, None] - self.cast(row)

    @staticmethod
    def cast(track: np.ndarray) -> np.ndarray:
        return track.astype(np.float32)[:, None, None]

    def paint(self, distance: np.ndarray, colour: Colour) -> None:
        self.cover(np.clip(np.float32(0.5) - distance, 0, 1), colour)

    def cover(self, coverage: np.ndarray, colour: Colour) -> None:
        colour = np.asarray(colour, np.float64).astype(np.float32)
        colour = colour[self._frames][:, None, None] if colour.ndim == 2 else colour
        coverage = (coverage * self.cast(self._opacity))[..., None]
        part = self._canvas.pixels[self._frames, self._rows, self._columns]
        part = part + coverage * (colour - part)
        self._canvas.pixels[self._frames, self._rows, self._columns] = part
