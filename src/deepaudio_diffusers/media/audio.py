# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Reading the sound of any audio or video file, one block at a time, at its own rate and with its own channels."""

import logging
import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from numbers import Integral, Real

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer

from ..errors import EmptyMediaError, InputError, NoAudioStreamError, UnreadableMediaError
from .isolation import decode_audio_isolated
from .limits import Meter
from .source import (
    MediaFile,
    MediaSource,
    decode_packets,
    open_media,
    read_packets,
    reporting_damage,
    warn_if_cut_off,
)


logger = logging.getLogger(__name__)

# A gap in the times of a track that is longer is silence; shorter ones are rounding of the container.
GAP_IN_S = 0.1
# Entering a file this much earlier lets decoders settle.
SEEK_MARGIN_IN_S = 1.0
# These enter at the place that was asked for and know its exact time.
FORMATS_WITH_INDEX = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "wav", "w64", "aiff"}
# No coder fills up its last blocks by more.
MAX_PADDING_IN_S = 0.1
# Matroska rounds times to milliseconds, so a track of 8 s can end at 7.999 s.
LENGTH_TOLERANCE_IN_S = 2e-3


@dataclass(frozen=True, eq=False)
class DecodedAudio:
    """Sound as it is in a file.

    Args:
        samples (`np.ndarray` of shape `(channels, num_samples)`): float32, in [-1, 1] unless the file has louder ones.
        sampling_rate (`int`): Samples per second.
    """

    samples: np.ndarray
    sampling_rate: int


def read_audio(
    source: MediaSource, track: int = 0, start_in_s: float = 0.0, length_in_s: float | None = None
) -> DecodedAudio:
    """Read the sound of an audio or video file, or a part of it. Rate and channels stay as they are.

    Args:
        source: Path, bytes or seekable binary file object of an audio or video file, or a [`MediaFile`].
        track: Which of the sound tracks, counted from 0.
        start_in_s: Where the part begins, counted from the first sample of the track. Exact to the sample, in Matroska
            (mkv, webm) to the millisecond of its clock.
        length_in_s: Length of the part. By default it reaches to the end of the track.

    Raises:
        InputError: An argument has the wrong type or value, or the track is shorter than what is asked for.
        MediaError: The file cannot be read; `NoAudioStreamError`, `EmptyMediaError`, `LimitExceededError` and
            `UnreadableMediaError` say why. Samples that are NaN or infinite are unreadable.
        UnsafeArtifactError: The source is an address or a playlist.
    """
    if not isinstance(track, Integral) or isinstance(track, bool) or track < 0:
        raise InputError(f"`track` is {track!r}; pass the number of a sound track, counted from 0.")
    start_in_s = _time("`start_in_s`", start_in_s)
    if length_in_s is not None:
        length_in_s = _time("`length_in_s`", length_in_s)
        if length_in_s == 0:
            raise InputError("`length_in_s` is 0; ask for more than nothing.")
    media = MediaFile.of(source)
    blocks = []
    num_samples = 0
    with closing(decode_audio(media, int(track), start_in_s)) as decoded:
        for block in decoded:
            rate = block.sampling_rate
            first = round(start_in_s * rate)
            end = math.inf if length_in_s is None else first + round(length_in_s * rate)
            if block.start >= end:
                break
            samples = block.samples[:, max(0, first - block.start) : int(min(block.end, end)) - block.start]
            num_samples += samples.shape[1]
            media.limits.check(
                "max_audio_samples",
                num_samples * len(samples),
                f"The part of {media.name} has {num_samples:,} samples",
            )
            if samples.shape[1]:
                # A copy, so that nothing is kept of what was cut off.
                blocks.append(samples.copy())
        available_in_s = block.end / rate
    if start_in_s >= available_in_s:
        raise InputError(
            f"`start_in_s` is {start_in_s}, but the sound of {media.name} lasts {available_in_s:.3f} s; begin earlier."
        )
    if length_in_s is not None and start_in_s + length_in_s > available_in_s + LENGTH_TOLERANCE_IN_S:
        raise InputError(
            f"`length_in_s` is {length_in_s}, but the sound of {media.name} has {available_in_s - start_in_s:.3f} s "
            f"from `start_in_s` ({start_in_s}) on; ask for less."
        )
    samples = np.concatenate(blocks, axis=1)
    if not np.isfinite(samples).all():
        raise UnreadableMediaError(f"The sound of {media.name} has NaN or infinite samples; pass an intact file.")
    return DecodedAudio(samples, rate)


@dataclass(frozen=True, eq=False)
class AudioBlock:
    """A stretch of a sound track.

    Args:
        samples (`np.ndarray` of shape `(channels, num_samples)`): float32.
        start (`int`): Number of the first sample, counted from the first one of the track.
        sampling_rate (`int`): Samples per second.
        layout (`str`): FFmpeg's name of the channels, such as `"stereo"`.
        file_start_in_s (`float`): When the track begins, on the clock of the file.
    """

    samples: np.ndarray
    start: int
    sampling_rate: int
    layout: str
    file_start_in_s: float

    @property
    def end(self) -> int:
        """Number of the sample after the last one."""
        return self.start + self.samples.shape[1]


def decode_audio(source: MediaSource, track: int = 0, start_in_s: float = 0.0) -> Iterator[AudioBlock]:
    """Decode a sound track in order; stop iterating to stop decoding.

    Rate and channels are those of its first block throughout. Where the track leaves a gap there is silence.

    Args:
        source: As for [`read_audio`].
        track: As for [`read_audio`].
        start_in_s: The first time of interest. A file with an index is entered shortly before it.
    """
    media = MediaFile.of(source)
    if media.isolated:
        for description, samples in decode_audio_isolated(media, track, start_in_s):
            yield AudioBlock(samples, **description)
        return
    with open_media(media) as container:
        stream = audio_stream(container, media.name, track)
        meter = Meter(media.limits, media.name)
        blocks = meter.timed(_blocks(container, stream, meter))
        first = next(blocks, None)
        if first is None:
            raise EmptyMediaError(f"{media.name} has a sound track without samples; pass a complete file.")
        if start_in_s <= 2 * SEEK_MARGIN_IN_S or container.format.name not in FORMATS_WITH_INDEX:
            yield first
            yield from blocks
            return
        begin_in_s = first.file_start_in_s + start_in_s - SEEK_MARGIN_IN_S
        with reporting_damage(media.name):
            container.seek(int(begin_in_s / stream.time_base), stream=stream)
        blocks = meter.timed(_blocks(container, stream, meter, first))
        entered = next(blocks, None)
        if entered is not None and entered.start <= start_in_s * entered.sampling_rate:
            yield entered
            yield from blocks
            return
    # The index leads past the end or past the place: read from the beginning.
    yield from decode_audio(media, track)


def audio_stream(container: InputContainer, name: str, track: int = 0) -> AudioStream:
    """The sound track number `track`; errors if there is none or it cannot be decoded."""
    streams = container.streams.audio
    if not streams:
        found = ", ".join(sorted({stream.type for stream in container.streams})) or "no stream at all"
        raise NoAudioStreamError(f"{name} has no sound track (found: {found}); pass a file with sound.")
    if track >= len(streams):
        raise InputError(
            f"`track` is {track}, but {name} has {len(streams)} sound track(s), counted from 0; pass a smaller number."
        )
    if streams[track].codec_context is None:
        raise UnreadableMediaError(
            f"The sound of {name} is coded in a way that FFmpeg cannot decode; pass it as wav, for instance."
        )
    return streams[track]


def _blocks(
    container: InputContainer, stream: AudioStream, meter: Meter, first: AudioBlock | None = None
) -> Iterator[AudioBlock]:
    """Decoded blocks from where `container` stands; `first` is the first one of the track where that is another."""
    # Coders fill up their last blocks. Only mp4 and its kin tell how much of them is sound: as long as the track.
    stated_end = math.inf
    block, padded = None, []
    for block in _whole_blocks(container, stream, meter, first):
        if container.format.name.startswith("mov") and stream.duration:
            stated_end = round(stream.duration * stream.time_base * block.sampling_rate)
        if block.end <= stated_end:
            yield block
            continue
        padded.append(block)
        if block.end - stated_end > MAX_PADDING_IN_S * block.sampling_rate:
            # The track is longer than it is stated to be.
            yield from padded
            padded = []
    for last in padded:
        if last.start < stated_end:
            yield replace(last, samples=last.samples[:, : stated_end - last.start])
    if block is not None:
        end = min(block.end, stated_end) if padded else block.end
        warn_if_cut_off(container, stream, meter.name, end / block.sampling_rate)


def _whole_blocks(
    container: InputContainer, stream: AudioStream, meter: Meter, first: AudioBlock | None
) -> Iterator[AudioBlock]:
    resampler = source_kind = position = None
    with reporting_damage(meter.name):
        for frame in decode_packets(read_packets(container, stream, meter), meter):
            time = Fraction(0) if frame.pts is None else frame.pts * frame.time_base
            if first is None:
                first = AudioBlock(np.zeros((0, 0)), 0, frame.sample_rate, frame.layout.name, float(time))
                position = 0
            rate = first.sampling_rate
            kind = (frame.format.name, frame.layout.name, frame.sample_rate)
            if kind != source_kind:
                source_kind = kind
                resampler = av.AudioResampler(format="flt", layout=first.layout, rate=rate)
            due = position if frame.pts is None else round((time - Fraction(first.file_start_in_s)) * rate)
            if position is None:
                position = max(0, due)
            for part in resampler.resample(frame):
                # Interleaved, because PyAV miscounts planes where there are eight channels or more.
                samples = np.ascontiguousarray(part.to_ndarray().reshape(-1, len(part.layout.channels)).T)
                if due - position > GAP_IN_S * rate:
                    meter.check_time(due / rate)
                    # A second at a time, because a damaged file may have a gap of hours.
                    for start in range(position, due, rate):
                        silence = np.zeros((len(samples), min(rate, due - start)), np.float32)
                        yield replace(first, samples=silence, start=start)
                    position = due
                yield replace(first, samples=samples, start=position)
                position += samples.shape[1]
            meter.check_time(position / rate)


def _time(name: str, value: float) -> float:
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= value < math.inf:
        raise InputError(f"{name} is {value!r}; expected a time of at least 0 s.")
    return float(value)
