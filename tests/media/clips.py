# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Small video files for the tests. Every frame carries its own number as a pattern that survives lossy coding."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np


NUM_STRIPES = 8
# What a file says about turning the picture, in the units of an mp4 file.
ROTATION_MATRICES = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}


def numbered_picture(number: int, height: int = 64, width: int = 64) -> np.ndarray:
    """A picture of vertical stripes, black or white by the bits of `number`, the lowest bit left."""
    bits = (number >> np.arange(NUM_STRIPES)) & 1
    row = np.repeat(bits * 255, width // NUM_STRIPES).astype(np.uint8)
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def numbers_of(frames) -> list[int]:
    """The numbers in square frames of shape `(num_frames, 3, size, size)`."""
    size = frames.shape[-1]
    middles = (np.arange(NUM_STRIPES) * 2 + 1) * size // (2 * NUM_STRIPES)
    bits = np.asarray(frames)[:, 1, size // 2, middles] > 127
    return (bits << np.arange(NUM_STRIPES)).sum(axis=1).tolist()


def write_clip(
    path: Path,
    times: Sequence[Fraction | float],
    *,
    codec: str = "libx264",
    time_base: Fraction = Fraction(1, 90000),
    last_duration: Fraction | float = Fraction(1, 24),
    size: tuple[int, int] = (64, 64),
    start: float = 0.0,
    first_number: int = 0,
    pixel_aspect: Fraction | None = None,
    audio_length_in_s: float = 0.0,
    metadata: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a clip whose frame `i` is numbered `first_number + i` and shown at `times[i]`, and return its path."""
    rate = Fraction(1 / last_duration).limit_denominator(1001)
    with av.open(str(path), "w", options=options or {}) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=rate, options=codec_options or {})
        stream.height, stream.width = size
        stream.pix_fmt = "yuv422p10le" if codec == "prores_ks" else "rgb8" if codec == "gif" else "yuv420p"
        stream.codec_context.time_base = time_base
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if audio_length_in_s:
            sound = container.add_stream("libopus" if path.suffix == ".webm" else "aac", rate=48_000)
        durations = [*(later - earlier for earlier, later in pairwise(times)), last_duration]
        for i, (time, duration) in enumerate(zip(times, durations, strict=True)):
            frame = av.VideoFrame.from_ndarray(numbered_picture(first_number + i, *size), format="rgb24")
            frame.pts = round((time + start) / time_base)
            frame.duration = round(duration / time_base)
            frame.time_base = time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if audio_length_in_s:
            silence = np.zeros((2, round(audio_length_in_s * 48_000)), dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="stereo")
            frame.sample_rate = 48_000
            container.mux(sound.encode(frame))
            container.mux(sound.encode())
    return path


def write_large_clip(path: Path, num_frames: int, frame_rate: int) -> Path:
    """Write a grey clip of 1280 x 720 that takes little time to code and to decode."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=frame_rate, options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = 720, 1280, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.full((1080, 1280), 128, np.uint8), format="yuv420p")
        frame.time_base = Fraction(1, frame_rate)
        for i in range(num_frames):
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def turn(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Set the display matrix (a, b, c, d) of the first track of an mp4 file in place."""
    content = bytearray(path.read_bytes())
    # A track header has 40 bytes between its name and its matrix of 16.16 and 2.30 fixed-point numbers.
    position = content.index(b"tkhd") + 44
    a, b, c, d = (value << 16 for value in matrix)
    content[position : position + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def video_packets(path: Path) -> list[tuple[bytes, Fraction]]:
    """Coded pictures and the times at which they are shown, in decoding order."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [
            (bytes(packet), packet.pts * packet.time_base)
            for packet in container.demux(stream)
            if packet.size and packet.pts is not None
        ]


def read_sound(path: Path) -> tuple[np.ndarray, int]:
    """Decoded samples of shape `(channels, num_samples)` and their rate."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp")
        frames = [part for frame in container.decode(stream) for part in resampler.resample(frame)]
        return np.concatenate([frame.to_ndarray() for frame in frames], axis=1), stream.rate
