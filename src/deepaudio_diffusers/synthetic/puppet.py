# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A talking puppet: its mouth opens with the loudness of real synthesised speech and is as wide as the phone wants."""

from dataclasses import dataclass

import numpy as np

from .acoustics import SAMPLING_RATE
from .scenes.stage import Stage, smooth
from .speech import Utterance


TEMPLATES = (
    "a puppet talking",
    "a talking puppet",
    "a puppet speaks",
    "a puppet saying a sentence",
    "speech of a puppet",
)
# Phones of flite that are spoken with round, spread or closed lips; all others leave the mouth as it is.
ROUND_PHONES = frozenset({"ao", "ow", "oy", "r", "er", "sh", "ch", "jh", "uh", "uw", "w", "zh"})
SPREAD_PHONES = frozenset({"ae", "eh", "ey", "ih", "iy", "s", "y", "z"})
CLOSED_PHONES = frozenset({"b", "m", "p"})
ROUND, NEUTRAL, SPREAD = 0.35, 0.65, 1.0
# The voice is heard in a frame through a window of this length.
WINDOW_IN_S = 0.07


@dataclass(frozen=True)
class Face:
    """What tells one speaker from another.

    Args:
        skin: Red, green and blue.
        hair: The same.
        half_width: Of the head.
        half_height: Of the head.
    """

    skin: tuple[int, int, int]
    hair: tuple[int, int, int]
    half_width: float
    half_height: float


FACES = {
    "slt": Face((240, 190, 165), (150, 60, 40), 0.31, 0.37),
    "rms": Face((135, 170, 235), (40, 45, 90), 0.42, 0.43),
    "awb": Face((160, 215, 130), (60, 100, 30), 0.28, 0.44),
    "kal16": Face((190, 190, 200), (90, 90, 100), 0.44, 0.34),
}


def play(stage: Stage, utterance: Utterance, start_in_s: float) -> np.ndarray:
    """Draw the puppet while it says something.

    Args:
        stage: Where and when.
        utterance: What it says.
        start_in_s: When it begins to.

    Returns:
        `np.ndarray` of shape `(num_samples,)`: Its voice, float64, with silence before and after.
    """
    voice = stage.silence()
    start = round(start_in_s * SAMPLING_RATE)
    voice[start : start + len(utterance.waveform)] = utterance.waveform
    opening = mouth_opening(voice, stage.frame_times)
    width = _mouth_width(stage.frame_times - start_in_s, utterance)
    closed = _is_spoken(stage.frame_times - start_in_s, utterance, CLOSED_PHONES)
    _draw(stage, FACES[utterance.speaker], opening * np.where(closed, 0.2, 1.0), width)
    return voice


def mouth_opening(voice: np.ndarray, frame_times: np.ndarray) -> np.ndarray:
    """How far the mouth is open in each frame, from 0 to 1: the loudness of the voice about its middle.

    Args:
        voice (`np.ndarray` of shape `(num_samples,)`): At 16 kHz.
        frame_times (`np.ndarray` of shape `(num_frames,)`): Middle of each frame in s.

    Returns:
        `np.ndarray` of shape `(num_frames,)`: 1 where the voice is loudest.
    """
    half = round(WINDOW_IN_S / 2 * SAMPLING_RATE)
    window = np.hanning(2 * half + 2)[1:-1]
    power = np.pad(voice.astype(np.float64) ** 2, half)
    starts = np.round(frame_times * SAMPLING_RATE).astype(int)
    level = np.sqrt(np.array([power[start : start + 2 * half] @ window for start in starts]))
    # Compressed, so that quiet syllables can be seen, too.
    return (level / max(level.max(), 1e-9)) ** 0.75


def _is_spoken(times: np.ndarray, utterance: Utterance, phones: frozenset[str]) -> np.ndarray:
    """Whether one of `phones` is spoken at each of the `times`, counted from the start of the utterance."""
    spoken = np.zeros(len(times), bool)
    for phone, start, end in utterance.phones:
        if phone in phones:
            spoken |= (times >= start) & (times < end)
    return spoken


def _mouth_width(times: np.ndarray, utterance: Utterance) -> np.ndarray:
    round_lips, spread_lips = (_is_spoken(times, utterance, phones) for phones in (ROUND_PHONES, SPREAD_PHONES))
    return smooth(np.select([round_lips, spread_lips], [ROUND, SPREAD], NEUTRAL), 3)


def _draw(stage: Stage, face: Face, opening: np.ndarray, width: np.ndarray) -> None:
    rng, canvas, times = stage.rng, stage.canvas, stage.frame_times
    half_width, half_height = face.half_width * rng.uniform(0.95, 1.05), face.half_height * rng.uniform(0.95, 1.05)
    skin = np.minimum(np.array(face.skin) * rng.uniform(0.9, 1.05), 255)
    # The head nods a little, on its own and with the voice.
    x = 0.5 + 0.012 * np.sin(2 * np.pi * rng.uniform(0.2, 0.6) * times + rng.uniform(0, 6))
    y = 0.5 + 0.012 * np.sin(2 * np.pi * rng.uniform(0.2, 0.6) * times + rng.uniform(0, 6)) - 0.012 * opening

    canvas.box(0.5, 0.97, 0.2, 0.06, 0.5 * skin)
    canvas.ellipse(x, y - 0.04, 1.06 * half_width, 1.03 * half_height, face.hair)
    canvas.ellipse(x, y + 0.04, half_width, 0.94 * half_height, skin)
    blinking = np.zeros(len(times), bool)
    for blink in rng.uniform(0, stage.length_in_s, 2):
        blinking |= np.abs(times - blink) < 0.06
    lids = np.where(blinking, 0.15, 1.0)
    for side in (-1, 1):
        canvas.ellipse(x + side * 0.42 * half_width, y - 0.12, 0.065, 0.06 * lids, (250, 250, 250))
        canvas.circle(x + side * 0.42 * half_width, y - 0.115, 0.028, (20, 20, 30), lids > 0.5)

    mouth_y = y + 0.17
    # Lips at rest are a thin line.
    across, along = 0.19 * width + 0.02, 0.016 + 0.125 * opening * (1.15 - 0.3 * width)
    canvas.ellipse(x, mouth_y, across + 0.028, along + 0.024, (185, 50, 65))
    canvas.ellipse(x, mouth_y, across, along, (35, 5, 15), np.clip(opening / 0.12, 0, 1))
