# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Writing sound: as a file of its own, or as the sound track of a video whose pictures are copied untouched.

A file appears under its name only when it is complete. It is written under another name beside it first, so a failure
leaves nothing behind and an older file of that name unharmed.
"""

import math
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import torch
from av.audio.stream import AudioStream
from av.container import OutputContainer

from ..errors import InputError, MediaError
from .decode import MediaSource, open_video, reporting_damage, source_name
from .probe import probe


# For each extension: the name FFmpeg has for the format, and the codec that fits it.
AUDIO_FORMATS = {".wav": ("wav", "pcm_s16le"), ".flac": ("flac", "flac")}
VIDEO_FORMATS = {
    ".mp4": ("mp4", "aac"),
    ".mov": ("mov", "aac"),
    ".mkv": ("matroska", "libopus"),
    ".webm": ("webm", "libopus"),
}
# Transparent for stereo in both codecs; they use less where the sampling rate allows less.
BIT_RATE = 192_000
# Both codecs take this one. Each takes some more.
RESAMPLING_RATE = 48_000
CODEC_RATES = {
    "aac": (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000),
    "libopus": (48_000, 24_000, 16_000, 12_000, 8_000),
}
LAYOUTS = {1: "mono", 2: "stereo"}


def write_audio(path: str | os.PathLike, audio: np.ndarray | torch.Tensor, sampling_rate: int) -> None:
    """Write a sound file of 16-bit samples. Values outside [-1, 1] are clipped.

    Args:
        path: Where to write; an existing file is replaced. `.wav` or `.flac`.
        audio: Floating-point samples of shape `(channels, num_samples)` or `(num_samples,)`, one or two channels.
        sampling_rate: Samples per second.

    Raises:
        InputError: `path`, `audio` or `sampling_rate` is not as described.
        MediaError: The file cannot be written.
    """
    format_name, codec = _format_of(path, AUDIO_FORMATS)
    samples = _samples_of(audio, sampling_rate)
    with _complete_file(path, format_name) as container:
        stream = container.add_stream(codec, rate=sampling_rate, layout=LAYOUTS[len(samples)])
        for chunk_start in range(0, samples.shape[1], sampling_rate):
            _encode(container, stream, samples[:, chunk_start : chunk_start + sampling_rate], chunk_start)
        container.mux(stream.encode())


def write_audio_into_video(
    source: MediaSource, audio: np.ndarray | torch.Tensor, sampling_rate: int, output: str | os.PathLike
) -> None:
    """Copy a video with `audio` as its only sound track.

    The coded pictures are copied as they are, with their rotation and the metadata; subtitles and other tracks are
    left out. The pictures start at time zero. The sound is cut, or filled up with silence, to the length of the clip.

    Args:
        source: The video: path, bytes or seekable binary file object. It is only read.
        audio: Floating-point samples of shape `(channels, num_samples)` or `(num_samples,)`, one or two channels.
        sampling_rate: Samples per second of `audio`. Rates that the codec of the sound does not have are resampled.
        output: Where to write; an existing file is replaced. `.mp4` or `.mov` (sound in AAC), `.mkv` or `.webm`
            (sound in Opus).

    Raises:
        InputError: `output`, `audio` or `sampling_rate` is not as described, or `output` is the source itself.
        MediaError: The source cannot be read, or its pictures do not fit into a file with this extension;
            `NoVideoStreamError` and `EmptyMediaError` if there are no pictures.
    """
    format_name, codec = _format_of(output, VIDEO_FORMATS)
    samples = _samples_of(audio, sampling_rate)
    info = probe(source)
    ...
