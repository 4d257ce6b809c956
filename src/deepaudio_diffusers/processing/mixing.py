# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""From stems to a soundtrack: speech in its place, ambience that makes room for it, and a mix that does not clip.

A stem is what one half of DeepAudio made for a clip. All stems of a mix have one sampling rate, which
[`~deepaudio_diffusers.processing.audio.resample`] gives them. Results are float32 and lie on the device of the stems.
"""

import math
from numbers import Integral

import torch
import torch.nn.functional as F

from ..errors import InputError
from .audio import check_count, check_length, check_waveform, resample
from .sequence import number


STEM_SHAPE = "(batch_size, num_channels, num_samples)"

# Two gates as in ITU-R BS.1770, on frames that are short enough for the pauses of speech.
LEVEL_FRAME_IN_S = 0.1
SILENCE_LEVEL_IN_DB = -60.0
RELATIVE_LEVEL_IN_DB = -10.0

# True peaks lie between samples; ITU-R BS.1770 looks for them at four times the sampling rate.
PEAK_OVERSAMPLING = 4
# So little below full scale that it is not heard, and so much that rounding does not lead above it.
PEAK_CEILING = 1 - 1e-6

# Far beyond what is heard, and far from what float32 can hold.
MAX_LEVEL_IN_DB = 200.0


def place(speech: torch.Tensor, start: int, num_samples: int, num_fade_samples: int = 128) -> torch.Tensor:
    """Put a stem into silence, with short fades at its edges, which would click otherwise.

    Args:
        speech (`torch.Tensor` of shape `(batch_size, num_channels, num_speech_samples)`): The stem.
        start (`int`): Index of its first sample in the result.
        num_samples (`int`): Length of the result.
        num_fade_samples (`int`, defaults to 128):
            Samples of the stem that fade in, and as many that fade out, by half a period of a cosine; fewer where the
            stem is too short for both. 0 leaves the stem as it is.

    Returns:
        `torch.Tensor` of shape `(batch_size, num_channels, num_samples)`: The stem from `start` on; zeros elsewhere.

    Raises:
        InputError: If the stem has another shape, is not finite or does not fit into the result, or a number of
            samples is not a whole number or negative.
    """
    check_waveform("speech", speech, STEM_SHAPE, 3)
    check_count("num_samples", num_samples)
    for name, value in (("start", start), ("num_fade_samples", num_fade_samples)):
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 0:
            raise InputError(f"`{name}` is {value!r}; pass a number of samples, at least 0.")
    length = speech.shape[-1]
    if start + length > num_samples:
        raise InputError(
            f"`speech` has {length} samples and starts at {start}, so it ends {start + length - num_samples} samples "
            f"after the end of the result, which has {num_samples}. Cut it, make it shorter, or start it earlier."
        )
    # The fades would reach silence one sample before and after the stem.
    distance = torch.arange(1, length + 1, device=speech.device)
    distance = torch.minimum(distance, distance.flip(0))
    gain = _smooth(distance / (min(num_fade_samples, length // 2) + 1))
    return F.pad(speech.float() * gain, (start, num_samples - start - length))


def match_loudness(
    ambience: torch.Tensor, speech: torch.Tensor, sampling_rate: int, speech_above_ambience_in_db: float
) -> torch.Tensor:
    """Scale the ambience so that the speech is louder than it by as much as is wanted.

    The speech keeps its level, which is that of the voice prompt, while nothing determines that of generated ambience.
    Loudness is the root mean square over all channels of the frames of 0.1 s in which a stem is active: those above
    -60 dB of full scale whose level is not more than 10 dB below that of all these together. So neither pauses nor
    silence around a sound make it softer.

    Args:
        ambience (`torch.Tensor` of shape `(batch_size, num_channels, num_samples)`): The stem to scale.
        speech (`torch.Tensor` of shape `(batch_size, num_channels, num_samples)`):
            The stem to compare it with; numbers of channels and samples may be others.
        sampling_rate (`int`): Samples per second of both.
        speech_above_ambience_in_db (`float`): Level of the speech over that of the ambience; negative if softer.

    Returns:
        `torch.Tensor` of the shape of `ambience`: The scaled ambience; unchanged where one of both is silent.

    Raises:
        InputError: If a stem has another shape or is not finite, their batch sizes differ, the rate is not a positive
            integer, or the level is not a finite number.
    """
    check_waveform("ambience", ambience, STEM_SHAPE, 3)
    check_waveform("speech", speech, STEM_SHAPE, 3)
    check_count("sampling_rate", sampling_rate)
    if len(ambience) != len(speech):
        raise InputError(f"`ambience` has {len(ambience)} items and `speech` has {len(speech)}; pass as many of both.")
    _check_level("speech_above_ambience_in_db", speech_above_ambience_in_db)

    ambience_power, speech_power = (_active_power(stem.float(), sampling_rate) for stem in (ambience, speech))
    gain = (speech_power / ambience_power).sqrt() * 10 ** (-speech_above_ambience_in_db / 20)
    gain = torch.where((ambience_power > 0) & (speech_power > 0), gain, 1.0)
    return ambience.float() * gain[:, None, None]


def _active_power(stem: torch.Tensor, sampling_rate: int) -> torch.Tensor:
    """Mean square of the active frames of each item, 0 where there are none: `(batch_size,)`."""
    frame_length = max(1, round(LEVEL_FRAME_IN_S * sampling_rate))
    squares = stem.square().mean(1)
    # The last frame may be shorter.
    starts = torch.arange(0, squares.shape[-1], frame_length, device=stem.device)
    lengths = (squares.shape[-1] - starts).clamp(max=frame_length)
    missing = len(starts) * frame_length - squares.shape[-1]
    sums = F.pad(squares, (0, missing)).unflatten(-1, (-1, frame_length)).sum(-1)

    active = sums / lengths > 10 ** (SILENCE_LEVEL_IN_DB / 10)
    mean = (sums * active).sum(-1) / (lengths * active).sum(-1).clamp(min=1)
    active &= sums / lengths > mean[:, None] * 10 ** (RELATIVE_LEVEL_IN_DB / 10)
    return (sums * active).sum(-1) / (lengths * active).sum(-1).clamp(min=1)


def duck(
    ambience: torch.Tensor,
    spans: list[list[tuple[float, float]]],
    sampling_rate: int,
    *,
    depth_in_db: float = 9.0,
    attack_in_s: float = 0.1,
    release_in_s: float = 0.4,
) -> torch.Tensor:
    """Turn the ambience down while somebody speaks.

    The gain in dB falls by half a period of a cosine before a span and rises so after it. It has its full depth in the
    whole span, because nothing here has to wait for the speech before it can hear it, so the first syllable finds the
    ambience turned down. Between spans that are closer than `attack_in_s + release_in_s` it rises less or not at all.

    Args:
        ambience (`torch.Tensor` of shape `(batch_size, num_channels, num_samples)`): The stem to turn down.
        spans (`list[list[tuple[float, float]]]`):
            For each item of the batch, begin and end in seconds of each span with speech, as
            [`~deepaudio_diffusers.processing.knowledge.voiced_spans`] finds them in the energy contour of the speech.
            Spans may overlap, and end after the ambience does.
        sampling_rate (`int`): Samples per second of the ambience.
        depth_in_db (`float`, defaults to 9.0): By how much; 0 changes nothing.
        attack_in_s (`float`, defaults to 0.1): How long the gain falls before a span.
        release_in_s (`float`, defaults to 0.4): How long it rises after a span.

    Returns:
        `torch.Tensor` of the shape of `ambience`: The ambience; unchanged bit for bit where nobody speaks.

    Raises:
        InputError: If the ambience has another shape or is not finite, there are not as many lists of spans as items,
            a span does not end after it begins or begins before 0 s, the rate is not a positive integer, the depth is
            negative, or the attack or release is not positive.
    """
    check_waveform("ambience", ambience, STEM_SHAPE, 3)
    check_count("sampling_rate", sampling_rate)
    check_length("attack_in_s", attack_in_s)
    check_length("release_in_s", release_in_s)
    _check_level("depth_in_db", depth_in_db)
    if depth_in_db < 0:
        raise InputError(f"`depth_in_db` is {depth_in_db:g}; expected by how much to turn down, at least 0.")
    batch_size, _, num_samples = ambience.shape
    if not isinstance(spans, list) or len(spans) != batch_size or not all(isinstance(item, list) for item in spans):
        raise InputError(
            f"`spans` is {spans!r}; expected a list of {batch_size} lists of spans, one for each item of `ambience`."
        )

    index = torch.arange(num_samples, device=ambience.device)
    attack, release = (max(1, round(length * sampling_rate)) for length in (attack_in_s, release_in_s))
    # What is left of the way to full depth, as a product, in which close and overlapping spans meet without an edge.
    rest = torch.ones(batch_size, num_samples, device=ambience.device)
    for item, item_spans in zip(rest, spans, strict=True):
        for span in item_spans:
            start, end = _samples_of_span(span, sampling_rate)
            item *= 1 - _smooth(torch.minimum((index - start) / attack + 1, (end - index) / release + 1))
    return ambience.float() * (10 ** (-depth_in_db / 20 * (1 - rest)))[:, None]


def mix_stems(stems: list[torch.Tensor], gains_in_db: list[float]) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Add stems up; where the sum would clip, turn it down as a whole.

    Each item of the batch is scaled by itself, and all its stems by the same factor, so that the balance between them
    stays and they still add up. The peak is the true one: the largest value that the continuous signal takes, also
    between samples, where a player or an encoder finds it.

    Args:
        stems (`list[torch.Tensor]`, each of shape `(batch_size, num_channels, num_samples)`):
            At one sampling rate and equally long.
        gains_in_db (`list[float]`): For each stem, by how much to change its level; 0 leaves it as it is.

    Returns:
        `tuple[torch.Tensor, list[torch.Tensor]]`: The mix, in `[-1, 1]`, and the stems as they are in it. The sum of
        the stems in this order is the mix, bit for bit.

    Raises:
        InputError: If there are no stems, they are not finite or differ in shape or device, or there are not as many
            finite gains as stems.
    """
    if not isinstance(stems, list | tuple) or len(stems) == 0:
        raise InputError(f"`stems` is {type(stems).__name__} without stems; pass a list of at least one tensor.")
    for index, stem in enumerate(stems):
        check_waveform(f"stems[{index}]", stem, STEM_SHAPE, 3)
        if stem.shape != stems[0].shape or stem.device != stems[0].device:
            raise InputError(
                f"`stems[{index}]` has shape {tuple(stem.shape)} on {stem.device} and `stems[0]` has "
                f"{tuple(stems[0].shape)} on {stems[0].device}; bring them to one sampling rate with `resample`, to "
                "one length with `place` and to one number of channels with `expand`."
            )
    if not isinstance(gains_in_db, list | tuple) or len(gains_in_db) != len(stems):
        raise InputError(f"`gains_in_db` is {gains_in_db!r}; pass a list of {len(stems)} levels, one for each stem.")
    for index, gain_in_db in enumerate(gains_in_db):
        _check_level(f"gains_in_db[{index}]", gain_in_db)

    stems = [stem.float() * 10 ** (gain_in_db / 20) for stem, gain_in_db in zip(stems, gains_in_db, strict=True)]
    mix = sum(stems)
    # The samples themselves too, because the filter passes nothing at half the sampling rate.
    peak = torch.maximum(mix.abs().amax((1, 2)), resample(mix, 1, PEAK_OVERSAMPLING).abs().amax((1, 2)))
    factor = torch.where(peak > 1, PEAK_CEILING / peak, 1.0)[:, None, None]
    stems = [stem * factor for stem in stems]
    return sum(stems), stems


def _samples_of_span(span: tuple[float, float], sampling_rate: int) -> tuple[int, int]:
    if not isinstance(span, list | tuple) or len(span) != 2:
        raise InputError(f"`spans` has the span {span!r}; expected its begin and end in seconds.")
    start_in_s, end_in_s = (number("A time in `spans`", time) for time in span)
    if not 0 <= start_in_s < end_in_s < math.inf:
        raise InputError(
            f"`spans` has a span from {start_in_s} s to {end_in_s} s; expected times from 0 s on, of which the second "
            "is later."
        )
    return round(start_in_s * sampling_rate), round(end_in_s * sampling_rate)


def _smooth(position: torch.Tensor) -> torch.Tensor:
    """From 0 at 0 and below to 1 at 1 and above, on half a period of a cosine."""
    return 0.5 - 0.5 * torch.cos(math.pi * position.clamp(0, 1))


def _check_level(name: str, level_in_db: float) -> None:
    # Written so that NaN fails too.
    if not -MAX_LEVEL_IN_DB <= number(f"`{name}`", level_in_db) <= MAX_LEVEL_IN_DB:
        raise InputError(
            f"`{name}` is {level_in_db}; expected a level in dB between {-MAX_LEVEL_IN_DB:g} and {MAX_LEVEL_IN_DB:g}."
        )
