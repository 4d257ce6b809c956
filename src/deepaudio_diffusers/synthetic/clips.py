# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Clips of the world: picture, sound, prompt and all that is known about them, from a seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import InputError
from . import puppet
from .acoustics import SAMPLING_RATE
from .canvas import Canvas, Placement
from .looks import LookRanges, finish, paint_background, ranges_of, sample_camera
from .scenes import FOLEY, FOLEY_CLASSES, Action, Stage, describe
from .scenes.stage import FRAME_RATE
from .sentences import sample_sentence
from .speech import Utterance, synthesize_utterance


NUM_FRAMES = 96
SIZE = 64
NUM_SAMPLES = NUM_FRAMES * SAMPLING_RATE // FRAME_RATE
LENGTH_IN_S = NUM_FRAMES / FRAME_RATE
TALK = "talk"
CLASSES = (*FOLEY_CLASSES, TALK)
"""All that can sound."""

# Seeds of clips, by split: the first, and the one after the last.
SEED_RANGES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "train": (0, 100_000_000),
        "validation": (100_000_000, 200_000_000),
        "test": (200_000_000, 300_000_000),
        "test_unseen_looks": (300_000_000, 400_000_000),
    }
)
SPLITS = tuple(SEED_RANGES)

# Shares of the clips; the rest has one foley object alone.
TALK_SHARE = 0.22
TALK_WITH_FOLEY_SHARE = 1 / 3
PAIR_SHARE = 0.2
# Of the clips with two objects, those in which both are named and sound; in the others one of them does.
BOTH_SOUND_SHARE = 0.5

SPEAKERS = ("slt", "rms", "awb", "kal16")
SPEAKER_SHARES = (0.4, 0.4, 0.1, 0.1)
LONGEST_SPEECH_IN_S = 3.3
# What is seen in clips in which the prompt decides, in turns: blocks, sirens and strings, and any two objects.
_CHOICES = (("block",), ("siren",), ("pluck",), None)
# Gain of foley beside speech.
FOLEY_GAIN = (0.3, 0.6)
NOISE_FLOOR = 4e-4
HIGHEST_PEAK = 0.97
# Keeps the random numbers of clips apart from those of others with the same seeds.
_STREAM = 1
_STREAM_OF_CHOICES = 3


@dataclass(frozen=True, eq=False)
class Clip:
    """A clip.

    Args:
        video (`np.ndarray` of shape `(96, 64, 64, 3)`): uint8, 25 frames a second.
        audio (`np.ndarray` of shape `(61440,)`): float32 at 16 kHz. Its level is not normalised.
        speech (`np.ndarray` of shape `(61440,)`): The speech in `audio`, where there is more; else `None`.
        metadata: What the clip is, ready for JSON; the data card of the world explains its fields.
    """

    video: np.ndarray
    audio: np.ndarray
    speech: np.ndarray | None
    metadata: dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Part:
    """What one object adds to a clip; its waveform is `(num_samples,)`."""

    label: str
    waveform: np.ndarray
    prompt: str
    strikes: Sequence[tuple[float, float]]
    choices: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class _Speech:
    utterance: Utterance
    start_in_s: float


def make_clip(seed: int, split: str, *, visible: Sequence[str] | None = None) -> Clip:
    """Make a clip.

    Args:
        seed: Determines all of it. Each split has seeds of its own; see [`SEED_RANGES`].
        split: `"train"`, `"validation"`, `"test"` or `"test_unseen_looks"`: which looks and sentences occur.
        visible: The class of the object that is seen, or of two side by side, of which one may be `"talk"`. By default
            the seed decides.

    Raises:
        InputError: The split or a class is unknown, the seed belongs to another split, or flite, which speaks, is not
            installed.
    """
    if split not in SEED_RANGES:
        raise InputError(f"`split` is {split!r}; choose one of {', '.join(map(repr, SPLITS))}.")
    first, end = SEED_RANGES[split]
    if not first <= seed < end:
        raise InputError(f"`seed` is {seed}; the split {split!r} has the seeds from {first} to {end - 1}.")
    rng = np.random.default_rng((seed, _STREAM))
    labels = _draw_labels(rng) if visible is None else _check_labels(visible)

    ranges = ranges_of(split)
    frame_times = (np.arange(NUM_FRAMES) + 0.5) / FRAME_RATE
    canvas = Canvas(sample_camera(rng, ranges, frame_times), SIZE)
    paint_background(rng, ranges, canvas)
    stage = Stage(canvas, rng, ranges, frame_times)

    speech = _draw_speech(rng, split) if TALK in labels else None
    parts = []
    for label, placement in zip(labels, _placements(rng, ranges, len(labels)), strict=True):
        with canvas.placed(placement):
            parts.append(_perform(stage, label, speech))
    sounding = _draw_sounding(rng, parts)
    audio, voice = _mix(rng, sounding)
    return Clip(finish(rng, canvas), audio, voice, _metadata(seed, split, labels, sounding, speech))


def draw_choice(seed: int, index: int) -> tuple[str, ...]:
    """What is seen in the clip with this index of those in which the prompt decides: one class, or two of foley."""
    visible = _CHOICES[index % len(_CHOICES)]
    if visible is None:
        return draw_pair(np.random.default_rng((seed, _STREAM_OF_CHOICES)))
    return visible


def draw_pair(rng: np.random.Generator) -> tuple[str, str]:
    """Two different classes of foley, in any order."""
    return tuple(rng.permutation(FOLEY_CLASSES)[:2].tolist())


def _draw_labels(rng: np.random.Generator) -> tuple[str, ...]:
    foley = draw_pair(rng)
    kind, with_foley = rng.random(2)
    if kind < TALK_SHARE:
        labels = [TALK, foley[0]] if with_foley < TALK_WITH_FOLEY_SHARE else [TALK]
    else:
        labels = foley if kind < TALK_SHARE + PAIR_SHARE else foley[:1]
    return tuple(rng.permutation(labels).tolist())


def _check_labels(visible: Sequence[str]) -> tuple[str, ...]:
    unknown = [label for label in visible if label not in CLASSES]
    if unknown:
        raise InputError(f"`visible` has {unknown[0]!r}; choose from {', '.join(map(repr, CLASSES))}.")
    if not 1 <= len(visible) <= 2 or tuple(visible) == (TALK, TALK):
        raise InputError(f"`visible` is {tuple(visible)!r}; pass one class or two, of which one may be {TALK!r}.")
    return tuple(visible)


def _placements(rng: np.random.Generator, ranges: LookRanges, number: int) -> list[Placement]:
    """Places for one object or for two side by side, within the picture."""
    places = []
    for i in range(number):
        scale = rng.uniform(*(ranges.scale if number == 1 else ranges.half_scale))
        middle = 0.5 if number == 1 else 0.5 + (-1, 1)[i] * ranges.half_offset
        room = (1 - scale) / 2 if number == 1 else 0.01
        places.append(Placement(middle + rng.uniform(-room, room), 0.5 + rng.uniform(-0.1, 0.1) * (1 - scale), scale))
    return places


def _draw_speech(rng: np.random.Generator, split: str) -> _Speech:
    speaker = SPEAKERS[rng.choice(len(SPEAKERS), p=SPEAKER_SHARES)]
    utterance = synthesize_utterance(rng, speaker, sample_sentence(rng, split), LONGEST_SPEECH_IN_S)
    room_in_s = LENGTH_IN_S - len(utterance.waveform) / SAMPLING_RATE
    # A whole sample, so that the times of phones stay exact.
    start_in_s = round(rng.uniform(0.05, room_in_s - 0.05) * SAMPLING_RATE) / SAMPLING_RATE
    return _Speech(utterance, start_in_s)


def _perform(stage: Stage, label: str, speech: _Speech | None) -> _Part:
    if label == TALK:
        waveform = puppet.play(stage, speech.utterance, speech.start_in_s)
        prompt = puppet.TEMPLATES[stage.rng.integers(len(puppet.TEMPLATES))]
        return _Part(label, waveform, prompt, (), {})
    action: Action = FOLEY[label](stage)
    prompt = describe(stage.rng, label, action)
    return _Part(label, action.waveform, prompt, action.strikes, action.choices)


def _draw_sounding(rng: np.random.Generator, parts: list[_Part]) -> list[_Part]:
    """The parts that sound, in the order in which the prompt names them."""
    named = [parts[i] for i in rng.permutation(len(parts))]
    return named[:1] if len(parts) == 2 and rng.random() >= BOTH_SOUND_SHARE else named


def _mix(rng: np.random.Generator, sounding: list[_Part]) -> tuple[np.ndarray, np.ndarray | None]:
    """The sound of the clip, and the speech in it where there is more."""
    voice = next((part.waveform for part in sounding if part.label == TALK), None)
    foley_gain = 1.0 if voice is None else rng.uniform(*FOLEY_GAIN)
    mix = NOISE_FLOOR * rng.standard_normal(NUM_SAMPLES)
    for part in sounding:
        mix += part.waveform if part.label == TALK else foley_gain * part.waveform
    # Rarely needed: levels tell how hard a blow was.
    gain = min(1.0, HIGHEST_PEAK / np.abs(mix).max())
    has_stem = voice is not None and len(sounding) > 1
    return (gain * mix).astype(np.float32), (gain * voice).astype(np.float32) if has_stem else None


def _metadata(
    seed: int,
    split: str,
    labels: Sequence[str],
    sounding: list[_Part],
    speech: _Speech | None,
) -> dict[str, Any]:
    strikes = sorted((time, part.label, strength) for part in sounding for time, strength in part.strikes)
    events = [
        {"time_in_s": _rounded(time), "class": label, "strength": _rounded(strength)}
        for time, label, strength in strikes
    ]
    spoken = dict.fromkeys(("transcript", "sentence_kind", "speaker", "phones", "words"))
    if speech is not None and any(part.label == TALK for part in sounding):
        utterance, start = speech.utterance, speech.start_in_s
        spoken = {
            "transcript": utterance.text,
            "sentence_kind": "grid",
            "speaker": utterance.speaker,
            "phones": shifted(utterance.phones, start),
            "words": shifted(utterance.words, start),
        }
    return {
        "split": split,
        "seed": seed,
        "duration_in_s": LENGTH_IN_S,
        "prompt": " and ".join(part.prompt for part in sounding),
        "classes": [part.label for part in sounding],
        "visible": list(labels),
        "events": events,
        "choices": {name: value for part in sounding for name, value in part.choices.items()},
        **spoken,
    }


def shifted(spans: Sequence[tuple[str, float, float]], offset_in_s: float) -> list[list]:
    """Names with begins and ends in s, ready for JSON, so much later."""
    return [[name, _rounded(start + offset_in_s), _rounded(end + offset_in_s)] for name, start, end in spans]


def _rounded(value: float) -> float:
    """To a digit that says more than a sample, and less than rounding errors."""
    return round(float(value), 6)
