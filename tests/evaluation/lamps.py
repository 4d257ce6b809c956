# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A world to be in time with: a red and a blue lamp flash in turn, and each sounds a tone of its own.

A flash is due every 3.2 s, which is how far the two windows of DeSync are apart, and comes up to 0.4 s early or late.
Each window sees one of them, and may hear tones of others that belong to flashes before and after.
"""

from dataclasses import dataclass

import numpy as np

from deepaudio_diffusers.media.encode import encode_video


SAMPLING_RATE = 16_000
FRAME_RATE = 25
# Red and blue, each in a quarter of the picture.
COLOURS = ((220, 40, 40), (40, 40, 220))
# When flashes are due, and by how much they are early or late at most.
FIRST_FLASH_IN_S, PERIOD_IN_S, JITTER_IN_S = 2.4, 3.2, 0.4
FLASH_IN_S = 0.12
TONES_IN_HZ = (500, 2500)
TONE_DECAY_IN_S = 0.05
DARK = 40
# Seeds of clips that tests see; training has others.
TEST_SEEDS = range(1_000_000, 1_001_000)


@dataclass(frozen=True)
class Lamps:
    """
    When which lamp flashes.

    Args:
        times_in_s (`np.ndarray` of shape `(num_flashes,)`): When flashes begin; some before and after the clip.
        which (`np.ndarray` of shape `(num_flashes,)`): Which of the two lamps flashes.
        length_in_s (`float`): Length of the clip.
        seed (`int`): Of the noise in picture and sound.
    """

    times_in_s: np.ndarray
    which: np.ndarray
    length_in_s: float
    seed: int


def make_lamps(seed: int, length_in_s: float) -> Lamps:
    """Flashes for a clip of `length_in_s`, the same for the same seed."""
    rng = np.random.default_rng(seed)
    # One before the clip and one after it, whose tones a shift brings into it.
    due = np.arange(-1, round(length_in_s / PERIOD_IN_S) + 1)
    times = FIRST_FLASH_IN_S + PERIOD_IN_S * due + rng.uniform(-JITTER_IN_S, JITTER_IN_S, len(due))
    return Lamps(times, (due + rng.integers(2)) % 2, length_in_s, seed)


def picture_lamps(lamps: Lamps, size: int) -> np.ndarray:
    """Frames of shape `(num_frames, size, size, 3)`, uint8: a lamp in each lower quarter, and some noise."""
    rng = np.random.default_rng((lamps.seed, 1))
    num_frames, half = round(lamps.length_in_s * FRAME_RATE), size // 2
    frames = rng.normal(DARK, 6, (num_frames, size, size, 3)).astype(np.float32)
    for time, lamp in zip(lamps.times_in_s, lamps.which, strict=True):
        first, last = (np.clip(round(edge * FRAME_RATE), 0, num_frames) for edge in (time, time + FLASH_IN_S))
        left = half * lamp
        frames[first:last, half:, left : left + half] += np.array(COLOURS[lamp]) - DARK
    return frames.clip(0, 255).astype(np.uint8)


def sound_lamps(lamps: Lamps, late_by_s: float = 0.0) -> np.ndarray:
    """The tones, shifted: `(num_samples,)`, float32."""
    rng = np.random.default_rng((lamps.seed, 2))
    sound = rng.normal(0, 1e-3, round(lamps.length_in_s * SAMPLING_RATE))
    since = np.arange(round(4 * TONE_DECAY_IN_S * SAMPLING_RATE)) / SAMPLING_RATE
    envelope = 0.5 * np.exp(-since / TONE_DECAY_IN_S)
    for time, lamp in zip(lamps.times_in_s, lamps.which, strict=True):
        tone = envelope * np.sin(2 * np.pi * TONES_IN_HZ[lamp] * since)
        start = round((time + late_by_s) * SAMPLING_RATE)
        first, last = np.clip((start, start + len(tone)), 0, len(sound))
        sound[first:last] += tone[first - start : last - start]
    return sound.astype(np.float32)


def film_lamps(lamps: Lamps, size: int = 64) -> bytes:
    """A video file without sound."""
    return encode_video(picture_lamps(lamps, size), FRAME_RATE)
