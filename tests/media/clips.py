# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Small video files for the tests. Every frame carries its own number as a pattern that survives lossy coding."""

import io
import struct
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from PIL import Image


NUM_STRIPES = 8
CHAPTERS = ("Before", "After")
LINES = ("Hello.", "Good-bye.")
FONT = b"not really a font" * 10
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
            frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
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


def write_rich_clip(path: Path, source: Path, subtitles: str | None) -> Path:
    """Copy `source`, and add two chapters, subtitles, a cover, and in Matroska a font."""
    with av.open(str(source)) as container, av.open(str(path), "w") as target:
        copies = {stream: target.add_stream_from_template(stream, opaque=True) for stream in container.streams}
        lines = target.add_mux_stream(subtitles) if subtitles else None
        if lines:
            lines.metadata["language"] = "fra"
        cover = None
        if path.suffix == ".mkv":
            target.add_attachment("font.ttf", "font/ttf", FONT)
            target.add_attachment("cover.png", "image/png", png_file())
        elif path.suffix == ".mp4":
            cover = target.add_mux_stream("png", width=16, height=16)
            cover.disposition = Disposition.attached_pic
        second = Fraction(1, 1000)
        target.set_chapters(
            [
                {"id": i, "start": i * 1000, "end": i * 1000 + 1000, "time_base": second, "metadata": {"title": title}}
                for i, title in enumerate(CHAPTERS)
            ]
        )
        target.start_encoding()
        if cover:
            _mux_bytes(target, cover, png_file(), 0, 0)
        for i, line in enumerate(LINES if lines else []):
            content = line.encode()
            # The subtitles of mp4 begin with their length.
            content = len(content).to_bytes(2, "big") + content if subtitles == "mov_text" else content
            _mux_bytes(target, lines, content, i, 1)
        for packet in container.demux(*copies):
            if packet.size:
                packet.stream = copies[packet.stream]
                target.mux(packet)
    return path


def _mux_bytes(target, stream, content: bytes, time_in_s: int, duration_in_s: int) -> None:
    packet = av.Packet(content)
    packet.stream = stream
    packet.pts = packet.dts = round(time_in_s / stream.time_base)
    packet.duration = round(duration_in_s / stream.time_base)
    target.mux(packet)


def png_file() -> bytes:
    """A small red picture."""
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 0, 0)).save(file, "PNG")
    return file.getvalue()


def tones(sampling_rate: int, layout: str, length_in_s: float) -> np.ndarray:
    """A tone of another pitch and strength in each channel, as float32 of shape `(channels, num_samples)`."""
    times = np.arange(round(length_in_s * sampling_rate)) / sampling_rate
    num_channels = len(av.AudioLayout(layout).channels)
    # Low ones, which the channel for low frequencies keeps too.
    return np.stack([0.2 / (1 + i) * np.sin(2 * np.pi * (40 + 10 * i) * times) for i in range(num_channels)]).astype(
        np.float32
    )


def write_sound(path: Path, samples: np.ndarray, sampling_rate: int, codec: str, layout: str) -> Path:
    """Write float32 samples of shape `(channels, num_samples)` as a file of sound alone, and return its path."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=sampling_rate, layout=layout, bit_rate=96_000 * len(samples))
        interleaved = np.ascontiguousarray(samples.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(interleaved, format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = sampling_rate, 0, Fraction(1, sampling_rate)
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
