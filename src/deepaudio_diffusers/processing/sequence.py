# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""How many latents, frames, tokens and samples a clip of a given length has.

Cheng et al., "Taming Multimodal Joint Training for High-Quality Video-to-Audio Synthesis" (arXiv 2412.15322); original
code: hkchengrex/MMAudio (MIT). This is the only module that computes such numbers. The order of the floating-point
operations is the original's, because `int` and `ceil` turn a last-bit difference into a whole frame.
"""

import math
from dataclasses import dataclass, field
from numbers import Real

from ..errors import InputError


# Frame rates of the two visual streams.
CLIP_FRAMES_PER_SECOND = 8
SYNC_FRAMES_PER_SECOND = 25
# Synchformer sees overlapping segments and gives one token for every second frame of each.
SYNC_SEGMENT_FRAMES = 16
SYNC_SEGMENT_STRIDE = 8
SYNC_TOKENS_PER_SEGMENT = 8
# Mel frames per latent.
LATENT_DOWNSAMPLING = 2
# One Synchformer segment; the network has no features for anything shorter.
MIN_DURATION_IN_S = SYNC_SEGMENT_FRAMES / SYNC_FRAMES_PER_SECOND


@dataclass(frozen=True)
class MMAudioSequenceLengths:
    """Every length that belongs to a clip, from [`MMAudioSequenceLengths.from_duration`].

    Args:
        duration_in_s (`float`): Length of the clip. Not compared: clips with equal numbers are equally long.
        num_latents (`int`): Audio latents; rounded up, so that they cover the clip.
        num_clip_frames (`int`): Frames for the CLIP encoder, 8 a second.
        num_sync_frames (`int`): Frames for Synchformer, 25 a second.
        num_sync_segments (`int`): Segments of 16 Synchformer frames, one every 8 frames. What is left over is unused.
        num_sync_tokens (`int`): Synchformer features, 8 for each segment.
        num_samples (`int`): Audio samples of the clip; the latents decode to as many or a little more.
    """

    duration_in_s: float = field(compare=False)
    num_latents: int
    num_clip_frames: int
    num_sync_frames: int
    num_sync_segments: int
    num_sync_tokens: int
    num_samples: int

    @classmethod
    def from_duration(cls, duration_in_s: float, sampling_rate: int, hop_length: int) -> "MMAudioSequenceLengths":
        """The lengths of a clip of `duration_in_s` seconds for mel frames of `hop_length` samples.

        Raises:
            InputError: `duration_in_s` is shorter than one Synchformer segment (0.64 s), or not a number.
        """
        duration_in_s = number("The duration (`audio_length_in_s`)", duration_in_s)
        num_latents = math.ceil(_check_duration(duration_in_s) * sampling_rate / hop_length / LATENT_DOWNSAMPLING)
        num_sync_frames = num_sync_frames_of(duration_in_s)
        num_sync_segments = len(segment_sync_frames(num_sync_frames))
        return cls(
            duration_in_s=duration_in_s,
            num_latents=num_latents,
            num_clip_frames=num_clip_frames_of(duration_in_s),
            num_sync_frames=num_sync_frames,
            num_sync_segments=num_sync_segments,
            num_sync_tokens=num_sync_segments * SYNC_TOKENS_PER_SEGMENT,
            num_samples=round(duration_in_s * sampling_rate),
        )


def number(name: str, value: object) -> float:
    """`value` as a float; `InputError`, in which it is called `name`, for anything but a number of Python or numpy."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise InputError(f"{name} is {value!r}, of type {type(value).__name__}; pass a number.")
    return float(value)


def num_clip_frames_of(duration_in_s: float) -> int:
    """Frames for the CLIP encoder in `duration_in_s` seconds; `InputError` for less than 0.64 s."""
    return int(_check_duration(duration_in_s) * CLIP_FRAMES_PER_SECOND)


def num_sync_frames_of(duration_in_s: float) -> int:
    """Frames for Synchformer in `duration_in_s` seconds; `InputError` for less than 0.64 s."""
    return int(_check_duration(duration_in_s) * SYNC_FRAMES_PER_SECOND)


def segment_sync_frames(num_sync_frames: int) -> range:
    """The first frame of every Synchformer segment in a sequence of `num_sync_frames` frames.

    A segment has 16 frames and the next one starts 8 frames later; frames after the last whole segment are left out.

    Raises:
        InputError: There are fewer frames than one segment has.
    """
    if num_sync_frames < SYNC_SEGMENT_FRAMES:
        raise InputError(
            f"`num_sync_frames` is {num_sync_frames}; one segment needs at least {SYNC_SEGMENT_FRAMES} frames "
            f"({MIN_DURATION_IN_S} s). Pass a longer clip."
        )
    return range(0, num_sync_frames - SYNC_SEGMENT_FRAMES + 1, SYNC_SEGMENT_STRIDE)


def num_clip_frames_of_latents(num_latents: int, latents_per_second: float) -> int:
    """Frames for the CLIP encoder beside `num_latents` audio latents; `InputError` for less than 0.64 s."""
    return num_clip_frames_of(num_latents / latents_per_second)


def num_sync_tokens_of_latents(num_latents: int, latents_per_second: float) -> int:
    """Synchformer features beside `num_latents` audio latents; `InputError` for less than 0.64 s."""
    num_sync_frames = num_sync_frames_of(num_latents / latents_per_second)
    return len(segment_sync_frames(num_sync_frames)) * SYNC_TOKENS_PER_SEGMENT


def _check_duration(duration_in_s: float) -> float:
    # Written so that NaN fails too.
    if not MIN_DURATION_IN_S <= duration_in_s < math.inf:
        raise InputError(
            f"The duration is {duration_in_s} s; it has to be at least {MIN_DURATION_IN_S} s, one segment of "
            f"{SYNC_SEGMENT_FRAMES} frames at {SYNC_FRAMES_PER_SECOND} frames a second. Pass a longer clip or a "
            "larger `audio_length_in_s`."
        )
    return duration_in_s
