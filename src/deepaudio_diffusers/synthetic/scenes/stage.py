# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What every class of sounding objects shares: its stage, what it reports, and the motions that several have."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..acoustics import SAMPLING_RATE
from ..canvas import Canvas
from ..looks import LookRanges


FRAME_RATE = 25


@dataclass(frozen=True, eq=False)
class Action:
    """What an object did on the stage.

    Args:
        waveform (`np.ndarray` of shape `(num_samples,)`): Its sound.
        strikes: Time in s and strength of each of its sudden sounds.
        attributes: What can be seen of it, by the names of slots in its prompts.
        choices: What cannot be seen, and only the prompt tells, by the names of slots.
    """

    waveform: np.ndarray
    strikes: Sequence[tuple[float, float]] = ()
    attributes: dict[str, str] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Stage:
    """Where an object is drawn and when.

    Args:
        canvas: What it is drawn on.
        rng: All its decisions.
        looks: The ranges of its looks.
        frame_times (`np.ndarray` of shape `(num_frames,)`): Middle of each frame in s.
    """

    canvas: Canvas
    rng: np.random.Generator
    looks: LookRanges
    frame_times: np.ndarray

    @property
    def length_in_s(self) -> float:
        """Of the clip."""
        return len(self.frame_times) / FRAME_RATE

    @property
    def num_samples(self) -> int:
        """Of its sound."""
        return len(self.frame_times) * SAMPLING_RATE // FRAME_RATE

    @property
    def sample_times(self) -> np.ndarray:
        """Time of each sample in s."""
        return np.arange(self.num_samples) / SAMPLING_RATE

    def silence(self) -> np.ndarray:
        """A sound track to add to."""
        return np.zeros(self.num_samples)

    def colour(self) -> tuple[dict[str, str], np.ndarray]:
        """One of the colours of objects: the attribute `colour` if it has a name, and red, green and blue."""
        name, colour = self.looks.colours[self.rng.integers(len(self.looks.colours))]
        shade = self.rng.uniform(0.88, 1.06)
        return ({"colour": name} if name else {}), np.minimum(np.array(colour) * shade, 255)

    def curve(self, rate_in_hz: float) -> tuple[np.ndarray, np.ndarray]:
        """A smooth random course from 0 to 1 that turns about `rate_in_hz` times a second.

        Returns:
            Its value 200 times a second, `(num_values,)`, and the times of these in s, from before the clip until
            after it.
        """
        times = np.arange(-60, round(200 * self.length_in_s) + 61) / 200
        knots = np.linspace(times[0], times[-1], max(4, round((times[-1] - times[0]) * rate_in_hz) + 1))
        course = np.interp(times, knots, self.rng.uniform(0, 1, len(knots)))
        course = smooth(course, max(3, round(80 / rate_in_hz) | 1))
        # Smoothing brings values closer to the middle.
        return np.clip(0.5 + 1.3 * (course - 0.5), 0, 1), times


def smooth(course: np.ndarray, width: int) -> np.ndarray:
    """Mean over a Hann window of `width` values, an odd number; the ends are continued."""
    window = np.hanning(width + 2)[1:-1]
    return np.convolve(np.pad(course, width // 2, "edge"), window / window.sum(), "valid")


def pauses(stage: Stage, times: np.ndarray, active_in_s: tuple[float, float], pause_in_s: tuple[float, float]):
    """1 while something goes on and 0 while it rests, with soft transitions: values at `times`, 200 a second."""
    going = np.ones(len(times))
    time = stage.rng.uniform(0.0, active_in_s[1])
    while time < stage.length_in_s:
        pause = stage.rng.uniform(*pause_in_s)
        going[(times >= time) & (times < time + pause)] = 0
        time += pause + stage.rng.uniform(*active_in_s)
    return smooth(going, 15)


@dataclass(frozen=True, eq=False)
class Strikes:
    """Blows of a hand, each after a visible swing.

    Args:
        times (`np.ndarray` of shape `(num_strikes,)`): When, in s; some may lie outside the clip.
        strengths (`np.ndarray` of shape `(num_strikes,)`): From 0.3 to 1.
        swing_in_s: How long the way down takes.
    """

    times: np.ndarray
    strengths: np.ndarray
    swing_in_s: float = 0.12

    @classmethod
    def sample(cls, stage: Stage, shortest_gap_in_s: float, longest_gap_in_s: float) -> "Strikes":
        """Blows at random times, from before the clip until after it."""
        times = [stage.rng.uniform(-longest_gap_in_s, 0.0)]
        while times[-1] < stage.length_in_s:
            times.append(times[-1] + stage.rng.uniform(shortest_gap_in_s, longest_gap_in_s))
        return cls(np.array(times), stage.rng.uniform(0.3, 1.0, len(times)))

    def within(self, stage: Stage) -> list[tuple[float, float]]:
        """Time and strength of the blows whose swing and sound are in the clip."""
        pairs = zip(self.times.tolist(), self.strengths.tolist(), strict=True)
        return [(time, strength) for time, strength in pairs if 0.02 <= time < stage.length_in_s - 0.02]

    def lift(self, times: np.ndarray, rest: float = 0.3) -> np.ndarray:
        """How high the tool is at `times`, from 0 at the blow to 1: the harder the blow, the higher before."""
        knots, heights = [-10.0], [rest]
        for time, strength in zip(self.times, self.strengths, strict=True):
            top = 0.35 + 0.65 * strength
            previous_end = knots[-1]
            raised = max(time - self.swing_in_s, previous_end + 0.04)
            ready = max(time - self.swing_in_s - 0.2, previous_end + 0.01)
            for knot, height in ((ready, rest), (raised, top), (time, 0.0), (time + 0.03, 0.0), (time + 0.12, rest)):
                knots.append(max(knot, knots[-1] + 1e-3))
                heights.append(height)
        return np.interp(times, knots, heights)


def flash(times: np.ndarray, strikes: Sequence[tuple[float, float]], decay_in_s: float = 0.06) -> np.ndarray:
    """A light that flares up in the frame of each blow, the brighter the stronger it is: values at the `times`."""
    light = np.zeros(len(times))
    for time, strength in strikes:
        since = times - time
        # The frame whose exposure has the blow in it is half a frame early at most.
        seen = since >= -0.5 / FRAME_RATE
        light[seen] = np.maximum(
            light[seen], (0.3 + 0.7 * strength) * np.exp(-np.maximum(since[seen], 0) / decay_in_s)
        )
    return light
