# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""How long speech lasts, in frames and samples: the arithmetic between a transcript and its waveform.

F5-TTS (arXiv 2410.06885; original code: SWivid/F5-TTS, MIT) makes a mel spectrogram that begins with the frames of the
reference speech and goes on with the new ones. A long text is spoken in passages, one run of the network each.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

from ..errors import InputError


# Below this many bytes the rate of the reference tells little, and the original slows down to be safe.
SHORT_TEXT_IN_BYTES = 10
SHORT_TEXT_SPEED = 0.3
# Reference and new speech together; the networks were trained on up to 30 s and are best well below.
PASSAGE_LIMIT_IN_S = 22
# One character of UTF-8 takes up to four.
MIN_PASSAGE_IN_BYTES = 4


@dataclass(frozen=True)
class MelFrames:
    """Frames and samples of a mel spectrogram.

    Args:
        hop_length (`int`): Samples from one frame to the next.
        centered (`bool`): Whether frame `i` is centred on sample `i * hop_length` (`mel_type="vocos"`), so that `n`
            frames span `n - 1` hops, or covers the hop that begins there (`"bigvgan"`).
    """

    hop_length: int
    centered: bool

    def frames_of_waveform(self, num_samples: int) -> int:
        """Frames of the mel spectrogram of a waveform."""
        return num_samples // self.hop_length + self.centered

    def frames_after_prompt(self, num_samples: int) -> int:
        """Frames to generate after a prompt for at least `num_samples` samples.

        With centred frames, samples lie between two frames. The hop between the last frame of the prompt and the first
        generated one is half prompt and is not used.
        """
        return math.ceil(num_samples / self.hop_length) + self.centered

    def samples_after_prompt(self, num_frames: int) -> int:
        """Samples that `num_frames` frames after a prompt give; undoes `frames_after_prompt`."""
        return (num_frames - self.centered) * self.hop_length


def estimate_speech_frames(text_in_bytes: int, reference_in_bytes: int, num_reference_hops: int, speed: float) -> int:
    """Hops that a text takes at the rate of the reference speech, as the original estimates it: by bytes of UTF-8."""
    if text_in_bytes < SHORT_TEXT_IN_BYTES:
        speed *= SHORT_TEXT_SPEED
    return int(num_reference_hops / reference_in_bytes * text_in_bytes / speed)


def passage_limit_in_bytes(reference_in_bytes: int, reference_length_in_s: float, speed: float) -> int:
    """How much text fits into one passage beside the reference speech.

    Raises:
        InputError: When the reference leaves no room.
    """
    room_in_s = PASSAGE_LIMIT_IN_S - reference_length_in_s
    limit = int(reference_in_bytes / reference_length_in_s * room_in_s * speed) if room_in_s > 0 else 0
    if limit < MIN_PASSAGE_IN_BYTES:
        raise InputError(
            f"The reference speech lasts {reference_length_in_s:.1f} s and leaves no room for new speech; reference "
            f"and new speech share {PASSAGE_LIMIT_IN_S} s. Pass about 10 s of speech, or let `trim` shorten it."
        )
    return limit


def fit_passages(
    estimates: list[int], joined: list[bool], overlap: int, num_samples: int | None = None
) -> tuple[list[int], list[int]]:
    """Lengths of passages that together last `num_samples` samples exactly.

    Args:
        estimates (`list[int]`): Samples that each passage would take.
        joined (`list[bool]`): For each passage, whether it is cross-faded with the one before; `False` for the first.
        overlap (`int`): Samples of a cross-fade. It is shortened where a passage is not at least twice as long.
        num_samples (`int`, *optional*): Samples of the whole; without it every passage keeps its estimate.

    Returns:
        `tuple[list[int], list[int]]`: Samples of each passage, and how many of them overlap the passage before.
    """
    total = sum(estimates)
    whole = total if num_samples is None else num_samples
    overlap = min(overlap, min(estimates) * whole // total // 2)
    overlaps = [overlap * is_joined for is_joined in joined]
    if num_samples is None:
        return list(estimates), overlaps
    # Rounding the ends and not the lengths keeps the sum exact.
    to_share = num_samples + sum(overlaps)
    ends = [sum(estimates[: i + 1]) * to_share // total for i in range(len(estimates))]
    return [end - start for start, end in pairwise([0, *ends])], overlaps
